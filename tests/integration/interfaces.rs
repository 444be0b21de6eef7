//! The documents for programs describe everything that exists, and nothing else.
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use parlance::config::{Config, Found};
use parlance::{app, dialect};
use serde_json::Value;
use syn::visit::{self, Visit};

use crate::layering::rust_files;

/// Pages and their files, except the one at `/`.
const PAGES: [&str; 3] = [" /admin", " /web-chat/", " /widget.js"];

/// Facts found in the sources.
#[derive(Default)]
struct Said {
    /// `METHOD /path` of each `endpoint("…", "…")`.
    routes: BTreeSet<String>,
    /// Texts that look like codes of refusals.
    codes: BTreeSet<String>,
}

impl Said {
    fn read(&mut self, source: &str) {
        self.visit_file(&syn::parse_file(source).unwrap());
    }
}

impl<'ast> Visit<'ast> for Said {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.ident != "tests" {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(function) = &*call.func
            && function.path.segments.last().is_some_and(|last| last.ident == "endpoint")
            && let (Some(path), Some(methods)) = (call.args.first().and_then(text), call.args.get(1).and_then(text))
        {
            let methods = methods.split(", ").filter(|method| *method != "HEAD");
            self.routes.extend(methods.map(|method| format!("{method} {path}")));
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        let text = literal.value();
        if text.len() > 3 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
            self.codes.insert(text);
        }
    }
}

fn text(expression: &syn::Expr) -> Option<String> {
    match expression {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

fn source(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file)).unwrap()
}

/// Returns all codes in a document: those in an `enum`, and those mentioned in a text.
fn codes_in(document: &Value) -> BTreeSet<String> {
    document
        .to_string()
        .split(|character: char| !(character.is_ascii_uppercase() || character == '_'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_route_is_in_the_openapi_document_and_nothing_else() {
    let mut said = Said::default();
    for path in rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        said.read(&fs::read_to_string(path).unwrap());
    }
    assert!(said.routes.len() > 40, "{:?}", said.routes);
    // Pages and their files are for people.
    said.routes.retain(|route| route != "GET /" && !PAGES.iter().any(|page| route.contains(page)));
    let document = app::openapi();
    let paths = document["paths"].as_object().unwrap();
    let described: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let missing: Vec<_> = said.routes.difference(&described).collect();
    let unknown: Vec<_> = described.difference(&said.routes).collect();
    assert!(missing.is_empty(), "not described in `operations.rs` of their module (docs/interfaces.md): {missing:#?}");
    assert!(unknown.is_empty(), "described, but there is no such route: {unknown:#?}");
}

#[test]
fn every_code_is_in_the_documents_of_where_it_is_seen() {
    let (openapi, asyncapi) = (codes_in(&app::openapi()), codes_in(&dialect::asyncapi()));
    for (file, document) in [
        ("web/http_error.rs", &openapi),
        ("auth/error.rs", &openapi),
        ("api/health.rs", &openapi),
        ("chat/ports/error.rs", &openapi),
        ("chat/ports/error.rs", &asyncapi),
        ("dialect/request_error.rs", &asyncapi),
        ("dialect/refusal.rs", &asyncapi),
    ] {
        let mut said = Said::default();
        said.read(&source(file));
        assert!(!said.codes.is_empty(), "{file}");
        let missing: Vec<_> = said.codes.difference(document).collect();
        assert!(missing.is_empty(), "{file}: {missing:?} is in no document");
    }
}

#[test]
fn operations_have_names_of_their_own_and_say_what_they_are_for() {
    let document = app::openapi();
    let operations: Vec<_> =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values()).collect();
    let names: BTreeSet<_> = operations.iter().map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.len(), operations.len());
    assert!(operations.iter().all(|operation| operation["summary"].as_str().unwrap().ends_with('.')), "a sentence");
}

#[test]
fn every_event_of_a_dialect_is_described() {
    for dialect in dialect::DialectSet::all().iter().filter(|dialect| !dialect.server_events().is_empty()) {
        for entry in dialect.events() {
            assert!(entry.doc.summary.ends_with('.'), "{}: {}", dialect.name(), entry.name);
            let server_event = |reply| dialect.server_events().iter().any(|server_event| server_event.name == reply);
            assert!(entry.doc.reply.is_none_or(server_event), "{}: {:?} is told nobody", entry.name, entry.doc.reply);
        }
    }
}

/// A socket path equal to a documented path would hide it.
#[test]
fn no_documented_path_can_be_that_of_the_sockets() {
    let document = serde_json::to_value(app::openapi()).unwrap();
    for path in document["paths"].as_object().unwrap().keys() {
        let first = path.split('/').nth(1).unwrap();
        let found = || Some(Found { value: format!("/{first}/io").into(), source: "environment" });
        let config = Config::load(|name| if name == "SOCKET_PATH" { found() } else { None });
        assert!(config.is_err(), "{path}");
    }
}
