//! Users as people and other servers call them.
use super::failure::Failure;
use super::settings::WebState;
use crate::chat::ChatError;
use crate::model::{Account, MODEL_USER, UserId};
use crate::store::{self, AnyConnection};

/// Longest name that is looked up, in characters: no e-mail address is longer.
pub const USER_NAME_MAX: usize = 254;

/// The user with this id, username or, for a server with a key or an administrator (`by_address`), e-mail address: whose that
/// is is nobody else's business. The model is nobody.
///
/// # Errors
/// [`ChatError::UserNotFound`]; 503 while the store is away.
pub async fn user_called(state: &WebState, name: &str, by_address: bool) -> Result<Account, Failure> {
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
