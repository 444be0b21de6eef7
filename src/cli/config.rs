//! `parlance config`: the settings in force, and their sources.
use std::fmt::Write as _;

use clap::Args;
use serde_json::json;

use super::error::CliError;
use super::output::{print, remark};
use crate::config::{Config, Found, Listed, Typo, typos};
use crate::env::Environment;

/// Options of `config`.
#[derive(Debug, Args)]
pub(super) struct ConfigOptions {
    /// Print JSON: one list of objects with `name`, `value`, `source`, `group` and `help`.
    #[arg(long)]
    json: bool,
}

/// Lists the settings; misspelt names are reported on standard error.
pub(super) fn execute(
    options: &ConfigOptions,
    environment: &Environment,
    find: impl Fn(&str) -> Option<Found>,
) -> Result<(), CliError> {
    for typo in typos(environment.names()) {
        remark(&format!("parlance: {}", about_typo(&typo)));
    }
    let listed = Config::list(find).map_err(CliError::new)?;
    print(&if options.json { json_list(&listed) } else { table(&listed) })
}

/// Describes a name that looks misspelt.
pub(super) fn about_typo(typo: &Typo) -> String {
    let Typo { name, source, meant } = typo;
    let place = if *source == ".env" { "the file .env" } else { "the environment" };
    format!("{name} in {place} is no setting: did you mean {meant}?")
}

fn json_list(settings: &[Listed]) -> String {
    let list: Vec<_> = settings
        .iter()
        .map(|Listed { group, name, value, source, help }| {
            json!({"name": name, "value": value, "source": source, "group": group, "help": help})
        })
        .collect();
    format!("{:#}\n", serde_json::Value::Array(list))
}

/// Returns the settings in aligned columns, under the names of their groups.
fn table(settings: &[Listed]) -> String {
    let width = |of: fn(&Listed) -> usize, most: usize| settings.iter().map(of).max().unwrap_or(0).min(most);
    let name_width = width(|setting| setting.name.len(), 40);
    let value_width = width(|setting| setting.value.chars().count(), 30);
    let mut text = String::new();
    let mut group = "";
    for Listed { group: own, name, value, source, help } in settings {
        if *own != group {
            let gap = if group.is_empty() { "" } else { "\n" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{gap}# {own}");
            group = own;
        }
        let value = if value.is_empty() { "(none)" } else { value };
        let _ = writeln!(text, "{name:name_width$}  {value:value_width$}  {source:11}  {help}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_each_setting_in_its_group() {
        let text = table(&Config::list(|_| None).unwrap());
        assert!(text.starts_with("# server\nHOST "));
        assert!(text.contains("\n# limits\nRATE_LIMIT_EVENTS "));
        assert!(text.lines().any(|line| line.starts_with("JWT_SECRET ") && line.contains("(none)")));
    }
}
