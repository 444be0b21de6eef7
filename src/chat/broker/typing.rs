//! Typing, as others are notified of it.
use super::Broker;
use super::fan_out::Exclude;
use crate::chat::ports::{Broadcast, Event, RoomKey};
use crate::chat::state::{ReplayExclude, TypingChange};
use crate::engineio::ConnectionKey;
use crate::model::ConversationKind;

impl Broker {
    /// Notifies the other users in the conversation.
    pub(super) fn fan_out_typing(&mut self, change: &TypingChange, typist: Option<ConnectionKey>) {
        let Some(user) = self.users.get(&change.user) else { return };
        let Some(cached) = self.conversations.get(&change.conversation) else { return };
        let event = Event::Typing { user: user.profile().clone(), conversation: change.conversation, active: change.active };
        if cached.conversation.kind == ConversationKind::Group {
            let mut own = user.sessions.to_vec();
            own.extend(typist.filter(|socket| !user.sessions.contains(socket)));
            let except = ReplayExclude { users: vec![change.user.clone()], ..ReplayExclude::default() };
            let excluded = Exclude { connections: own.into(), except };
            self.fan_out_to_room(&RoomKey::Group(change.conversation), Broadcast::new(event), excluded);
        } else {
            let others = cached.conversation.clone();
            self.fan_out_to_users(others.participants.iter().filter(|member| **member != change.user), event);
        }
    }
}
