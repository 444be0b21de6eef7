//! Tokens for the demo's two people.
use actix_web::web::{Data, ReqData};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::auth::new_login_id;
use crate::model::{Profile, Timestamp};
use crate::web::{HttpError, RequestOrigin, WebState, demo_people, may_see_demo};

/// `POST /api/demo`: a token for each of the two; 404 where the demo is not offered.
pub(super) async fn begin(
    state: Data<WebState>,
    origin: ReqData<RequestOrigin>,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    if !may_see_demo(&state, &origin, request.headers()).await? {
        return Err(HttpError::not_found("There is no demo here"));
    }
    let mut people = Vec::new();
    for account in demo_people(&state).await? {
        let Profile { id, username, full_name, role, .. } = &*account.profile;
        let (token, expires_at) = state.tokens.issue(id, &new_login_id(), *role, None, Timestamp::now());
        let user = json!({"id": id, "username": username, "fullName": full_name});
        people.push(json!({"user": user, "token": token, "expiresAt": expires_at}));
    }
    Ok(HttpResponse::Ok().json(json!({"success": true, "people": people})))
}
