//! No circle of files: each file can be understood without the files that import it.
//!
//! A file leads to every file that defines something it names; names are followed through the `use` declarations of
//! modules that re-export them. `mod.rs`, `lib.rs` and `main.rs` are such modules and belong to no circle themselves,
//! nor does code compiled only for tests.
use std::collections::{BTreeMap, BTreeSet};

use super::paths::{self, Import, Module, Named};
use super::{assert_none, sources};

/// Folders that still have circles, each with the number of files in them. May only become shorter.
const KNOWN: &[(&str, usize)] = &[];

/// Maximum number of re-exports that are followed.
const DEPTH_MAX: usize = 8;

/// All modules and names.
#[derive(Default)]
struct Tree {
    /// The file of each module.
    files: BTreeMap<Module, String>,
    /// Origin of each name imported into a module.
    imports: BTreeMap<(Module, String), Module>,
    /// Paths in code that is not only for tests.
    named: Vec<Named>,
}

impl Tree {
    /// Reads sources, each with its path below `src`.
    fn read<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut tree = Self::default();
        let mut tests = BTreeSet::new();
        for (file, source) in sources {
            let own = paths::module_path(file);
            let read = paths::read(file, source);
            for (module, is_test) in read.modules {
                if is_test {
                    tests.insert(module.clone());
                }
                tree.files.entry(module).or_insert_with(|| file.to_owned());
            }
            // A module's own file says more about it than the line that declares it.
            tree.files.insert(own, file.to_owned());
            tree.named.extend(read.named);
        }
        let is_test = |module: &Module| (1..=module.len()).any(|length| tests.contains(&module[..length]));
        tree.named.retain(|named| !named.is_test && !is_test(&named.module));
        let imports = tree.named.iter().filter_map(|named| {
            let Some(Import::As(name)) = &named.import else { return None };
            Some(((named.module.clone(), name.clone()), tree.absolute(named)?))
        });
        tree.imports = imports.collect();
        tree
    }

    /// Returns a path in its form from the root; `None` if it leads outside the crate.
    fn absolute(&self, named: &Named) -> Option<Module> {
        let Named { module, segments, .. } = named;
        let (base, rest) = match (paths::rooted(module, segments), segments.first()?) {
            (Some((from, rest)), _) => (from.to_vec(), rest),
            (None, first) if first == "self" => (module.clone(), segments.get(1..)?),
            (None, first) => {
                let child = [module.as_slice(), &[first.to_string()]].concat();
                let known = self.imports.get(&(module.clone(), first.to_string()));
                let target = known.cloned().or_else(|| self.files.contains_key(&child).then_some(child))?;
                (target, segments.get(1..)?)
            }
        };
        Some(base.into_iter().chain(rest.iter().map(ToString::to_string)).collect())
    }

    /// Returns the file that defines the target of a path from the root.
    fn home(&self, path: &[String], depth: usize) -> Option<&str> {
        let length = (0..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length]))?;
        let (module, rest) = path.split_at(length);
        let file = self.files.get(module)?;
        let Some((name, rest)) = rest.split_first() else { return Some(file) };
        let origin = self.imports.get(&(module.to_vec(), name.clone())).filter(|_| depth < DEPTH_MAX);
        let origin = origin.map(|origin| [origin.as_slice(), rest].concat()).filter(|origin| *origin != path);
        origin.and_then(|origin| self.home(&origin, depth + 1)).or(Some(file))
    }

    /// Returns the files that each file leads to.
    fn arrows(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for named in &self.named {
            let (Some(from), Some(path)) = (self.home(&named.module, 0), self.absolute(named)) else { continue };
            let mut targets: Vec<_> = self.home(&path, 0).into_iter().collect();
            if named.import == Some(Import::Glob) {
                let handed_on = self.imports.iter().filter(|((module, _), _)| *module == path);
                targets.extend(handed_on.filter_map(|(_, origin)| self.home(origin, 0)));
            }
            let targets = targets.into_iter().filter(|to| *to != from && !hands_on(to));
            if !hands_on(from) {
                arrows.entry(from).or_default().extend(targets);
            }
        }
        arrows
    }

    /// Returns the circles, each with its files in order.
    fn circles(&self) -> Vec<Vec<&str>> {
        let arrows = self.arrows();
        let reached: BTreeMap<&str, BTreeSet<&str>> = arrows.keys().map(|file| (*file, reached_from(file, &arrows))).collect();
        let mut circles = BTreeSet::new();
        for (file, others) in &reached {
            let is_back = |other: &&str| reached.get(other).is_some_and(|back| back.contains(file));
            if others.contains(file) {
                circles.insert(others.iter().copied().filter(is_back).collect::<Vec<_>>());
            }
        }
        circles.into_iter().collect()
    }
}

/// Returns whether a file's module exists to re-export names.
fn hands_on(file: &str) -> bool {
    file.rsplit('/').next().is_some_and(|name| ["mod.rs", "lib.rs", "main.rs"].contains(&name))
}

/// Returns all files that a file leads to, directly or through others.
pub fn reached_from<'a>(file: &str, arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut further: Vec<_> = arrows.get(file).into_iter().flatten().copied().collect();
    while let Some(next) = further.pop() {
        if reached.insert(next) {
            further.extend(arrows.get(next).into_iter().flatten().copied());
        }
    }
    reached
}

/// Complains of unknown circles, and of known ones that no longer exist.
fn complaints(circles: &[Vec<&str>], known: &[(&str, usize)]) -> Vec<String> {
    let folder = |file: &str| file.split('/').next().map(|name| name.trim_end_matches(".rs").to_owned());
    let mut complaints = Vec::new();
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for circle in circles {
        let folders: BTreeSet<_> = circle.iter().filter_map(|file| folder(file)).collect();
        match folders.first() {
            Some(folder) if folders.len() == 1 => found.entry(folder.clone()).or_default().extend(circle),
            _ => complaints.push(format!("a circle through several folders: {}", circle.join(" "))),
        }
    }
    for (folder, files) in &found {
        let allowed = known.iter().find(|(known, _)| known == folder).map_or(0, |(_, files)| *files);
        if files.len() > allowed {
            complaints.push(format!(
                "{} files of `{folder}` stand in circles, known are {allowed}: {}",
                files.len(),
                files.join(" ")
            ));
        }
    }
    for (folder, allowed) in known {
        let files = found.get(*folder).map_or(0, Vec::len);
        if files < *allowed {
            complaints
                .push(format!("`{folder}` has {files} files in circles, and {allowed} are known: the list can be shortened"));
        }
    }
    complaints
}

#[test]
fn no_file_stands_in_a_circle() {
    let sources = sources();
    let tree = Tree::read(sources.iter().map(|source| (source.file.as_str(), source.text.as_str())));
    assert_none(&complaints(&tree.circles(), KNOWN));
}

#[test]
fn circles_are_found() {
    let through_a_folder = ("x/mod.rs", "mod a; mod b; pub use self::a::A; pub use self::b::B as C;");
    for (files, expected) in [
        (&[("a.rs", "use crate::b::B;"), ("b.rs", "fn f() { super::a::g() }")][..], &["a.rs", "b.rs"][..]),
        (
            &[("a.rs", "use crate::{b::B};"), ("b.rs", "use crate::c;"), ("c.rs", "use crate::a::A as Z;")],
            &["a.rs", "b.rs", "c.rs"],
        ),
        (&[through_a_folder, ("x/a.rs", "use super::C;"), ("x/b.rs", "use super::A;")], &["x/a.rs", "x/b.rs"]),
        (&[through_a_folder, ("x/a.rs", "use super::b::B;"), ("x/b.rs", "use crate::x::A;")], &["x/a.rs", "x/b.rs"]),
        (
            &[through_a_folder, ("x/a.rs", "use crate::x; fn f() { x::C::g() }"), ("x/b.rs", "use super::A;")],
            &["x/a.rs", "x/b.rs"],
        ),
        (
            &[through_a_folder, ("x/a.rs", "use super::{self as y}; type T = y::C;"), ("x/b.rs", "use super::a;")],
            &["x/a.rs", "x/b.rs"],
        ),
        (&[through_a_folder, ("x/a.rs", "use super::*;"), ("x/b.rs", "use super::A;")], &["x/a.rs", "x/b.rs"]),
        (&[("a.rs", "mod c; use self::c::C;"), ("a/c.rs", "use super::A;")], &["a.rs", "a/c.rs"]),
        (&[("a.rs", "mod c; fn f() { c::g() }"), ("a/c.rs", "use crate::a::A;")], &["a.rs", "a/c.rs"]),
        (&[("a.rs", "mod inner { use crate::b::B; }"), ("b.rs", "fn f() { format!(\"{}\", crate::a::N) }")], &["a.rs", "b.rs"]),
        (&[("a.rs", "use crate::b::inner::B;"), ("b.rs", "mod inner { use super::super::a::A; }")], &["a.rs", "b.rs"]),
        (&[("a.rs", "pub use crate::c::C; use crate::b;"), ("b.rs", "use crate::a::A;"), ("c.rs", "")], &["a.rs", "b.rs"]),
    ] {
        assert_eq!(Tree::read(files.iter().copied()).circles(), [expected], "{files:?}");
    }
}

#[test]
fn what_is_no_circle_passes() {
    for files in [
        &[("a.rs", "use crate::b::B;"), ("b.rs", "use crate::c::C;"), ("c.rs", "")][..],
        &[("a.rs", "use crate::b::B;"), ("b.rs", "#[cfg(test)] mod tests { use crate::a::A; }")],
        &[("a.rs", "use crate::b::B;"), ("b.rs", "#[cfg(test)] use crate::a::A;")],
        &[("a.rs", "use crate::b::B;"), ("b.rs", "impl B { #[cfg(test)] fn f() { crate::a::g() } }")],
        &[("a.rs", "use crate::b::B;"), ("b.rs", "#[cfg(test)] mod tests;"), ("b_tests.rs", "use crate::a::A;")],
        &[("a.rs", "use crate::b::B;"), ("b.rs", "#[cfg(test)] mod fakes;"), ("b/fakes.rs", "use crate::a::A;")],
        &[
            ("a.rs", "use crate::x::B;"),
            ("x/mod.rs", "mod b; mod c; pub use self::b::B; pub use self::c::C;"),
            ("x/b.rs", ""),
            ("x/c.rs", "use crate::a::A;"),
        ],
        &[("a.rs", "mod c; pub use self::c::C;"), ("a/c.rs", "use crate::b::B;"), ("b.rs", "use serde::a::A;")],
        &[("a.rs", "use self::Kind::One; fn f() { Kind::g() }"), ("b.rs", "use crate::a::A; use crate::b::Own;")],
    ] {
        assert_eq!(Tree::read(files.iter().copied()).circles(), Vec::<Vec<&str>>::new(), "{files:?}");
    }
}

#[test]
fn a_known_circle_may_shrink_and_not_grow() {
    let circles = [vec!["chat/a.rs", "chat/b.rs"], vec!["web.rs", "web/c.rs"]];
    assert_eq!(complaints(&circles, &[("chat", 2), ("web", 2)]), Vec::<String>::new());
    for (known, expected) in [
        (&[("chat", 2)][..], "2 files of `web` stand in circles, known are 0: web.rs web/c.rs"),
        (&[("chat", 1), ("web", 2)], "2 files of `chat` stand in circles, known are 1: chat/a.rs chat/b.rs"),
        (&[("chat", 2), ("web", 3)], "`web` has 2 files in circles, and 3 are known: the list can be shortened"),
        (&[("app", 1), ("chat", 2), ("web", 2)], "`app` has 0 files in circles, and 1 are known: the list can be shortened"),
    ] {
        assert_eq!(complaints(&circles, known), [expected], "{known:?}");
    }
    let across = [vec!["app/a.rs", "web/b.rs"]];
    assert_eq!(complaints(&across, &[]), ["a circle through several folders: app/a.rs web/b.rs"]);
}
