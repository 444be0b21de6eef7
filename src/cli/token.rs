//! `parlance token …`: makes, inspects and revokes tokens.
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Map, Value, json};

use super::database;
use super::error::CliError;
use super::output::{print, remark};
use super::remote::{AskError, Remote, RemoteOptions};
use super::user::{self, Role};
use crate::auth::{Claims, Examined, Revocations, TokenKeys, check, find_kept_secret, new_login_id, token_secrets};
use crate::config::{Config, Secret, parse_length};
use crate::env::Environment;
use crate::model::{Account, MODEL_USER, Timestamp, UserId, UserRole};
use crate::store::{self, AnyConnection, QueryResult, Write};

/// Commands on tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
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
pub(super) struct NewToken {
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
pub(super) struct RevokeToken {
    /// The token, or - to read it from standard input: revokes it, and all others of the same login.
    token: Option<String>,
    /// All tokens of this user: id, username or e-mail address.
    #[arg(long, value_name = "USER")]
    all_of: Option<String>,
    #[command(flatten)]
    remote: RemoteOptions,
}

/// Runs a command.
pub(super) async fn execute(command: &TokenCommand, environment: &Environment, config: &Config) -> Result<(), CliError> {
    match command {
        TokenCommand::New(new) => make(new, config),
        TokenCommand::Inspect { token, json } => inspect(&given(token)?, *json, config),
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

/// Queries the database without changing it; `None` if it does not exist or has no tables.
fn ask<T>(config: &Config, question: impl FnOnce(&mut AnyConnection) -> QueryResult<T>) -> Result<Option<T>, CliError> {
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
fn find(config: &Config, name: &str) -> Result<Option<Account>, CliError> {
    let id = UserId::parse(name).ok();
    let found = ask(config, |conn| match id.map(|id| store::find_account(conn, &id)).transpose()?.flatten() {
        Some(account) => Ok(Some(account)),
        None => Ok(store::find_credentials(conn, name)?.map(|(account, _)| account)),
    })?;
    Ok(found.flatten().filter(|account| account.profile.id.as_str() != MODEL_USER))
}

fn no_user(name: &str) -> CliError {
    CliError(format!("there is no user {name:?}: `parlance user list` shows all, `parlance user add` makes one"))
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
            let id = UserId::parse(user).map_err(|_| CliError(format!("{user:?} is not a user id: 1 to 64 characters")))?;
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

// ---- inspect ----

/// Returns the secrets that verify tokens, with their names. Creates none.
fn named_secrets(config: &Config) -> Result<Vec<(String, Secret)>, CliError> {
    let set = config.named_jwt_secrets();
    if !set.is_empty() {
        return Ok(set.into_iter().map(|(name, secret)| (name.to_owned(), secret)).collect());
    }
    let kept = find_kept_secret(config).map_err(CliError::new)?;
    Ok(kept.into_iter().map(|kept| (kept.path.display().to_string(), kept.secret)).collect())
}

fn inspect(token: &str, as_json: bool, config: &Config) -> Result<(), CliError> {
    let named = named_secrets(config)?;
    let secrets: Vec<_> = named.iter().map(|(_, secret)| secret.clone()).collect();
    let keys = TokenKeys::new(&secrets, config.require_exp, config.token_ttl);
    let examined = keys.examine(token).map_err(|_| {
        CliError("this is not a token: three parts with dots between, each base64url, as `parlance token new` prints".to_owned())
    })?;
    let now = Timestamp::now();
    let claims = keys.verify_all_but_expiry(token, now).ok();
    let signer = examined.signed_by.and_then(|place| named.get(place)).map(|(name, _)| name.as_str());
    let mut faults = faults_of_form(&examined, claims.as_ref(), config, now);
    let account = match &claims {
        Some(claims) => {
            let (account, more) = faults_of_user(claims, config, now)?;
            faults.extend(more);
            account
        }
        None => None,
    };
    let text = match as_json {
        true => format!("{:#}\n", as_json_text(&examined, signer, account.as_ref(), &faults)),
        false => as_text(&examined, signer, account.as_ref(), &faults, now),
    };
    print(&text)?;
    if faults.is_empty() { Ok(()) } else { Err(CliError::reported()) }
}

/// Returns the time in a claim, which is in seconds.
fn instant(payload: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    let seconds = payload.get(name)?.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
    let millis = (seconds * 1_000.0) as i64;
    Some(Timestamp::from_millis(millis))
}

/// Lists reasons why the token itself is invalid.
fn faults_of_form(examined: &Examined, claims: Option<&Claims>, config: &Config, now: Timestamp) -> Vec<String> {
    let Examined { header, payload, signed_by } = examined;
    let mut faults = Vec::new();
    let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or("none");
    if algorithm != "HS256" {
        faults.push(format!("it is signed with {algorithm}, and only HS256 is accepted: have its issuer sign with that"));
    } else if signed_by.is_none() {
        faults.push(
            "no secret of this configuration signed it: JWT_SECRET must be that of its maker (`parlance config` shows where it is set)"
                .to_owned(),
        );
    }
    let expires_at = instant(payload, "exp");
    if let Some(expires_at) = expires_at.filter(|expires_at| *expires_at <= now) {
        faults.push(format!("it expired {}: its user has to log in again", ago(expires_at, now)));
    }
    if expires_at.is_none() && config.require_exp {
        faults.push("it never expires, and REQUIRE_EXP wants an exp".to_owned());
    }
    if let Some(begins_at) = instant(payload, "nbf").filter(|begins_at| *begins_at > now) {
        faults.push(format!("it is not valid yet: it begins {}", ago(begins_at, now)));
    }
    if !["id", "userId", "sub"].iter().any(|name| payload.contains_key(*name)) {
        faults.push("it names no user: id, userId or sub must".to_owned());
    }
    if faults.is_empty() && claims.is_none() {
        faults.push("a claim is not of its kind, or the header has extensions (crit)".to_owned());
    }
    faults
}

/// Lists reasons why its user is not let in; also returns the user.
fn faults_of_user(claims: &Claims, config: &Config, now: Timestamp) -> Result<(Option<Account>, Vec<String>), CliError> {
    let id = claims.user.clone();
    let asked = ask(config, |conn| Ok((store::find_account(conn, &id)?, store::list_revoked(conn, now)?)))?;
    let (account, revoked) = asked.unwrap_or_default();
    let revocations = Revocations::new(revoked);
    let mut faults = Vec::new();
    if revocations.has(claims) {
        faults.push("it was revoked, or its user logged out: they have to log in again".to_owned());
    }
    match &account {
        None if config.auto_provision_users && id.as_str() != MODEL_USER => {}
        None => faults.push(format!("there is no user {:?}: make one, or set AUTO_PROVISION_USERS=true", id.as_str())),
        Some(account) if account.disabled => faults.push("the account is disabled".to_owned()),
        Some(account) => {
            // Expiry and revocation of the token were reported above; this finds a changed password, or the revocation
            // of all tokens.
            let timeless = Claims { expires_at: None, ..claims.clone() };
            if check(&timeless, account, &Revocations::default(), now).is_err() {
                faults.push("it is older than the user's last change of password, or all older ones were revoked".to_owned());
            }
        }
    }
    Ok((account, faults))
}

fn as_text(examined: &Examined, signer: Option<&str>, account: Option<&Account>, faults: &[String], now: Timestamp) -> String {
    let payload = &examined.payload;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // A claim comes from outside: no part of it may look like a line of ours. Writing to a String cannot fail.
        let value: String = value.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
        let _ = writeln!(text, "{name:10} {value}");
    };
    let claimed = ["id", "userId", "sub"].iter().find_map(|name| payload.get(*name)).map(bare);
    line(
        "user",
        match (account, claimed) {
            (Some(Account { profile, .. }), _) => format!("{} ({}, id {})", profile.username, profile.role.as_str(), profile.id),
            (None, Some(id)) => id,
            (None, None) => "(none)".to_owned(),
        },
    );
    for (name, claim) in [("issued", "iat"), ("begins", "nbf"), ("expires", "exp")] {
        if let Some(at) = instant(payload, claim) {
            line(name, format!("{at} ({})", ago(at, now)));
        } else if claim == "exp" {
            line(name, "never".to_owned());
        }
    }
    if let Some(login) = payload.get("login") {
        line("login", bare(login));
    }
    line("signature", signer.map_or_else(|| "by none of the configured secrets".to_owned(), |name| format!("right, by {name}")));
    line("claims", Value::Object(payload.clone()).to_string());
    match faults {
        [] => line("valid", "yes".to_owned()),
        _ => faults
            .iter()
            .enumerate()
            .for_each(|(place, fault)| line(if place == 0 { "valid" } else { "" }, format!("no: {fault}"))),
    }
    text
}

fn as_json_text(examined: &Examined, signer: Option<&str>, account: Option<&Account>, faults: &[String]) -> Value {
    let user = account.map(|Account { profile, disabled, .. }| {
        json!({"id": profile.id, "username": profile.username, "role": profile.role.as_str(), "disabled": disabled})
    });
    json!({
        "valid": faults.is_empty(),
        "reasons": faults,
        "signedBy": signer,
        "user": user,
        "header": examined.header,
        "claims": examined.payload,
    })
}

fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Formats the distance between two times in the largest unit that fits.
fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_millis().saturating_sub(at.as_millis()) / 1_000;
    let (count, unit) = match seconds.unsigned_abs() {
        seconds @ ..120 => (seconds, "seconds"),
        seconds @ ..7_200 => (seconds / 60, "minutes"),
        seconds @ ..172_800 => (seconds / 3_600, "hours"),
        seconds => (seconds / 86_400, "days"),
    };
    if seconds >= 0 { format!("{count} {unit} ago") } else { format!("in {count} {unit}") }
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
            let secrets: Vec<_> = named_secrets(config)?.into_iter().map(|(_, secret)| secret).collect();
            let keys = TokenKeys::new(&secrets, config.require_exp, config.token_ttl);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_given_from_now() {
        let now = Timestamp::from_millis(1_000_000_000_000);
        for (seconds, expected) in [
            (0, "0 seconds ago"),
            (-90, "90 seconds ago"),
            (-7_199, "119 minutes ago"),
            (7_200, "in 2 hours"),
            (604_800, "in 7 days"),
        ] {
            assert_eq!(ago(now.plus_millis(seconds * 1_000), now), expected);
        }
    }
}
