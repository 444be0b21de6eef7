//! Faults of a dialect's file, with their place.
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A fault: `FILE:LINE:COLUMN: …`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// Line, the first is 1.
    pub line: usize,
    /// Column in characters, the first is 1.
    pub column: usize,
    /// Description.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, text } = self;
        write!(formatter, "{}:{line}:{column}: {text}", path.display())
    }
}

/// The text of a file, for finding places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub path: &'a Path,
    pub text: &'a str,
}

impl Source<'_> {
    /// Returns a problem at this number of bytes from the beginning.
    pub(super) fn problem(&self, at: usize, text: impl Into<String>) -> Problem {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Problem { path: self.path.to_owned(), line, column, text: text.into() }
    }

    /// Returns the place in the file of a place in a text, given where its value stands.
    pub(super) fn inside(&self, value: &Range<usize>, at: usize) -> usize {
        let written = self.text.get(value.clone()).unwrap_or_default();
        let quotes = if written.starts_with("'''") || written.starts_with("\"\"\"") { 3 } else { 1 };
        // A line break behind the quotes is not part of the text.
        let rest = written.get(quotes..).unwrap_or_default();
        let line_break = if quotes < 3 {
            0
        } else if rest.starts_with("\r\n") {
            2
        } else {
            usize::from(rest.starts_with('\n'))
        };
        (value.start + quotes + line_break + at).min(value.end)
    }
}
