//! A module imports from lower layers only, and each outside crate is used only in its home.
use std::fmt;

use proc_macro2::{Ident, Span};

use super::paths::{self, Module};
use super::{assert_none, sources};

/// Top-level modules, lowest first. Modules of one layer do not import each other, except as in [`SIDEWAYS`].
const LAYERS: [&[&str]; 11] = [
    &["model", "config", "env", "meter", "schema", "hash"],
    &["clock"],
    &["engineio", "socketio", "store", "auth", "http", "logging"],
    &["feed", "backend"],
    &["chat", "webhooks"],
    &["dialect"],
    &["session"],
    &["transport", "ai", "hooks", "api", "admin", "webchat", "web"],
    &["app"],
    &["cli"],
    &["main"],
];

/// Imports allowed within a layer: `web` has what all need of actix-web.
const SIDEWAYS: [(&str, &str); 3] = [("api", "web"), ("admin", "web"), ("webchat", "web")];

/// Floors within a module, lowest first: its folders and files import each other downwards only.
const FLOORS: [(&str, &[&str]); 2] = [
    ("chat", &["ports", "state", "query", "outside", "broker", "server", "stepped"]),
    ("transport", &["codec", "listen", "admission", "connection", "worker", "handshake", "serve"]),
];

/// Outside crates and the one file or folder of `src` that may name each; of a crate that stands twice, either.
const HOMES: [(&str, &str); 36] = [
    ("jaq_core", "dialect/file"),
    ("toml", "dialect/file"),
    ("unicode_normalization", "model/name"),
    ("unicode_properties", "model/name"),
    ("bcrypt", "auth"),
    ("diesel", "store"),
    ("diesel_migrations", "store"),
    ("libsqlite3_sys", "store"),
    ("pq_sys", "store"),
    ("jsonwebtoken", "auth/token"),
    ("ring", "auth/token"),
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
    ("flate2", "webchat/files"),
    ("listenfd", "transport/listen/listeners"),
    ("nix", "transport/listen/reuse_port"),
    ("sd_notify", "app/supervisor"),
    ("tokio_rustls", "transport/listen"),
    ("infer", "api"),
    ("actix_multipart", "api"),
    ("actix_files", "api"),
    ("env_logger", "logging"),
    ("prometheus", "admin"),
    ("env_filter", "config/log_filter"),
    ("arc_swap", "logging"),
    ("standardwebhooks", "backend"),
    ("toml", "config/webhooks"),
];

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

/// Returns all violations in one file. `file` is its path below `src`.
fn violations(file: &str, source: &str) -> Vec<Violation> {
    let mut judge = Judge { file, found: Vec::new() };
    for named in paths::read(file, source).named {
        judge.judge(&named.module, &named.segments);
    }
    judge.found
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

struct Judge<'a> {
    file: &'a str,
    found: Vec<Violation>,
}

impl Judge<'_> {
    fn report(&mut self, span: Span, reason: String) {
        self.found.push(Violation { file: self.file.to_owned(), line: span.start().line, reason });
    }

    /// Judges a path by its first segments; only those can lead out of the module.
    fn judge(&mut self, module: &Module, segments: &[Ident]) {
        let Some(first) = segments.first() else { return };
        match paths::rooted(module, segments) {
            Some((from, named)) => {
                self.judge_floor(module, from, named, first.span());
                match named.first() {
                    Some(target) if from.is_empty() => self.judge_inside(module, target),
                    None if from.is_empty() => self.report(first.span(), "imports the whole crate".to_owned()),
                    _ => {}
                }
            }
            None if first != "super" && first != "self" => self.judge_outside(first, &first.to_string()),
            None => {}
        }
    }

    /// Judges a path, `named` below the module `from`, that leads from one floor of a module to another.
    fn judge_floor(&mut self, module: &Module, from: &[String], named: &[Ident], span: Span) {
        let Some((top, floors)) = FLOORS.iter().find(|(top, _)| module.first().is_some_and(|own| own == top)) else { return };
        let target: Vec<String> = from.iter().cloned().chain(named.iter().map(ToString::to_string)).collect();
        let floor = |path: &[String]| path.get(1).and_then(|name| floors.iter().position(|floor| floor == name));
        let (Some(here), Some(there)) = (floor(module), floor(&target)) else { return };
        if target.first().is_some_and(|own| own == top)
            && there > here
            && let (Some(below), Some(above)) = (floors.get(here), floors.get(there))
        {
            self.report(span, format!("`{top}::{below}` imports `{top}::{above}`, which is above it"));
        }
    }

    /// Judges the use of an outside crate.
    fn judge_outside(&mut self, place: &Ident, name: &str) {
        let homes: Vec<_> = HOMES.iter().filter(|(outside, _)| *outside == name).map(|(_, home)| *home).collect();
        // A file's tests may be beside it.
        let own = self.file.trim_end_matches(".rs").trim_end_matches("_tests");
        let is_inside = |home: &&str| own == *home || self.file.starts_with(&format!("{home}/"));
        if !homes.is_empty() && !homes.iter().any(is_inside) {
            self.report(place.span(), format!("`{name}` is used outside its home, src/{}", homes.join(" or src/")));
        }
    }

    /// Judges the use of one of our top-level modules.
    fn judge_inside(&mut self, module: &Module, target: &Ident) {
        let name = target.to_string();
        // Items of `lib.rs` itself are not modules.
        let Some(own) = module.first() else { return };
        if name == *own || SIDEWAYS.contains(&(own.as_str(), name.as_str())) {
            return;
        }
        match (layer(own), layer(&name)) {
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
}

#[test]
fn modules_import_from_lower_layers_only_and_outside_crates_stay_at_home() {
    let found: Vec<_> = sources().iter().flat_map(|source| violations(&source.file, &source.text)).collect();
    let complaints: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_none(&complaints);
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
        ("chat/ports/room.rs", "use crate::chat::state::Rooms;", 1, "`chat::ports` imports `chat::state`, which is above it"),
        (
            "chat/state/rooms.rs",
            "use super::super::broker::Broker;",
            1,
            "`chat::state` imports `chat::broker`, which is above it",
        ),
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
        ("chat/broker/send.rs", "use super::dispatch::Spared; use crate::chat::ports::Event; use super::super::state::Rooms;"),
        ("session/mod.rs", "fn f() { let chat = 1; println!(\"{chat} {}\", std::mem::size_of::<u8>()) }"),
    ] {
        assert_eq!(violations(file, source), [], "{source}");
    }
}
