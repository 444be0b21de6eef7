//! Keys of rooms.
use std::fmt;

use crate::model::{ConversationId, Place, RoomId};

/// Room by its kind: a group, a public room or the common chat.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RoomKey {
    /// The unmuted sockets of a group's members.
    Group(ConversationId),
    /// A public room.
    Public(RoomId),
    /// The common chat.
    CommonChat,
}

impl RoomKey {
    /// Parses its name for administrators; whether somebody is in the room is another question.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("conversation", id)) => ConversationId::parse(id).ok().map(Self::Group),
            Some(("room", name)) => RoomId::parse(name).ok().map(Self::Public),
            _ => (text == "common_chat").then_some(Self::CommonChat),
        }
    }

    /// Returns the key of the room that is sent what is said at a place; a conversation of two has none.
    pub fn of(place: &Place) -> Self {
        match place {
            Place::Conversation(id) => Self::Group(*id),
            Place::Room(room) => Self::Public(room.clone()),
            Place::CommonChat => Self::CommonChat,
        }
    }
}

/// Its name for administrators: `conversation:ID` (a group), `room:NAME` or `common_chat`.
impl fmt::Display for RoomKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(id) => write!(formatter, "conversation:{id}"),
            Self::Public(room) => write!(formatter, "room:{room}"),
            Self::CommonChat => formatter.write_str("common_chat"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_read_as_it_is_shown() {
        let group = RoomKey::Group(ConversationId::parse("0197a000-0000-7000-8000-000000000001").unwrap());
        for room in [group, RoomKey::Public(RoomId::parse("a:b").unwrap()), RoomKey::CommonChat] {
            assert_eq!(RoomKey::parse(&room.to_string()), Some(room));
        }
        assert_eq!(RoomKey::parse("conversation:x"), None);
    }
}
