//! Room names used by the front ends' original servers: other servers can go on using them.
use crate::chat::EmitTo;
use crate::model::{ConversationId, RoomId, UserId};

/// Resolves a room name: `user_<id>` and `user:<id>` mean a user, `common_chat` the common chat, `room_<id>` a public
/// room, and a conversation's id that conversation. Any other name is a public room's own. `None` if nothing can have
/// this name.
pub fn parse_room(name: &str) -> Option<EmitTo> {
    let user = name.strip_prefix("user_").or_else(|| name.strip_prefix("user:")).map(UserId::parse);
    let room = name.strip_prefix("room_").map(RoomId::parse);
    Some(match (user, room) {
        (Some(Ok(user)), _) => EmitTo::User(user),
        (_, Some(Ok(room))) => EmitTo::Room(room),
        _ if name == "common_chat" => EmitTo::CommonChat,
        _ => {
            let room = RoomId::parse(name).ok()?;
            match ConversationId::parse(name) {
                Ok(conversation) => EmitTo::ConversationOrRoom(conversation, room),
                Err(_) => EmitTo::Room(room),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_have_the_names_that_the_front_ends_servers_gave_them() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let room = |name: &str| RoomId::parse(name).unwrap();
        let user = |name: &str| EmitTo::User(UserId::parse(name).unwrap());
        for (name, expected) in [
            ("user_7", user("7")),
            ("user:a_b", user("a_b")),
            ("user_room_1", user("room_1")),
            ("common_chat", EmitTo::CommonChat),
            ("room_7", EmitTo::Room(room("7"))),
            ("room_room_7", EmitTo::Room(room("room_7"))),
            ("flat-7", EmitTo::Room(room("flat-7"))),
            ("user_", EmitTo::Room(room("user_"))),
            ("user_a b", user("a b")),
            ("user_ b", EmitTo::Room(room("user_ b"))),
            ("room_", EmitTo::Room(room("room_"))),
            (id, EmitTo::ConversationOrRoom(ConversationId::parse(id).unwrap(), room(id))),
        ] {
            assert_eq!(parse_room(name), Some(expected), "{name}");
        }
        let longest = "x".repeat(200);
        assert_eq!(parse_room(&format!("room_{longest}")), Some(EmitTo::Room(room(&longest))));
        assert_eq!(parse_room(&format!("{longest}x")), None);
    }
}
