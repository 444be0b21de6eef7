//! Subscriptions of a socket: opened and muted conversations, public rooms, the common chat.
use hashbrown::hash_map::Entry;

use super::Broker;
use super::fan_out::Exclude;
use super::step::{DONE, Outcome, Stop};
use crate::chat::ports::{Broadcast, ChatError, Event, RoomKey};
use crate::chat::state::{Requester, Running, Subscriptions};
use crate::model::{ConversationId, ConversationKind, RoomId, UserId};

impl Broker {
    /// The subscriptions of the socket that asks, be its session open or detached.
    pub(super) fn subscriptions(&mut self, requester: &Requester) -> Option<&mut Subscriptions> {
        let subscriptions = match requester.connection {
            Some(connection) => &mut self.sessions.get_mut(&connection)?.subscriptions,
            None => &mut self.sessions.detached_mut(&requester.pid)?.subscriptions,
        };
        Some(&mut **subscriptions.get_or_insert_with(Box::default))
    }

    pub(super) fn note_gap(&mut self, requester: &Requester, room: RoomKey, from: u64, to: u64) {
        if let Some(subscriptions) = self.subscriptions(requester) {
            subscriptions.note_gap(room, from, to);
        }
    }

    fn enter_room(&mut self, requester: &Requester, room: RoomKey) {
        match requester.connection {
            Some(connection) => self.join_one(room, connection),
            None => self.rooms.join_detached(room),
        }
    }

    fn quit_room(&mut self, requester: &Requester, room: &RoomKey) {
        match requester.connection {
            Some(connection) => self.leave_one(room, connection),
            None => self.leave_detached(room),
        }
    }

    fn common_chat_flag(&mut self, requester: &Requester) -> Option<&mut bool> {
        match requester.connection {
            Some(connection) => self.sessions.get_mut(&connection).map(|session| &mut session.is_in_common_chat),
            None => self.sessions.detached_mut(&requester.pid).map(|detached| &mut detached.is_in_common_chat),
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
        let Some(subscriptions) = self.subscriptions(&requester) else { return DONE };
        let muted_since = subscriptions.muted.remove(&id);
        let is_new = subscriptions.opened.insert(id);
        if conversation.kind == ConversationKind::Group {
            if let Some(since) = muted_since {
                let event_seq = self.replay.event_seq();
                self.enter_room(&requester, RoomKey::Group(id));
                self.note_gap(&requester, RoomKey::Group(id), since, event_seq);
            }
            if is_new {
                self.fan_out_opened(&running.user, id, &requester, true);
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
            self.fan_out_typing(&change, Some(connection));
        }
        if !is_group {
            return DONE;
        }
        let event_seq = self.replay.event_seq();
        let Some(subscriptions) = self.subscriptions(&requester) else { return DONE };
        let was_open = subscriptions.opened.remove(&id);
        if let Entry::Vacant(unmuted) = subscriptions.muted.entry(id) {
            unmuted.insert(event_seq);
            self.quit_room(&requester, &RoomKey::Group(id));
        }
        if was_open {
            self.fan_out_opened(&running.user, id, &requester, false);
        }
        DONE
    }

    fn fan_out_opened(&mut self, user: &UserId, conversation: ConversationId, requester: &Requester, opened: bool) {
        let Some(user) = self.users.get(user) else { return };
        let event = Event::GroupOpened { user: user.profile().clone(), conversation, opened };
        let excluded = Exclude::one(requester.connection, Some(requester.socket));
        self.fan_out_to_room(&RoomKey::Group(conversation), Broadcast::new(event), excluded);
    }

    pub(super) fn join_room(&mut self, running: &Running, room: RoomId) -> Outcome {
        let (limit, event_seq) = (self.options.max_rooms_per_socket, self.replay.event_seq());
        let Some(requester) = self.requester_of(&running.user, &running.reply_to) else { return DONE };
        let Some(subscriptions) = self.subscriptions(&requester) else { return DONE };
        if limit > 0 && subscriptions.rooms.len() >= limit && !subscriptions.rooms.contains(&room) {
            return Err(ChatError::TooLarge("too many rooms").into());
        }
        let key = RoomKey::Public(room.clone());
        if !subscriptions.rooms.contains(&room) {
            self.ask_before_joining(running, &key)?;
        }
        let Some(subscriptions) = self.subscriptions(&requester) else { return DONE };
        if subscriptions.rooms.insert(room) {
            subscriptions.note_gap(key.clone(), 0, event_seq);
            self.enter_room(&requester, key);
        }
        DONE
    }

    pub(super) fn leave_room(&mut self, running: &Running, room: &RoomId) -> Outcome {
        let Some(requester) = self.requester_of(&running.user, &running.reply_to) else { return DONE };
        let subscriptions = match requester.connection {
            Some(connection) => self.sessions.get_mut(&connection).map(|session| &mut session.subscriptions),
            None => self.sessions.detached_mut(&requester.pid).map(|detached| &mut detached.subscriptions),
        };
        if let Some(kept) = subscriptions
            && let Some(subscriptions) = kept
            && subscriptions.rooms.remove(room)
        {
            let key = RoomKey::Public(room.clone());
            subscriptions.gaps.retain(|gap| gap.room != key);
            if subscriptions.is_empty() {
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
            if joins {
                self.ask_before_joining(running, &RoomKey::CommonChat)?;
            }
            if let Some(is_in) = self.common_chat_flag(&requester) {
                *is_in = joins;
            }
            if joins {
                let event_seq = self.replay.event_seq();
                self.enter_room(&requester, RoomKey::CommonChat);
                self.note_gap(&requester, RoomKey::CommonChat, 0, event_seq);
            } else {
                if let Some(subscriptions) = self.subscriptions(&requester) {
                    subscriptions.gaps.retain(|gap| gap.room != RoomKey::CommonChat);
                }
                self.quit_room(&requester, &RoomKey::CommonChat);
            }
        }
        DONE
    }
}
