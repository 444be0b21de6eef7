//! `parlance migrate`, on both databases.
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;

use super::{failure, parlance, run, stdout};
use crate::support::postgres::Postgres;

/// A server of the binary, ended with the test.
struct Server {
    process: Child,
}

impl Server {
    fn start(folder: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = parlance(folder, settings, &["serve"]);
        let mut process = command.env("PORT", "0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening on "), "{line}");
        Self { process }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn up_status_down(settings: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let migrate = |arguments: &[&str]| run(folder.path(), settings, &[&["migrate"], arguments].concat());
    let status = || serde_json::from_str::<Value>(&stdout(&migrate(&["status", "--json"]))).unwrap();

    let applied = stdout(&migrate(&["up"]));
    assert!(applied.lines().count() > 3 && applied.lines().all(|line| line.starts_with("applied 2026-")), "{applied}");
    assert_eq!(stdout(&migrate(&["up"])), "the tables are up to date\n");
    assert_eq!(status()["pending"], 0);

    let last = applied.lines().last().unwrap().strip_prefix("applied ").unwrap();
    let line = failure(&migrate(&["down"]));
    assert!(line.contains(last) && line.contains("--yes"), "{line}");
    assert_eq!(status()["pending"], 0, "without a yes nothing is taken back");
    {
        let _server = Server::start(folder.path(), settings);
        let line = failure(&migrate(&["down", "--yes"]));
        assert!(line.contains("in use"), "{line}");
    }
    assert!(stdout(&migrate(&["down", "--yes"])).contains(last));
    assert_eq!(status()["pending"], 1);
    let text = stdout(&migrate(&["status"]));
    assert!(text.contains(&format!("{last}  missing")) && text.contains("migrate up"), "{text}");
    assert_eq!(stdout(&migrate(&["up"])), format!("applied {last}\n"));
}

#[test]
fn the_tables_go_up_and_back_in_sqlite() {
    up_status_down(&[]);
}

#[test]
fn the_tables_go_up_and_back_in_postgres() {
    up_status_down(&[("DATABASE_URL", &Postgres::shared().database())]);
}

#[test]
fn looking_makes_no_database() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["migrate", "status"][..], &["migrate", "down", "--yes"]] {
        let line = failure(&run(folder.path(), &[], arguments));
        assert!(line.contains("migrate up"), "{line}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
    let nowhere = "postgres://nobody@127.0.0.1:1/none";
    let line = failure(&run(folder.path(), &[("DATABASE_URL", nowhere)], &["migrate", "status"]));
    assert!(line.contains("is it running"), "{line}");
}
