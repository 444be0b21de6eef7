//! Views of sessions, rooms and figures for administrators.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Broker;
use crate::chat::ports::{
    BrokerStats, Capabilities, ClientDialects, FindRoom, ListRooms, ListSessions, RoomKey, RoomOrder, RoomView, SessionView,
};
use crate::chat::state::{Room, Session, Subscriptions, Tokens};
use crate::engineio::ConnectionKey;
use crate::model::{SocketId, Timestamp, UserId};

impl Broker {
    /// The figures of now.
    pub(in crate::chat) fn stats(&self) -> BrokerStats {
        BrokerStats {
            sockets: self.sessions.len(),
            online_users: self.presence.online(),
            cached_users: self.users.len(),
            rooms: self.rooms.count(),
            conversations: self.conversations.len(),
            in_flight: self.sends.len(),
            detached: self.sessions.detached_len(),
            recovered: self.observers.counters.recovered,
            not_recovered: self.observers.counters.not_recovered().collect(),
            client_dialect_counts: self.sessions.client_dialect_counts(),
            questions: self.questions.asked(),
            recovery_bytes: self.replay.events().bytes(),
            requests: self.observers.counters.requests,
            messages: self.observers.counters.messages,
            refused: self.observers.counters.refused,
            panics: self.observers.counters.panics,
        }
    }

    pub(in crate::chat) fn view_session(&self, socket: SocketId) -> Option<SessionView> {
        let open = self.sessions.iter().find(|(_, session)| session.socket == socket);
        open.map(|(connection, session)| self.session_view(*connection, session)).or_else(|| self.detached_view(socket))
    }

    pub(in crate::chat) fn list_rooms(&mut self, ListRooms { order, limit }: ListRooms) -> Vec<RoomView> {
        let now = self.now();
        let key = |room: &Room| match order {
            RoomOrder::Members => room.members() as u64,
            RoomOrder::Rate => u64::from(room.messages_per_minute(now)),
        };
        let rooms: Vec<(&RoomKey, &Room)> = self.rooms.iter().collect();
        let all = rooms.iter().enumerate().map(|(place, (_, room))| (key(room), place));
        let views = largest(all, limit).into_iter().filter_map(|place| rooms.get(place));
        views.map(|(key, room)| room_view(key, room, now)).collect()
    }

    pub(in crate::chat) fn find_room(
        &mut self,
        FindRoom { room: key, limit }: &FindRoom,
    ) -> Option<(RoomView, Vec<(SocketId, UserId)>)> {
        let now = self.now();
        let room = self.rooms.find(key)?;
        let sessions = room.connections().filter_map(|connection| self.sessions.get(&connection));
        let members = sessions.take(*limit).map(|session| (session.socket, session.user.clone())).collect();
        Some((room_view(key, room, now), members))
    }

    pub(in crate::chat) fn list_sessions(&self, ListSessions { users, after, limit }: &ListSessions) -> Vec<SessionView> {
        let is_asked = |socket: SocketId, user: &UserId| {
            users.as_ref().is_none_or(|users| users.contains(user)) && after.is_none_or(|after| socket > after)
        };
        let open = self.sessions.iter().map(|(_, session)| (session.socket, &session.user));
        let asked = open.chain(self.sessions.detached_sockets()).filter(|(socket, user)| is_asked(*socket, user));
        let mut first: BinaryHeap<SocketId> = BinaryHeap::with_capacity(limit + 1);
        for (socket, _) in asked {
            first.push(socket);
            if first.len() > *limit {
                first.pop();
            }
        }
        let first = first.into_sorted_vec();
        let mut views: Vec<SessionView> = self
            .sessions
            .iter()
            .filter(|(_, session)| first.binary_search(&session.socket).is_ok())
            .map(|(connection, session)| self.session_view(*connection, session))
            .collect();
        let is_open = |socket: &SocketId| views.iter().any(|view| view.socket == *socket);
        let detached: Vec<SessionView> =
            first.iter().filter(|socket| !is_open(socket)).filter_map(|socket| self.detached_view(*socket)).collect();
        views.extend(detached);
        views.sort_by_key(|view| view.socket);
        views
    }

    fn session_view(&self, connection: ConnectionKey, session: &Session) -> SessionView {
        SessionView {
            connection: Some(connection),
            peer: Some(session.peer),
            since: session.connected_at,
            is_catching_up: session.catch_up.is_some(),
            waiting_requests: session.request_queue.as_ref().map_or(0, |queue| queue.len()),
            unconfirmed_events: self
                .replay
                .event_seq()
                .saturating_sub(session.progress.confirmed.max(session.progress.receives_after)),
            ..self.common_view(ViewParts {
                socket: session.socket,
                user: &session.user,
                client_dialects: session.client_dialects,
                capabilities: session.capabilities,
                subscriptions: session.subscriptions.as_deref(),
                is_in_common_chat: session.is_in_common_chat,
                tokens: &session.tokens,
            })
        }
    }

    fn detached_view(&self, socket: SocketId) -> Option<SessionView> {
        let detached = self.sessions.detached(&self.sessions.detached_socket(&socket)?)?;
        let view = self.common_view(ViewParts {
            socket,
            user: &detached.user,
            client_dialects: detached.client_dialects,
            capabilities: detached.capabilities,
            subscriptions: detached.subscriptions.as_deref(),
            is_in_common_chat: detached.is_in_common_chat,
            tokens: &detached.tokens,
        });
        let had = detached.reached.map_or(detached.receives_after, |reached| reached.event_seq);
        Some(SessionView { since: detached.at, unconfirmed_events: self.replay.event_seq().saturating_sub(had), ..view })
    }

    fn common_view(&self, parts: ViewParts<'_>) -> SessionView {
        let ViewParts { socket, user, client_dialects, capabilities, subscriptions, is_in_common_chat, tokens } = parts;
        let account = self.users.get(user).map(|user| &user.account);
        SessionView {
            socket,
            user: user.clone(),
            username: account.map(|account| account.profile.username.clone()),
            connection: None,
            peer: None,
            since: Timestamp::default(),
            client_dialects,
            capabilities,
            rooms: self.users.rooms_of(user, subscriptions, is_in_common_chat).into_vec(),
            muted: subscriptions.into_iter().flat_map(|subscriptions| subscriptions.muted.keys().copied()).collect(),
            expires_at: tokens.expires_at,
            is_catching_up: false,
            waiting_requests: 0,
            unconfirmed_events: 0,
        }
    }
}

fn room_view(key: &RoomKey, room: &Room, now: Timestamp) -> RoomView {
    RoomView {
        room: key.clone(),
        members: room.members(),
        detached: room.detached(),
        messages_per_minute: room.messages_per_minute(now),
    }
}

/// Parts that an open session and a detached one have in common.
struct ViewParts<'a> {
    socket: SocketId,
    user: &'a UserId,
    client_dialects: ClientDialects,
    capabilities: Capabilities,
    subscriptions: Option<&'a Subscriptions>,
    is_in_common_chat: bool,
    tokens: &'a Tokens,
}

/// The places of the largest, largest first.
fn largest(all: impl Iterator<Item = (u64, usize)>, limit: usize) -> Vec<usize> {
    let mut kept = BinaryHeap::new();
    for entry in all {
        kept.push(Reverse(entry));
        if kept.len() > limit {
            kept.pop();
        }
    }
    kept.into_sorted_vec().into_iter().map(|Reverse((_, place))| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first() {
        assert_eq!(largest([3, 9, 1, 7].into_iter().zip(0..), 3), [1, 3, 0]);
        assert!(largest([3].into_iter().zip(0..), 0).is_empty());
    }
}
