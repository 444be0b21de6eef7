//! Writing log lines.
use std::io::{self, Write as _};
use std::panic;
use std::sync::OnceLock;

use env_logger::Builder;
use log::{Level, Log, Metadata, Record, error};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::fields::{Field, fields_of, write_as_text};
use super::switch;
use crate::config::{LogFilter, LogFormat};
use crate::model::Timestamp;

/// The format given to [`start`].
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Starts the log with a filter that holds until it is switched. A second call changes nothing.
pub fn start(format: LogFormat, filter: LogFilter) {
    let mut builder = Builder::new();
    // The filter in front of it decides, so it must pass everything.
    builder.filter_level(log::LevelFilter::Trace);
    match format {
        LogFormat::Text => {
            builder.format(|target, record| {
                let (time, level) = (Timestamp::now(), record.level());
                let style = target.default_level_style(level);
                write!(target, "[{time} {style}{level:<5}{style:#} {}] {}", record.target(), record.args())?;
                write_as_text(target, &fields_of(record.key_values()))?;
                writeln!(target)
            });
        }
        LogFormat::Json => {
            builder.format(|target, record| writeln!(target, "{}", Line::of(record, Timestamp::now()).json()));
        }
    }
    // It fails only if a log was started before, as by another test.
    if log::set_boxed_logger(Box::new(Filtered(builder.build()))).is_ok() {
        let _ = FORMAT.set(format);
        switch::configure(filter);
        if format == LogFormat::Json {
            log_panics();
        }
    }
}

/// Logs why the process ends, whatever the filter.
pub fn fail(reason: &str) {
    let mut stderr = io::stderr().lock();
    let _ = match FORMAT.get() {
        Some(LogFormat::Json) => {
            let fields = Vec::new();
            let line =
                Line { time: Timestamp::now(), level: Level::Error, target: "parlance", message: reason.to_owned(), fields };
            writeln!(stderr, "{}", line.json())
        }
        Some(LogFormat::Text) | None => writeln!(stderr, "parlance: {reason}"),
    };
}

/// By default Rust prints panics as lines of plain text.
fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        let backtrace = (backtrace.status() == std::backtrace::BacktraceStatus::Captured).then(|| backtrace.to_string());
        let thread = std::thread::current();
        let cause = panic.payload_as_str().unwrap_or("?");
        let place = panic.location().map(ToString::to_string);
        error!(thread = thread.name(), place = place.as_deref(), cause, backtrace = backtrace.as_deref(); "panicked");
    }));
}

/// `env_logger` behind the current filter.
struct Filtered(env_logger::Logger);

impl Filtered {
    fn write(&self, record: &Record<'_>) {
        if switch::passes(record) {
            self.0.log(record);
        }
    }
}

/// Returns whether actix-http logs an `error` that only concerns a client's input.
fn is_of_a_stranger(record: &Record<'_>) -> bool {
    record.level() == Level::Error && record.target() == "actix_http::h1::dispatcher"
}

impl Log for Filtered {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        switch::enables(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if is_of_a_stranger(record) {
            // Anybody can send malformed HTTP thousands of times a second; `requests_malformed_total` counts it.
            let record = Record::builder()
                .args(*record.args())
                .level(Level::Debug)
                .target(record.target())
                .module_path(record.module_path())
                .file(record.file())
                .line(record.line())
                .build();
            if record.level() <= log::max_level() {
                self.write(&record);
            }
            return;
        }
        self.write(record);
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// One line as a JSON object.
struct Line<'a> {
    time: Timestamp,
    level: Level,
    target: &'a str,
    message: String,
    fields: Vec<(String, Field)>,
}

impl<'a> Line<'a> {
    fn of(record: &Record<'a>, time: Timestamp) -> Self {
        let (level, target, message) = (record.level(), record.metadata().target(), record.args().to_string());
        Self { time, level, target, message, fields: fields_of(record.key_values()) }
    }

    fn json(&self) -> String {
        // It holds texts and numbers under distinct names, so serializing cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { time, level, target, message, fields } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", time)?;
        map.serialize_entry("level", &level.as_str().to_ascii_lowercase())?;
        map.serialize_entry("target", target)?;
        map.serialize_entry("message", message)?;
        let mut used: Vec<String> = ["time", "level", "target", "message"].map(str::to_owned).to_vec();
        for (name, value) in fields {
            let mut name = name.clone();
            // Lines of other crates may use any field names, including ours.
            while used.contains(&name) {
                name.push('_');
            }
            map.serialize_entry(&name, value)?;
            used.push(name);
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use log::kv;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn json_of(message: &str, fields: &[(&str, kv::Value<'_>)]) -> Value {
        let time = Timestamp::from_millis(1_767_323_045_678);
        let (message, fields) = (message.to_owned(), fields_of(&fields));
        let text = Line { time, level: Level::Warn, target: "a::b", message, fields }.json();
        assert!(!text.contains('\n'), "{text}");
        serde_json::from_str(&text).unwrap()
    }

    fn text_of(fields: &[(&str, kv::Value<'_>)]) -> String {
        let mut text = Vec::new();
        write_as_text(&mut text, &fields_of(&fields)).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_line_of_json_has_its_fields_with_their_types() {
        let fields = [
            ("sid", kv::Value::from("abc")),
            ("count", kv::Value::from(7_u64)),
            ("change", kv::Value::from(-7_i64)),
            ("seconds", kv::Value::from(0.5)),
            ("handed", kv::Value::from(true)),
            ("user", kv::Value::from_display(&"ann")),
            ("address", kv::Value::null()),
        ];
        let expected = json!({
            "time": "2026-01-02T03:04:05.678Z", "level": "warn", "target": "a::b", "message": "it \"is\"\nso",
            "sid": "abc", "count": 7, "change": -7, "seconds": 0.5, "handed": true, "user": "ann",
        });
        assert_eq!(json_of("it \"is\"\nso", &fields), expected);
        assert_eq!(text_of(&fields), " sid=abc count=7 change=-7 seconds=0.5 handed=true user=ann");
    }

    #[test]
    fn names_that_are_taken_get_another() {
        let fields = [("message", kv::Value::from(1)), ("message", kv::Value::from(2)), ("message_", kv::Value::from(3))];
        let line = json_of("m", &fields);
        assert_eq!(
            [&line["message"], &line["message_"], &line["message__"], &line["message___"]],
            [&json!("m"), &json!(1), &json!(2), &json!(3)]
        );
    }

    #[test]
    fn texts_that_are_no_plain_words_are_quoted() {
        for (value, shown) in [
            ("transport close", "\"transport close\""),
            ("", "\"\""),
            ("a=b", "\"a=b\""),
            ("a\nerror: b", "\"a\\nerror: b\""),
            ("\u{1b}[2J", "\"\\u{1b}[2J\""),
            ("a/b:c", "a/b:c"),
        ] {
            assert_eq!(text_of(&[("k", kv::Value::from(value))]), format!(" k={shown}"));
        }
    }

    proptest! {
        #[test]
        fn any_text_makes_one_line_of_valid_json(message in ".*", name in ".*", value in ".*", number in any::<f64>()) {
            let line = json_of(&message, &[(&name, kv::Value::from(value.as_str())), (&name, kv::Value::from(number))]);
            prop_assert_eq!(&line["message"], &json!(message));
        }
    }
}
