//! The walls of the source tree: a module imports from lower layers only, and an outside crate is used in its home only.
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ItemMod, ItemUse, Macro, MetaList, UseTree};

/// Top-level modules, lowest first. Modules of one layer do not import each other, but for [`SIDEWAYS`].
const LAYERS: [&[&str]; 10] = [
    &["model", "config", "env", "meter", "schema"],
    &["engineio", "socketio", "store", "auth", "http", "logging"],
    &["feed"],
    &["chat"],
    &["dialect"],
    &["session"],
    &["transport", "ai", "api", "admin", "web"],
    &["app"],
    &["cli"],
    &["main"],
];

/// Who may import whom within a layer: what both need of actix-web stands in `web`.
const SIDEWAYS: [(&str, &str); 2] = [("api", "web"), ("admin", "web")];

/// Outside crates and the one file or folder of `src` that may name each.
const HOMES: [(&str, &str); 30] = [
    ("unicode_normalization", "model/name"),
    ("unicode_properties", "model/name"),
    ("bcrypt", "auth/admin_login"),
    ("diesel", "store"),
    ("diesel_migrations", "store"),
    ("libsqlite3_sys", "store"),
    ("pq_sys", "store"),
    ("jsonwebtoken", "auth/token"),
    ("argon2", "auth/password"),
    ("actix_web_actors", "admin"),
    ("clap", "cli"),
    ("clap_complete", "cli"),
    ("indicatif", "cli"),
    ("rustix", "cli"),
    ("strsim", "config"),
    ("dotenvy", "env"),
    ("reqwest", "http"),
    ("rustls", "http"),
    ("flate2", "transport/codec"),
    ("listenfd", "transport/listen/listeners"),
    ("nix", "transport/listen/succession"),
    ("sd_notify", "app/supervisor"),
    ("tokio_rustls", "transport/listen"),
    ("infer", "api"),
    ("actix_multipart", "api"),
    ("actix_files", "api"),
    ("env_logger", "logging"),
    ("prometheus", "admin"),
    ("env_filter", "config/log_filter"),
    ("arc_swap", "logging"),
];

/// Our own name, as the binary says it.
const LIBRARY: &str = "parlance";

#[derive(Debug, PartialEq, Eq)]
struct Violation {
    file: String,
    line: usize,
    reason: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "src/{}:{}: {}", self.file, self.line, self.reason)
    }
}

/// What stands against the walls in one file. `file` is its path below `src`.
fn violations(file: &str, source: &str) -> Vec<Violation> {
    let syntax = syn::parse_file(source).unwrap_or_else(|error| panic!("{file} is no Rust: {error}"));
    let mut reader = Reader { file, module: module_path(file), found: Vec::new() };
    reader.visit_file(&syntax);
    reader.found
}

/// The module that a file is: `chat/mod.rs` is `chat`, `chat/rooms.rs` is `chat::rooms`, `chat/rooms_tests.rs` is
/// `chat::rooms::tests`, `lib.rs` the root.
fn module_path(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" {
        return Vec::new();
    }
    let (path, tests) = path.strip_suffix("_tests").map_or((path, None), |tested| (tested, Some("tests")));
    path.split('/').chain(tests).map(str::to_owned).collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

struct Reader<'a> {
    file: &'a str,
    module: Vec<String>,
    found: Vec<Violation>,
}

impl Reader<'_> {
    fn report(&mut self, span: Span, reason: String) {
        self.found.push(Violation { file: self.file.to_owned(), line: span.start().line, reason });
    }

    /// Judges a path by its first segments, which are all that can lead out of the module.
    fn judge(&mut self, segments: &[Ident]) {
        let Some(first) = segments.first() else { return };
        let climbed = segments.iter().take_while(|segment| *segment == "super").count();
        let after = match first.to_string().as_str() {
            "crate" => 1,
            LIBRARY => 1,
            "super" if climbed == self.module.len() => climbed,
            "super" | "self" => return,
            name => return self.judge_outside(first, name),
        };
        let Some(target) = segments.get(after) else {
            return self.report(first.span(), "imports the whole crate".to_owned());
        };
        self.judge_inside(target);
    }

    /// Judges the use of an outside crate.
    fn judge_outside(&mut self, place: &Ident, name: &str) {
        let Some((_, home)) = HOMES.iter().find(|(outside, _)| *outside == name) else { return };
        // A file's tests may stand beside it.
        let own = self.file.trim_end_matches(".rs").trim_end_matches("_tests");
        let inside = own == *home || self.file.starts_with(&format!("{home}/"));
        if !inside {
            self.report(place.span(), format!("`{name}` is used outside its home, src/{home}"));
        }
    }

    /// Judges the use of one of our top-level modules.
    fn judge_inside(&mut self, target: &Ident) {
        let name = target.to_string();
        // Items that `lib.rs` itself has are no modules.
        let Some(own) = self.module.first().cloned() else { return };
        if name == own || SIDEWAYS.contains(&(own.as_str(), name.as_str())) {
            return;
        }
        match (layer(&own), layer(&name)) {
            (None, _) => self.report(target.span(), format!("`{own}` stands in no layer")),
            (_, None) => self.report(target.span(), format!("`{name}` stands in no layer")),
            (Some(here), Some(there)) if there > here => {
                self.report(target.span(), format!("`{own}` imports `{name}`, which is above it"))
            }
            (Some(here), Some(there)) if there == here => {
                self.report(target.span(), format!("`{own}` imports `{name}`, which is beside it"))
            }
            _ => {}
        }
    }

    /// All paths of a `use`.
    fn judge_tree(&mut self, prefix: &mut Vec<Ident>, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.clone());
                self.judge_tree(prefix, &path.tree);
                prefix.pop();
            }
            UseTree::Name(name) => self.judge_with(prefix, Some(&name.ident)),
            UseTree::Rename(rename) => self.judge_with(prefix, Some(&rename.ident)),
            UseTree::Glob(_) => self.judge_with(prefix, None),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.judge_tree(prefix, tree)),
        }
    }

    fn judge_with(&mut self, prefix: &[Ident], last: Option<&Ident>) {
        let segments: Vec<_> = prefix.iter().chain(last).cloned().collect();
        self.judge(&segments);
    }

    /// Paths among tokens that nobody has parsed: the arguments of macros and attributes.
    fn judge_tokens(&mut self, tokens: TokenStream) {
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
                    self.judge_if_path(&path);
                    path.clear();
                    colons = 0;
                    match token {
                        TokenTree::Ident(ident) => path.push(ident),
                        TokenTree::Group(group) => self.judge_tokens(group.stream()),
                        _ => {}
                    }
                }
            }
        }
        self.judge_if_path(&path);
    }

    /// A lone word among tokens is a name, no path.
    fn judge_if_path(&mut self, path: &[Ident]) {
        if path.len() > 1 {
            self.judge(path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.judge_tree(&mut Vec::new(), &item.tree);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.clone()).collect();
            self.judge(&segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.judge_tokens(call.tokens.clone());
    }

    fn visit_meta_list(&mut self, list: &'ast MetaList) {
        self.visit_path(&list.path);
        self.judge_tokens(list.tokens.clone());
    }
}

/// All Rust files below `folder`.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn modules_import_from_lower_layers_only_and_outside_crates_stay_at_home() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&root);
    assert!(files.len() > 10, "the sources stand in {}", root.display());
    let mut found = Vec::new();
    for path in files {
        let file = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        found.extend(violations(&file, &fs::read_to_string(&path).unwrap()));
    }
    let list: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "\n{}", list.join("\n"));
}

#[test]
fn what_breaks_a_wall_is_found_with_its_line() {
    for (file, source, line, reason) in [
        ("store/rows.rs", "\nuse crate::chat::Command;", 2, "`store` imports `chat`, which is above it"),
        (
            "chat/server.rs",
            "use crate::{model::UserId, session::Session as S};",
            1,
            "`chat` imports `session`, which is above it",
        ),
        ("engineio/mod.rs", "use crate::store;", 1, "`engineio` imports `store`, which is beside it"),
        ("auth/token.rs", "fn f() {\n    crate::chat::g()\n}", 2, "`auth` imports `chat`, which is above it"),
        ("chat/rooms.rs", "use super::super::app::App;", 1, "`chat` imports `app`, which is above it"),
        ("chat/rooms.rs", "mod tests { use super::super::super::web::x; }", 1, "`chat` imports `web`, which is above it"),
        ("config.rs", "use super::env::Source;", 1, "`config` imports `env`, which is beside it"),
        ("web/mod.rs", "use crate::api::routes;", 1, "`web` imports `api`, which is beside it"),
        (
            "dialect/fields.rs",
            "fn f() { format!(\"{}\",\n crate::session::NAME) }",
            2,
            "`dialect` imports `session`, which is above it",
        ),
        ("model/user.rs", "fn f(x: Vec<crate::auth::Claims>) {}", 1, "`model` imports `auth`, which is above it"),
        ("attic/mod.rs", "use crate::model::UserId;", 1, "`attic` stands in no layer"),
        ("app.rs", "use crate::attic::Box;", 1, "`attic` stands in no layer"),
        ("chat/mod.rs", "use crate::*;", 1, "imports the whole crate"),
        ("app.rs", "use parlance::cli::Arguments;", 1, "`app` imports `cli`, which is above it"),
        ("chat/server.rs", "\n\nuse diesel::prelude::*;", 3, "`diesel` is used outside its home, src/store"),
        ("model/user.rs", "#[derive(diesel::Queryable)] struct U;", 1, "`diesel` is used outside its home, src/store"),
        ("auth/password.rs", "fn f() { jsonwebtoken::decode() }", 1, "`jsonwebtoken` is used outside its home, src/auth/token"),
        ("api/stats.rs", "use actix_web_actors::HttpContext;", 1, "`actix_web_actors` is used outside its home, src/admin"),
    ] {
        let expected = Violation { file: file.to_owned(), line, reason: reason.to_owned() };
        assert_eq!(violations(file, source), [expected], "{source}");
    }
}

#[test]
fn what_respects_the_walls_passes() {
    for (file, source) in [
        ("lib.rs", "pub mod chat; pub use crate::chat::Command;"),
        ("main.rs", "use parlance::cli; fn main() { parlance::app::run() }"),
        ("store/schema.rs", "diesel::table! { users (id) { id -> diesel::sql_types::Text, } }"),
        ("auth/token.rs", "use jsonwebtoken::decode; use crate::model::UserId; use super::password;"),
        (
            "chat/server.rs",
            "use super::rooms::Rooms; use crate::{auth::Claims, chat::Event, engineio::Delivery}; mod tests { use super::*; }",
        ),
        ("api/users.rs", "use crate::web::Answer; use crate::chat;"),
        ("session/mod.rs", "fn f() { let chat = 1; println!(\"{chat} {}\", std::mem::size_of::<u8>()) }"),
    ] {
        assert_eq!(violations(file, source), [], "{source}");
    }
}
