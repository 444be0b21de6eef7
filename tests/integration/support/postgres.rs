//! A Postgres server for tests: on a free port, in a temporary folder, removed when the test process ends.
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};

/// Folder in which Debian keeps each version's programs.
const DEBIAN: &str = "/usr/lib/postgresql";
const PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// A script that keeps the server: it reads commands from its input, answers each with a line, and cleans up at the end
/// of the input, which also comes if the test process is killed. As root, it runs the server as user `postgres`,
/// because Postgres refuses to run as root.
const KEEPER: &str = r#"
trap '' INT TERM HUP
bin=$1 folder=$2 port=$3
run() {
    if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --init-groups "$@"; else "$@"; fi
}
processes() {
    head -n 1 "$folder/data/postmaster.pid" 2>/dev/null > "$folder/pid" && read -r main < "$folder/pid" || return 0
    echo "$main"
    for stat in /proc/[0-9]*/stat; do
        read -r pid _ _ parent _ 2>/dev/null < "$stat" && [ "$parent" = "$main" ] && echo "$pid"
    done
}
[ "$(id -u)" != 0 ] || chown postgres "$folder"
cd "$folder"
run "$bin/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C --no-sync > "$folder/initdb.log" 2>&1
while read -r word; do
    case $word in
        start) run "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w -t 60 -o "-p $port -c listen_addresses=127.0.0.1 \
            -c unix_socket_directories='' -c fsync=off -c max_connections=300" start ;;
        kill) run "$bin/pg_ctl" -D "$folder/data" -w -m immediate stop ;;
        freeze) kill -STOP $(processes) ;;
        thaw) kill -CONT $(processes) ;;
    esac > /dev/null 2>&1 && echo ok || echo failed
done
kill -CONT $(processes) 2>/dev/null
run "$bin/pg_ctl" -D "$folder/data" -w -m immediate stop > /dev/null 2>&1
cd /
rm -rf "$folder"
"#;

/// A Postgres server.
pub struct Postgres {
    port: u16,
    databases: AtomicU32,
    keeper: Mutex<Keeper>,
}

struct Keeper {
    process: Child,
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Postgres {
    /// Returns the server that all tests of this process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts a server for a test that stops it.
    pub fn start() -> Self {
        let programs = programs();
        for _ in 0..3 {
            let folder = tempfile::tempdir().unwrap().keep();
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut process = Command::new("sh")
                .args(["-c", KEEPER, "keeper"])
                .args([&programs, &folder])
                .arg(port.to_string())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                // In a process group of its own, so that Ctrl-C in a terminal leaves it time to clean up.
                .process_group(0)
                .spawn()
                .expect("sh is there");
            let words = process.stdin.take();
            let answers = BufReader::new(process.stdout.take().unwrap());
            let server = Self { port, databases: AtomicU32::new(0), keeper: Mutex::new(Keeper { process, words, answers }) };
            if server.tell("start") {
                return server;
            }
            // Another program may have taken the port; otherwise the logs have the reason:
            for log in ["initdb.log", "log"] {
                eprintln!("{}", std::fs::read_to_string(folder.join(log)).unwrap_or_default());
            }
        }
        panic!("Postgres of {} does not start", programs.display());
    }

    /// Returns the URL of a new, empty database.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut conn = PgConnection::establish(&self.url("postgres")).unwrap();
        conn.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        self.url(&name)
    }

    /// Kills the server, like a crash.
    pub fn kill(&self) {
        assert!(self.tell("kill"), "Postgres cannot be stopped");
    }

    /// Restarts it on the same port with the same databases.
    pub fn restart(&self) {
        assert!(self.tell("start"), "Postgres does not start again");
    }

    /// Freezes the server: connections stay open, and nothing is answered.
    pub fn freeze(&self) {
        assert!(self.tell("freeze"), "Postgres cannot be frozen");
    }

    /// Continues a frozen server.
    pub fn thaw(&self) {
        assert!(self.tell("thaw"), "Postgres cannot be thawed");
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    fn tell(&self, word: &str) -> bool {
        let mut keeper = self.keeper.lock().unwrap();
        writeln!(keeper.words.as_mut().unwrap(), "{word}").unwrap();
        let mut answer = String::new();
        keeper.answers.read_line(&mut answer).unwrap();
        answer == "ok\n"
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        keeper.words = None;
        // It cleans up by itself.
        let _ = keeper.process.wait();
    }
}

/// Returns the folder of Postgres's programs: the newest of Debian's, or the first in `PATH`.
fn programs() -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(DEBIAN)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
        })
        .collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        versions.into_iter().rev().map(|(_, folder)| folder).chain(std::env::split_paths(&path)).find(|folder| has_all(folder));
    found.expect("these tests need Postgres's programs in PATH or /usr/lib/postgresql: on Debian `apt-get install postgresql`")
}

fn has_all(folder: &Path) -> bool {
    PROGRAMS.iter().all(|program| folder.join(program).is_file())
}
