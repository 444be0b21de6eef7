//! `parlance token …`: makes, inspects and revokes tokens.
use std::io::{self, Read as _};
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use serde_json::json;

use super::inspect::inspect;
use super::known::{find, known_keys, no_user};
use crate::auth::{TokenKeys, new_login_id, token_secrets};
use crate::cli::error::CliError;
use crate::cli::output::{print, remark};
use crate::cli::remote::{AskError, Remote, RemoteOptions};
use crate::cli::user::{self, Role};
use crate::config::{Config, parse_length};
use crate::env::Environment;
use crate::model::{Timestamp, UserId, UserRole};
use crate::store::Write;

/// Commands on tokens.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TokenCommand {
    /// Print a token for a user of the configured database, signed as the server does.
    New(NewToken),
    /// Show a token's claims, whether it is valid, and why not.
    Inspect {
        /// The token, or - to read it from standard input (arguments are visible to others).
        token: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token's login, or all tokens of a user. A running server learns of it if there is a key for it.
    Revoke(RevokeToken),
}

/// Options of `token new`.
#[derive(Debug, Args)]
pub(in crate::cli) struct NewToken {
    /// Id, username or e-mail address.
    user: String,
    /// Lifetime, such as 12h or 7d; default: TOKEN_TTL.
    #[arg(long, value_parser = parse_length)]
    ttl: Option<Duration>,
    /// Role, used if the server creates the user from the token (AUTO_PROVISION_USERS).
    #[arg(long)]
    role: Option<Role>,
    /// Print JSON, with the user and the time of expiry.
    #[arg(long)]
    json: bool,
}

/// Options of `token revoke`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["token", "all_of"]))]
pub(in crate::cli) struct RevokeToken {
    /// The token, or - to read it from standard input: revokes it, and all others of the same login.
    token: Option<String>,
    /// All tokens of this user: id, username or e-mail address.
    #[arg(long, value_name = "USER")]
    all_of: Option<String>,
    #[command(flatten)]
    remote: RemoteOptions,
}

/// Runs a command.
pub(in crate::cli) async fn execute(command: &TokenCommand, environment: &Environment, config: &Config) -> Result<(), CliError> {
    match command {
        TokenCommand::New(new) => make(new, config),
        TokenCommand::Inspect { token, json } => inspect(&given(token)?, *json, config).await,
        TokenCommand::Revoke(revoke) => self::revoke(revoke, environment, config).await,
    }
}

/// Returns a token from the argument or standard input.
fn given(token: &str) -> Result<String, CliError> {
    if token != "-" {
        return Ok(token.trim().to_owned());
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| CliError(format!("cannot read the token: {error}")))?;
    match text.trim() {
        "" => Err(CliError("no token on standard input: `parlance token inspect - < FILE`".to_owned())),
        token => Ok(token.to_owned()),
    }
}

// ---- new ----

fn make(new: &NewToken, config: &Config) -> Result<(), CliError> {
    let NewToken { user, ttl, role, json: as_json } = new;
    let asked = role.map(UserRole::from);
    let (id, name, role, email) = match find(config, user)? {
        Some(account) => {
            let profile = &account.profile;
            if account.disabled {
                return Err(CliError(format!(
                    "the account of {} is disabled: enable it first, or its tokens are refused",
                    profile.username
                )));
            }
            if asked.is_some_and(|asked| asked != profile.role) {
                let role = asked.unwrap_or_default().as_str();
                return Err(CliError(format!(
                    "{0} is {1}, and a token does not change that: `parlance user role {0} {role}` does",
                    profile.username,
                    profile.role.as_str()
                )));
            }
            (profile.id.clone(), profile.username.clone(), profile.role, profile.email.clone())
        }
        None if config.auto_provision_users => {
            let id = UserId::parse(user)
                .map_err(|_| CliError(format!("{user:?} is no id of a user: 1 to 200 bytes that can be printed")))?;
            (id, user.clone(), asked.unwrap_or_default(), None)
        }
        None => return Err(no_user(user)),
    };
    let secrets = token_secrets(config).map_err(CliError::new)?;
    let keys = TokenKeys::new(&secrets, config.require_exp, ttl.unwrap_or(config.token_ttl));
    let (token, expires_at) = keys.issue(&id, &new_login_id(), role, email.as_deref(), Timestamp::now());
    if *as_json {
        let user = json!({"id": id, "username": name, "role": role.as_str()});
        return print(&format!("{}\n", json!({"token": token, "user": user, "expiresAt": expires_at})));
    }
    // On standard error, so that `$(parlance token new ann)` is only the token.
    remark(&format!("a token of {name} ({}, id {id}), valid until {expires_at}", role.as_str()));
    print(&format!("{token}\n"))
}

// ---- revoke ----

async fn revoke(options: &RevokeToken, environment: &Environment, config: &Config) -> Result<(), CliError> {
    let RevokeToken { token, all_of, remote } = options;
    let token = token.as_deref().map(given).transpose()?;
    let (subject, body) = match (&token, all_of) {
        (Some(token), _) => ("its login's tokens are".to_owned(), json!({"token": token})),
        (None, Some(name)) => (format!("all tokens of {name} are"), json!({"user": name})),
        (None, None) => return Err(CliError("name a token, or a user with --all-of".to_owned())),
    };
    // With PORT=0 only the database is known, unless the server is named.
    let server = match Remote::new(remote, environment, config) {
        Err(error) if config.port != 0 => return Err(error),
        outcome => outcome.ok(),
    };
    if let Some(server) = &server
        && (server.is_named() || server.has_key())
    {
        match server.post("/api/admin/tokens/revoke", &body).await {
            Ok(_) => return print(&format!("{subject} revoked, and their sockets are disconnected\n")),
            // The server was not named explicitly, so the database alone will do.
            Err(AskError::Away(_)) if !server.is_named() => {}
            Err(AskError::Refused(_, code, _)) if code == "INVALID_PAYLOAD" && token.is_some() => {
                return Err(CliError(
                    "the server takes this for no token of its own: `parlance token inspect` says why".to_owned(),
                ));
            }
            Err(AskError::Refused(_, code, _)) if code == "NOT_FOUND" => {
                return Err(no_user(all_of.as_deref().unwrap_or_default()));
            }
            Err(error) => return Err(server.advise(error)),
        }
    }
    revoke_in_database(token.as_deref(), all_of.as_deref(), config).await?;
    print(&format!("{subject} revoked in the database: a server that runs refuses them within two seconds\n"))
}

async fn revoke_in_database(token: Option<&str>, all_of: Option<&str>, config: &Config) -> Result<(), CliError> {
    let now = Timestamp::now();
    let (write, object) = match (token, all_of) {
        (Some(token), _) => {
            let keys = known_keys(config).await?.keys;
            let claims = keys.verify_all_but_expiry(token, now).map_err(|_| {
                CliError("the server would refuse this token anyway: `parlance token inspect` says why".to_owned())
            })?;
            let until = claims.revoked_until(now, keys.ttl());
            (Write::RevokeToken { until, key: claims.revocation_key.into() }, format!("a token of {}", claims.user))
        }
        (None, name) => {
            let name = name.unwrap_or_default();
            let account = find(config, name)?.ok_or_else(|| no_user(name))?;
            let user = account.profile.id.clone();
            (Write::RevokeTokensOf { user: user.clone(), valid_from: now }, user.to_string())
        }
    };
    let store = user::open(config).await?;
    store.write(write).await.map_err(|error| user::failed(&error))?;
    user::note(&store, "token revoke", &object).await
}
