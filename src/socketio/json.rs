//! Tokens of JSON that was validated before, without building values and without recursion.

/// A token of JSON text, in as much detail as nesting and keys need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    OpenObject,
    OpenArray,
    CloseObject,
    CloseArray,
    Comma,
    Colon,
    /// The text between the quotes, escapes included.
    Text(&'a str),
    /// A number, `true`, `false` or `null`.
    Scalar(&'a str),
}

/// The tokens of a valid JSON text, or of valid values joined by commas.
pub(super) struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(valid: &'a str) -> Self {
        Self { rest: valid }
    }

    /// Splits off the first `length` bytes.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        let structural = match self.rest.as_bytes().first()? {
            b'{' => Token::OpenObject,
            b'[' => Token::OpenArray,
            b'}' => Token::CloseObject,
            b']' => Token::CloseArray,
            b',' => Token::Comma,
            b':' => Token::Colon,
            b'"' => {
                self.take(1);
                let text = self.take(quoted_length(self.rest));
                self.take(1);
                return Some(Token::Text(text));
            }
            _ => {
                let end =
                    self.rest.bytes().position(|byte| matches!(byte, b',' | b':' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r'));
                return Some(Token::Scalar(self.take(end.unwrap_or(self.rest.len()))));
            }
        };
        self.take(1);
        Some(structural)
    }
}

/// Returns the number of bytes before the quote that ends a text.
fn quoted_length(text: &str) -> usize {
    let mut escaped = false;
    text.bytes()
        .position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })
        .unwrap_or(text.len())
}

/// Returns whether arrays and objects of a valid JSON text nest at most `limit` deep.
pub(super) fn nests_within(valid: &str, limit: usize) -> bool {
    // Most texts have few brackets; one branch-free pass finds that out.
    if valid.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() <= limit {
        return true;
    }
    let mut depth = 0_usize;
    Tokens::new(valid).all(|token| {
        match token {
            Token::OpenObject | Token::OpenArray => depth += 1,
            Token::CloseObject | Token::CloseArray => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth <= limit
    })
}

/// Decodes the text between the quotes of a JSON string.
///
/// An unpaired surrogate, which JavaScript allows, becomes U+FFFD.
pub(super) fn unescape(inner: &str) -> String {
    if !inner.contains('\\') {
        return inner.to_owned();
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = escape.chars();
        match chars.next() {
            Some('u') => {
                let (decoded, after) = unescape_unicode(chars.as_str());
                out.push(decoded);
                rest = after;
                continue;
            }
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some(itself) => out.push(itself),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}

/// Decodes the four digits after `\u`, and the second half of a surrogate pair after them; returns the rest.
fn unescape_unicode(text: &str) -> (char, &str) {
    let Some((first, rest)) = hex_unit(text) else { return (char::REPLACEMENT_CHARACTER, "") };
    if let Some(alone) = char::from_u32(first) {
        return (alone, rest);
    }
    let second = rest.strip_prefix("\\u").and_then(hex_unit);
    match second {
        Some((low, after)) if first < 0xdc00 && (0xdc00..0xe000).contains(&low) => {
            let point = 0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER), after)
        }
        _ => (char::REPLACEMENT_CHARACTER, rest),
    }
}

fn hex_unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_of_every_kind() {
        let tokens: Vec<_> = Tokens::new(" {\"a\\\"b\" : [1.5e3,true ,null]}\n").collect();
        use Token::*;
        assert_eq!(
            tokens,
            [
                OpenObject,
                Text("a\\\"b"),
                Colon,
                OpenArray,
                Scalar("1.5e3"),
                Comma,
                Scalar("true"),
                Comma,
                Scalar("null"),
                CloseArray,
                CloseObject
            ]
        );
    }

    #[test]
    fn brackets_in_texts_do_not_nest() {
        let brackets = format!("[\"{}\\\"[\",[]]", "[".repeat(200));
        assert!(nests_within(&brackets, 2));
        assert!(!nests_within(&brackets, 1));
        let wide = format!("[{}]", ["[]"; 300].join(","));
        assert!(nests_within(&wide, 2));
    }

    #[test]
    fn halves_of_surrogate_pairs() {
        for (inner, text) in [
            ("\\ud83d\\ude00!", "😀!"),
            ("\\ud83d", "\u{fffd}"),
            ("\\ud83dx", "\u{fffd}x"),
            ("\\ude00\\ud83d", "\u{fffd}\u{fffd}"),
            ("\\ud83d\\ud83d\\ude00", "\u{fffd}😀"),
            ("\\ud83d\\n", "\u{fffd}\n"),
            ("\\u005fx\\/\\\\", "_x/\\"),
        ] {
            assert_eq!(unescape(inner), text, "{inner}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn unescape_agrees_with_serde(text in any::<String>(), ascii in any::<bool>()) {
            let mut json = serde_json::to_string(&text).unwrap();
            if ascii {
                json = json.encode_utf16().map(|unit| if unit < 0x80 { char::from(unit as u8).to_string() } else { format!("\\u{unit:04x}") }).collect();
            }
            prop_assert_eq!(unescape(&json[1..json.len() - 1]), text);
        }
    }
}
