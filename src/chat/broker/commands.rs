//! Each command: what it needs, what it checks, what it does.
use std::sync::Arc;

use hashbrown::hash_map::Entry;

use super::dispatch::Spared;
use super::{Broker, Outcome, Progressed};
use crate::auth::Claims;
use crate::chat::ports::{Broadcast, ChatError, Command, Event, Reply, RoomKey};
use crate::chat::query::Load;
use crate::chat::state::{AskingSocket, Awaiting, Except, Pending, Places, Tokens, TypingChange};
use crate::engineio::ConnectionKey;
use crate::model::{ChosenStatus, Conversation, ConversationId, ConversationKind, RoomId, UserId};
use crate::store::Write;

impl Broker {
    /// Carries a command out as far as it can go by now. Nothing has changed where it needs more or is refused.
    pub(super) fn execute(&mut self, pending: &mut Pending) -> Outcome {
        let Some(user) = self.users.at_hand.get(&pending.user) else {
            return if pending.facts.users_read.contains(&pending.user) {
                Err(ChatError::UserNotFound)
            } else {
                Ok(Progressed::Needs(Load::Users(vec![pending.user.clone()])))
            };
        };
        if user.account.is_deleted {
            return Err(ChatError::UserNotFound);
        }
        match &pending.command {
            Command::SendDirect { .. }
            | Command::SendToConversation { .. }
            | Command::SendToNamed { .. }
            | Command::SendToRoom { .. }
            | Command::SendToCommonChat { .. }
            | Command::AskModel { .. } => self.send(pending),
            Command::MarkRead { message } => self.mark_read(pending, *message),
            Command::EditMessage { .. } | Command::DeleteMessage { .. } => self.change_message(pending),
            Command::OpenConversation { conversation, groups_only } => self.open(pending, *conversation, *groups_only),
            Command::LeaveConversation { conversation } => self.leave(pending, *conversation),
            Command::Typing { conversation, active } => self.type_in(pending, *conversation, *active),
            Command::JoinRoom { room } => self.join_room(pending, room.clone()),
            Command::LeaveRoom { room } => self.leave_room(pending, room),
            Command::JoinCommonChat => self.set_common_chat(pending, true),
            Command::LeaveCommonChat => self.set_common_chat(pending, false),
            Command::SetStatus { status } => self.set_status(*status),
            Command::RenewToken { claims } => self.renew_token(pending, claims),
            Command::CreateGroup { .. }
            | Command::CreateDirect { .. }
            | Command::UpdateConversation { .. }
            | Command::DeleteConversation { .. }
            | Command::AddParticipants { .. }
            | Command::RemoveParticipant { .. } => self.change_conversation(pending),
            Command::UpdateProfile { full_name, avatar } => self.update_profile(full_name.clone(), avatar.clone()),
            Command::ListConversations => Ok(list_conversations(pending)),
            Command::ListConnections { limit } => Ok(Progressed::Done(self.list_connections(&pending.user, *limit))),
            Command::ListNotifications { limit } => {
                let limit = *limit;
                self.list_notifications(pending, limit)
            }
            Command::Notify { .. } => Ok(Progressed::Then(Box::new(Self::notify_as_asked))),
            #[expect(clippy::panic, reason = "the hook by which tests see that a panic stays with its command")]
            Command::TestPanic => panic!("as asked by a test"),
        }
    }

    /// The conversation, where the asker is a member of it.
    ///
    /// `Ok(Err(load))`: it must be read first.
    pub(super) fn own_conversation(
        &mut self,
        pending: &Pending,
        id: ConversationId,
    ) -> Result<Result<Arc<Conversation>, Load>, ChatError> {
        let now = self.now();
        match self.conversations.at_hand.get_mut(&id) {
            Some(cached) if cached.conversation.has(&pending.user) => {
                cached.used_at = now;
                Ok(Ok(cached.conversation.clone()))
            }
            Some(_) => Err(ChatError::NotAMember),
            None if pending.facts.conversation_read => Err(ChatError::ConversationNotFound),
            None => Ok(Err(Load::Conversation(id))),
        }
    }

    // ---- a socket's places ----

    /// The places of the socket that asks, be its session open or parked.
    fn places(&mut self, asking: &AskingSocket) -> Option<&mut Places> {
        let places = match asking.connection {
            Some(connection) => &mut self.sessions.open.get_mut(&connection)?.places,
            None => &mut self.sessions.detached.find_mut(&asking.pid)?.places,
        };
        Some(&mut **places.get_or_insert_with(Box::default))
    }

    fn note_absence(&mut self, asking: &AskingSocket, room: RoomKey, from: u64, to: u64) {
        if let Some(places) = self.places(asking) {
            places.note_absence(room, from, to);
        }
    }

    fn enter_room(&mut self, asking: &AskingSocket, room: RoomKey) {
        match asking.connection {
            Some(connection) => self.join_one(room, connection),
            None => self.rooms.join_parked(room),
        }
    }

    fn quit_room(&mut self, asking: &AskingSocket, room: &RoomKey) {
        match asking.connection {
            Some(connection) => self.leave_one(room, connection),
            None => self.leave_parked(room),
        }
    }

    fn common_chat_flag(&mut self, asking: &AskingSocket) -> Option<&mut bool> {
        match asking.connection {
            Some(connection) => self.sessions.open.get_mut(&connection).map(|session| &mut session.is_in_common_chat),
            None => self.sessions.detached.find_mut(&asking.pid).map(|parked| &mut parked.is_in_common_chat),
        }
    }

    fn open(&mut self, pending: &Pending, id: ConversationId, groups_only: bool) -> Outcome {
        let conversation = match self.own_conversation(pending, id) {
            Ok(Ok(conversation)) => conversation,
            Ok(Err(load)) => return Ok(Progressed::Needs(load)),
            // What is unknown and what is another's look the same.
            Err(_) => return Err(ChatError::NotAMember),
        };
        if groups_only && conversation.kind != ConversationKind::Group {
            return Err(ChatError::NotAMember);
        }
        let Some(asking) = self.asking_socket(&pending.user, &pending.asker) else { return Ok(Progressed::Done(Reply::Done)) };
        let Some(places) = self.places(&asking) else { return Ok(Progressed::Done(Reply::Done)) };
        let muted_since = places.muted.remove(&id);
        let is_new = places.opened.insert(id);
        if conversation.kind == ConversationKind::Group {
            if let Some(since) = muted_since {
                let serial = self.replay.event_seq();
                self.enter_room(&asking, RoomKey::Group(id));
                self.note_absence(&asking, RoomKey::Group(id), since, serial);
            }
            if is_new {
                self.tell_opened(&pending.user, id, &asking, true);
            }
        }
        Ok(Progressed::Done(Reply::Done))
    }

    fn leave(&mut self, pending: &Pending, id: ConversationId) -> Outcome {
        let Some(asking) = self.asking_socket(&pending.user, &pending.asker) else { return Ok(Progressed::Done(Reply::Done)) };
        let is_group = match self.own_conversation(pending, id) {
            Ok(Ok(conversation)) => conversation.kind == ConversationKind::Group,
            Ok(Err(load)) => return Ok(Progressed::Needs(load)),
            Err(_) => false,
        };
        if let Some(connection) = asking.connection
            && let Some(change) = self.typing.stop(id, &pending.user, connection)
        {
            self.tell_typing(&change, Some(connection));
        }
        if !is_group {
            return Ok(Progressed::Done(Reply::Done));
        }
        let serial = self.replay.event_seq();
        let Some(places) = self.places(&asking) else { return Ok(Progressed::Done(Reply::Done)) };
        let was_open = places.opened.remove(&id);
        if let Entry::Vacant(unmuted) = places.muted.entry(id) {
            unmuted.insert(serial);
            self.quit_room(&asking, &RoomKey::Group(id));
        }
        if was_open {
            self.tell_opened(&pending.user, id, &asking, false);
        }
        Ok(Progressed::Done(Reply::Done))
    }

    fn tell_opened(&mut self, user: &UserId, conversation: ConversationId, asking: &AskingSocket, opened: bool) {
        let Some(user) = self.users.at_hand.get(user) else { return };
        let event = Event::GroupOpened { user: user.profile().clone(), conversation, opened };
        let spared = Spared::one(asking.connection, Some(asking.socket));
        self.tell_room(&RoomKey::Group(conversation), Broadcast::new(event), spared);
    }

    fn join_room(&mut self, pending: &Pending, room: RoomId) -> Outcome {
        let (limit, serial) = (self.options.max_rooms_per_socket, self.replay.event_seq());
        let Some(asking) = self.asking_socket(&pending.user, &pending.asker) else { return Ok(Progressed::Done(Reply::Done)) };
        let Some(places) = self.places(&asking) else { return Ok(Progressed::Done(Reply::Done)) };
        if limit > 0 && places.rooms.len() >= limit && !places.rooms.contains(&room) {
            return Err(ChatError::TooLarge("too many rooms"));
        }
        if places.rooms.insert(room.clone()) {
            let key = RoomKey::Public(room);
            places.note_absence(key.clone(), 0, serial);
            self.enter_room(&asking, key);
        }
        Ok(Progressed::Done(Reply::Done))
    }

    fn leave_room(&mut self, pending: &Pending, room: &RoomId) -> Outcome {
        let Some(asking) = self.asking_socket(&pending.user, &pending.asker) else { return Ok(Progressed::Done(Reply::Done)) };
        let places = match asking.connection {
            Some(connection) => self.sessions.open.get_mut(&connection).map(|session| &mut session.places),
            None => self.sessions.detached.find_mut(&asking.pid).map(|parked| &mut parked.places),
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
            self.quit_room(&asking, &key);
        }
        Ok(Progressed::Done(Reply::Done))
    }

    fn set_common_chat(&mut self, pending: &Pending, joins: bool) -> Outcome {
        let Some(asking) = self.asking_socket(&pending.user, &pending.asker) else { return Ok(Progressed::Done(Reply::Done)) };
        if let Some(is_in) = self.common_chat_flag(&asking)
            && *is_in != joins
        {
            *is_in = joins;
            if joins {
                let serial = self.replay.event_seq();
                self.enter_room(&asking, RoomKey::CommonChat);
                self.note_absence(&asking, RoomKey::CommonChat, 0, serial);
            } else {
                if let Some(places) = self.places(&asking) {
                    places.absences.retain(|absence| absence.room != RoomKey::CommonChat);
                }
                self.quit_room(&asking, &RoomKey::CommonChat);
            }
        }
        Ok(Progressed::Done(Reply::Done))
    }

    // ---- typing ----

    fn type_in(&mut self, pending: &Pending, id: ConversationId, active: bool) -> Outcome {
        match self.own_conversation(pending, id)? {
            Ok(_) => {}
            Err(load) => return Ok(Progressed::Needs(load)),
        }
        let Some(connection) = pending.asker.connection() else { return Ok(Progressed::Done(Reply::Done)) };
        let now = self.now();
        let change = if active {
            self.typing.start(id, &pending.user, connection, now, self.options.typing_ttl)
        } else {
            self.typing.stop(id, &pending.user, connection)
        };
        if let Some(change) = change {
            self.tell_typing(&change, Some(connection));
        }
        Ok(Progressed::Done(Reply::Done))
    }

    /// Tells the other users in the conversation.
    pub(super) fn tell_typing(&mut self, change: &TypingChange, typist: Option<ConnectionKey>) {
        let Some(user) = self.users.at_hand.get(&change.user) else { return };
        let Some(cached) = self.conversations.at_hand.get(&change.conversation) else { return };
        let event = Event::Typing { user: user.profile().clone(), conversation: change.conversation, active: change.active };
        if cached.conversation.kind == ConversationKind::Group {
            let mut own = user.sessions.to_vec();
            own.extend(typist.filter(|socket| !user.sessions.contains(socket)));
            let except = Except { users: vec![change.user.clone()], ..Except::default() };
            let spared = Spared { connections: own.into(), except };
            self.tell_room(&RoomKey::Group(change.conversation), Broadcast::new(event), spared);
        } else {
            let others = cached.conversation.clone();
            self.tell_users(others.participants.iter().filter(|member| **member != change.user), event);
        }
    }

    // ---- oneself ----

    fn set_status(&mut self, status: ChosenStatus) -> Outcome {
        Ok(Progressed::Then(Box::new(move |broker, pending| {
            let write = Write::SetStatus { user: pending.user.clone(), status };
            broker.store_for(write, Awaiting::Status { user: pending.user, status, asker: pending.asker });
        })))
    }

    /// A socket stays in by another token of its user.
    fn renew_token(&mut self, pending: &Pending, claims: &Claims) -> Outcome {
        if claims.user != pending.user {
            return Err(ChatError::Forbidden);
        }
        self.check(claims).map_err(|_| ChatError::InvalidToken)?;
        if let Some(session) = pending.asker.connection().and_then(|connection| self.sessions.open.get_mut(&connection)) {
            session.tokens = Tokens::of(claims);
        }
        Ok(Progressed::Done(Reply::Renewed { expires_at: claims.expires_at }))
    }

    fn update_profile(&mut self, full_name: Option<Option<String>>, avatar: Option<Option<String>>) -> Outcome {
        Ok(Progressed::Then(Box::new(move |broker, pending| {
            let Pending { user, asker, .. } = pending;
            let write = Write::UpdateProfile { user: user.clone(), full_name: full_name.clone(), avatar: avatar.clone() };
            broker.store_for(write, Awaiting::Profile { user, full_name, avatar, asker });
        })))
    }

    /// Gives a change to the store; its asker is refused where there is no room. Returns whether it was taken.
    pub(super) fn store_for(&mut self, write: Write, awaiting: Awaiting) -> bool {
        let Err(refused) = self.store(write, awaiting) else { return true };
        let (error, awaiting) = *refused;
        if let Some(asker) = awaiting.into_asker() {
            self.answer(asker, Err(error));
        }
        false
    }
}

fn list_conversations(pending: &mut Pending) -> Progressed {
    match pending.facts.overviews.take() {
        Some(overviews) => Progressed::Done(Reply::Conversations(overviews)),
        None => Progressed::Needs(Load::Overviews(pending.user.clone())),
    }
}
