//! Runs all checks, and prints the findings.
use clap::Args;
use serde_json::{Value, json};

use super::database::database;
use super::finding::{Finding, Status};
use super::machine::{backlog, disk, files, folder};
use super::port::port;
use super::settings::{
    admin_ui, certificate, client_files, dialects, exposures, keys, model, secret, tokens, webhooks, your_code,
};
use crate::cli::config::about_typo;
use crate::cli::error::CliError;
use crate::cli::output::print;
use crate::config::{Config, Found, typos};
use crate::env::Environment;

/// Options of `check`.
#[derive(Debug, Args)]
pub(in crate::cli) struct CheckOptions {
    /// Number of connections the server is to hold at the same time.
    #[arg(long, default_value_t = 1_000)]
    connections: usize,
    /// Print JSON: `ok`, and a list of `checks` with `status`, `what`, `found` and, if something can be done, `advice`.
    #[arg(long)]
    json: bool,
}

/// Runs all checks; fails if one finds an error.
pub(in crate::cli) fn execute(
    options: &CheckOptions,
    environment: &Environment,
    find: impl Fn(&str) -> Option<Found>,
) -> Result<(), CliError> {
    let problems = Config::problems(&find);
    let mut findings: Vec<_> = problems
        .iter()
        .map(|problem| Finding::error("settings", problem.to_string(), "correct it; `parlance config` explains each setting"))
        .collect();
    // Settings that cannot be read count as unset, so that the other checks still run.
    let readable = |name: &str| find(name).filter(|_| !problems.iter().any(|problem| problem.name == name));
    let config = Config::load(readable).map_err(CliError::new)?;
    findings.extend(
        typos(environment.names())
            .iter()
            .map(|typo| Finding::warning("settings", about_typo(typo), format!("write {} or remove it", typo.meant))),
    );
    if findings.is_empty() {
        let set = Config::NAMES.iter().filter(|name| find(name).is_some_and(|found| !found.value.is_empty())).count();
        findings.push(Finding::ok("settings", format!("{set} set, the others have their defaults (`parlance config`)")));
    }
    findings.extend(dialects(&config));
    findings.push(secret(&config));
    findings.extend(tokens(&config));
    findings.extend(keys(&config));
    findings.extend(exposures(&config));
    findings.extend(webhooks(&config));
    findings.push(folder(&config));
    findings.push(disk(&config));
    findings.extend(database(&config));
    findings.push(actix::System::new().block_on(port(&config)));
    findings.push(files(options.connections));
    findings.extend(backlog());
    findings.extend(certificate(&config));
    findings.extend(client_files(&config));
    findings.extend(admin_ui(&config));
    findings.extend(model(&config));
    findings.extend(your_code(&config));
    print_findings(&findings, options.json)
}

fn print_findings(findings: &[Finding], as_json: bool) -> Result<(), CliError> {
    let count = |status| findings.iter().filter(|finding| finding.status == status).count();
    let (errors, warnings) = (count(Status::Error), count(Status::Warning));
    if as_json {
        let checks: Vec<_> = findings.iter().map(shown).collect();
        print(&format!("{:#}\n", json!({"ok": errors == 0, "checks": checks})))?;
    } else {
        let lines: String = findings.iter().map(Finding::line).collect();
        print(&format!("{lines}\n{}\n", verdict(errors, warnings)))?;
    }
    if errors == 0 { Ok(()) } else { Err(CliError::reported()) }
}

fn shown(finding: &Finding) -> Value {
    let Finding { status, what, found, advice } = finding;
    let mut shown = json!({"status": status.as_str(), "what": what, "found": found});
    if let (Some(advice), Some(object)) = (advice, shown.as_object_mut()) {
        object.insert("advice".to_owned(), json!(advice));
    }
    shown
}

fn verdict(errors: usize, warnings: usize) -> String {
    let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => "All is well: `parlance serve` can start.".to_owned(),
        (0, _) => format!("{}; `parlance serve` can start.", counted(warnings, "warning")),
        _ => format!(
            "{}, {}; `parlance serve` cannot start, or will not serve well.",
            counted(errors, "error"),
            counted(warnings, "warning")
        ),
    }
}
