//! Passwords of callers: proof that one knows the present one, and hashes of new ones.
use std::time::Instant;

use actix_web::dev::Payload;
use actix_web::web::{Data, ReqData};
use actix_web::{Error, FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use crate::store;
use crate::web::{AuthenticatedUser, HttpError, LoginLimit, PasswordWork, RequestOrigin, Tried, WebState};

/// Checks and hashes the password of a caller.
pub(super) struct OwnPassword {
    state: Data<WebState>,
    limit: Data<LoginLimit>,
    passwords: Data<PasswordWork>,
    origin: ReqData<RequestOrigin>,
}

impl FromRequest for OwnPassword {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let parts = <(Data<_>, Data<_>, Data<_>, ReqData<_>)>::from_request(request, payload);
        Box::pin(async move {
            let (state, limit, passwords, origin) = parts.await?;
            Ok(Self { state, limit, passwords, origin })
        })
    }
}

impl OwnPassword {
    /// Refuses a caller who does not know the password of the token's user. Each attempt counts like a login.
    pub(super) async fn must_be(&self, user: &AuthenticatedUser, password: String) -> Result<(), HttpError> {
        let tried = Tried { account: Some(user.id().to_string()), address: self.origin.client.address };
        self.limit.attempt(&tried, Instant::now()).map_err(HttpError::rate_limited)?;
        let id = user.id().clone();
        let hash = self.state.store.read(move |conn| store::find_password_hash(conn, &id)).await?;
        let verified = self.passwords.verify(self.origin.client.address, password, hash).await;
        if !verified.inspect_err(|_| self.limit.forgive(&tried))? {
            return Err(HttpError::invalid_credentials());
        }
        self.limit.forgive(&tried);
        Ok(())
    }

    /// Hashes a new password.
    pub(super) async fn hash(&self, password: String) -> Result<String, HttpError> {
        self.passwords.hash(self.origin.client.address, password).await
    }
}
