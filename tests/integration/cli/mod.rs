//! The built binary, run from outside like a newcomer would.
mod check;
mod migrate;
mod token;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Returns the command in an environment of its own, with `DATA_DIR` and `.env` in `folder`.
fn parlance(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
    command.env_clear().current_dir(folder).envs(settings.iter().copied()).args(arguments);
    command
}

fn run(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Output {
    parlance(folder, settings, arguments).stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Returns the single line on stderr of a command that failed.
fn failure(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(output.stdout.is_empty());
    text
}

#[test]
fn a_bad_setting_ends_the_process_before_it_listens() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in
        [("PORT", "http"), ("PING_INTERVAL", "25"), ("DELIVERY", "fast"), ("DIALECTS", "klingon"), ("DATABASE_URL", "oracle://x")]
    {
        for arguments in [&[][..], &["serve"], &["config"], &["user", "list"]] {
            let line = failure(&run(folder.path(), &[(name, value)], arguments));
            assert!(line.contains(name), "{line}");
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn config_says_where_each_value_came_from() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), "PORT=4000\nTYPING_TTL=6s\nJWT_SECRET=hush\nMAX_PACKET_SIZE=\n").unwrap();
    let text = stdout(&run(folder.path(), &[("PORT", "5000"), ("API_KEYS", "hush")], &["config"]));
    for (name, value, source) in [
        ("PORT", "5000", "environment"),
        ("TYPING_TTL", "6s", ".env"),
        ("JWT_SECRET", "(redacted)", ".env"),
        ("API_KEYS", "(redacted)", "environment"),
        ("MAX_PACKET_SIZE", "1000000", "default"),
        ("HOST", "localhost", "default"),
    ] {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words[1..3], [value, source], "{line}");
    }
    assert!(!text.contains("hush"));
}

#[test]
fn a_broken_env_file_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), "JWT_SECRET='hush\n").unwrap();
    let line = failure(&run(folder.path(), &[], &["config"]));
    assert!(line.contains(".env") && !line.contains("hush"), "{line}");
}

#[test]
fn users_are_made_promoted_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let user = |arguments: &[&str]| run(folder.path(), &[], &[&["user"], arguments].concat());
    let made =
        stdout(&user(&["add", "ann", "--email", "ann@example.org", "--password", "correct horse", "--full-name", "Ann Lee"]));
    assert!(made.contains("ann"), "{made}");

    let mut child = parlance(folder.path(), &[], &["user", "add", "bob", "--role", "admin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"battery staple\n").unwrap();
    assert!(child.wait().unwrap().success());

    stdout(&user(&["role", "ann@example.org", "admin"]));
    let lines = stdout(&user(&["list", "--json"]));
    let users: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for name in ["ann", "bob"] {
        let found = users.iter().find(|user| user["username"] == name).unwrap();
        assert_eq!(found["role"], "admin", "{lines}");
    }
    assert!(!lines.contains("argon2"));
    stdout(&user(&["role", "bob", "user"]));
    assert!(stdout(&user(&["list"])).lines().any(|line| line.contains("bob") && !line.contains("admin")));
}

#[test]
fn a_refused_user_is_one_line_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let user = |arguments: &[&str]| run(folder.path(), &[], &[&["user"], arguments].concat());
    stdout(&user(&["add", "ann", "--password", "correct horse"]));
    for (arguments, word) in [
        (&["add", "ANN", "--password", "correct horse"][..], "username"),
        (&["add", "bob", "--password", "short"], "password"),
        (&["add", "bob"], "password"),
        (&["add", "", "--password", "correct horse"], "username"),
        (&["add", "model", "--password", "correct horse"], "reserved"),
        (&["add", "bob", "--password", "correct horse", "--email", "bob"], "email"),
        (&["role", "nobody", "admin"], "nobody"),
    ] {
        let line = failure(&user(arguments));
        assert!(line.contains(word), "{line}");
    }
    assert_eq!(user(&["role", "ann", "king"]).status.code(), Some(2), "clap's own status for wrong usage");
}
