//! The two people of the demo: users without a password, deleted when somebody registers.
use std::net::{IpAddr, Ipv6Addr};

use actix_web::http::header::HeaderMap;
use log::{info, warn};

use super::account_fields::find_stored;
use super::chat::Chat;
use super::http_error::HttpError;
use super::middleware::RequestOrigin;
use super::settings::WebState;
use crate::chat::{Administer, ChatError};
use crate::config::WebChat;
use crate::model::{Account, MODEL_USER, Timestamp, UserId, UserRole};
use crate::store::{self, NewUser, Store, StoreError, Write};

/// Prefix of their ids.
const MARK: &str = "demo:";
/// Their ids behind the prefix, and their names.
const PEOPLE: [(&str, &str); 2] = [("ada", "Ada"), ("ben", "Ben")];

/// Headers that only a proxy sends.
const FORWARDED: [&str; 5] = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

/// Returns whether this request may see the demo: it comes from this machine, and nobody has an account.
///
/// # Errors
/// 503 while the store is away.
pub async fn may_see_demo(state: &WebState, origin: &RequestOrigin, headers: &HeaderMap) -> Result<bool, HttpError> {
    if !state.settings.offers_demo || !comes_from_here(origin, headers) {
        return Ok(false);
    }
    let are_gone = state.store.read_after_writes(|conn| {
        let people = PEOPLE.iter().filter_map(|(name, _)| id(name).ok());
        let people = people.map(|id| store::find_account(conn, &id)).collect::<Result<Vec<_>, _>>()?;
        Ok(people.into_iter().flatten().any(|account| account.is_deleted))
    });
    Ok(!are_gone.await? && (state.settings.web_chat == WebChat::Demo || !has_accounts(&state.store).await?))
}

/// Returns whether anybody has an account, beside the demo's people and the model.
async fn has_accounts(store: &Store) -> Result<bool, StoreError> {
    // One more than those who do not count.
    let most = i64::try_from(PEOPLE.len()).unwrap_or_default() + 2;
    let accounts = store.read_after_writes(move |conn| store::list_accounts(conn, None, most)).await?;
    let is_somebody = |id: &UserId| id.as_str() != MODEL_USER && !id.as_str().starts_with(MARK);
    Ok(accounts.iter().any(|account| is_somebody(&account.profile.id)))
}

/// Deletes the demo's people at the start of a server that does not show them: settings were changed, or the command line
/// has made an account.
pub async fn end_old_demo(store: &Store, chat: &Chat, offers_demo: bool, web_chat: WebChat) {
    // A store that is away now is asked again at the next start.
    let is_over = !offers_demo || web_chat == WebChat::On && has_accounts(store).await.unwrap_or_default();
    if is_over {
        end_demo(store, chat).await;
    }
}

/// Returns whether a request comes from this machine, through no proxy, and to one of its own names: a foreign host name that
/// resolves to loopback (DNS rebinding) does not count.
fn comes_from_here(origin: &RequestOrigin, headers: &HeaderMap) -> bool {
    let is_near = origin.client.address.is_some_and(|address| address.to_canonical().is_loopback());
    let is_direct = FORWARDED.iter().all(|name| !headers.contains_key(*name));
    is_near && is_direct && origin.client.host.as_deref().is_some_and(is_this_machine)
}

/// Returns whether a `Host` can only mean this machine.
fn is_this_machine(host: &str) -> bool {
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(host, |(name, _)| name);
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_loopback = match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
        None => name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
    };
    is_loopback || name.eq_ignore_ascii_case("localhost")
}

/// Returns the accounts of the demo's people, and creates the missing ones.
///
/// # Errors
/// 503 while the store is away.
pub async fn demo_people(state: &WebState) -> Result<Vec<Account>, HttpError> {
    let mut people = Vec::new();
    for (name, full_name) in PEOPLE {
        let id = id(name)?;
        let mut account = find_stored(&state.store, &id).await?;
        if account.is_none() {
            let user = NewUser {
                id: id.clone(),
                username: format!("{name}-demo"),
                suffix_if_taken: true,
                email: None,
                full_name: Some(full_name.to_owned()),
                password_hash: None,
                role: UserRole::User,
                described_at: None,
                created_at: Timestamp::now(),
            };
            match state.store.write(Write::CreateUser(Box::new(user))).await {
                // Two pages may open at once.
                Ok(_) | Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
            account = find_stored(&state.store, &id).await?;
        }
        people.push(account.ok_or(ChatError::UserNotFound)?);
    }
    Ok(people)
}

/// Deletes the demo's people: from then on their tokens are refused. Failures are logged.
pub async fn end_demo(store: &Store, chat: &Chat) {
    for id in PEOPLE.iter().filter_map(|(name, _)| id(name).ok()) {
        if !matches!(find_stored(store, &id).await, Ok(Some(account)) if !account.is_deleted) {
            continue;
        }
        match chat.administer(Administer::Delete { user: id.clone(), keeps_name: false }).await {
            Ok(_) => info!(user:% = id; "the demo is over"),
            Err(http_error) => warn!(user:% = id, code = http_error.code(); "the demo's user could not be deleted"),
        }
    }
}

fn id(name: &str) -> Result<UserId, HttpError> {
    UserId::parse(&format!("{MARK}{name}")).map_err(HttpError::internal)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;
    use crate::http::{Client, OriginVerdict};

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST:3000", true),
            ("127.0.0.1:3000", true),
            ("127.8.0.1", true),
            ("[::1]:3000", true),
            ("[::1]", true),
            ("chat.example.org", false),
            ("localhost.example.org:3000", false),
            ("192.168.0.7:3000", false),
            ("[2001:db8::1]:3000", false),
            ("localhost:", true),
            ("localhost:x", false),
            ("", false),
        ] {
            assert_eq!(is_this_machine(host), expected, "{host}");
        }
    }

    #[test]
    fn whoever_comes_through_a_proxy_comes_from_elsewhere() {
        let from = |address: &str| RequestOrigin {
            client: Client { address: address.parse().ok(), secure: false, host: Some("localhost:3000".to_owned()) },
            verdict: OriginVerdict::NoOrigin,
        };
        let mut headers = HeaderMap::new();
        assert!(comes_from_here(&from("127.0.0.1"), &headers));
        assert!(comes_from_here(&from("::ffff:127.0.0.1"), &headers));
        assert!(!comes_from_here(&from("192.168.0.7"), &headers));
        headers.insert(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_static("203.0.113.9"));
        assert!(!comes_from_here(&from("127.0.0.1"), &headers));
    }
}
