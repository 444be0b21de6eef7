//! `parlance token inspect`: the claims of a token, and its faults.
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::known::{KnownKeys, ask, known_keys};
use crate::auth::{Claims, Examined, Revocations, check};
use crate::cli::error::CliError;
use crate::cli::output::print;
use crate::config::Config;
use crate::model::{Account, MODEL_USER, Timestamp};
use crate::store;

/// Prints a token's claims and faults.
pub(super) async fn inspect(token: &str, as_json: bool, config: &Config) -> Result<(), CliError> {
    let KnownKeys { keys, secret_names, unread } = known_keys(config).await?;
    let now = Timestamp::now();
    let examined = keys.examine(token, &secret_names, now).map_err(|_| {
        CliError("this is no token: three parts with dots between, each base64url, as `parlance token new` prints".to_owned())
    })?;
    let claims = keys.verify_all_but_expiry(token, now).ok();
    let mut faults = [examined.faults.clone(), faults_of_time(&examined, now)].concat();
    if claims.is_none() {
        faults.extend(unread.iter().map(|(issuer, cause)| format!("the keys of {issuer} cannot be read: {cause}")));
    }
    if faults.is_empty() && claims.is_none() {
        faults.push("a claim is not of its kind, or stands twice".to_owned());
    }
    let account = match &claims {
        Some(claims) => {
            let (account, more) = faults_of_user(claims, config, now)?;
            faults.extend(more);
            account
        }
        None => None,
    };
    let text = match as_json {
        true => format!("{:#}\n", as_json_text(&examined, account.as_ref(), &faults)),
        false => as_text(&examined, account.as_ref(), &faults, now),
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

/// Lists faults of the token's times.
fn faults_of_time(examined: &Examined, now: Timestamp) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(expires_at) = examined.expires_at.filter(|expires_at| *expires_at <= now) {
        faults.push(format!("it expired {}: its user has to log in again", ago(expires_at, now)));
    }
    if let Some(begins_at) = examined.begins_at.filter(|begins_at| *begins_at > now) {
        faults.push(format!("it is not valid yet: it begins {}", ago(begins_at, now)));
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

fn as_text(examined: &Examined, account: Option<&Account>, faults: &[String], now: Timestamp) -> String {
    let payload = &examined.payload;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // A claim comes from outside: no part of it may look like a line of ours. Writing to a String cannot fail.
        let value: String = value.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
        let _ = writeln!(text, "{name:10} {value}");
    };
    let claimed = examined.user_claim.as_ref().map(|name| payload.get(name).map_or_else(|| format!("by {name}"), bare));
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
    let signer = examined.signed_by.as_ref();
    line("signature", signer.map_or_else(|| "by no key that is known here".to_owned(), |name| format!("right, by {name}")));
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

fn as_json_text(examined: &Examined, account: Option<&Account>, faults: &[String]) -> Value {
    let user = account.map(|Account { profile, disabled, .. }| {
        json!({"id": profile.id, "username": profile.username, "role": profile.role.as_str(), "disabled": disabled})
    });
    json!({
        "valid": faults.is_empty(),
        "reasons": faults,
        "signedBy": examined.signed_by,
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
