//! Makes a failing script short, so that it can be read and kept.
use std::time::{Duration, Instant};

use crate::Runner;
use crate::script::{Setup, Step};

/// Time for which a script is shortened.
const LIMIT: Duration = Duration::from_secs(60);

/// Reads a script: `seed S`, then one step a line; `#` begins a comment.
///
/// # Errors
/// The line that is not one.
pub fn parse(text: &str) -> Result<(Setup, Vec<Step>), String> {
    let mut lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).filter(|line| !line.is_empty());
    let seed = lines.next().and_then(|line| line.strip_prefix("seed ")).ok_or("it begins with `seed S`")?;
    let seed = seed.trim().parse().map_err(|_| format!("no seed: {seed}"))?;
    let steps = lines.map(str::parse).collect::<Result<Vec<Step>, String>>()?;
    Ok((Setup::of(seed), steps))
}

/// Shortens the script of a seed that breaks a rule, and prints what is left.
pub fn show(seed: u64, rule: &str) {
    let setup = Setup::of(seed);
    let (script, runs) = shrink(&setup, setup.script(), rule);
    println!("seed {seed} breaks `{rule}` with these {} steps ({runs} runs):\n\nseed {seed}", script.len());
    for step in &script {
        println!("{step}");
    }
    println!();
}

/// Removes steps as long as what is left breaks the same rule (delta debugging). Returns it, and the number of runs.
pub fn shrink(setup: &Setup, mut script: Vec<Step>, rule: &str) -> (Vec<Step>, usize) {
    let (begun, mut runner, mut runs) = (Instant::now(), Runner(None), 0);
    let mut breaks = |script: &[Step]| {
        runs += 1;
        runner.run(setup, script, false).violations.iter().any(|violation| violation.rule == rule)
    };
    // What comes behind the first moment at which it fails is not needed; then ever smaller parts are left out.
    let mut parts = 2;
    while script.len() > 1 && begun.elapsed() < LIMIT {
        let size = script.len().div_ceil(parts);
        let without = (0..script.len()).step_by(size).find_map(|start| {
            let rest: Vec<Step> = script
                .iter()
                .enumerate()
                .filter(|(place, _)| !(start..start + size).contains(place))
                .map(|(_, step)| *step)
                .collect();
            (begun.elapsed() < LIMIT && breaks(&rest)).then_some(rest)
        });
        match without {
            Some(rest) => {
                script = rest;
                parts = (parts - 1).max(2);
            }
            None if size == 1 => break,
            None => parts = (parts * 2).min(script.len()),
        }
    }
    (script, runs)
}
