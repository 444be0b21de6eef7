//! Fields of an account in a body, and changes of accounts.
use actix_web::HttpResponse;
use serde_json::{Map, Value, json};

use super::body::Body;
use super::http_error::HttpError;
use super::settings::WebState;
use crate::auth::{check_email, check_full_name, check_password, check_username};
use crate::chat::ChatError;
use crate::model::{Account, MODEL_USER, UserId};
use crate::store::{self, AccountChange, Store, StoreError, Write};

/// Fields that users and administrators may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFields {
    /// Username, trimmed.
    pub username: Option<String>,
    /// E-mail address; an empty text clears it.
    pub email: Option<Option<String>>,
    /// The full name; an empty text clears it.
    pub full_name: Option<Option<String>>,
    /// A new password.
    pub password: Option<String>,
}

impl AccountFields {
    /// Reads the fields. [`AccountFields::check_for`] checks the username.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn read(body: &Body) -> Result<Self, HttpError> {
        let email = emptiable(body.optional_text("email")?);
        email.as_ref().and_then(Option::as_deref).map_or(Ok(()), check_email)?;
        let full_name = emptiable(body.optional_text("fullName")?);
        full_name.as_ref().and_then(Option::as_deref).map_or(Ok(()), check_full_name)?;
        let password = body.optional_text("password")?.map(str::to_owned);
        password.as_deref().map_or(Ok(()), check_password)?;
        let username = body.optional_text("username")?.map(|name| name.trim().to_owned());
        Ok(Self { username, email, full_name, password })
    }

    /// Checks the username for an account with this address: a name that is an address must be the account's own.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn check_for(&self, known_email: Option<&str>) -> Result<(), HttpError> {
        let email = self.email.as_ref().map_or(known_email, Option::as_deref);
        self.username.as_deref().map_or(Ok(()), |name| check_username(name, email))?;
        Ok(())
    }
}

/// Returns `None` if absent, `Some(None)` to clear (empty), else the new value.
pub fn emptiable(text: Option<&str>) -> Option<Option<String>> {
    text.map(|text| (!text.is_empty()).then(|| text.to_owned()))
}

/// Stores changes of an account, which take effect at once, also on its sockets; returns the changed account.
///
/// # Errors
/// 404 if it does not exist, 409 if a name or an address is taken, 503 while the store is away.
pub async fn change_account(state: &WebState, change: AccountChange) -> Result<Account, HttpError> {
    let user = change.user.clone();
    state.store.write(Write::ChangeAccount(Box::new(change))).await?;
    state.chat.follow_account(user.clone()).await?;
    stored_account(state, &user).await
}

/// Finds an account, whether it is deleted or not, after all pending writes.
///
/// # Errors
/// The store is away.
pub async fn find_stored(store: &Store, user: &UserId) -> Result<Option<Account>, StoreError> {
    let id = user.clone();
    store.read_after_writes(move |conn| store::find_account(conn, &id)).await
}

/// Returns the account of a person who is not deleted, after all pending writes.
///
/// # Errors
/// 404 if there is none, 503 while the store is away.
pub async fn stored_account(state: &WebState, user: &UserId) -> Result<Account, HttpError> {
    let found = find_stored(&state.store, user).await?;
    let is_person = |account: &Account| !account.is_deleted && account.profile.id.as_str() != MODEL_USER;
    found.filter(is_person).ok_or_else(|| ChatError::UserNotFound.into())
}

/// Answers a change with `{success: true}`, these fields, and the ignored ones, if any.
pub fn changed(fields: Value, ignored: Vec<String>) -> HttpResponse {
    let mut answer = Map::from_iter([("success".to_owned(), Value::Bool(true))]);
    if let Value::Object(fields) = fields {
        answer.extend(fields);
    }
    if !ignored.is_empty() {
        answer.insert("ignored".to_owned(), json!(ignored));
    }
    HttpResponse::Ok().json(answer)
}
