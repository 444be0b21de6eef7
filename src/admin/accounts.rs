//! Accounts, created and changed by administrators and servers.
use actix_web::web::{Data, ReqData};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth::check_password_hash;
use crate::model::{Account, Profile, Timestamp, UserId, UserRole};
use crate::store::{self, AccountChange, NewUser, Write};
use crate::web::{
    AccountFields, ActsOn, Admin, Body, HttpError, PasswordWork, RequestOrigin, WebState, change_account, changed, find_stored,
    stored_account, user_in_path,
};

/// An account in answers to administrators.
fn shown(account: &Account) -> Value {
    let Profile { id, username, full_name, avatar, email, role } = &*account.profile;
    json!({
        "id": id, "username": username, "fullName": full_name, "avatar": avatar, "email": email, "role": role.as_str(),
        "disabled": account.disabled, "guest": id.is_guest(),
    })
}

fn role(body: &Body) -> Result<Option<UserRole>, HttpError> {
    let role = body.optional_text("role")?;
    role.map(|role| UserRole::parse(role).ok_or_else(|| HttpError::invalid("role"))).transpose()
}

/// Returns the hash of a new password: of one that was sent, or a hash that another system made.
async fn password_hash(
    fields: &AccountFields,
    body: &Body,
    passwords: &PasswordWork,
    origin: &RequestOrigin,
) -> Result<Option<String>, HttpError> {
    match (&fields.password, body.optional_text("passwordHash")?) {
        (Some(_), Some(_)) => Err(HttpError::bad_request("Invalid passwordHash: there is a password, too")),
        (Some(password), None) => Ok(Some(passwords.hash(origin.client.address, password.clone()).await?)),
        (None, Some(hash)) => {
            check_password_hash(hash)?;
            Ok(Some(hash.to_owned()))
        }
        (None, None) => Ok(None),
    }
}

/// `POST /api/admin/users` `{username,id?,email?,fullName?,password?|passwordHash?,role?}`
pub(super) async fn create_user(
    state: Data<WebState>,
    passwords: Data<PasswordWork>,
    origin: ReqData<RequestOrigin>,
    _: Admin,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, HttpError> {
    body.text("username")?;
    let fields = AccountFields::read(&body)?;
    fields.check_for(None)?;
    let id = match body.get("id") {
        Some(_) => body.user("id")?,
        None => UserId::parse(&Uuid::now_v7().to_string()).map_err(HttpError::internal)?,
    };
    let role = role(&body)?.unwrap_or_default();
    if id.begins_as_guest() && state.settings.anonymous_users {
        return Err(HttpError::invalid("id"));
    }
    if find_stored(&state.store, &id).await?.is_some() {
        return Err(HttpError::conflict("This id is taken"));
    }
    let (username, email) = (fields.username.clone().unwrap_or_default(), fields.email.clone().flatten());
    if let Some(email) = email.clone() {
        let name = username.clone();
        let taken = state.store.read_after_writes(move |conn| store::find_taken(conn, &name, &email)).await?;
        taken.map_or(Ok(()), |field| Err(store::StoreError::Conflict(field)))?;
    }
    let password_hash = password_hash(&fields, &body, &passwords, &origin).await?;
    let now = Timestamp::now();
    let new = NewUser {
        id: id.clone(),
        username,
        suffix_if_taken: false,
        email,
        full_name: fields.full_name.flatten(),
        password_hash,
        role,
        described_at: Some(now),
        created_at: now,
    };
    state.store.write(Write::CreateUser(Box::new(new))).await?;
    let account = stored_account(&state, &id).await?;
    request.extensions_mut().insert(ActsOn(id.to_string()));
    Ok(HttpResponse::Created().json(json!({"success": true, "user": shown(&account)})))
}

/// Fields of `PATCH /api/admin/users/{id}`.
const FIELDS: [&str; 7] = ["disabled", "role", "password", "passwordHash", "username", "email", "fullName"];

/// `PATCH /api/admin/users/{id}` `{disabled?,role?,password?|passwordHash?,username?,email?,fullName?}`. Administrators
/// cannot disable themselves or give up their role: nobody might be left to undo it.
pub(super) async fn change_user(
    state: Data<WebState>,
    passwords: Data<PasswordWork>,
    origin: ReqData<RequestOrigin>,
    admin: Admin,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, HttpError> {
    let user = user_in_path(&request, "id")?;
    let fields = AccountFields::read(&body)?;
    let (disabled, role) = (body.flag("disabled")?, role(&body)?);
    let asked: Vec<_> = FIELDS.iter().filter(|field| body.get(field).is_some()).copied().collect();
    let ignored = body.ignored(&FIELDS);
    if asked.is_empty() && ignored.is_empty() {
        return Err(HttpError::bad_request("Missing what is to be changed"));
    }
    let is_oneself = admin.claims.is_some_and(|claims| claims.user == user);
    if is_oneself && (disabled == Some(true) || role == Some(UserRole::User)) {
        return Err(HttpError::forbidden("Another administrator has to do that"));
    }
    let account = stored_account(&state, &user).await?;
    fields.check_for(account.profile.email.as_deref())?;
    let password_hash = password_hash(&fields, &body, &passwords, &origin).await?;
    let AccountFields { username, email, full_name, password: _ } = fields;
    let nothing = AccountChange::of(user.clone(), Timestamp::now());
    if user.is_guest() && role == Some(UserRole::Admin) {
        return Err(HttpError::forbidden("A guest cannot be an administrator"));
    }
    let change = AccountChange { username, email, full_name, role, disabled, password_hash, ..nothing };
    let account = change_account(&state, change).await?;
    let done = match disabled {
        Some(disabled) if asked == ["disabled"] => format!("disabled: {disabled}"),
        _ => asked.join(", "),
    };
    request.extensions_mut().insert(ActsOn(format!("{user} ({done})")));
    Ok(changed(json!({"user": shown(&account)}), ignored))
}
