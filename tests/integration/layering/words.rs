//! Comments are read once: they begin with the thing itself, and name nothing that a reader does not have.
use std::collections::BTreeMap;

use super::{assert_none, sources};

/// Words at the start of a doc comment that make its reader wait for the subject, or do without one.
const RELATIVE: &[&str] = &[
    "What", "Whatever", "Whether", "Who", "Whoever", "Whom", "Whose", "Which", "Those", "How", "Where", "Wherever", "When",
    "Whenever", "Why",
];

/// Maximum share of doc comments that may begin so, in per cent of those of a top-level folder; less than this.
const SHARE_MAX: usize = 3;

/// Folders above the maximum, each with the number of such doc comments. May only become shorter.
const KNOWN: &[(&str, usize)] = &[];

/// Folders outside the repository.
const OUTSIDE: &[&str] = &["contract/", "seeds/", "shared/"];

/// Doc comments of a top-level folder.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    all: usize,
    relative: usize,
}

/// Returns the first line of each doc comment, without its slashes.
fn doc_comments(text: &str) -> impl Iterator<Item = &str> {
    let mut before = None;
    text.lines().filter_map(move |line| {
        let line = line.trim_start();
        let kind = ["///", "//!"].into_iter().find(|kind| line.starts_with(kind) && !line.starts_with("////"));
        let is_first = kind.is_some() && kind != before;
        before = kind;
        if is_first { line.get(3..).map(str::trim) } else { None }
    })
}

fn is_relative(comment: &str) -> bool {
    let first = comment.split(|letter: char| !letter.is_alphabetic()).next().unwrap_or_default();
    RELATIVE.contains(&first)
}

/// Counts the doc comments of each top-level folder; a file beside the folders counts as one.
fn count<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<&'a str, Counts> {
    let mut folders = BTreeMap::<_, Counts>::new();
    for (file, text) in files {
        let folder = file.split('/').next().unwrap_or(file).trim_end_matches(".rs");
        let counts = folders.entry(folder).or_default();
        for comment in doc_comments(text) {
            counts.all += 1;
            counts.relative += usize::from(is_relative(comment));
        }
    }
    folders
}

/// Complains of folders above the maximum that are not known or have grown, and of known ones that are below it.
fn complaints(folders: &BTreeMap<&str, Counts>, known: &[(&str, usize)]) -> Vec<String> {
    let complaint = |(folder, counts): (&&str, &Counts)| {
        let Counts { all, relative } = counts;
        let is_above = relative * 100 >= all * SHARE_MAX && *relative > 0;
        let known = known.iter().find(|(known, _)| known == folder).map(|(_, count)| *count);
        match known {
            None if is_above => Some(format!("{relative} of {all} doc comments in src/{folder} begin with a relative word")),
            Some(known) if *relative > known => {
                Some(format!("{relative} doc comments in src/{folder} begin with a relative word, there were {known}"))
            }
            Some(_) if !is_above => {
                Some(format!("src/{folder} is known to have too many, and has not: the list can be shortened"))
            }
            _ => None,
        }
    };
    folders.iter().filter_map(complaint).collect()
}

/// Returns whether a line has a comment that names a folder outside the repository.
fn names_outside(line: &str) -> bool {
    let comment = line.find("//").and_then(|at| line.get(at..)).unwrap_or_default();
    OUTSIDE.iter().any(|outside| comment.contains(outside))
}

#[test]
fn doc_comments_begin_with_the_thing_itself() {
    let sources = sources();
    let folders = count(sources.iter().map(|source| (source.file.as_str(), source.text.as_str())));
    assert!(folders.values().map(|counts| counts.all).sum::<usize>() > 1_000, "{folders:?}");
    assert_none(&complaints(&folders, KNOWN));
}

#[test]
fn comments_name_nothing_outside_the_repository() {
    let mut complaints = Vec::new();
    for source in sources() {
        let lines = source.text.lines().enumerate().filter(|(_, line)| names_outside(line));
        complaints.extend(lines.map(|(index, line)| format!("src/{}:{}: {}", source.file, index + 1, line.trim())));
    }
    assert_none(&complaints);
}

#[test]
fn doc_comments_are_told_by_their_first_words() {
    let text = "//! Whose: one.\n//! Who follows is not the first.\nuse a;\n\n/// Returns who.\nfn a() {\n    /// What it is.\n    \
                b: u8,\n    // Why is no doc comment.\n    //// Nor is this.\n    /// Whatsoever.\n    ///\n    /// When.\n}\n";
    let counts = count([("top/a.rs", text), ("top/b.rs", "/// Where.\nfn b() {}\n"), ("lone.rs", "fn c() {}\n")]);
    let expected = [("lone", Counts::default()), ("top", Counts { all: 5, relative: 3 })];
    assert_eq!(counts, BTreeMap::from(expected));
}

#[test]
fn too_many_relative_words_are_found() {
    let folders = BTreeMap::from([("few", Counts { all: 100, relative: 2 }), ("many", Counts { all: 100, relative: 3 })]);
    for (known, expected) in [
        (&[][..], &["3 of 100 doc comments in src/many begin with a relative word"][..]),
        (&[("many", 3)], &[]),
        (&[("many", 4)], &[]),
        (&[("many", 2)], &["3 doc comments in src/many begin with a relative word, there were 2"]),
        (&[("many", 3), ("few", 2)], &["src/few is known to have too many, and has not: the list can be shortened"]),
    ] {
        assert_eq!(complaints(&folders, known), expected, "{known:?}");
    }
}

#[test]
fn names_of_outside_folders_are_found_in_comments_only() {
    for (line, is_found) in [
        ("let a = \"contract/a\";", false),
        ("/// As in `contract/http.md`.", true),
        ("let b; // see seeds/001", true),
        ("let c = \"x\"; // shared, a list", false),
    ] {
        assert_eq!(names_outside(line), is_found, "{line}");
    }
}
