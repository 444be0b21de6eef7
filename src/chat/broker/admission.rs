//! Admission: who may come in.
use super::Broker;
use crate::auth::{AuthError, Claims, description};
use crate::chat::ports::{Connect, Notice, RefusedConnect};
use crate::engineio::{CloseReason, ConnectionKey};
use crate::logging::{RefusalKind, RefusalNote};
use crate::model::{Description, MODEL_USER, Timestamp, UserId, name_of_id};
use crate::store::NewUser;

impl Broker {
    /// Closes a connection before its CONNECT is answered, for what a retry can cure.
    pub(super) fn turn_away(&self, connect: &Connect, code: &'static str, cause: &str, reason: CloseReason) {
        let (kind, user, address) = (RefusalKind::Connect, Some(connect.claims.user.as_str()), connect.peer.address);
        let note = RefusalNote { kind, code, cause, sid: Some(connect.socket.as_str()), user, event: None, address };
        self.observers.refusals.note(&note);
        self.notify(connect.connection, Notice::Close(reason));
    }

    pub(super) fn refuse_socket(&mut self, connection: ConnectionKey, user: &UserId, refusal: RefusedConnect) {
        let now = self.now();
        self.observers.traces.note(user, |trace| trace.incidents_mut().refused = Some((now, refusal)));
        self.notify(connection, Notice::Refused(refusal));
    }

    /// Returns whether the user has as many sockets as one may; a further one is turned away.
    pub(super) fn is_full(&self, connect: &Connect) -> bool {
        let (limit, sockets) = (self.options.max_sockets_per_user, self.sockets_of(&connect.claims.user).len());
        let is_full = limit > 0 && sockets >= limit;
        if is_full {
            let cause = format!("the user has {sockets} sockets (MAX_SOCKETS_PER_USER)");
            self.turn_away(connect, "TOO_MANY_SOCKETS", &cause, CloseReason::Unavailable);
        }
        is_full
    }

    /// Checks that a verified token proves a user of ours, now.
    pub(super) fn check(&mut self, claims: &Claims) -> Result<(), RefusedConnect> {
        let now = self.now();
        let user = self.users.get_mut(&claims.user).ok_or(RefusedConnect::UserNotFound)?;
        user.used_at = now;
        if claims.user.as_str() == MODEL_USER {
            return Err(RefusedConnect::UserNotFound);
        }
        let account = user.account.clone();
        crate::auth::check(claims, &account, &self.users.revocations, now).map_err(|refusal| match refusal {
            AuthError::AccountDisabled => RefusedConnect::AccountDisabled,
            AuthError::UserNotFound => RefusedConnect::UserNotFound,
            AuthError::TokenExpired => RefusedConnect::TokenExpired,
            AuthError::NoToken | AuthError::InvalidToken => RefusedConnect::InvalidToken,
        })
    }

    /// Returns the description that a token made elsewhere gives of its user, if it says something new, the token proves a
    /// user, and such tokens make users.
    pub(in crate::chat) fn description_of(&mut self, claims: &Claims) -> Option<Description> {
        if !self.options.auto_provision_users || claims.login.is_some() {
            return None;
        }
        let account = &self.users.get(&claims.user)?.account;
        let description = Some(description(claims)).filter(|description| !description.is_known(account))?;
        self.check(claims).is_ok().then_some(description)
    }
}

/// The user that a token describes.
pub(super) fn provisioned_user(claims: &Claims, now: Timestamp) -> NewUser {
    let Description { username, email, full_name, role, said_at } = description(claims);
    NewUser {
        id: claims.user.clone(),
        username: username.unwrap_or_else(|| name_of_id(&claims.user)),
        suffix_if_taken: true,
        email,
        full_name,
        password_hash: None,
        role: role.unwrap_or_default(),
        described_at: said_at,
        created_at: now,
    }
}
