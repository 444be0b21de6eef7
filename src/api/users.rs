//! Other users, and a user's own profile.
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::limits::{AVATAR_MAX, SEARCH_MAX};
use super::own_password::OwnPassword;
use super::sessions::find_account;
use super::shapes::{UserView, own_user};
use crate::chat::{Command, UserPresence};
use crate::config::PresenceScope;
use crate::model::{Account, Timestamp, UserId};
use crate::store::{self, AccountChange};
use crate::web::{
    AccountFields, Admin, AuthenticatedUser, Body, Cursor, HttpError, Page, PageRequest, Query, WebState, change_account,
    changed, emptiable, user_in_path,
};

/// Time after which a user with too many running searches may retry.
const SEARCH_WAIT: Duration = Duration::from_secs(1);

/// `GET /api/users?query=&limit=`
pub(super) async fn search(state: Data<WebState>, user: AuthenticatedUser, query: Query) -> Result<HttpResponse, HttpError> {
    let limit = i64::try_from(query.limit()?).unwrap_or(i64::MAX);
    let text = query.get("query").filter(|text| !text.is_empty()).ok_or_else(|| HttpError::bad_request("query is required"))?;
    if text.chars().count() > SEARCH_MAX {
        return Err(HttpError::invalid("query"));
    }
    let text = text.to_owned();
    let _search = state.rate_limit.begin_search(user.id()).ok_or_else(|| HttpError::rate_limited(SEARCH_WAIT))?;
    let found = state.store.search(move |conn| store::search_users(conn, &text, limit)).await?;
    let ids = found.iter().map(|account| account.profile.id.clone()).collect();
    let presence = presence_of(&state, &user, ids).await?;
    let users: Vec<_> = found.iter().zip(&presence).map(|(account, presence)| view(&user, account, presence.as_ref())).collect();
    Ok(HttpResponse::Ok().json(json!({"success": true, "users": users})))
}

/// `GET /api/users/online`, in order of id.
pub(super) async fn online(state: Data<WebState>, user: AuthenticatedUser, query: Query) -> Result<HttpResponse, HttpError> {
    let request = PageRequest::read(&query, 'u', |key| UserId::parse(key).ok())?;
    let mut online = state.chat.online_users(user.id().clone()).await?;
    online.sort_by(|(one, _), (other, _)| one.profile.id.cmp(&other.profile.id));
    let after = match &request.page {
        Page::Newest => None,
        Page::Before(key) | Page::After(key) => Some(key),
    };
    let mut rest = online.iter().filter(|(account, _)| after.is_none_or(|after| account.profile.id > *after)).peekable();
    let page: Vec<_> = rest.by_ref().take(request.limit).collect();
    let next =
        if rest.peek().is_some() { page.last().map(|(account, _)| Cursor::new('u', &account.profile.id).encode()) } else { None };
    let users: Vec<_> = page.iter().map(|(account, presence)| view(&user, account, Some(presence))).collect();
    Ok(HttpResponse::Ok().json(json!({"success": true, "users": users, "nextCursor": next})))
}

/// Returns the presence of users as the requester sees it, in their order; `None` if the requester may not see it.
async fn presence_of(
    state: &WebState,
    requester: &AuthenticatedUser,
    users: Vec<UserId>,
) -> Result<Vec<Option<UserPresence>>, HttpError> {
    let own = requester.id().clone();
    let contacts = if state.settings.presence_scope == PresenceScope::Contacts && !requester.is_admin() {
        let (user, others) = (own.clone(), users.clone());
        Some(state.store.read_after_writes(move |conn| store::list_contacts(conn, &user, &others)).await?)
    } else {
        None
    };
    let is_shown = |user: &UserId| contacts.as_ref().is_none_or(|contacts| *user == own || contacts.contains(user));
    let presence = state.chat.presence_of(own.clone(), users.clone()).await?;
    Ok(users.iter().zip(presence).map(|(user, presence)| Some(presence).filter(|_| is_shown(user))).collect())
}

fn view<'a>(requester: &AuthenticatedUser, account: &'a Account, presence: Option<&UserPresence>) -> UserView<'a> {
    UserView::new(account, presence, requester.is_admin() || account.profile.id == *requester.id())
}

/// `GET /api/users/{id}`
pub(super) async fn find(
    state: Data<WebState>,
    user: AuthenticatedUser,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let id = user_in_path(&request, "id")?;
    let account = find_account(&state, &id).await?;
    let presence = presence_of(&state, &user, vec![id]).await?.pop().flatten();
    Ok(HttpResponse::Ok().json(json!({"success": true, "user": view(&user, &account, presence.as_ref())})))
}

/// `GET /api/users/{id}/sockets`
pub(super) async fn sockets(state: Data<WebState>, _: Admin, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let id = user_in_path(&request, "id")?;
    find_account(&state, &id).await?;
    let sockets = state.chat.sockets_of(id).await?;
    Ok(HttpResponse::Ok().json(json!({"success": true, "sockets": sockets})))
}

/// Fields of `PATCH /api/users/me`.
const OWN_FIELDS: [&str; 6] = ["username", "email", "fullName", "avatar", "password", "oldPassword"];

/// `PATCH /api/users/me` `{username?,email?,fullName?,avatar?,password?,oldPassword?}`. An empty text clears the field.
/// Changing a credential needs the present password.
pub(super) async fn update_me(
    state: Data<WebState>,
    own_password: OwnPassword,
    user: AuthenticatedUser,
    body: Body,
) -> Result<HttpResponse, HttpError> {
    let fields = AccountFields::read(&body)?;
    fields.check_for(user.account.profile.email.as_deref())?;
    let avatar = emptiable(body.bounded_text("avatar", 0, AVATAR_MAX)?);
    let ignored = body.ignored(&OWN_FIELDS);
    let AccountFields { username, email, full_name, password } = fields;
    if username.is_none() && email.is_none() && password.is_none() {
        let account: Arc<Account> = state.chat.ask_for(user.id(), Command::UpdateProfile { full_name, avatar }).await?;
        return Ok(changed(json!({"user": own_user(&state, &account).await?}), ignored));
    }
    let old = body.text("oldPassword")?.to_owned();
    own_password.must_be(&user, old).await?;
    let password_hash = match password {
        Some(password) => Some(own_password.hash(password).await?),
        None => None,
    };
    let kept_login = user.claims.login.clone();
    let nothing = AccountChange::of(user.id().clone(), Timestamp::now());
    let change = AccountChange { username, email, full_name, avatar, password_hash, kept_login, ..nothing };
    let account = change_account(&state, change).await?;
    Ok(changed(json!({"user": own_user(&state, &account).await?}), ignored))
}
