//! Occasions for an event to clients, by the names that a file gives them.
use crate::chat::{Event, PresenceChange};
use crate::model::{ConversationKind, Place};

use super::super::events::Offset;

/// An occasion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Occasion(&'static str);

/// All occasions. The part before the dot names all of its kind.
const OCCASIONS: [&str; 27] = [
    "connected",
    "message.direct",
    "message.group",
    "message.model",
    "message.room",
    "message.common_chat",
    "updated.direct",
    "updated.group",
    "updated.model",
    "deleted.direct",
    "deleted.group",
    "deleted.model",
    "delivered.at_once",
    "delivered.later",
    "read",
    "typing.start",
    "typing.stop",
    "presence.online",
    "presence.status",
    "presence.offline",
    "answer.piece",
    "answer.failed",
    "notification",
    "conversation.changed",
    "conversation.deleted",
    "member.opened",
    "member.closed",
];

impl Occasion {
    /// Returns the occasions that a name of a file means: one, or all of a kind.
    pub(super) fn named(name: &str) -> Vec<Self> {
        let is_meant = |known: &&str| *known == name || known.split_once('.').is_some_and(|(kind, _)| kind == name);
        Self::all().map(Self::name).filter(is_meant).map(Self).collect()
    }

    /// Returns all occasions.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        OCCASIONS.into_iter().map(Self)
    }

    pub(super) fn name(self) -> &'static str {
        self.0
    }

    /// Returns the occasions of an event; presence has one for each change.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let in_conversation = |kind: ConversationKind, [direct, group, model]: [&'static str; 3]| match kind {
            ConversationKind::Direct => direct,
            ConversationKind::Group => group,
            ConversationKind::Ai => model,
        };
        Some(Self(match event {
            Event::Connected { .. } => "connected",
            Event::Message { kind, .. } => in_conversation(*kind, ["message.direct", "message.group", "message.model"]),
            Event::RoomMessage { message, .. } if message.place == Place::CommonChat => "message.common_chat",
            Event::RoomMessage { .. } => "message.room",
            Event::MessageUpdated { kind, .. } => in_conversation(*kind, ["updated.direct", "updated.group", "updated.model"]),
            Event::MessageDeleted { kind, .. } => in_conversation(*kind, ["deleted.direct", "deleted.group", "deleted.model"]),
            Event::Delivered { at_once, .. } => {
                if *at_once {
                    "delivered.at_once"
                } else {
                    "delivered.later"
                }
            }
            Event::Read { .. } => "read",
            Event::Typing { active, .. } => {
                if *active {
                    "typing.start"
                } else {
                    "typing.stop"
                }
            }
            Event::AnswerPiece { .. } => "answer.piece",
            Event::AnswerFailed { .. } => "answer.failed",
            Event::Notification(_) => "notification",
            Event::ConversationChanged(_) => "conversation.changed",
            Event::ConversationDeleted { .. } => "conversation.deleted",
            Event::GroupOpened { opened, .. } => {
                if *opened {
                    "member.opened"
                } else {
                    "member.closed"
                }
            }
            Event::Presence(_) | Event::Apology { .. } | Event::Emitted(_) => return None,
        }))
    }

    /// Returns the occasion of a change of presence.
    pub(super) fn of_presence(change: &PresenceChange) -> Self {
        Self(match change {
            PresenceChange::Online { came: true, .. } => "presence.online",
            PresenceChange::Online { came: false, .. } => "presence.status",
            PresenceChange::Offline { .. } => "presence.offline",
        })
    }

    /// Returns which of its events end with an offset.
    pub(super) fn offset(self) -> Offset {
        match self.0 {
            "connected" | "answer.failed" => Offset::Unasked,
            "typing.start" | "typing.stop" | "presence.online" | "presence.status" | "presence.offline" | "answer.piece" => {
                Offset::Never
            }
            _ => Offset::Always,
        }
    }
}
