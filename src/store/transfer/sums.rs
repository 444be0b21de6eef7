//! Counts and checksums of tables.
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Number of rows of a table, and the SHA-256 of their lines in the order of the key, line ends included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Number of rows.
    pub count: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// Sums by table.
pub type Sums = BTreeMap<String, Sum>;

/// Sums in progress.
#[derive(Default)]
pub(super) struct Tally(BTreeMap<String, (u64, Sha256)>);

impl Tally {
    /// Adds a table, which may stay empty.
    pub(super) fn begin(&mut self, table: &str) {
        self.0.entry(table.to_owned()).or_default();
    }

    /// Counts a row. `line` is without its end.
    pub(super) fn add(&mut self, table: &str, line: &[u8]) {
        // The name is new only for a table's first row.
        if !self.0.contains_key(table) {
            self.begin(table);
        }
        if let Some((count, hash)) = self.0.get_mut(table) {
            *count += 1;
            hash.update(line);
            hash.update(b"\n");
        }
    }

    pub(super) fn finish(self) -> Sums {
        let sum = |(count, hash): (u64, Sha256)| Sum { count, sha256: hexadecimal(hash) };
        self.0.into_iter().map(|(table, grown)| (table, sum(grown))).collect()
    }
}

pub(super) fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Describes the differences, one for each table.
pub(super) fn differences(what: &str, found: &Sums, expected: &Sums) -> Vec<String> {
    let tables: std::collections::BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let rows = |sum: Option<&Sum>| sum.map_or(0, |sum| sum.count);
    tables
        .into_iter()
        .filter(|table| {
            let (found, expected) = (found.get(*table), expected.get(*table));
            found != expected && (rows(found) > 0 || rows(expected) > 0)
        })
        .map(|table| match (rows(found.get(table)), rows(expected.get(table))) {
            (found, expected) if found == expected => format!("{table}: {what} has other rows"),
            (found, expected) => format!("{table}: {what} has {found} rows instead of {expected}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(rows: &[(&str, &str)]) -> Sums {
        let mut tally = Tally::default();
        rows.iter().for_each(|(table, line)| tally.add(table, line.as_bytes()));
        tally.finish()
    }

    #[test]
    fn what_differs_is_named() {
        let whole = sums(&[("users", "a"), ("users", "b"), ("rooms", "c")]);
        assert_eq!(whole["users"].count, 2);
        assert!(differences("it", &whole, &whole).is_empty());
        let cut = sums(&[("users", "a"), ("rooms", "d")]);
        let expected = ["rooms: it has other rows", "users: it has 1 rows instead of 2"];
        assert_eq!(differences("it", &cut, &whole), expected);
        assert_eq!(differences("it", &sums(&[]), &cut).len(), 2);
    }
}
