//! Binary values: placeholders in the JSON, and the binary messages that follow.
use bytes::Bytes;

use super::error::ProtocolError;
use super::json::{Token, Tokens, unescape};

/// Attachments of a packet as they arrive, in order.
#[derive(Debug)]
pub(super) struct Assembly {
    received: Vec<Bytes>,
    bytes: usize,
    missing: usize,
}

impl Assembly {
    /// Starts an assembly; `expected` is at least 1, because a packet without attachments is already complete.
    pub(super) fn new(expected: usize) -> Self {
        Self { received: Vec::new(), bytes: 0, missing: expected }
    }

    /// Adds the next attachment; returns all of them once the last has come. If `max_bytes` is 0, only their number is
    /// kept.
    ///
    /// # Errors
    /// [`ProtocolError::AttachmentsTooLarge`] if together they exceed `max_bytes`.
    pub(super) fn add(&mut self, data: Bytes, max_bytes: usize) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        if max_bytes == 0 {
            self.received.push(Bytes::new());
        } else {
            self.bytes = self.bytes.saturating_add(data.len());
            if self.bytes > max_bytes {
                return Err(ProtocolError::AttachmentsTooLarge);
            }
            self.received.push(data);
        }
        self.missing = self.missing.saturating_sub(1);
        Ok((self.missing == 0).then(|| std::mem::take(&mut self.received)))
    }
}

/// Returns whether every placeholder in `args`, valid JSON values joined by commas, refers to one of `attachments`
/// messages.
///
/// A placeholder is an object whose `_placeholder` is `true`, whatever else it holds. Several may refer to one
/// attachment, and an attachment may have none.
pub(super) fn placeholders_fit(args: &str, attachments: usize) -> bool {
    let mut levels: Vec<Level> = Vec::new();
    let mut is_broken = false;
    for token in Tokens::new(args) {
        match token {
            Token::OpenObject | Token::OpenArray => {
                set_value(&mut levels, None, attachments);
                levels.push(Level { is_object: token == Token::OpenObject, ..Level::default() });
            }
            Token::CloseObject | Token::CloseArray => {
                let closed = levels.pop().unwrap_or_default();
                if !closed.fits() {
                    match levels.last_mut() {
                        Some(parent) => parent.is_broken_inside = true,
                        None => is_broken = true,
                    }
                }
            }
            Token::Comma => {
                if let Some(level) = levels.last_mut() {
                    level.key = None;
                }
            }
            Token::Text(text) => match levels.last_mut() {
                Some(level @ Level { is_object: true, key: None, .. }) => level.key = Some(Key::of(text)),
                _ => set_value(&mut levels, None, attachments),
            },
            Token::Scalar(scalar) => set_value(&mut levels, Some(scalar), attachments),
            Token::Colon => {}
        }
    }
    !is_broken
}

/// An open array or object.
#[derive(Default)]
struct Level {
    is_object: bool,
    /// The key whose value comes next or has just come.
    key: Option<Key>,
    is_placeholder: bool,
    has_number: bool,
    is_broken_inside: bool,
}

impl Level {
    fn fits(&self) -> bool {
        // A placeholder is replaced with its attachment, so its other contents do not matter.
        if self.is_placeholder { self.has_number } else { !self.is_broken_inside }
    }
}

enum Key {
    Placeholder,
    Number,
    Other,
}

impl Key {
    fn of(text: &str) -> Self {
        match unescape_key(text).as_ref() {
            "_placeholder" => Self::Placeholder,
            "num" => Self::Number,
            _ => Self::Other,
        }
    }
}

fn unescape_key(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\\') { unescape(text).into() } else { text.into() }
}

/// Records a value in its object; the last of repeated keys counts, as in JavaScript.
fn set_value(levels: &mut [Level], scalar: Option<&str>, attachments: usize) {
    let Some(level) = levels.last_mut() else { return };
    match level.key {
        Some(Key::Placeholder) => level.is_placeholder = scalar == Some("true"),
        Some(Key::Number) => level.has_number = scalar.is_some_and(|scalar| is_index(scalar, attachments)),
        Some(Key::Other) | None => {}
    }
}

/// Returns whether a JSON number, in any spelling, is an integer from 0 to `attachments` − 1.
fn is_index(scalar: &str, attachments: usize) -> bool {
    scalar.parse::<f64>().is_ok_and(|number| number >= 0.0 && number.fract() == 0.0 && number < attachments as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_have_to_fit() {
        for (args, attachments, fits) in [
            (r#"{"_placeholder":true,"num":0}"#, 1, true),
            (r#"{"num":1,"_placeholder":true}"#, 1, false),
            (r#"{"num":1,"x":2,"_placeholder":true},3"#, 2, true),
            (r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}"#, 2, true),
            (r#"[{"a":[{"_placeholder":true,"num":2}]}]"#, 2, false),
            (r#"[{"a":[{"_placeholder":true,"num":2}]}]"#, 3, true),
            (r#"{"_placeholder":true,"num":-1}"#, 1, false),
            (r#"{"_placeholder":true,"num":0.5}"#, 1, false),
            (r#"{"_placeholder":true,"num":1e0}"#, 2, true),
            (r#"{"_placeholder":true,"num":"0"}"#, 1, false),
            (r#"{"_placeholder":true,"num":null}"#, 1, false),
            (r#"{"_placeholder":true,"num":[0]}"#, 1, false),
            (r#"{"_placeholder":true,"num":18446744073709551616}"#, 1, false),
            (r#"{"_placeholder":true,"num":1e999}"#, 1, false),
            (r#"{"_placeholder":true}"#, 1, false),
            (r#"{"_placeholder":1,"num":9}"#, 1, true),
            (r#"{"_placeholder":"true","num":9}"#, 1, true),
            (r#"{"_placeholder":{"_placeholder":true,"num":9}}"#, 1, false),
            (r#"["_placeholder",true,"num",9]"#, 1, true),
            (r#"{"\u005fplaceholder":true,"num":9}"#, 1, false),
            (r#"{"_placeholder":true,"_placeholder":false,"num":9}"#, 1, true),
            (r#"{"_placeholder":true,"num":9,"num":0}"#, 1, true),
            (r#"{"_placeholder":true,"num":0,"inner":{"_placeholder":true,"num":9}}"#, 1, true),
            (r#"{"x":"{\"_placeholder\":true,\"num\":9}"}"#, 1, true),
            (r#"{"__proto__":{"_placeholder":true,"num":0}}"#, 1, true),
            ("", 1, true),
        ] {
            assert_eq!(placeholders_fit(args, attachments), fits, "{args}");
        }
    }
}
