//! `parlance check`: findings, advice, and that nothing is changed.
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use serde_json::Value;

use super::{failure, run, stdout};
use crate::support::postgres::Postgres;

/// Returns a port that was free a moment ago.
fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// Runs `check --json`; returns whether it succeeded, and each finding's status, subject, text and advice.
fn checked(folder: &Path, settings: &[(&str, &str)], more: &[&str]) -> (bool, Vec<[String; 4]>) {
    let output = run(folder, settings, &[&["check", "--json"], more].concat());
    assert!(output.stderr.is_empty(), "{output:?}");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["ok"], output.status.success());
    let text = |check: &Value, name: &str| check[name].as_str().unwrap_or_default().to_owned();
    let checks = value["checks"].as_array().unwrap();
    let findings = checks.iter().map(|check| ["status", "what", "found", "advice"].map(|name| text(check, name)));
    (output.status.success(), findings.collect())
}

fn find<'a>(findings: &'a [[String; 4]], what: &str) -> &'a [String; 4] {
    findings.iter().find(|[_, found, ..]| found == what).unwrap()
}

/// Returns all files below a folder with their times of modification, except for the memory that readers of SQLite
/// share.
fn files(folder: &Path) -> BTreeMap<String, SystemTime> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.path().display().to_string();
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        }
        if name.ends_with("-shm") {
            continue;
        }
        found.insert(name, entry.metadata().unwrap().modified().unwrap());
    }
    found
}

#[test]
fn a_fresh_machine_is_well_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let (ok, findings) = checked(folder.path(), &[("PORT", &port)], &["--connections", "4"]);
    assert!(ok, "{findings:?}");
    for what in ["settings", "secret", "data folder", "disk", "database", "port", "open files"] {
        let [status, _, found, advice] = find(&findings, what);
        assert!(status != "error" && !found.is_empty(), "{findings:?}");
        assert_eq!(status == "ok", advice.is_empty(), "what is not well says what to do: {findings:?}");
    }
    assert!(files(folder.path()).is_empty(), "nothing was made");
    let text = stdout(&run(folder.path(), &[("PORT", &port)], &["check", "--connections", "4"]));
    assert!(text.lines().any(|line| line.starts_with("ok ") && line.contains("port")), "{text}");
}

#[test]
fn what_is_wrong_is_found_at_once_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    // It accepts connections, and does not answer like Parlance.
    std::thread::spawn(move || taken.incoming().for_each(drop));
    fs::write(folder.path().join(".env"), "JWT_SECERT=hush\n").unwrap();
    let settings = [
        ("TYPING_TTL", "6"),
        ("DELIVERY", "fast"),
        ("HOST", "127.0.0.1"),
        ("PORT", &*port),
        ("JWT_ACCESS_SECRET_KEY", "hush"),
        ("DIALECTS", "klingon"),
        ("CLIENT_FILES", "nowhere"),
        ("TLS_CERT", "no.pem"),
        ("ADMIN_UI_PASSWORD", "hush"),
        ("DATA_DIR", ".env"),
        ("AI_PROVIDER", "openai"),
    ];
    let (ok, findings) = checked(folder.path(), &settings, &["--connections", "100000000"]);
    assert!(!ok);
    let shown = format!("{findings:?}");
    assert!(!shown.contains("hush"), "{shown}");
    for (status, what, word) in [
        ("error", "settings", "TYPING_TTL"),
        ("error", "settings", "DELIVERY"),
        ("warning", "settings", "did you mean JWT_SECRET?"),
        ("error", "dialects", "DIALECTS"),
        ("warning", "secret", "guessed"),
        ("error", "data folder", ".env"),
        ("error", "port", "taken by another program"),
        ("warning", "open files", "connections"),
        ("error", "client files", "nowhere"),
        ("error", "certificate", "TLS_KEY"),
        ("error", "admin ui", "ADMIN_UI_PASSWORD"),
        ("warning", "model", "AI_PROVIDER"),
    ] {
        let is_it = |[was, subject, found, advice]: &[String; 4]| {
            was == status && subject == what && found.contains(word) && !advice.is_empty()
        };
        assert!(findings.iter().any(is_it), "{status} {what} {word}: {findings:?}");
    }
    assert_eq!(files(folder.path()).len(), 1);
    assert_eq!(run(folder.path(), &settings, &["check"]).status.code(), Some(1));
}

#[test]
fn settings_that_go_together_are_seen_together() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let make = format!(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=chat -keyout {} -out {}",
        place("key"),
        place("cert")
    );
    assert!(Command::new("openssl").args(make.split(' ')).output().unwrap().status.success());
    let hash = "$2b$04$abcdefghijklmnopqrstuu5LoVOM2oB3RNsaYHGoKkZs6kCGiGzOa";
    let found = |settings: &[(&str, &str)], what: &str| {
        let settings = [&[("PORT", &*port)], settings].concat();
        let (_, findings) = checked(folder.path(), &settings, &[]);
        let [status, _, found, _] = find(&findings, what);
        format!("{status} {found}")
    };
    let (cert, key) = (place("cert"), place("key"));
    assert!(found(&[("TLS_CERT", &cert), ("TLS_KEY", &key)], "certificate").starts_with("ok "));
    assert!(found(&[("TLS_CERT", &cert), ("TLS_KEY", &cert)], "certificate").starts_with("error TLS_CERT, TLS_KEY"));
    fs::write(place("index.html"), "").unwrap();
    let dir = folder.path().display().to_string();
    let (login, page) = (("ADMIN_UI_PASSWORD", hash), ("ADMIN_UI_DIR", &*dir));
    assert!(found(&[login, page], "admin ui").starts_with("ok admin can log in, at /admin/ui/"));
    assert!(found(&[login, ("ADMIN_UI_USER", "ann")], "admin ui").starts_with("ok ann can log in; the page"));
    assert!(found(&[page], "admin ui").starts_with("warning "));
    assert!(found(&[login, ("ADMIN_UI_DIR", "nowhere")], "admin ui").starts_with("error no index.html"));
}

#[test]
fn a_port_that_is_held_for_us_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    // Like a supervisor's socket: connections are queued, and wait.
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let (ok, findings) = checked(folder.path(), &[("HOST", "127.0.0.1"), ("PORT", &port)], &["--connections", "4"]);
    let [status, _, found, advice] = find(&findings, "port");
    assert!(ok && status == "warning" && found.contains("nobody answers") && advice.contains("parlance.socket"), "{findings:?}");
}

/// Checks a database before its first start, up to date, and one migration behind.
fn a_database_is_looked_at(url: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut settings = vec![("PORT", &*port)];
    settings.extend(url.map(|url| ("DATABASE_URL", url)));
    let database = || {
        let (ok, findings) = checked(folder.path(), &settings, &[]);
        assert!(ok, "{findings:?}");
        find(&findings, "database").clone()
    };
    let [status, _, found, _] = database();
    match url {
        None => assert!(status == "ok" && found.contains("not there yet"), "{found}"),
        Some(_) => assert!(status == "warning" && found.contains("Postgres 1") && found.contains("pending"), "{found}"),
    }
    stdout(&run(folder.path(), &settings, &["user", "add", "ann", "--password", "correct horse"]));
    let before = files(folder.path());
    let [status, _, found, _] = database();
    assert!(status == "ok" && found.contains("up to date"), "{found}");
    assert_eq!(files(folder.path()), before, "nothing was touched");
    stdout(&run(folder.path(), &settings, &["migrate", "down", "--yes"]));
    let before = files(folder.path());
    let [status, _, found, advice] = database();
    assert!(status == "warning" && found.contains("1 migrations pending") && advice.contains("migrate up"), "{found} {advice}");
    assert_eq!(files(folder.path()), before, "nothing was touched");
    let [_, _, found, _] = database();
    assert!(found.contains("1 migrations pending"), "looking applied nothing: {found}");
}

#[test]
fn a_sqlite_file_is_looked_at_and_not_touched() {
    a_database_is_looked_at(None);
}

#[test]
fn a_postgres_is_looked_at_and_not_touched() {
    a_database_is_looked_at(Some(&Postgres::shared().database()));
}

#[test]
fn a_database_that_is_away_or_no_database_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    fs::write(folder.path().join("text.db"), "this is no database, however long one looks at it").unwrap();
    let file = format!("sqlite://{}/text.db", folder.path().display());
    let away = format!("postgres://ann:hush@127.0.0.1:{port}/chat");
    for url in [&file, &away] {
        let (ok, findings) = checked(folder.path(), &[("PORT", &port), ("DATABASE_URL", url)], &[]);
        let [status, _, found, advice] = find(&findings, "database");
        assert!(!ok && status == "error" && !advice.is_empty() && !found.contains("hush"), "{findings:?}");
    }
}

#[test]
fn a_secret_that_others_may_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    fs::create_dir(folder.path().join("data")).unwrap();
    let path = folder.path().join("data/jwt-secret");
    fs::write(&path, "s".repeat(64)).unwrap();
    for (mode, expected) in [(0o644, "warning"), (0o600, "ok")] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let (ok, findings) = checked(folder.path(), &[("PORT", &port)], &[]);
        let [status, _, found, _] = find(&findings, "secret");
        assert!(ok && status == expected && found.contains("jwt-secret"), "{findings:?}");
    }
    fs::write(&path, "").unwrap();
    let (ok, findings) = checked(folder.path(), &[("PORT", &port)], &[]);
    assert!(!ok && find(&findings, "secret")[0] == "error", "{findings:?}");
}

#[test]
fn config_points_out_a_slip_and_has_json() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &[("DATABSE_URL", "hush"), ("JWT_SECRET", "hush"), ("PORT", "5000")], &["config", "--json"]);
    let slips = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(slips.contains("DATABSE_URL") && slips.contains("did you mean DATABASE_URL?"), "{slips}");
    let text = stdout(&output);
    assert!(!text.contains("hush") && !slips.contains("hush"));
    let settings: Vec<Value> = serde_json::from_str(&text).unwrap();
    let port = settings.iter().find(|setting| setting["name"] == "PORT").unwrap();
    assert_eq!((&port["value"], &port["source"], &port["group"]), (&"5000".into(), &"environment".into(), &"server".into()));
    assert!(settings.iter().all(|setting| !setting["help"].as_str().unwrap().is_empty()));
}

#[test]
fn completions_need_no_configuration_and_know_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), "not a line\n").unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&run(folder.path(), &[], &["completions", shell]));
        assert!(script.contains("completions") && script.contains("check"), "{shell}");
    }
    let output = run(folder.path(), &[], &["chek"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("'check'"));
    assert!(failure(&run(folder.path(), &[], &["check"])).contains(".env"));
}
