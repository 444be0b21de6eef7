//! No circle of files by methods: where the methods of a type stand in several files, a file is understood without those that
//! call it.
//!
//! A call of `self` leads to the file that has the method. Methods of traits and what is compiled for tests only do not count.
use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprMethodCall, ExprPath, ImplItem, ItemImpl, ItemMod, Type};

use super::circles::reached_from;
use super::{assert_none, sources};

/// Methods that a type has in one file, and those that they call.
#[derive(Default)]
struct Methods {
    own: BTreeSet<String>,
    called: BTreeSet<String>,
}

/// Methods of each type, by file.
#[derive(Default)]
struct Types(BTreeMap<String, BTreeMap<String, Methods>>);

/// Reads the `impl` blocks of one file.
struct Reader<'a> {
    types: &'a mut Types,
    file: &'a str,
}

/// Reads the calls in one method.
struct Calls<'a>(&'a mut BTreeSet<String>);

impl Visit<'_> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_impl(&mut self, block: &ItemImpl) {
        let Type::Path(of) = &*block.self_ty else { return };
        let Some(name) = of.path.segments.last().filter(|_| block.trait_.is_none()) else { return };
        let methods = self.types.0.entry(name.ident.to_string()).or_default().entry(self.file.to_owned()).or_default();
        for item in &block.items {
            if let ImplItem::Fn(method) = item
                && !is_for_tests(&method.attrs)
            {
                methods.own.insert(method.sig.ident.to_string());
                Calls(&mut methods.called).visit_block(&method.block);
            }
        }
    }
}

impl Visit<'_> for Calls<'_> {
    fn visit_expr_method_call(&mut self, call: &ExprMethodCall) {
        if matches!(&*call.receiver, Expr::Path(path) if path.path.is_ident("self")) {
            self.0.insert(call.method.to_string());
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_path(&mut self, path: &ExprPath) {
        let words: Vec<_> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let [first, method] = &words[..]
            && first == "Self"
        {
            self.0.insert(method.clone());
        }
    }
}

/// Tells what is compiled for tests only.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(|option| option.is_ident("test"))
    })
}

impl Types {
    fn read<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut types = Self::default();
        for (file, source) in sources {
            let syntax = syn::parse_file(source).unwrap_or_else(|error| panic!("{file} is no Rust: {error}"));
            Reader { types: &mut types, file }.visit_file(&syntax);
        }
        types
    }

    /// Returns the circles, each as a line.
    fn circles(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, files) in &self.0 {
            let arrows: BTreeMap<&str, BTreeSet<&str>> = files
                .iter()
                .map(|(file, methods)| {
                    let has_one = |other: &Methods| other.own.iter().any(|method| methods.called.contains(method));
                    let leads_to = files.iter().filter(|(other, has)| *other != file && has_one(has));
                    (file.as_str(), leads_to.map(|(other, _)| other.as_str()).collect())
                })
                .collect();
            let in_circles: Vec<_> = arrows.keys().copied().filter(|file| reached_from(file, &arrows).contains(file)).collect();
            if !in_circles.is_empty() {
                lines.push(format!("methods of `{name}` stand in a circle of files: {}", in_circles.join(" ")));
            }
        }
        lines
    }
}

#[test]
fn no_file_stands_in_a_circle_by_its_methods() {
    let sources = sources();
    let types = Types::read(sources.iter().map(|source| (source.file.as_str(), source.text.as_str())));
    assert!(types.0.get("Broker").is_some_and(|files| files.len() > 20), "the broker's methods are read");
    assert_none(&types.circles());
}

#[test]
fn circles_of_methods_are_found() {
    let circle = ["methods of `X` stand in a circle of files: a.rs b.rs"];
    for (upper, lower, expected) in [
        ("impl X { fn up(&self) { self.low() } }", "impl X { fn low(&self) {} }", &[][..]),
        ("impl X { fn up(&self) { self.low() } }", "impl X { fn low(&self) { if true { f(|| self.up()) } } }", &circle),
        ("impl X { fn up(&self) { self.low() } }", "impl X { fn low(&self) { f(Self::up) } }", &circle),
        ("impl X { fn up(&self) { self.low() } }", "impl X { fn low(&self) { self.other.up() } }", &[]),
        ("impl X { fn up(&self) { self.low() } }", "impl T for X { fn low(&self) { self.up() } }", &[]),
        ("impl X { fn up(&self) { self.low() } }", "impl X { fn low(&self) {} #[cfg(test)] fn t(&self) { self.up() } }", &[]),
    ] {
        assert_eq!(Types::read([("a.rs", upper), ("b.rs", lower)]).circles(), expected, "{lower}");
    }
}
