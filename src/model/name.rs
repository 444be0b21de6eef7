//! Names of users: comparison, and the characters that are allowed.
use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// Shown in place of a deleted user's name.
pub const DELETED_NAME: &str = "Deleted user";

/// Zero-width characters that join letters in some scripts, and join pictures everywhere.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// Returns the form in which names and e-mail addresses are compared: compatible characters are unified (NFKC), case,
/// invisible characters and blanks at the ends are dropped, and several blanks count as one.
pub fn name_key(text: &str) -> String {
    if text.is_ascii() {
        let mut key = String::with_capacity(text.len());
        for word in text.split_whitespace() {
            if !key.is_empty() {
                key.push(' ');
            }
            key.push_str(word);
        }
        key.make_ascii_lowercase();
        return key;
    }
    let visible = text.nfkc().filter(|letter| !is_unseen(*letter));
    // Lower, upper, lower again: some letters have several small forms, and some have a capital of two letters.
    let folded: String =
        visible.flat_map(char::to_lowercase).flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc().collect();
    let words: Vec<&str> = folded.split_whitespace().collect();
    words.join(" ")
}

/// Returns whether every character may be in a name: visible, and neither changing the writing direction nor ending the
/// line.
pub fn is_plain(text: &str) -> bool {
    !text.chars().any(|letter| {
        letter.is_control()
            || (is_unseen(letter) && !JOINERS.contains(&letter) && !is_variation(letter))
            || matches!(letter.general_category(), GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator)
    })
}

/// Returns whether a character has no glyph (source: Unicode, `Default_Ignorable_Code_Point`, and the empty Braille
/// pattern).
fn is_unseen(letter: char) -> bool {
    let is_filler =
        matches!(letter, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}');
    is_filler || is_variation(letter) || letter.general_category() == GeneralCategory::Format
}

/// Returns whether a character selects a variant of the glyph before it.
fn is_variation(letter: char) -> bool {
    matches!(letter, '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_one() {
        for (one, other) in [
            ("alice", " ALICE\u{a0}"),
            ("alice", "al\u{200b}ice"),
            ("alice", "al\u{200d}ice\u{fe0f}"),
            ("alice", "\u{ff41}lice"),
            ("Andr\u{e9}", "Andre\u{301}"),
            ("Ann Lee", "ann \u{3000} lee"),
            ("ΟΔΟΣ", "οδος"),
            ("STRASSE", "straße"),
            ("Deleted user", "deleted\u{2003}User"),
            ("ﬁn", "FIN"),
        ] {
            assert_eq!(name_key(one), name_key(other), "{one:?} {other:?}");
        }
        assert_ne!(name_key("ann"), name_key("anne"));
        assert_ne!(name_key("annlee"), name_key("ann lee"));
        assert_eq!(name_key(" \u{200b} "), "");
    }

    #[test]
    fn keys_stay_as_they_are() {
        for name in ["Ann Lee", "ΟΔΟΣ", "ﬁn", "İstanbul", "ẞ", "Ǆ", "ϓ", "가나다", "ｶﾞ", "नमस्ते"] {
            let key = name_key(name);
            assert_eq!(name_key(&key), key, "{name:?}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_in_no_name() {
        for plain in ["Ann Lee", "می\u{200c}خواهم", "👩\u{200d}👧", "❤\u{fe0f}", "名前", "O'Brien-Núñez"] {
            assert!(is_plain(plain), "{plain:?}");
        }
        for hidden in [
            "a\u{200b}b",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{2028}b",
            "a\nb",
            "a\u{1b}b",
            "\u{feff}a",
            "a\u{ad}b",
            "\u{3164}",
            "\u{2800}",
            "\u{e0041}",
        ] {
            assert!(!is_plain(hidden), "{hidden:?}");
        }
    }
}
