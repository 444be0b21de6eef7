//! Users by id, name or e-mail address.
use super::http_error::HttpError;
use super::settings::WebState;
use crate::chat::ChatError;
use crate::model::{Account, MODEL_USER, UserId};
use crate::store::{self, AnyConnection};

/// Longest name that is looked up, in characters: the maximum length of e-mail addresses.
pub const USER_NAME_MAX: usize = 254;

/// Returns the user with this id, username or, if `by_address`, e-mail address. Only servers with a key and
/// administrators may look up addresses. The model is never found.
///
/// # Errors
/// [`ChatError::UserNotFound`]; 503 if the store is unavailable.
pub async fn find_user(state: &WebState, name: &str, by_address: bool) -> Result<Account, HttpError> {
    let (id, name) = (UserId::parse(name).ok(), name.to_owned());
    let find = move |conn: &mut AnyConnection| match id.map(|id| store::find_account(conn, &id)).transpose()?.flatten() {
        Some(account) => Ok(Some(account)),
        None if by_address => Ok(store::find_credentials(conn, &name)?.map(|(account, _)| account)),
        None => store::find_by_username(conn, &name),
    };
    let found = state.store.read_after_writes(find).await?;
    let is_model = |account: &Account| account.profile.id.as_str() == MODEL_USER;
    found.filter(|account| !is_model(account)).ok_or_else(|| ChatError::UserNotFound.into())
}
