//! Subscriptions of a socket: opened and muted conversations, public rooms, the common chat.
use hashbrown::hash_map::Entry;

use super::Broker;
use super::dispatch::Spared;
use super::step::{DONE, Outcome, Stop};
use crate::chat::ports::{Broadcast, ChatError, Event, RoomKey};
use crate::chat::state::{Places, Requester, Running};
use crate::model::{ConversationId, ConversationKind, RoomId, UserId};

impl Broker {
    /// The places of the socket that asks, be its session open or parked.
    pub(super) fn places(&mut self, requester: &Requester) -> Option<&mut Places> {
        let places = match requester.connection {
            Some(connection) => &mut self.sessions.get_mut(&connection)?.places,
            None => &mut self.sessions.detached_mut(&requester.pid)?.places,
        };
        Some(&mut **places.get_or_insert_with(Box::default))
    }

    pub(super) fn note_absence(&mut self, requester: &Requester, room: RoomKey, from: u64, to: u64) {
        if let Some(places) = self.places(requester) {
            places.note_absence(room, from, to);
        }
    }

    fn enter_room(&mut self, requester: &Requester, room: RoomKey) {
        match requester.connection {
            Some(connection) => self.join_one(room, connection),
            None => self.rooms.join_parked(room),
        }
    }

    fn quit_room(&mut self, requester: &Requester, room: &RoomKey) {
        match requester.connection {
            Some(connection) => self.leave_one(room, connection),
            None => self.leave_parked(room),
        }
    }

    fn common_chat_flag(&mut self, requester: &Requester) -> Option<&mut bool> {
        match requester.connection {
            Some(connection) => self.sessions.get_mut(&connection).map(|session| &mut session.is_in_common_chat),
            None => self.sessions.detached_mut(&requester.pid).map(|parked| &mut parked.is_in_common_chat),
        }
    }

    pub(super) fn open(&mut self, running: &Running, id: ConversationId, groups_only: bool) -> Outcome {
        let conversation = match self.own_conversation(running, id) {
            Ok(conversation) => conversation,
            // What is unknown and what is another's look the same.
            Err(Stop::Refused(_)) => return Err(ChatError::NotAMember.into()),
            Err(stop) => return Err(stop),
        };
        if groups_only && conversation.kind != ConversationKind::Group {
            return Err(ChatError::NotAMember.into());
        }
        let Some(requester) = self.requester_of(&running.user, &running.reply_to) else { return DONE };
        let Some(places) = self.places(&requester) else { return DONE };
        let muted_since = places.muted.remove(&id);
        let is_new = places.opened.insert(id);
        if conversation.kind == ConversationKind::Group {
            if let Some(since) = muted_since {
                let serial = self.replay.event_seq();
                self.enter_room(&requester, RoomKey::Group(id));
                self.note_absence(&requester, RoomKey::Group(id), since, serial);
            }
            if is_new {
                self.tell_opened(&running.user, id, &requester, true);
            }
        }
        DONE
    }

    pub(super) fn leave(&mut self, running: &Running, id: ConversationId) -> Outcome {
        let Some(requester) = self.requester_of(&running.user, &running.reply_to) else { return DONE };
        let is_group = match self.own_conversation(running, id) {
            Ok(conversation) => conversation.kind == ConversationKind::Group,
            Err(Stop::Refused(_)) => false,
            Err(stop) => return Err(stop),
        };
        if let Some(connection) = requester.connection
            && let Some(change) = self.typing.stop(id, &running.user, connection)
        {
            self.tell_typing(&change, Some(connection));
        }
        if !is_group {
            return DONE;
        }
        let serial = self.replay.event_seq();
        let Some(places) = self.places(&requester) else { return DONE };
        let was_open = places.opened.remove(&id);
        if let Entry::Vacant(unmuted) = places.muted.entry(id) {
            unmuted.insert(serial);
            self.quit_room(&requester, &RoomKey::Group(id));
        }
        if was_open {
            self.tell_opened(&running.user, id, &requester, false);
        }
        DONE
    }

    fn tell_opened(&mut self, user: &UserId, conversation: ConversationId, requester: &Requester, opened: bool) {
        let Some(user) = self.users.get(user) else { return };
        let event = Event::GroupOpened { user: user.profile().clone(), conversation, opened };
        let spared = Spared::one(requester.connection, Some(requester.socket));
        self.tell_room(&RoomKey::Group(conversation), Broadcast::new(event), spared);
    }

    pub(super) fn join_room(&mut self, running: &Running, room: RoomId) -> Outcome {
        let (limit, serial) = (self.options.max_rooms_per_socket, self.replay.event_seq());
        let Some(requester) = self.requester_of(&running.user, &running.reply_to) else { return DONE };
        let Some(places) = self.places(&requester) else { return DONE };
        if limit > 0 && places.rooms.len() >= limit && !places.rooms.contains(&room) {
            return Err(ChatError::TooLarge("too many rooms").into());
        }
        if places.rooms.insert(room.clone()) {
            let key = RoomKey::Public(room);
            places.note_absence(key.clone(), 0, serial);
            self.enter_room(&requester, key);
        }
        DONE
    }

    pub(super) fn leave_room(&mut self, running: &Running, room: &RoomId) -> Outcome {
        let Some(requester) = self.requester_of(&running.user, &running.reply_to) else { return DONE };
        let places = match requester.connection {
            Some(connection) => self.sessions.get_mut(&connection).map(|session| &mut session.places),
            None => self.sessions.detached_mut(&requester.pid).map(|parked| &mut parked.places),
        };
        if let Some(kept) = places
            && let Some(places) = kept
            && places.rooms.remove(room)
        {
            let key = RoomKey::Public(room.clone());
            places.absences.retain(|absence| absence.room != key);
            if places.is_empty() {
                *kept = None;
            }
            self.quit_room(&requester, &key);
        }
        DONE
    }

    pub(super) fn set_common_chat(&mut self, running: &Running, joins: bool) -> Outcome {
        let Some(requester) = self.requester_of(&running.user, &running.reply_to) else { return DONE };
        if let Some(is_in) = self.common_chat_flag(&requester)
            && *is_in != joins
        {
            *is_in = joins;
            if joins {
                let serial = self.replay.event_seq();
                self.enter_room(&requester, RoomKey::CommonChat);
                self.note_absence(&requester, RoomKey::CommonChat, 0, serial);
            } else {
                if let Some(places) = self.places(&requester) {
                    places.absences.retain(|absence| absence.room != RoomKey::CommonChat);
                }
                self.quit_room(&requester, &RoomKey::CommonChat);
            }
        }
        DONE
    }
}
