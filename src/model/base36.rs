//! Numbers of offsets: base 36, in lower case.
use std::fmt;

/// A number to write.
pub(super) struct Base36(pub(super) u64);

impl fmt::Display for Base36 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 36^13 exceeds every 64-bit number.
        let (mut digits, mut rest) = ([b'0'; 13], self.0);
        let mut start = digits.len();
        for (place, digit) in digits.iter_mut().enumerate().rev() {
            *digit = match u8::try_from(rest % 36).unwrap_or_default() {
                low @ 0..=9 => b'0' + low,
                high => b'a' + high - 10,
            };
            (rest, start) = (rest / 36, place);
            if rest == 0 {
                break;
            }
        }
        formatter.write_str(std::str::from_utf8(digits.get(start..).unwrap_or_default()).unwrap_or_default())
    }
}

/// Reads a number in the one spelling that it is written in.
pub(super) fn number<T: TryFrom<u64>>(text: &str) -> Option<T> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    let is_short = text == "0" || !text.starts_with('0');
    let number = u64::from_str_radix(text, 36).ok().filter(|_| is_plain && is_short)?;
    T::try_from(number).ok()
}
