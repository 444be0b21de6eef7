//! Runs of a whole server under seeds: `tests/run simulate`, docs/simulation.md.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what a simulation is given it has made itself"
)]
#![expect(unreachable_pub, reason = "a binary of tests exports nothing")]
mod client;
mod connection;
mod database;
mod dialects;
mod history;
mod judge;
mod random;
mod script;
mod shrink;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use parlance::store::AnyConnection;

use crate::history::{Counts, History};
use crate::judge::{Violation, judge};
use crate::script::{Setup, Step};

/// Default number of seeds.
const SEEDS: u64 = 100;

/// What the command line asks for.
struct Asked {
    seeds: u64,
    first: u64,
    digest: bool,
    /// A script to run instead of the seed's.
    script: Option<String>,
    trace: bool,
    jobs: usize,
    shrinks: bool,
    /// It ends with the first seed that fails.
    stops: bool,
}

/// Result of a run.
struct Verdict {
    violations: Vec<Violation>,
    counts: Counts,
    digest: u64,
}

/// A database that is used again by the next run.
struct Runner(Option<AnyConnection>);

impl Runner {
    /// Runs a script; a panic is a violation.
    fn run(&mut self, setup: &Setup, script: &[Step], trace: bool) -> Verdict {
        let database = self.0.take().unwrap_or_else(database::make);
        match catch_unwind(AssertUnwindSafe(|| world::run(setup, script, database, trace))) {
            Ok((history, database)) => {
                self.0 = database;
                verdict(setup, &history)
            }
            Err(panic) => {
                let text = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                let violation = Violation { rule: "panic", text: text.unwrap_or_default() };
                Verdict { violations: vec![violation], counts: Counts::default(), digest: 0 }
            }
        }
    }
}

fn verdict(setup: &Setup, history: &History) -> Verdict {
    Verdict { violations: judge(setup, history), counts: history.counts, digest: history.digest }
}

fn main() -> ExitCode {
    let asked = match read_arguments() {
        Ok(asked) => asked,
        Err(problem) => {
            eprintln!(
                "{problem}\nusage: simulate [N] [--seed S] [--digest] [--script FILE] [--trace] [--jobs N] [--no-shrink] [--stop]"
            );
            return ExitCode::from(2);
        }
    };
    match &asked.script {
        Some(file) => run_script(&asked, file),
        None => {
            let kept = run_kept(&asked);
            let seeds = run_seeds(&asked);
            if kept == ExitCode::SUCCESS { seeds } else { kept }
        }
    }
}

fn read_arguments() -> Result<Asked, String> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut asked =
        Asked { seeds: SEEDS, first: 0, digest: false, script: None, trace: false, jobs, shrinks: true, stops: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok()).ok_or(format!("{argument} needs a number"));
        match argument.as_str() {
            "--seed" => asked.first = number()?,
            "--jobs" => asked.jobs = usize::try_from(number()?).unwrap_or(1).max(1),
            "--digest" => asked.digest = true,
            "--trace" => asked.trace = true,
            "--no-shrink" => asked.shrinks = false,
            "--stop" => asked.stops = true,
            "--script" => asked.script = Some(arguments.next().ok_or("--script needs a file")?),
            count => asked.seeds = count.parse().map_err(|_| format!("not a number of seeds: {count}"))?,
        }
    }
    asked.digest |= asked.seeds == 1;
    Ok(asked)
}

/// Runs the scripts that earlier faults left.
fn run_kept(asked: &Asked) -> ExitCode {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulation/scripts");
    let files = std::fs::read_dir(folder).expect("the scripts are there");
    let mut files: Vec<_> = files.flatten().map(|file| file.path().to_string_lossy().into_owned()).collect();
    files.sort();
    let failed = files.iter().filter(|file| run_script(asked, file) != ExitCode::SUCCESS).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_script(asked: &Asked, file: &str) -> ExitCode {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{file}: {error}");
            return ExitCode::from(2);
        }
    };
    let (setup, script) = match shrink::parse(&text) {
        Ok(parsed) => parsed,
        Err(problem) => {
            eprintln!("{file}: {problem}");
            return ExitCode::from(2);
        }
    };
    let verdict = Runner(None).run(&setup, &script, asked.trace);
    if !verdict.violations.is_empty() {
        println!("{file}:");
        show(setup.seed, &verdict.violations);
    }
    if asked.script.is_some() {
        println!("{file} digest {:016x}", verdict.digest);
    }
    if verdict.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_seeds(asked: &Asked) -> ExitCode {
    let begun = Instant::now();
    let next = Mutex::new(asked.first..asked.first + asked.seeds);
    let (total, failed) = (Mutex::new(Counts::default()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..asked.jobs {
            scope.spawn(|| {
                let mut runner = Runner(None);
                loop {
                    let Some(seed) = next.lock().unwrap().next() else { return };
                    if asked.stops && !failed.lock().unwrap().is_empty() {
                        return;
                    }
                    let setup = Setup::of(seed);
                    let verdict = runner.run(&setup, &setup.script(), asked.trace);
                    total.lock().unwrap().add(&verdict.counts);
                    if asked.digest {
                        println!("seed {seed} digest {:016x}", verdict.digest);
                    }
                    if !verdict.violations.is_empty() {
                        show(seed, &verdict.violations);
                        failed.lock().unwrap().insert(seed, verdict.violations);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    if let Some((seed, violations)) = failed.iter().next().filter(|_| asked.shrinks) {
        shrink::show(*seed, violations[0].rule);
    }
    let rules = failed.values().flatten().fold(BTreeMap::new(), |mut rules: BTreeMap<&str, usize>, violation| {
        *rules.entry(violation.rule).or_default() += 1;
        rules
    });
    for (rule, count) in rules {
        println!("{count} × {rule}");
    }
    summary(asked.seeds, failed.len(), &total.into_inner().unwrap(), begun);
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn show(seed: u64, violations: &[Violation]) {
    for Violation { rule, text } in violations.iter().take(5) {
        println!("seed {seed}: {rule}: {text}");
    }
    if violations.len() > 5 {
        println!("seed {seed}: and {} more", violations.len() - 5);
    }
}

fn summary(seeds: u64, failed: usize, total: &Counts, begun: Instant) {
    let each = |count: u64| count as f64 / seeds.max(1) as f64;
    println!(
        "{seeds} seeds, {failed} failed, in {:.1} s; of each on average: {:.1} clients, {:.1} dialects, {:.0} sends, {:.0} acked, \
         {:.0} shown, {:.0} changes, {:.0} connects, {:.0} recovered, {:.1} cuts, {:.1} crashes, {:.1} outages, {:.0} steps",
        begun.elapsed().as_secs_f64(),
        each(total.clients),
        each(total.dialects),
        each(total.sent),
        each(total.acked),
        each(total.shown),
        each(total.changes),
        each(total.connects),
        each(total.recovered),
        each(total.cuts),
        each(total.crashes),
        each(total.outages),
        each(total.events),
    );
}
