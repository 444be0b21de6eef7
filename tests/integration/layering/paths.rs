//! The paths that a file names, and its modules.
use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItemFn, Item, ItemMod, ItemUse, Macro, MetaList, UseTree};

/// A module's path below the crate's root.
pub type Module = Vec<String>;

/// A path of at least two segments, or any path of a `use`.
pub struct Named {
    /// The module that contains it.
    pub module: Module,
    /// Its segments as written.
    pub segments: Vec<Ident>,
    /// The name that a `use` introduces.
    pub import: Option<Import>,
    /// Set if it is compiled only for tests.
    pub is_test: bool,
}

/// Way in which a `use` imports.
#[derive(Clone, PartialEq, Eq)]
pub enum Import {
    /// Under this name.
    As(String),
    /// All names.
    Glob,
}

/// A parsed file.
pub struct Paths {
    /// Paths in the order of the text.
    pub named: Vec<Named>,
    /// Further modules declared in the file, each with whether it is compiled only for tests.
    pub modules: Vec<(Module, bool)>,
}

/// The library's name in the binary.
const LIBRARY: &str = "parlance";

/// Returns the module at which a path in `module` begins, and the segments below that; `None` if it begins with a name
/// or `self`.
pub fn rooted<'a>(module: &'a Module, segments: &'a [Ident]) -> Option<(&'a [String], &'a [Ident])> {
    let first = segments.first()?;
    if first == "crate" || first == LIBRARY {
        return Some((&[], segments.get(1..)?));
    }
    let climbed = segments.iter().take_while(|segment| *segment == "super").count();
    let from = module.get(..module.len().checked_sub(climbed)?)?;
    (climbed > 0).then_some((from, segments.get(climbed..)?))
}

/// Parses a file; `file` is its path below `src`.
pub fn read(file: &str, source: &str) -> Paths {
    let syntax = syn::parse_file(source).unwrap_or_else(|error| panic!("{file} is no Rust: {error}"));
    let paths = Paths { named: Vec::new(), modules: Vec::new() };
    let mut reader = Reader { module: module_path(file), is_test: false, paths };
    reader.visit_file(&syntax);
    reader.paths
}

/// Returns the module of a file: `chat/mod.rs` is `chat`, `chat/rooms.rs` is `chat::rooms`, `chat/rooms_tests.rs` is
/// `chat::rooms::tests`, `lib.rs` is the root.
pub fn module_path(file: &str) -> Module {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" {
        return Vec::new();
    }
    let (path, tests) = path.strip_suffix("_tests").map_or((path, None), |tested| (tested, Some("tests")));
    path.split('/').chain(tests).map(str::to_owned).collect()
}

struct Reader {
    module: Module,
    is_test: bool,
    paths: Paths,
}

impl Reader {
    fn add(&mut self, segments: Vec<Ident>, import: Option<Import>) {
        self.paths.named.push(Named { module: self.module.clone(), segments, import, is_test: self.is_test });
    }

    /// Adds all paths of a `use`.
    fn add_tree(&mut self, prefix: &mut Vec<Ident>, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.clone());
                self.add_tree(prefix, &path.tree);
                prefix.pop();
            }
            // `use folder::{self}` names the folder.
            UseTree::Name(name) if name.ident == "self" => {
                let known_as = prefix.last().map(|last| Import::As(last.to_string()));
                self.add(prefix.clone(), known_as);
            }
            UseTree::Name(name) => self.add_with(prefix, &name.ident, name.ident.to_string()),
            UseTree::Rename(rename) if rename.ident == "self" => {
                self.add(prefix.clone(), Some(Import::As(rename.rename.to_string())));
            }
            UseTree::Rename(rename) => self.add_with(prefix, &rename.ident, rename.rename.to_string()),
            UseTree::Glob(_) => self.add(prefix.clone(), Some(Import::Glob)),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(prefix, tree)),
        }
    }

    fn add_with(&mut self, prefix: &[Ident], last: &Ident, known_as: String) {
        let segments = prefix.iter().chain([last]).cloned().collect();
        self.add(segments, Some(Import::As(known_as)));
    }

    /// Adds paths among unparsed tokens: the arguments of macros and attributes.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<Ident> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match &token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) if colons == 2 && !path.is_empty() => {
                    path.push(ident.clone());
                    colons = 0;
                }
                _ => {
                    self.add_if_path(std::mem::take(&mut path));
                    colons = 0;
                    match token {
                        TokenTree::Ident(ident) => path.push(ident),
                        TokenTree::Group(group) => self.add_tokens(group.stream()),
                        _ => {}
                    }
                }
            }
        }
        self.add_if_path(path);
    }

    /// Adds a path; a single word is only a name.
    fn add_if_path(&mut self, segments: Vec<Ident>) {
        if segments.len() > 1 {
            self.add(segments, None);
        }
    }

    /// Visits an item with these attributes.
    fn within(&mut self, attributes: &[Attribute], read: impl FnOnce(&mut Self)) {
        let outside = self.is_test;
        self.is_test |= attributes.iter().any(is_for_tests);
        read(self);
        self.is_test = outside;
    }
}

/// Returns whether it is `#[cfg(test)]`.
fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.parse_args::<Ident>().is_ok_and(|condition| condition == "test")
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        self.within(attributes(item), |reader| visit::visit_item(reader, item));
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.within(&function.attrs, |reader| visit::visit_impl_item_fn(reader, function));
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_tree(&mut Vec::new(), &item.tree);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        self.paths.modules.push((self.module.clone(), self.is_test));
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add_if_path(path.segments.iter().map(|segment| segment.ident.clone()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.add_tokens(call.tokens.clone());
    }

    fn visit_meta_list(&mut self, list: &'ast MetaList) {
        self.visit_path(&list.path);
        self.add_tokens(list.tokens.clone());
    }
}
