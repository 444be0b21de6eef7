//! Sessions and rooms for administrators.
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use crate::chat::{ChatError, FindRoom, ListRooms, ListSessions, RoomKey, RoomOrder, RoomView, SessionView};
use crate::dialect::DialectState;
use crate::engineio::ConnectionView;
use crate::model::{SocketId, UserId};
use crate::store;
use crate::web::{Admin, HttpError, Query, USER_NAME_MAX, WebState, find_user, path_text};

/// Maximum number of users found by `search`.
const FOUND_MAX: i64 = 50;

/// `GET /api/admin/sockets?user=&search=&after=&limit=`: sessions, detached ones included, in the order of their
/// sockets' ids; of one user, or of the users found by a text. `next` is the `after` of the next page.
pub(super) async fn list(state: Data<WebState>, _: Admin, query: Query) -> Result<HttpResponse, HttpError> {
    let user = query.get("user").map(|id| UserId::parse(id).map_err(|_| HttpError::invalid("user"))).transpose()?;
    let users = match (user, query.get("search").filter(|text| !text.is_empty())) {
        (Some(user), _) => Some(vec![user]),
        (None, Some(text)) => Some(search(&state, text).await?),
        (None, None) => None,
    };
    let after = query.get("after").map(|id| SocketId::parse(id).map_err(|_| HttpError::invalid("after"))).transpose()?;
    let limit = query.limit()?;
    let views = state.chat.list_sessions(ListSessions { users, after, limit }).await?;
    let next = (views.len() == limit).then(|| views.last().map(|view| view.socket)).flatten();
    let sockets: Vec<Value> =
        with_connections(&state, views).await.iter().map(|(view, connection)| session(&state, view, *connection)).collect();
    Ok(HttpResponse::Ok().json(json!({"success": true, "sockets": sockets, "next": next})))
}

/// Returns the users with this id or e-mail address, or with this text in their name.
async fn search(state: &WebState, text: &str) -> Result<Vec<UserId>, HttpError> {
    if text.chars().count() > USER_NAME_MAX {
        return Err(HttpError::invalid("search"));
    }
    let mut users: Vec<UserId> = match find_user(state, text, true).await {
        Ok(account) => vec![account.profile.id.clone()],
        Err(http_error) if http_error.code() == ChatError::UserNotFound.code() => Vec::new(),
        Err(http_error) => return Err(http_error),
    };
    let text = text.to_owned();
    let found = state.store.search(move |conn| store::search_users(conn, &text, FOUND_MAX)).await?;
    users.extend(found.iter().map(|account| account.profile.id.clone()));
    Ok(users)
}

/// `GET /api/admin/sockets/{id}`
pub(super) async fn show(state: Data<WebState>, _: Admin, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let no_socket = || HttpError::not_found("Socket not found");
    let socket = SocketId::parse(&path_text(&request, "id")).map_err(|_| no_socket())?;
    let view = state.chat.find_session(socket).await?.ok_or_else(no_socket)?;
    let shown = with_connections(&state, vec![view]).await;
    let socket = shown.first().map(|(view, connection)| session(&state, view, *connection));
    Ok(HttpResponse::Ok().json(json!({"success": true, "socket": socket})))
}

/// `GET /api/admin/rooms?sort=members|rate&limit=`
pub(super) async fn rooms(state: Data<WebState>, _: Admin, query: Query) -> Result<HttpResponse, HttpError> {
    let order = match query.get("sort") {
        None | Some("members") => RoomOrder::Members,
        Some("rate") => RoomOrder::Rate,
        Some(_) => return Err(HttpError::invalid("sort")),
    };
    let rooms = state.chat.list_rooms(ListRooms { order, limit: query.limit()? }).await?;
    let rooms: Vec<Value> = rooms.iter().map(room).collect();
    Ok(HttpResponse::Ok().json(json!({"success": true, "rooms": rooms})))
}

/// `GET /api/admin/rooms/{room}?limit=`: a room and its sockets.
pub(super) async fn show_room(
    state: Data<WebState>,
    _: Admin,
    request: HttpRequest,
    query: Query,
) -> Result<HttpResponse, HttpError> {
    let no_room = || HttpError::not_found("Nobody is in such a room");
    let key = RoomKey::parse(&path_text(&request, "room")).ok_or_else(no_room)?;
    let (view, members) = state.chat.find_room(FindRoom { room: key, limit: query.limit()? }).await?.ok_or_else(no_room)?;
    let members: Vec<Value> = members.iter().map(|(socket, user)| json!({"socketId": socket, "userId": user})).collect();
    Ok(HttpResponse::Ok().json(json!({"success": true, "room": room(&view), "sockets": members})))
}

/// Adds to each session the present state of its connection.
pub(super) async fn with_connections(state: &WebState, views: Vec<SessionView>) -> Vec<(SessionView, Option<ConnectionView>)> {
    let keys: Vec<_> = views.iter().filter_map(|view| view.connection).collect();
    let mut found = (state.connections)(keys).await.into_iter();
    views
        .into_iter()
        .map(|view| (view.connection.and_then(|_| found.next().flatten()), view))
        .map(|(one, view)| (view, one))
        .collect()
}

fn session(state: &WebState, view: &SessionView, connection: Option<ConnectionView>) -> Value {
    let SessionView {
        socket,
        user,
        username,
        connection: key,
        peer,
        since,
        client_dialects,
        capabilities: _,
        rooms,
        muted,
        expires_at,
        is_catching_up,
        waiting_requests,
        unconfirmed_events,
    } = view;
    let dialect_state = DialectState::of_client_dialects(state.settings.dialects, *client_dialects);
    json!({
        "socketId": socket,
        "userId": user,
        "username": username,
        "state": if key.is_some() { "open" } else { "parked" },
        "since": since,
        "namespace": "/",
        "dialects": dialect_state.speaks().iter().map(|dialect| dialect.name()).collect::<Vec<_>>(),
        "dialectsFrom": dialect_state.origin(),
        "rooms": rooms.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "muted": muted,
        "expiresAt": expires_at,
        "catchingUp": is_catching_up,
        "waitingRequests": waiting_requests,
        "unprovenEvents": unconfirmed_events,
        "transport": peer.map(|peer| peer.transport.as_str()),
        "address": peer.and_then(|peer| peer.address),
        "queuedPackets": connection.map(|connection| connection.queued_packets),
        "queuedBytes": connection.map(|connection| connection.queued_bytes),
        "blocked": connection.map(|connection| connection.is_blocked),
    })
}

fn room(view: &RoomView) -> Value {
    let RoomView { room, members, detached, messages_per_minute } = view;
    json!({"room": room.to_string(), "members": members, "parked": detached, "messagesPerMinute": messages_per_minute})
}
