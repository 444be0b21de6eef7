//! Checks of the database.
use std::path::Path;

use rustix::fs::{Access, access};

use super::finding::Finding;
use super::machine::{existing, may_write};
use crate::config::Config;
use crate::store::{self, DatabaseState, DatabaseUrl};

/// Connections that Postgres reserves for administrators.
const CONNECTIONS_KEPT: i64 = 3;

pub(super) fn database(config: &Config) -> Vec<Finding> {
    let what = "database";
    let url = match DatabaseUrl::parse(config.database_url.as_str(), &config.data_dir) {
        Ok(url) => url,
        Err(reason) => {
            return vec![Finding::error(
                what,
                format!("DATABASE_URL: {reason}"),
                "write sqlite:///absolute/path or postgres://…",
            )];
        }
    };
    let place = match &url {
        DatabaseUrl::Sqlite(path) => path.display().to_string(),
        DatabaseUrl::Postgres(_) => config.database_url.to_string(),
    };
    let mut findings = Vec::new();
    match store::look_at(&url) {
        Err(cause) => {
            let advice = match url {
                DatabaseUrl::Sqlite(_) => "see whether it is a database of Parlance and belongs to the user that serves",
                DatabaseUrl::Postgres(_) => "see that Postgres runs, that the database exists, and that DATABASE_URL names it",
            };
            findings.push(Finding::error(what, format!("{place} cannot be read: {cause}"), advice));
        }
        Ok(None) => findings.push(Finding::ok(what, format!("{place} is not there yet: the first start makes it"))),
        Ok(Some(state)) => {
            findings.push(tables(&state, &place));
            findings.extend(state.max_connections.and_then(|most| pool(config, most)));
        }
    }
    if let DatabaseUrl::Sqlite(path) = &url
        && !may_write_file(path)
    {
        let advice = "give the file and its folder to the user that serves";
        findings.push(Finding::error(what, format!("{place} cannot be written by this user"), advice));
    }
    findings
}

fn tables(state: &DatabaseState, place: &str) -> Finding {
    let (what, version) = ("database", &state.version);
    let pending = state.migrations.iter().filter(|step| !step.is_applied).count();
    if let Some(newest) = state.migrations.iter().rfind(|step| !step.is_known) {
        let found = format!("{version} at {place} was used by a later release (migration {})", newest.name);
        Finding::error(what, found, "run that release or a later one, or restore a backup of before")
    } else if pending > 0 {
        let found = format!("{version} at {place}, {pending} migrations pending");
        Finding::warning(what, found, "back it up; the next start applies them, or `parlance migrate up`")
    } else {
        Finding::ok(what, format!("{version} at {place}, its tables are up to date"))
    }
}

/// SQLite must be able to write to the folder, too, because the write-ahead log is there.
fn may_write_file(path: &Path) -> bool {
    let folder = path.parent().map_or(Path::new("."), existing);
    may_write(folder) && (!path.exists() || access(path, Access::WRITE_OK).is_ok())
}

fn pool(config: &Config, max_connections: i64) -> Option<Finding> {
    // One more for the writer.
    let wanted = i64::try_from(config.db_pool_size).unwrap_or(i64::MAX).saturating_add(1);
    let found = format!("DB_POOL_SIZE and the writer want {wanted} connections, Postgres has {max_connections}");
    let is_too_much = wanted > max_connections - CONNECTIONS_KEPT;
    is_too_much.then(|| Finding::warning("database", found, "lower DB_POOL_SIZE, or raise max_connections of Postgres"))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn the_pool_must_fit_into_postgres() {
        let config = Config::default();
        assert!(pool(&config, 100).is_none());
        assert_eq!(pool(&config, 12).unwrap().status, Status::Warning);
    }
}
