//! Typing, as others are told of it.
use super::Broker;
use super::dispatch::Spared;
use crate::chat::ports::{Broadcast, Event, RoomKey};
use crate::chat::state::{Except, TypingChange};
use crate::engineio::ConnectionKey;
use crate::model::ConversationKind;

impl Broker {
    /// Tells the other users in the conversation.
    pub(super) fn tell_typing(&mut self, change: &TypingChange, typist: Option<ConnectionKey>) {
        let Some(user) = self.users.get(&change.user) else { return };
        let Some(cached) = self.conversations.get(&change.conversation) else { return };
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
}
