//! Membership: who is in a conversation, and their sockets in its room.
use smallvec::SmallVec;

use super::Broker;
use crate::chat::ports::RoomKey;
use crate::engineio::ConnectionKey;
use crate::model::{Conversation, ConversationId, ConversationKind, MODEL_USER, UserId};
use crate::store::Membership;

impl Broker {
    pub(super) fn is_member(&self, user: &UserId, conversation: ConversationId) -> bool {
        let memberships = self.users.get(user).map_or(&[][..], |user| &user.memberships);
        memberships.iter().any(|membership| membership.conversation == conversation)
    }

    /// Members who are at hand know of their membership, and their open sockets are in.
    pub(super) fn join_members(&mut self, conversation: &Conversation, members: &[UserId]) {
        let joined_position = self.sends.position();
        for member in members {
            let Some(user) = self.users.get_mut(member).filter(|_| member.as_str() != MODEL_USER) else { continue };
            if user.membership(conversation.id).is_some() {
                continue;
            }
            user.memberships.push(Membership {
                conversation: conversation.id,
                kind: conversation.kind,
                other: (conversation.kind == ConversationKind::Direct).then(|| conversation.other_than(member).clone()),
                delivered_seq: conversation.last_seq,
                read_seq: 0,
                last_seq: conversation.last_seq,
                joined_position,
                name: None,
            });
            if conversation.kind == ConversationKind::Group {
                self.enter_group(conversation.id, member);
            }
        }
    }

    /// A member is out: their sockets hear nothing of it any more.
    pub(super) fn part(&mut self, id: ConversationId, member: &UserId) {
        let Some(user) = self.users.get_mut(member) else { return };
        user.memberships.retain(|membership| membership.conversation != id);
        // What a name of theirs was read to mean before may be this one.
        user.names_given += 1;
        let sockets: SmallVec<[ConnectionKey; 4]> = user.sessions.iter().copied().collect();
        self.part_detached(id, member);
        for socket in sockets {
            self.leave_one(&RoomKey::Group(id), socket);
            if let Some(change) = self.typing.stop(id, member, socket) {
                self.fan_out_typing(&change, Some(socket));
            }
            if let Some(subscriptions) = self.sessions.get_mut(&socket).and_then(|session| session.subscriptions.as_mut()) {
                subscriptions.forget(id);
            }
        }
    }
}
