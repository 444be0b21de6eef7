//! Parsers and printers of setting values: counts, sizes, durations, flags, lists, secrets.
use std::fmt::Display;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use super::secret::{ApiKey, Secret};

/// One syntax of values. `print` writes what `parse` reads, except for secrets.
pub(super) trait Kind {
    /// The type of the value.
    type Value;

    /// Parses a text that is not blank; the error says what is wrong and what would be right.
    fn parse(&self, text: &str) -> Result<Self::Value, String>;

    /// Prints a value; secrets are redacted.
    fn print(&self, value: &Self::Value) -> String;
}

/// A whole number from the first to the second of these.
pub(super) struct Count<T>(T, T);

/// A type of whole numbers.
pub(super) trait Whole: FromStr + Display + PartialOrd + Copy {
    /// The largest value.
    const MAX: Self;
}

impl Whole for u16 {
    const MAX: Self = Self::MAX;
}

impl Whole for u32 {
    const MAX: Self = Self::MAX;
}

impl Whole for usize {
    const MAX: Self = Self::MAX;
}

impl<T: Whole> Count<T> {
    pub(super) const fn at_least(least: T) -> Self {
        Self(least, T::MAX)
    }

    pub(super) const fn within(least: T, most: T) -> Self {
        Self(least, most)
    }
}

impl<T: Whole> Kind for Count<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, String> {
        let digits = text.trim();
        // `FromStr` alone would accept a sign.
        let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
        let Some(number) = number else {
            return Err(format!("{digits:?} is not a whole number from {} to {}", self.0, self.1));
        };
        if number > self.1 {
            return Err(format!("must be at most {}", self.1));
        }
        at_least(number, self.0, self)
    }

    fn print(&self, value: &T) -> String {
        value.to_string()
    }
}

/// A number of bytes, plain or with `KB` (1 024), `MB` or `GB`.
pub(super) struct Size(usize);

impl Size {
    pub(super) const fn at_least(least: usize) -> Self {
        Self(least)
    }

    const UNITS: [(&'static str, usize); 3] = [("GB", 1024 * 1024 * 1024), ("MB", 1024 * 1024), ("KB", 1024)];
}

impl Kind for Size {
    type Value = usize;

    fn parse(&self, text: &str) -> Result<usize, String> {
        let text = text.trim();
        let (digits, unit) = split_unit(text);
        let factor = if unit.is_empty() { Some(1) } else { factor_of(&Self::UNITS, unit) };
        let bytes = digits.parse::<usize>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
        let Some(bytes) = bytes else {
            return Err(format!("{text:?} is not a size; write a number of bytes, or one with KB, MB or GB, such as 64KB"));
        };
        at_least(bytes, self.0, self)
    }

    fn print(&self, value: &usize) -> String {
        match Self::UNITS.iter().find(|(_, factor)| *value > 0 && value.is_multiple_of(*factor)) {
            Some((unit, factor)) => format!("{}{unit}", value / factor),
            None => value.to_string(),
        }
    }
}

/// A duration: a number with `ms`, `s`, `m`, `h` or `d`.
pub(super) struct Length(Duration);

impl Length {
    pub(super) const fn at_least(least: Duration) -> Self {
        Self(least)
    }

    pub(super) const fn any() -> Self {
        Self(Duration::ZERO)
    }

    const UNITS: [(&'static str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    /// A thousand years; longer durations would overflow the clocks.
    const LONGEST_MILLIS: u64 = 1_000 * 365 * 86_400_000;
}

impl Kind for Length {
    type Value = Duration;

    fn parse(&self, text: &str) -> Result<Duration, String> {
        let text = text.trim();
        let (digits, unit) = split_unit(text);
        if unit.is_empty() && !digits.is_empty() {
            return Err(format!("{text:?} has no unit; write {digits}s or {digits}ms (units are ms, s, m, h, d)"));
        }
        let factor = factor_of(&Self::UNITS, unit);
        let millis = digits.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
        match millis {
            Some(millis) if millis <= Self::LONGEST_MILLIS => at_least_length(Duration::from_millis(millis), self.0),
            _ => Err(format!("{text:?} is not a length of time; write a number with ms, s, m, h or d, such as 25s")),
        }
    }

    fn print(&self, value: &Duration) -> String {
        let millis = u64::try_from(value.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return "0s".to_owned();
        }
        match Self::UNITS.iter().find(|(_, factor)| millis.is_multiple_of(*factor)) {
            Some((unit, factor)) => format!("{}{unit}", millis / factor),
            None => format!("{millis}ms"),
        }
    }
}

/// Retention time: a duration, or `0s` to keep for ever.
pub(super) struct Kept(Duration);

impl Kept {
    pub(super) const fn at_least(least: Duration) -> Self {
        Self(least)
    }
}

impl Kind for Kept {
    type Value = Duration;

    fn parse(&self, text: &str) -> Result<Duration, String> {
        let value = Length::any().parse(text)?;
        let is_short = !value.is_zero() && value < self.0;
        if is_short { Err(format!("must be 0s (for ever) or at least {}", self.print(&self.0))) } else { Ok(value) }
    }

    fn print(&self, value: &Duration) -> String {
        Length::any().print(value)
    }
}

/// `true` or `false`.
pub(super) struct Flag;

impl Kind for Flag {
    type Value = bool;

    fn parse(&self, text: &str) -> Result<bool, String> {
        match text.trim() {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(format!("{other:?} is neither true nor false")),
        }
    }

    fn print(&self, value: &bool) -> String {
        value.to_string()
    }
}

/// A value that parses and prints itself.
pub(super) struct Parsed<T>(PhantomData<T>);

impl<T> Parsed<T> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: FromStr<Err = String> + Display> Kind for Parsed<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, String> {
        text.trim().parse()
    }

    fn print(&self, value: &T) -> String {
        value.to_string()
    }
}

/// Addresses and CIDR ranges.
pub(super) struct Proxies;

impl Kind for Proxies {
    type Value = Vec<IpNet>;

    fn parse(&self, text: &str) -> Result<Vec<IpNet>, String> {
        items(text)
            .map(|item| {
                let range = item.parse().or_else(|_| item.parse::<IpAddr>().map(IpNet::from));
                range.map_err(|_| format!("{item:?} is neither an address nor a range such as 10.0.0.0/8"))
            })
            .collect()
    }

    fn print(&self, value: &Vec<IpNet>) -> String {
        join(value)
    }
}

/// Any text, without surrounding white space.
pub(super) struct Text;

impl Kind for Text {
    type Value = String;

    fn parse(&self, text: &str) -> Result<String, String> {
        Ok(text.trim().to_owned())
    }

    fn print(&self, value: &String) -> String {
        value.lines().collect::<Vec<_>>().join("\\n")
    }
}

/// A folder; it need not exist.
pub(super) struct Folder;

impl Kind for Folder {
    type Value = PathBuf;

    fn parse(&self, text: &str) -> Result<PathBuf, String> {
        if text.contains('\0') { Err("is not a path".to_owned()) } else { Ok(PathBuf::from(text.trim())) }
    }

    fn print(&self, value: &PathBuf) -> String {
        value.display().to_string()
    }
}

/// The path of an optional file or folder.
pub(super) struct Optional;

impl Kind for Optional {
    type Value = Option<PathBuf>;

    fn parse(&self, text: &str) -> Result<Option<PathBuf>, String> {
        Folder.parse(text).map(Some)
    }

    fn print(&self, value: &Option<PathBuf>) -> String {
        value.as_ref().map(|path| Folder.print(path)).unwrap_or_default()
    }
}

/// A list of files.
pub(super) struct Files;

impl Kind for Files {
    type Value = Vec<PathBuf>;

    fn parse(&self, text: &str) -> Result<Vec<PathBuf>, String> {
        items(text).map(|item| Folder.parse(item)).collect()
    }

    fn print(&self, value: &Vec<PathBuf>) -> String {
        join(&value.iter().map(|path| path.display()).collect::<Vec<_>>())
    }
}

/// A list of texts.
pub(super) struct Texts;

impl Kind for Texts {
    type Value = Vec<String>;

    fn parse(&self, text: &str) -> Result<Vec<String>, String> {
        Ok(items(text).map(str::to_owned).collect())
    }

    fn print(&self, value: &Vec<String>) -> String {
        join(value)
    }
}

/// A secret, taken verbatim, white space included.
pub(super) struct Hidden;

impl Kind for Hidden {
    type Value = Option<Secret>;

    fn parse(&self, text: &str) -> Result<Option<Secret>, String> {
        Ok(Some(Secret::new(text)))
    }

    fn print(&self, value: &Option<Secret>) -> String {
        if value.is_some() { "(redacted)".to_owned() } else { String::new() }
    }
}

/// A comma-separated list of keys.
pub(super) struct HiddenKeys;

impl Kind for HiddenKeys {
    type Value = Vec<ApiKey>;

    fn parse(&self, text: &str) -> Result<Vec<ApiKey>, String> {
        Ok(items(text).map(ApiKey::parse).collect())
    }

    fn print(&self, value: &Vec<ApiKey>) -> String {
        match value.len() {
            0 => String::new(),
            1 => "(redacted)".to_owned(),
            count => format!("({count} redacted)"),
        }
    }
}

/// Splits a comma-separated list into trimmed parts, dropping empty ones.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// Joins values into a list that [`items`] can split.
pub(super) fn join<T: Display>(values: &[T]) -> String {
    values.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

/// Splits a text after its leading digits.
fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn factor_of<T: Copy>(units: &[(&str, T)], unit: &str) -> Option<T> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor)
}

fn at_least<T: PartialOrd + Copy, K: Kind<Value = T>>(value: T, least: T, kind: &K) -> Result<T, String> {
    if value >= least { Ok(value) } else { Err(format!("must be at least {}", kind.print(&least))) }
}

fn at_least_length(value: Duration, least: Duration) -> Result<Duration, String> {
    at_least(value, least, &Length(least))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_kept_for_ever_or_for_long_enough() {
        let kept = Kept::at_least(Duration::from_secs(86_400));
        assert_eq!(kept.parse("0s").unwrap(), Duration::ZERO);
        assert_eq!(kept.parse("24h").unwrap(), Duration::from_secs(86_400));
        assert_eq!(kept.parse("23h").unwrap_err(), "must be 0s (for ever) or at least 1d");
        assert!(kept.parse("30").unwrap_err().contains("unit"));
    }

    #[test]
    fn lengths_read_and_print() {
        for (text, millis, printed) in [
            ("250ms", 250, "250ms"),
            ("6s", 6_000, "6s"),
            ("1000ms", 1_000, "1s"),
            ("90s", 90_000, "90s"),
            ("120s", 120_000, "2m"),
            (" 7d ", 604_800_000, "7d"),
            ("0s", 0, "0s"),
        ] {
            let value = Length::any().parse(text).unwrap();
            assert_eq!(value, Duration::from_millis(millis), "{text}");
            assert_eq!(Length::any().print(&value), printed);
        }
        for text in ["6", "s", "1.5s", "6sec", "6 s", "-6s", "６s"] {
            assert!(Length::any().parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_read_and_print() {
        for (text, bytes, printed) in [
            ("1000000", 1_000_000, "1000000"),
            ("64KB", 65_536, "64KB"),
            ("1MB", 1_048_576, "1MB"),
            ("2GB", 2_147_483_648, "2GB"),
            ("2048MB", 2_147_483_648, "2GB"),
            ("1024", 1_024, "1KB"),
            ("0", 0, "0"),
        ] {
            let value = Size::at_least(0).parse(text).unwrap();
            assert_eq!((value, Size::at_least(0).print(&value).as_str()), (bytes, printed), "{text}");
        }
        for text in ["", "KB", "1B", "1 MB", "1TB", "99999999999999999999", "18446744073709551615MB"] {
            assert!(Size::at_least(0).parse(text).is_err(), "{text}");
        }
    }
}
