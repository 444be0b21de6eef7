//! The database and the configured keys, for commands on tokens.
use crate::app::read_issuer_keys;
use crate::auth::{TokenKeys, Trust, find_kept_secret};
use crate::cli::database;
use crate::cli::error::CliError;
use crate::config::{Config, Secret};
use crate::model::{Account, MODEL_USER, UserId};
use crate::store::{self, AnyConnection, QueryResult};

/// Queries the database without changing it; `None` if it does not exist or has no tables.
pub(super) fn ask<T>(
    config: &Config,
    question: impl FnOnce(&mut AnyConnection) -> QueryResult<T>,
) -> Result<Option<T>, CliError> {
    let conn = store::connect_to_look(&database::url(config)?).map_err(|error| database::failed(&error))?;
    let Some(mut conn) = conn else { return Ok(None) };
    let steps = store::list_migrations(&mut conn).map_err(|error| database::failed(&error))?;
    if steps.iter().any(|step| !step.is_applied) {
        if steps.iter().all(|step| !step.is_applied) {
            return Ok(None);
        }
        return Err(CliError("the database is of an older release: `parlance migrate up` brings it up to date".to_owned()));
    }
    question(&mut conn).map(Some).map_err(|error| CliError(format!("the database failed: {error}")))
}

/// Finds a user by id, username or e-mail address.
pub(super) fn find(config: &Config, name: &str) -> Result<Option<Account>, CliError> {
    let id = UserId::parse(name).ok();
    let found = ask(config, |conn| match id.map(|id| store::find_account(conn, &id)).transpose()?.flatten() {
        Some(account) => Ok(Some(account)),
        None => Ok(store::find_credentials(conn, name)?.map(|(account, _)| account)),
    })?;
    Ok(found.flatten().filter(|account| account.profile.id.as_str() != MODEL_USER))
}

pub(super) fn no_user(name: &str) -> CliError {
    CliError(format!("there is no user {name:?}: `parlance user list` shows all, `parlance user add` makes one"))
}

/// Returns the secrets that verify tokens, with their names. Creates none.
fn named_secrets(config: &Config) -> Result<Vec<(String, Secret)>, CliError> {
    let set = config.named_jwt_secrets();
    if !set.is_empty() {
        return Ok(set.into_iter().map(|(name, secret)| (name.to_owned(), secret)).collect());
    }
    let kept = find_kept_secret(config).map_err(CliError::new)?;
    Ok(kept.into_iter().map(|kept| (kept.path.display().to_string(), kept.secret)).collect())
}

/// The keys of this configuration.
pub(super) struct KnownKeys {
    /// The keys.
    pub(super) keys: TokenKeys,
    /// Names of the secrets among them, in their order.
    pub(super) secret_names: Vec<String>,
    /// Issuers whose keys could not be read, each with the reason.
    pub(super) unread: Vec<(String, String)>,
}

/// Reads all keys of this configuration, including those that issuers publish. Creates none.
pub(super) async fn known_keys(config: &Config) -> Result<KnownKeys, CliError> {
    let (secret_names, secrets): (Vec<_>, Vec<_>) = named_secrets(config)?.into_iter().unzip();
    let keys = TokenKeys::new(&secrets, config.require_exp, config.token_ttl);
    let keys = keys.trusting(&Trust::of(config).map_err(CliError::new)?).map_err(CliError::new)?;
    let unread = read_issuer_keys(&keys).await;
    Ok(KnownKeys { keys, secret_names, unread })
}
