//! Conversations and their members.
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::limits::{AVATAR_MAX, GROUP_NAME_MAX, PARTICIPANTS_MAX};
use super::shapes::ConversationView;
use super::users::emptiable;
use crate::chat::{ChatError, Command, ConversationReply};
use crate::model::{Conversation, ConversationId, Timestamp, UserId};
use crate::store::{self, ConversationCursor};
use crate::web::{AuthenticatedUser, Body, Cursor, HttpError, Page, PageRequest, Query, WebState, path_text, user_in_path};

/// `GET /api/conversations`, most recently active first.
pub async fn list(state: Data<WebState>, user: AuthenticatedUser, query: Query) -> Result<HttpResponse, HttpError> {
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

/// `POST /api/conversations` `{type:"group",name,participants}` or `{type:"direct",participantId}`
pub async fn create(state: Data<WebState>, user: AuthenticatedUser, body: Body) -> Result<HttpResponse, HttpError> {
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
pub async fn find(state: Data<WebState>, user: AuthenticatedUser, request: HttpRequest) -> Result<HttpResponse, HttpError> {
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
pub async fn update(
    state: Data<WebState>,
    user: AuthenticatedUser,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, HttpError> {
    let command = Command::UpdateConversation {
        conversation: conversation_in_path(&request)?,
        name: body.bounded_text("name", 1, GROUP_NAME_MAX)?.map(str::to_owned),
        avatar: emptiable(body.bounded_text("avatar", 0, AVATAR_MAX)?),
    };
    answer(&state, &user, command).await
}

/// `DELETE /api/conversations/{id}`
pub async fn remove(state: Data<WebState>, user: AuthenticatedUser, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let command = Command::DeleteConversation { conversation: conversation_in_path(&request)? };
    state.chat.ask(user.id(), command).await?;
    Ok(HttpResponse::Ok().json(json!({"success": true})))
}

/// `POST /api/conversations/{id}/participants` `{participants:[userId]}`
pub async fn add_participants(
    state: Data<WebState>,
    user: AuthenticatedUser,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, HttpError> {
    let command = Command::AddParticipants { conversation: conversation_in_path(&request)?, participants: participants(&body)? };
    answer(&state, &user, command).await
}

/// `DELETE /api/conversations/{id}/participants/{userId}`
pub async fn remove_participant(
    state: Data<WebState>,
    user: AuthenticatedUser,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let command = Command::RemoveParticipant {
        conversation: conversation_in_path(&request)?,
        participant: user_in_path(&request, "user")?,
    };
    state.chat.ask(user.id(), command).await?;
    Ok(HttpResponse::Ok().json(json!({"success": true})))
}

/// Runs a command that changes a conversation, and answers with the conversation.
async fn answer(state: &WebState, user: &AuthenticatedUser, command: Command) -> Result<HttpResponse, HttpError> {
    let ConversationReply { conversation, created } = state.chat.ask_for(user.id(), command).await?;
    let (requester, id) = (user.id().clone(), conversation.id);
    let unread =
        if created { 0 } else { state.store.read_after_writes(move |conn| store::count_unread(conn, &requester, id)).await? };
    let mut response = if created { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(json!({"success": true, "conversation": ConversationView::new(&conversation, unread)})))
}

/// Returns the conversation to a member.
///
/// # Errors
/// 404 if it does not exist, 403 if the user is not a member.
pub fn members_only(conversation: Option<Conversation>, user: &UserId) -> Result<Conversation, ChatError> {
    let conversation = conversation.ok_or(ChatError::ConversationNotFound)?;
    if conversation.has(user) { Ok(conversation) } else { Err(ChatError::NotAMember) }
}

/// Returns the conversation id in the path. A malformed id is treated as unknown.
pub fn conversation_in_path(request: &HttpRequest) -> Result<ConversationId, ChatError> {
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
