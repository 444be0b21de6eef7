//! Documents are read in any window: their lines are short. And they stand for themselves: they name nothing of outside.
use std::fs;
use std::path::{Path, PathBuf};

use crate::layering::assert_none;

/// Maximum number of characters of a line of prose.
const CHARS_MAX: usize = 120;

/// Folders that no reader has: a document that names a file in them names nothing.
const OUTSIDE: &[&str] = &["contract/", "seeds/", "shared/"];

/// Folders that others fill: packages, builds, environments.
const FOREIGN: &[&str] = &["node_modules", "target", ".git", ".venv"];

/// All documents of the project: their paths in it, and their texts.
fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    let top = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    for path in top.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        paths.push(path);
    }
    for folder in ["docs", "tests", ".github"] {
        add_documents(&root.join(folder), &mut paths);
    }
    paths.sort();
    assert!(paths.len() > 30, "the documents stand in {}", root.display());
    let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

fn add_documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_foreign = FOREIGN.iter().any(|name| path.ends_with(name));
        if path.is_dir() && !is_foreign {
            add_documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The lines of prose, by their numbers: no code, no table.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fence = None;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let ticks = trimmed.len() - trimmed.trim_start_matches('`').len();
        match fence {
            None if ticks >= 3 => fence = Some(ticks),
            Some(opened) if trimmed.len() == ticks && ticks == opened => fence = None,
            None if !trimmed.starts_with('|') => found.push((index + 1, line)),
            _ => {}
        }
    }
    found
}

/// Tells whether a line has too many characters and a place at which it could be broken: an address and a name in backticks
/// have none.
fn is_too_long(line: &str) -> bool {
    let words = line.trim_start().trim_start_matches("- ");
    let mut outside_code = words.split('`').step_by(2);
    line.chars().count() > CHARS_MAX && outside_code.any(|part| part.contains(' '))
}

/// The complaints about all documents, a line each.
fn complaints(complain: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let all = documents();
    all.iter().flat_map(|(name, text)| complain(text).into_iter().map(move |fault| format!("{name}:{fault}"))).collect()
}

fn long_lines(text: &str) -> Vec<String> {
    let long = prose(text).into_iter().filter(|(_, line)| is_too_long(line));
    long.map(|(number, line)| format!("{number} has {} characters, allowed are {CHARS_MAX}", line.chars().count())).collect()
}

fn names_of_outside(text: &str) -> Vec<String> {
    let named = |line: &str| OUTSIDE.iter().find(|folder| line.contains(*folder)).copied();
    let lines = text.lines().enumerate();
    lines.filter_map(|(index, line)| Some(format!("{} names {}, which no reader has", index + 1, named(line)?))).collect()
}

#[test]
fn lines_are_short() {
    assert_none(&complaints(long_lines));
}

#[test]
fn nothing_of_outside_is_named() {
    assert_none(&complaints(names_of_outside));
}

#[test]
fn what_is_too_long_is_found() {
    let (short, long) = ("word ".repeat(24), "word ".repeat(25));
    let (address, code) = (format!("https://{}", "a".repeat(120)), format!("`{}`", "a ".repeat(70)));
    for (text, is_found) in [
        (short.clone(), false),
        (long.clone(), true),
        ("ä".repeat(120), false),
        (format!("- {address}"), false),
        (format!("see {address}"), true),
        (code.clone(), false),
        (format!("{code} and more"), true),
        (format!("| {long} |"), false),
        (format!("```sh\n{long}\n```"), false),
        (format!("  ```sh\n  {long}\n  ```"), false),
        (format!("```sh\n{short}\n```\n{long}"), true),
        (format!("````md\n```\n{long}\n```\n````"), false),
    ] {
        assert_eq!(!long_lines(&text).is_empty(), is_found, "{text}");
    }
    assert_eq!(names_of_outside("As `contract/http.md` says."), ["1 names contract/, which no reader has"]);
}
