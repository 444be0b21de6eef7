//! `parlance token …`, on both databases.
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::{failure, parlance, run, stdout};
use crate::support::postgres::Postgres;

/// Runs `token inspect` with a token on standard input.
fn inspected(folder: &Path, settings: &[(&str, &str)], token: &str) -> Value {
    let mut command = parlance(folder, settings, &["token", "inspect", "-", "--json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(output.status.success(), said["valid"], "{output:?}");
    said
}

fn reason(said: &Value) -> &str {
    assert_eq!(said["reasons"].as_array().unwrap().len(), 1, "{said}");
    said["reasons"][0].as_str().unwrap()
}

fn tokens_are_made_looked_into_and_revoked(more: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // With port 0, no server can be meant.
    let settings = &[&[("PORT", "0")], more].concat()[..];
    let token = |arguments: &[&str]| run(folder, settings, &[&["token"], arguments].concat());
    let new = |arguments: &[&str]| stdout(&token(&[&["new"], arguments].concat())).trim().to_owned();

    assert!(failure(&token(&["new", "ann"])).contains("user add"), "a database that is not there has no users");
    stdout(&run(folder, settings, &["user", "add", "ann", "--email", "ann@example.org", "--password", "correct horse"]));
    let first = new(&["ann@example.org", "--ttl", "2h"]);
    let said = inspected(folder, settings, &first);
    assert_eq!((&said["valid"], &said["user"]["username"]), (&true.into(), &"ann".into()), "{said}");
    let lived = said["claims"]["exp"].as_i64().unwrap() - said["claims"]["iat"].as_i64().unwrap();
    assert!((7_200..=7_201).contains(&lived), "{said}");
    let text = stdout(&token(&["inspect", &first]));
    for words in ["user       ann (user, id ", "in 2 hours", "right, by ./data/jwt-secret", "valid      yes"] {
        assert!(text.contains(words) || (words == "in 2 hours" && text.contains("in 119 minutes")), "{words}: {text}");
    }

    let text = stdout(&token(&["revoke", &first]));
    assert!(text.contains("within two seconds"), "{text}");
    assert!(reason(&inspected(folder, settings, &first)).contains("revoked"));
    let second = new(&["ann"]);
    assert_eq!(inspected(folder, settings, &second)["valid"], true, "another login is another one");
    stdout(&token(&["revoke", "--all-of", "ann"]));
    assert!(reason(&inspected(folder, settings, &second)).contains("older"));
    let third = new(&["ann"]);
    assert_eq!(inspected(folder, settings, &third)["valid"], true, "what is made later is valid");

    let others = [settings, &[("JWT_SECRET", "another secret, which is as long as one has to be")]].concat();
    let said = inspected(folder, &others, &third);
    assert!(said["signedBy"].is_null() && reason(&said).contains("JWT_SECRET"), "{said}");
    let strange = stdout(&run(folder, &others, &["token", "new", "ann"]));
    assert!(reason(&inspected(folder, settings, &strange)).contains("signed it"));
    let short = new(&["ann", "--ttl", "1s"]);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while inspected(folder, settings, &short)["valid"] == true {
        assert!(std::time::Instant::now() < until, "it does not expire");
    }
    assert!(reason(&inspected(folder, settings, &short)).contains("expired"));

    for (arguments, word) in [
        (&["new", "nobody"][..], "user add"),
        (&["new", "ann", "--role", "admin"], "user role"),
        (&["revoke", "--all-of", "nobody"], "user list"),
        (&["revoke", "garbage"], "inspect"),
        (&["inspect", "garbage"], "three parts"),
        (&["revoke", &third, "--url", "http://127.0.0.1:1"], "--url"),
    ] {
        let line = failure(&token(arguments));
        assert!(line.contains(word), "{line}");
    }
    assert_eq!(inspected(folder, settings, &third)["valid"], true, "a server that was named and is away revokes nothing");
    for wrong in [&["new", "ann", "--ttl", "7"][..], &["revoke"], &["revoke", "x", "--all-of", "ann"]] {
        assert_eq!(token(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn tokens_of_a_sqlite_file() {
    tokens_are_made_looked_into_and_revoked(&[]);
}

#[test]
fn tokens_of_a_postgres() {
    tokens_are_made_looked_into_and_revoked(&[("DATABASE_URL", &Postgres::shared().database())]);
}

#[test]
fn a_user_who_is_yet_to_come_gets_a_token_where_tokens_make_users() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("PORT", "0"), ("AUTO_PROVISION_USERS", "true")];
    let output = run(folder.path(), &settings, &["token", "new", "zoe", "--role", "admin", "--json"]);
    let made: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&made["user"]["id"], &made["user"]["role"]), (&"zoe".into(), &"admin".into()));
    let said = inspected(folder.path(), &settings, made["token"].as_str().unwrap());
    assert_eq!((&said["valid"], &said["claims"]["role"]), (&true.into(), &"admin".into()));
    let said = inspected(folder.path(), &[("PORT", "0")], made["token"].as_str().unwrap());
    assert!(reason(&said).contains("AUTO_PROVISION_USERS"), "{said}");
}
