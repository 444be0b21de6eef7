//! Conversations and their members.
use actix_web::web::Data;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde_json::json;

use super::limits::{AVATAR_MAX, GROUP_NAME_MAX, PARTICIPANTS_MAX};
use super::shapes::ConversationView;
use crate::chat::{ChatError, Command, ConversationReply};
use crate::model::{Conversation, ConversationId, Timestamp, UserId};
use crate::store::{self, ConversationCursor};
use crate::web::{
    ActsOn, AuthenticatedUser, Body, Cursor, HttpError, Page, PageRequest, Query, Requester, USER_NAME_MAX, WebState, changed,
    emptiable, find_user, path_text, user_in_path,
};

/// `GET /api/conversations`, most recently active first.
pub(super) async fn list(state: Data<WebState>, user: AuthenticatedUser, query: Query) -> Result<HttpResponse, HttpError> {
    let request = PageRequest::read(&query, 'c', read_cursor)?;
    let before = match request.page {
        Page::Newest => None,
        Page::Before(cursor) => Some(cursor),
        // Entries move to the front when they become active, so paging works in one direction only.
        Page::After(_) => return Err(HttpError::invalid("after")),
    };
    let (id, rows) = (user.id().clone(), request.limit_and_one());
    let mut found = state.store.read_after_writes(move |conn| store::list_conversations(conn, &id, before, rows)).await?;
    let goes_on = found.len() > request.limit;
    found.truncate(request.limit);
    let next = found.last().filter(|_| goes_on).map(|(last, _)| cursor_of(last).encode());
    let conversations: Vec<_> = found.iter().map(|(conversation, unread)| ConversationView::new(conversation, *unread)).collect();
    Ok(HttpResponse::Ok().json(json!({"success": true, "conversations": conversations, "nextCursor": next})))
}

fn cursor_of(conversation: &Conversation) -> Cursor {
    Cursor::new('c', format_args!("{}.{}", conversation.updated_at.as_millis(), conversation.id))
}

fn read_cursor(key: &str) -> Option<ConversationCursor> {
    let (millis, id) = key.split_once('.')?;
    let updated_at = Timestamp::from_millis(millis.parse().ok()?);
    Some(ConversationCursor { updated_at, id: ConversationId::parse(id).ok()? })
}

/// Returns the user who creates a conversation: the requester; for a server, the named owner, who becomes the group's
/// administrator.
async fn owner(state: &WebState, requester: &Requester, request: &HttpRequest, body: &Body) -> Result<UserId, HttpError> {
    match requester {
        Requester::User(user) => Ok(user.id().clone()),
        Requester::Server => {
            let name = body.bounded_text("owner", 1, USER_NAME_MAX)?.ok_or_else(|| HttpError::missing("owner"))?;
            let owner = find_user(state, name, true).await?.profile.id.clone();
            request.extensions_mut().insert(ActsOn(format!("of {owner}")));
            Ok(owner)
        }
    }
}

/// Returns the user in whose name a conversation is changed: the requester; for a server, the group's administrator.
async fn changer(state: &WebState, requester: &Requester, conversation: ConversationId) -> Result<UserId, HttpError> {
    if let Requester::User(user) = requester {
        return Ok(user.id().clone());
    }
    let found = state.store.read_after_writes(move |conn| store::find_conversation(conn, conversation)).await?;
    let found = found.ok_or(ChatError::ConversationNotFound)?;
    found.admin.ok_or_else(|| HttpError::forbidden("Only a group has somebody who may change it"))
}

/// `POST /api/conversations` `{type:"group",name,participants}` or `{type:"direct",participantId}`; servers add
/// `owner`.
pub(super) async fn create(
    state: Data<WebState>,
    requester: Requester,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, HttpError> {
    let user = owner(&state, &requester, &request, &body).await?;
    let command = match body.text("type")? {
        "direct" => Command::CreateDirect { participant: body.user("participantId")? },
        "group" => Command::CreateGroup {
            name: body.bounded_text("name", 1, GROUP_NAME_MAX)?.ok_or_else(|| HttpError::missing("name"))?.to_owned(),
            avatar: body.bounded_text("avatar", 1, AVATAR_MAX)?.map(str::to_owned),
            participants: participants(&body)?,
        },
        _ => return Err(HttpError::invalid("type")),
    };
    answer(&state, &user, command).await
}

fn participants(body: &Body) -> Result<Vec<UserId>, HttpError> {
    let participants = body.users("participants")?;
    if participants.len() > PARTICIPANTS_MAX { Err(HttpError::too_large("Too many participants")) } else { Ok(participants) }
}

/// `GET /api/conversations/{id}`
pub(super) async fn find(
    state: Data<WebState>,
    user: AuthenticatedUser,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let id = conversation_in_path(&request)?;
    let requester = user.id().clone();
    let found = state.store.read_after_writes(move |conn| {
        let conversation = store::find_conversation(conn, id)?;
        Ok((conversation, store::count_unread(conn, &requester, id)?))
    });
    let (conversation, unread) = found.await?;
    let conversation = members_only(conversation, user.id())?;
    Ok(HttpResponse::Ok().json(json!({"success": true, "conversation": ConversationView::new(&conversation, unread)})))
}

/// `PATCH /api/conversations/{id}` `{name?,avatar?}`. An empty avatar removes the picture.
pub(super) async fn update(
    state: Data<WebState>,
    requester: Requester,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, HttpError> {
    let ignored = body.ignored(&["name", "avatar"]);
    let conversation = conversation_in_path(&request)?;
    let command = Command::UpdateConversation {
        conversation,
        name: body.bounded_text("name", 1, GROUP_NAME_MAX)?.map(str::to_owned),
        avatar: emptiable(body.bounded_text("avatar", 0, AVATAR_MAX)?),
    };
    let user = changer(&state, &requester, conversation).await?;
    answer_with(&state, &user, command, ignored).await
}

/// `DELETE /api/conversations/{id}`
pub(super) async fn remove(state: Data<WebState>, requester: Requester, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let conversation = conversation_in_path(&request)?;
    let user = changer(&state, &requester, conversation).await?;
    state.chat.ask(&user, Command::DeleteConversation { conversation }).await?;
    Ok(HttpResponse::Ok().json(json!({"success": true})))
}

/// `POST /api/conversations/{id}/participants` `{participants:[userId]}`
pub(super) async fn add_participants(
    state: Data<WebState>,
    requester: Requester,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, HttpError> {
    let conversation = conversation_in_path(&request)?;
    let command = Command::AddParticipants { conversation, participants: participants(&body)? };
    let user = changer(&state, &requester, conversation).await?;
    answer(&state, &user, command).await
}

/// `DELETE /api/conversations/{id}/participants/{userId}`
pub(super) async fn remove_participant(
    state: Data<WebState>,
    requester: Requester,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let (conversation, participant) = (conversation_in_path(&request)?, user_in_path(&request, "user")?);
    let user = changer(&state, &requester, conversation).await?;
    state.chat.ask(&user, Command::RemoveParticipant { conversation, participant }).await?;
    Ok(HttpResponse::Ok().json(json!({"success": true})))
}

/// Runs a command that changes a conversation, and answers with the conversation.
async fn answer(state: &WebState, user: &UserId, command: Command) -> Result<HttpResponse, HttpError> {
    answer_with(state, user, command, Vec::new()).await
}

/// Runs a command like [`answer`], and also lists the ignored fields.
async fn answer_with(state: &WebState, user: &UserId, command: Command, ignored: Vec<String>) -> Result<HttpResponse, HttpError> {
    let ConversationReply { conversation, created } = state.chat.ask_for(user, command).await?;
    let (requester, id) = (user.clone(), conversation.id);
    let unread =
        if created { 0 } else { state.store.read_after_writes(move |conn| store::count_unread(conn, &requester, id)).await? };
    let view = ConversationView::new(&conversation, unread);
    Ok(match created {
        true => HttpResponse::Created().json(json!({"success": true, "conversation": view})),
        false => changed(json!({"conversation": view}), ignored),
    })
}

/// Returns the conversation to a member.
///
/// # Errors
/// 404 if it does not exist, 403 if the user is not a member.
pub(super) fn members_only(conversation: Option<Conversation>, user: &UserId) -> Result<Conversation, ChatError> {
    let conversation = conversation.ok_or(ChatError::ConversationNotFound)?;
    if conversation.has(user) { Ok(conversation) } else { Err(ChatError::NotAMember) }
}

/// Returns the conversation id in the path. A malformed id is treated as unknown.
pub(super) fn conversation_in_path(request: &HttpRequest) -> Result<ConversationId, ChatError> {
    ConversationId::parse(&path_text(request, "id")).map_err(|_| ChatError::ConversationNotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_made() {
        let id = ConversationId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        let cursor = ConversationCursor { updated_at: Timestamp::from_millis(-5), id };
        assert_eq!(read_cursor(&format!("-5.{id}")), Some(cursor));
        for bad in ["", ".", "1.", "1.x", &format!("x.{id}"), &format!("1{id}")] {
            assert_eq!(read_cursor(bad), None, "{bad}");
        }
    }
}
