//! Files and structs are small enough to be understood at once.
use syn::visit::{self, Visit};
use syn::{Field, ItemStruct, Visibility};

use super::{assert_none, sources};

/// Maximum number of lines of a file, including its tests.
const LINES_MAX: usize = 500;

/// Maximum number of fields of a struct with rules of its own.
const FIELDS_MAX: usize = 16;

/// Files that are still longer. May only become shorter.
const LONG_FILES: &[&str] = &[];

/// Structs that have more fields, with the reason.
const LARGE_STRUCTS: &[(&str, &str)] =
    &[("store/changes/insert_postgres.rs Arrays", "the columns of one statement, an array each")];

/// Folders and files of plain data: a struct there whose fields are all public has no rules to hide among them.
const PLAIN: &[&str] = &["model/", "config/", "chat/ports/", "options.rs", "rules.rs", "figures.rs", "rows.rs", "queries.rs"];

/// Collects structs with too many fields.
#[derive(Default)]
struct Structs<'a> {
    file: &'a str,
    /// `FILE NAME`, and the number of fields.
    large: Vec<(String, usize)>,
}

impl<'ast> Visit<'ast> for Structs<'_> {
    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        let is_open = |field: &Field| !matches!(field.vis, Visibility::Inherited);
        let is_plain = is_for_plain_data(self.file) && item.fields.iter().all(is_open);
        if item.fields.len() > FIELDS_MAX && !is_plain {
            self.large.push((format!("{} {}", self.file, item.ident), item.fields.len()));
        }
        visit::visit_item_struct(self, item);
    }
}

fn is_for_plain_data(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    PLAIN.iter().any(|place| if place.ends_with('/') { file.starts_with(place) } else { name == *place })
}

/// Returns the structs of a file that have too many fields.
fn large_structs(file: &str, source: &str) -> Vec<(String, usize)> {
    let mut structs = Structs { file, large: Vec::new() };
    structs.visit_file(&syn::parse_file(source).unwrap());
    structs.large
}

/// Complains of unknown items larger than `max`, and of known ones that no longer are.
fn complaints(found: &[(String, usize)], max: usize, unit: &str, known: &[&str]) -> Vec<String> {
    let large: Vec<_> = found.iter().filter(|(_, size)| *size > max).collect();
    let grown = large.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    let grown = grown.map(|(name, size)| format!("src/{name} has {size} {unit}, allowed are {max}"));
    let shrunk = known.iter().filter(|known| !large.iter().any(|(name, _)| name == *known));
    let shrunk =
        shrunk.map(|known| format!("src/{known} is known to have too many {unit}, and has not: the list can be shortened"));
    grown.chain(shrunk).collect()
}

#[test]
fn files_are_short() {
    let lengths: Vec<_> = sources().iter().map(|source| (source.file.clone(), source.text.lines().count())).collect();
    assert_none(&complaints(&lengths, LINES_MAX, "lines", LONG_FILES));
}

#[test]
fn structs_with_rules_are_small() {
    let found: Vec<_> = sources().iter().flat_map(|source| large_structs(&source.file, &source.text)).collect();
    let known: Vec<_> = LARGE_STRUCTS.iter().map(|(name, _)| *name).collect();
    assert_none(&complaints(&found, FIELDS_MAX, "fields", &known));
}

#[test]
fn what_is_too_large_is_found() {
    let lengths = [("a.rs".to_owned(), 500), ("b.rs".to_owned(), 501)];
    for (known, expected) in [
        (&[][..], &["src/b.rs has 501 lines, allowed are 500"][..]),
        (&["b.rs"], &[]),
        (&["a.rs", "b.rs"], &["src/a.rs is known to have too many lines, and has not: the list can be shortened"]),
        (&["b.rs", "c.rs"], &["src/c.rs is known to have too many lines, and has not: the list can be shortened"]),
    ] {
        assert_eq!(complaints(&lengths, 500, "lines", known), expected, "{known:?}");
    }
}

#[test]
fn large_structs_are_found_but_for_plain_data() {
    let structure = |fields: usize, visibility: &str| {
        let fields: String = (0..fields).map(|number| format!("{visibility} f{number}: u8,")).collect();
        format!("mod inner {{ struct Large {{ {fields} }} }}")
    };
    for (file, fields, visibility, is_found) in [
        ("chat/server.rs", 17, "", true),
        ("chat/server.rs", 16, "", false),
        ("chat/server.rs", 17, "pub", true),
        ("model/message.rs", 17, "pub", false),
        ("model/message.rs", 17, "", true),
        ("chat/options.rs", 17, "pub(super)", false),
        ("chat/my_options.rs", 17, "pub", true),
        ("chat/ports/command.rs", 17, "pub(crate)", false),
    ] {
        let found = large_structs(file, &structure(fields, visibility));
        let expected: Vec<_> = is_found.then(|| (format!("{file} Large"), fields)).into_iter().collect();
        assert_eq!(found, expected, "{file} {fields} {visibility}");
    }
    assert_eq!(large_structs("model/pair.rs", "struct Pair(u8, u8); struct Unit;"), []);
}
