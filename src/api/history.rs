//! Histories: pages of messages in ascending order.
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::json;

use super::conversations::{conversation_in_path, members_only};
use super::shapes::{MessageView, NumberedRoomMessage};
use crate::model::{Message, Place, RoomId};
use crate::store::{self, HistoryRange};
use crate::web::{AuthenticatedUser, Cursor, HttpError, Page, PageRequest, Query, WebState, path_text};

/// `GET /api/conversations/{id}/messages`
pub(super) async fn conversation(
    state: Data<WebState>,
    user: AuthenticatedUser,
    request: HttpRequest,
    query: Query,
) -> Result<HttpResponse, HttpError> {
    let id = conversation_in_path(&request)?;
    let page = page_request(&query)?;
    let found = state.store.read_after_writes(move |conn| store::find_conversation(conn, id)).await?;
    members_only(found, user.id())?;
    let (messages, next) = read(&state, Place::Conversation(id), &page).await?;
    Ok(answer(&messages.iter().map(MessageView::new).collect::<Vec<_>>(), next))
}

/// `GET /api/rooms/{roomId}/messages`. Public; a room without messages is empty.
pub(super) async fn room(
    state: Data<WebState>,
    _: AuthenticatedUser,
    request: HttpRequest,
    query: Query,
) -> Result<HttpResponse, HttpError> {
    let room = RoomId::parse(&path_text(&request, "room")).map_err(|_| HttpError::invalid("roomId"))?;
    public(&state, Place::Room(room), &query).await
}

/// `GET /api/common-chat/messages`
pub(super) async fn common_chat(state: Data<WebState>, _: AuthenticatedUser, query: Query) -> Result<HttpResponse, HttpError> {
    public(&state, Place::CommonChat, &query).await
}

async fn public(state: &WebState, place: Place, query: &Query) -> Result<HttpResponse, HttpError> {
    let (messages, next) = read(state, place, &page_request(query)?).await?;
    Ok(answer(&messages.iter().map(NumberedRoomMessage::new).collect::<Vec<_>>(), next))
}

fn page_request(query: &Query) -> Result<PageRequest<i64>, HttpError> {
    PageRequest::read(query, 'm', |key| key.parse().ok())
}

/// Returns a page of messages, and the cursor of the next page.
async fn read(state: &WebState, place: Place, request: &PageRequest<i64>) -> Result<(Vec<Message>, Option<String>), HttpError> {
    let range = match request.page {
        Page::Newest => HistoryRange::Newest,
        Page::Before(seq) => HistoryRange::Before(seq),
        Page::After(seq) => HistoryRange::After(seq),
    };
    let rows = request.limit_and_one();
    let messages = state.store.read_after_writes(move |conn| store::list_history(conn, &place, range, rows)).await?;
    let (messages, next) = cut(messages, request);
    Ok((messages, next.map(|seq| Cursor::new('m', seq).encode())))
}

fn answer<V: Serialize>(messages: &[V], next: Option<String>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"success": true, "messages": messages, "nextCursor": next}))
}

/// Removes the extra row at the end where the list continues; returns the position there.
fn cut(mut messages: Vec<Message>, request: &PageRequest<i64>) -> (Vec<Message>, Option<i64>) {
    if messages.len() <= request.limit {
        return (messages, None);
    }
    if matches!(request.page, Page::After(_)) {
        messages.truncate(request.limit);
        let next = messages.last().map(|last| last.seq);
        return (messages, next);
    }
    messages.drain(..messages.len() - request.limit);
    let next = messages.first().map(|first| first.seq);
    (messages, next)
}
