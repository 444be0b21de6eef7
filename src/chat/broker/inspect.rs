//! Views of sessions, rooms and figures for administrators.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Broker;
use crate::chat::ports::{
    BrokerStats, FindRoom, ListRooms, ListSessions, Manner, RoomKey, RoomOrder, RoomView, SessionView, Words,
};
use crate::chat::state::{Places, Room, Session, Tokens};
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
            parked: self.sessions.detached_len(),
            recovered: self.observers.counters.recovered,
            not_recovered: self.observers.counters.not_recovered().collect(),
            manners: self.sessions.manners(),
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
        open.map(|(connection, session)| self.session_view(*connection, session)).or_else(|| self.parked_view(socket))
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
        let parked: Vec<SessionView> =
            first.iter().filter(|socket| !is_open(socket)).filter_map(|socket| self.parked_view(*socket)).collect();
        views.extend(parked);
        views.sort_by_key(|view| view.socket);
        views
    }

    fn session_view(&self, connection: ConnectionKey, session: &Session) -> SessionView {
        SessionView {
            connection: Some(connection),
            peer: Some(session.peer),
            since: session.connected_at,
            is_catching_up: session.catch_up.is_some(),
            waiting_requests: session.queue.as_ref().map_or(0, |queue| queue.len()),
            unproven_events: self.replay.event_seq().saturating_sub(session.proven.max(session.told_after)),
            ..self.common_view(ViewParts {
                socket: session.socket,
                user: &session.user,
                manner: session.manner,
                words: session.words,
                places: session.places.as_deref(),
                is_in_common_chat: session.is_in_common_chat,
                tokens: &session.tokens,
            })
        }
    }

    fn parked_view(&self, socket: SocketId) -> Option<SessionView> {
        let parked = self.sessions.detached(&self.sessions.detached_socket(&socket)?)?;
        let view = self.common_view(ViewParts {
            socket,
            user: &parked.user,
            manner: parked.manner,
            words: parked.words,
            places: parked.places.as_deref(),
            is_in_common_chat: parked.is_in_common_chat,
            tokens: &parked.tokens,
        });
        let had = parked.reached.map_or(parked.told_after, |reached| reached.serial);
        Some(SessionView { since: parked.at, unproven_events: self.replay.event_seq().saturating_sub(had), ..view })
    }

    fn common_view(&self, parts: ViewParts<'_>) -> SessionView {
        let ViewParts { socket, user, manner, words, places, is_in_common_chat, tokens } = parts;
        let account = self.users.get(user).map(|user| &user.account);
        SessionView {
            socket,
            user: user.clone(),
            username: account.map(|account| account.profile.username.clone()),
            connection: None,
            peer: None,
            since: Timestamp::default(),
            manner,
            words,
            rooms: self.users.rooms_of(user, places, is_in_common_chat).into_vec(),
            muted: places.into_iter().flat_map(|places| places.muted.keys().copied()).collect(),
            expires_at: tokens.expires_at,
            is_catching_up: false,
            waiting_requests: 0,
            unproven_events: 0,
        }
    }
}

fn room_view(key: &RoomKey, room: &Room, now: Timestamp) -> RoomView {
    RoomView {
        room: key.clone(),
        members: room.members(),
        parked: room.parked(),
        messages_per_minute: room.messages_per_minute(now),
    }
}

/// What an open session and a parked one have in common.
struct ViewParts<'a> {
    socket: SocketId,
    user: &'a UserId,
    manner: Manner,
    words: Words,
    places: Option<&'a Places>,
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
