//! The filter of log lines.
use std::fmt;
use std::str::FromStr;

use env_filter::{Builder, Filter};
use log::{LevelFilter, Metadata, Record};

/// Filter of log lines in `env_logger`'s syntax: levels and `target=level` parts, optionally followed by `/` and a text
/// that the message must contain.
#[derive(Debug, Clone)]
pub struct LogFilter {
    text: String,
    filter: Filter,
}

impl LogFilter {
    /// Returns the filter as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the most verbose level of any target.
    pub fn max_level(&self) -> LevelFilter {
        self.filter.filter()
    }

    /// Returns whether lines of this target and level are written.
    pub fn enables(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.enabled(metadata)
    }

    /// Returns whether this line is written.
    pub fn passes(&self, record: &Record<'_>) -> bool {
        self.filter.matches(record)
    }
}

impl From<LevelFilter> for LogFilter {
    fn from(level: LevelFilter) -> Self {
        Self { text: level.as_str().to_ascii_lowercase(), filter: Builder::new().filter_level(level).build() }
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        LevelFilter::Info.into()
    }
}

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let targets = text.split('/').next().unwrap_or_default();
        for part in targets.split(',').map(str::trim) {
            // A part without `=` is a level or a target, so it always parses.
            let Some((_, level)) = part.split_once('=') else { continue };
            if !level.is_empty() && level.trim().parse::<LevelFilter>().is_err() {
                return Err(format!("{part:?}: the level is one of off, error, warn, info, debug, trace"));
            }
        }
        let mut builder = Builder::new();
        let filter = builder.try_parse(text).map_err(|error| error.to_string())?.build();
        Ok(Self { text: text.to_owned(), filter })
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    #[test]
    fn the_longest_target_that_fits_decides() {
        let filter: LogFilter = "warn,parlance::chat=debug".parse().unwrap();
        let enables = |target, level| filter.enables(&Metadata::builder().target(target).level(level).build());
        assert!(enables("parlance::chat::server", Level::Debug) && !enables("parlance::chat::server", Level::Trace));
        assert!(enables("parlance::store", Level::Warn) && !enables("parlance::store", Level::Info));
        assert_eq!(filter.max_level(), LevelFilter::Debug);
        assert_eq!(filter.to_string(), "warn,parlance::chat=debug");
    }

    #[test]
    fn what_cannot_be_read_says_why_in_one_line() {
        for (text, why) in [
            ("parlance=loud", "\"parlance=loud\": the level is one of"),
            ("info,a=b=c", "\"a=b=c\": the level is one of"),
            ("info/a/b", "too many '/'s"),
        ] {
            let reason = text.parse::<LogFilter>().unwrap_err();
            assert!(reason.contains(why) && !reason.contains('\n'), "{text}: {reason}");
        }
    }
}
