//! Figures for people: prints any figures of a server group by group, without knowing their names.
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Maximum number of rows shown of a list.
const ROWS_MAX: usize = 10;
/// The group of figures outside any group.
const LOOSE: &str = "server";

/// Returns all figures in groups; with `before`, also the change of each. Lines are at most `width` characters wide.
pub(super) fn shown(figures: &Map<String, Value>, before: Option<&Map<String, Value>>, width: usize) -> String {
    let mut text = String::new();
    let loose: Vec<_> = figures.iter().filter(|(_, value)| is_plain(value)).collect();
    push_group(
        &mut text,
        LOOSE,
        loose.into_iter().map(|(name, value)| entry(name, value, before.and_then(|old| old.get(name)))),
        width,
    );
    for (group, value) in figures {
        let old = before.and_then(|old| old.get(group));
        match value {
            Value::Object(inner) => {
                let mut entries = Vec::new();
                collect(&mut entries, "", inner, old.and_then(Value::as_object));
                push_group(&mut text, &words(group), entries.into_iter(), width);
            }
            Value::Array(rows) => push_group(&mut text, &words(group), list(rows).into_iter(), width),
            _ => {}
        }
    }
    text
}

/// Returns all single figures with their paths on one line: for a log, or for grep.
pub(super) fn flat(figures: &Map<String, Value>) -> String {
    let mut line = String::new();
    push_flat(&mut line, "", figures);
    line.push('\n');
    line
}

fn push_flat(line: &mut String, path: &str, figures: &Map<String, Value>) {
    for (name, value) in figures {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            Value::Object(inner) => push_flat(line, &path, inner),
            Value::Array(_) => {}
            _ => {
                let gap = if line.is_empty() { "" } else { " " };
                let value = value.as_str().map_or_else(|| value.to_string(), |text| text.replace(char::is_whitespace, "_"));
                // Writing to a String cannot fail.
                let _ = write!(line, "{gap}{}={value}", path.replace(char::is_whitespace, "_"));
            }
        }
    }
}

fn is_plain(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

/// Collects the lines of a group; nested figures are named by their path.
fn collect(entries: &mut Vec<String>, path: &str, figures: &Map<String, Value>, before: Option<&Map<String, Value>>) {
    for (key, value) in figures {
        let name = if path.is_empty() { words(key) } else { format!("{path} {}", words(key)) };
        let old = before.and_then(|old| old.get(key));
        match value {
            Value::Object(inner) => match distribution(inner, &name) {
                Some(text) => entries.push(text),
                None => collect(entries, &name, inner, old.and_then(Value::as_object)),
            },
            Value::Array(rows) => match percentiles(rows, None) {
                Some(text) => entries.push(format!("{name} {text}")),
                None => entries.extend(list(rows).into_iter().map(|row| format!("{name}: {row}"))),
            },
            _ => entries.push(entry(&name, value, old)),
        }
    }
}

fn entry(name: &str, value: &Value, old: Option<&Value>) -> String {
    let change = match (value.as_i64(), old.and_then(Value::as_i64)) {
        (Some(now), Some(old)) if now != old => format!(" ({:+})", now.saturating_sub(old)),
        _ => String::new(),
    };
    format!("{} {}{change}", words(name), plain(value))
}

/// Formats a value without quotes and with a short fraction. Texts come from outside, so control characters are
/// dropped: they could move the cursor.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.chars().filter(|character| !character.is_control()).collect(),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(fraction) => format!("{fraction:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
            None => number.to_string(),
        },
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}

/// Returns one line for each of the first rows of a list.
fn list(rows: &[Value]) -> Vec<String> {
    if let Some(text) = percentiles(rows, None) {
        return vec![text];
    }
    let mut lines: Vec<_> = rows.iter().take(ROWS_MAX).map(row).collect();
    if rows.len() > ROWS_MAX {
        lines.push(format!("and {} more", rows.len() - ROWS_MAX));
    }
    lines
}

fn row(row: &Value) -> String {
    let Value::Object(figures) = row else { return plain(row) };
    let mut parts = Vec::new();
    collect(&mut parts, "", figures, None);
    parts.join(", ")
}

/// Returns three percentiles of a histogram, given as rows of an upper bound (`upTo…`) and a cumulative `count`.
fn percentiles(rows: &[Value], all: Option<u64>) -> Option<String> {
    let buckets: Vec<(f64, &str, u64)> = rows.iter().map(bucket).collect::<Option<_>>()?;
    let (_, unit, _) = *buckets.first()?;
    let total = all.or_else(|| buckets.iter().map(|(.., count)| *count).max())?;
    if total == 0 {
        return Some("none yet".to_owned());
    }
    let within = |share: u64| {
        let is_enough = |count: u64| count.saturating_mul(100) >= total.saturating_mul(share);
        match buckets.iter().find(|(.., count)| is_enough(*count)).filter(|(bound, ..)| bound.is_finite()) {
            Some((bound, ..)) => format!("{share}% ≤ {bound}{unit}"),
            None => format!("{share}% beyond"),
        }
    };
    let parts: Vec<_> = [50, 90, 99].into_iter().map(within).collect();
    Some(format!("{} of {total}", parts.join(", ")))
}

/// Summarises a histogram that consists of `count`, `sum` and `buckets`.
fn distribution(figures: &Map<String, Value>, name: &str) -> Option<String> {
    // Values beyond the last bound are only in the count.
    let text = percentiles(figures.get("buckets")?.as_array()?, figures.get("count")?.as_u64())?;
    Some(format!("{name} {text}"))
}

fn bucket(row: &Value) -> Option<(f64, &str, u64)> {
    let row = row.as_object()?;
    let (name, bound) = row.iter().find(|(name, _)| name.starts_with("upTo"))?;
    let unit = match name.strip_prefix("upTo") {
        Some("Ms") => " ms",
        Some("Micros") => " µs",
        Some("Seconds") => " s",
        Some("Bytes") => " bytes",
        _ => "",
    };
    // The last row may have no bound.
    Some((bound.as_f64().unwrap_or(f64::INFINITY), unit, row.get("count")?.as_u64()?))
}

/// Spells `mailboxWaitMicros` as `mailbox wait µs`.
fn words(name: &str) -> String {
    let mut text = String::new();
    for character in name.chars().filter(|character| !character.is_control()) {
        if character.is_ascii_uppercase() {
            text.push(' ');
        }
        text.push(if character == '_' { ' ' } else { character.to_ascii_lowercase() });
    }
    let text = text.trim().to_owned();
    text.strip_suffix("micros").map(|rest| format!("{rest}µs")).unwrap_or(text)
}

fn push_group(text: &mut String, group: &str, entries: impl Iterator<Item = String>, width: usize) {
    let (indent, gap) = (14, "   ");
    let mut line = format!("{group:indent$}");
    let mut used = 0;
    for entry in entries {
        let length = entry.chars().count();
        if used > 0 && used + gap.len() + length + indent > width {
            text.push_str(line.trim_end());
            text.push('\n');
            line = " ".repeat(indent);
            used = 0;
        }
        if used > 0 {
            line.push_str(gap);
        }
        line.push_str(&entry);
        used += gap.len() + length;
    }
    if used > 0 {
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn whatever_is_counted_is_shown_in_its_group() {
        let before = object(json!({"chat": {"messages": 3}}));
        let figures = object(json!({
            "uptimeSeconds": 7, "messagesPerSecond": 2.5,
            "chat": {"mailboxWaitMicros": 12, "messages": 5},
            "connections": {"closed": {"transport close": 1}},
            "store": {"commitTimes": [{"upToMs": 1.0, "count": 9}, {"upToMs": 5.0, "count": 10}]},
            "reads": {"readSeconds": {"count": 2, "sum": 0.5, "buckets": [{"upTo": 0.25, "count": 1}, {"upTo": 0.5, "count": 2}]}},
            "rooms": [{"room": "a\u{1b}[2J", "members": 2}],
        }));
        let text = shown(&figures, Some(&before), 200);
        for line in [
            "server        messages per second 2.5   uptime seconds 7",
            "chat          mailbox wait µs 12   messages 5 (+2)",
            "connections   closed transport close 1",
            "store         commit times 50% ≤ 1 ms, 90% ≤ 1 ms, 99% ≤ 5 ms of 10",
            "reads         read seconds 50% ≤ 0.25, 90% ≤ 0.5, 99% ≤ 0.5 of 2",
            "rooms         members 2, room a[2J",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
        assert!(shown(&figures, None, 40).lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn a_line_has_every_single_figure_by_its_path() {
        let figures = object(json!({"time": "now", "chat": {"sockets": 1, "deep er": {"er": true}}, "list": [1]}));
        let line = flat(&figures);
        let mut parts: Vec<_> = line.split_whitespace().collect();
        parts.sort_unstable();
        assert_eq!(parts, ["chat.deep_er.er=true", "chat.sockets=1", "time=now"]);
        assert!(line.ends_with('\n'));
    }
}
