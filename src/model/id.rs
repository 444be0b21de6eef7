//! Identifiers. Clients see all of them as opaque texts.
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::limits::{ID_MAX, USER_ID_MAX};
use super::name::is_plain;

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id")]
pub struct InvalidId;

/// Namespace of all ids derived from names: UUIDv5(DNS, `parlance`).
fn namespace_uuid() -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"parlance")
}

/// Schema of an id as clients see it.
macro_rules! id_schema {
    ($name:ident, $schema:tt) => {
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID from the id source or the database.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID itself.
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }

            /// Reads the text form, exactly as it is printed (lower case, hyphens): another spelling of the same UUID
            /// is an unknown text.
            ///
            /// # Errors
            /// [`InvalidId`] for every other text.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let uuid = Uuid::try_parse(text).map_err(|_| InvalidId)?;
                let mut buffer = Uuid::encode_buffer();
                if uuid.hyphenated().encode_lower(&mut buffer) == text { Ok(Self(uuid)) } else { Err(InvalidId) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(formatter)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
        }

        id_schema!($name, { "type": "string", "format": "uuid" });
    };
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $max:expr, $pattern:literal, $is_one:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads an id from text.
            ///
            /// # Errors
            /// [`InvalidId`] if its length or one of its characters is not allowed.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let is_one: fn(&str) -> bool = $is_one;
                if text.is_empty() || !is_one(text) { Err(InvalidId) } else { Ok(Self(Arc::from(text))) }
            }

            /// Returns the id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{:?}", &*self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        id_schema!($name, { "type": "string", "minLength": 1, "maxLength": $max, "pattern": $pattern });
    };
}

uuid_id! {
    /// A conversation: direct, group or with the model.
    ConversationId
}
uuid_id! {
    /// A message. UUIDv7, or UUIDv5 of the sender and the `clientMessageId` (see [`MessageId::of_client_id`]).
    MessageId
}
uuid_id! {
    /// A stored notification.
    NotificationId
}

/// Start of the ids of guests.
const GUEST: &str = "guest:";
/// Length of the random part of a guest's id: 15 bytes in URL-safe base64.
const GUEST_RANDOM: usize = 20;

impl UserId {
    /// Makes a guest's id of 20 random characters of URL-safe base64.
    ///
    /// # Errors
    /// [`InvalidId`] for every other text.
    pub fn of_guest(random: &str) -> Result<Self, InvalidId> {
        Self::parse(&format!("{GUEST}{random}")).ok().filter(Self::is_guest).ok_or(InvalidId)
    }

    /// Returns whether it begins as guests' ids do.
    pub fn begins_as_guest(&self) -> bool {
        self.as_str().starts_with(GUEST)
    }

    /// Returns whether it is a guest's: a user without an account.
    pub fn is_guest(&self) -> bool {
        let is_random = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_');
        self.as_str().strip_prefix(GUEST).is_some_and(|rest| rest.len() == GUEST_RANDOM && rest.bytes().all(is_random))
    }
}

impl MessageId {
    /// Returns the id of the message that `sender` calls `client_message_id`: the same for every retry, even after a
    /// crash.
    ///
    /// UUIDv5 with that name in the namespace UUIDv5(`namespace_uuid`, sender).
    pub fn of_client_id(sender: &UserId, client_message_id: &str) -> Self {
        let namespace = Uuid::new_v5(&namespace_uuid(), sender.as_str().as_bytes());
        Self(Uuid::new_v5(&namespace, client_message_id.as_bytes()))
    }
}

text_id! {
    /// A user, by the id that its issuer gave it: 1–200 printable bytes, without blanks at the ends.
    UserId, USER_ID_MAX, r"^[^\u0000-\u001f\u007f-\u009f]+$", is_printable
}
text_id! {
    /// A public room, by its client-chosen name: 1–200 characters.
    RoomId, ID_MAX, r"^[^\u0000]+$", is_any_text
}
text_id! {
    /// A listing of the marketplace, by the name that its server gave it: 1–200 characters.
    ListingId, ID_MAX, r"^[^\u0000]+$", is_any_text
}

fn is_any_text(text: &str) -> bool {
    text.chars().count() <= ID_MAX && !text.contains('\0')
}

/// Returns whether a text is readable as it is: it goes into the log, into addresses and into names of rooms.
fn is_printable(text: &str) -> bool {
    let is_seen = text.bytes().all(|byte| byte.is_ascii_graphic()) || (text.trim().len() == text.len() && is_plain(text));
    text.len() <= USER_ID_MAX && is_seen
}

/// The public id of one Socket.IO socket: 20 characters of URL-safe base64 (15 random bytes).
/// Never the Engine.IO session id, which is a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId([u8; 20]);

impl SocketId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`InvalidId`] unless `text` is 20 characters of URL-safe base64.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let bytes: [u8; 20] = text.as_bytes().try_into().map_err(|_| InvalidId)?;
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if bytes.iter().all(allowed) { Ok(Self(bytes)) } else { Err(InvalidId) }
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for SocketId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.as_str())
    }
}

impl Serialize for SocketId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

id_schema!(SocketId, { "type": "string", "pattern": "^[A-Za-z0-9_-]{20}$" });

/// The private id of one Socket.IO session, with which its client resumes it. It has the length of a [`SocketId`] and
/// is never shown to others.
///
/// The first half is new for each session, because a stock client takes an unchanged id for a recovery. The second half
/// is the same in all sessions of one client, so the server recognises the client's own messages after any number of
/// reconnects. It ends with a mark of the user, so that what a client sends of another user's session is known for that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrivateId([u8; 20]);

/// Index at which the second half of a [`PrivateId`] begins.
const CLIENT_AT: usize = 10;

/// Index at which the mark of the user begins, of four digits.
const USER_AT: usize = 16;

/// The digits of URL-safe base64.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl PrivateId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`InvalidId`] unless `text` is 20 characters of URL-safe base64.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        SocketId::parse(text).map(|SocketId(bytes)| Self(bytes))
    }

    /// Returns this id with the client half of `earlier`, the id that the client had before.
    #[must_use]
    pub fn of_client(self, earlier: Self) -> Self {
        let (Self(new), Self(old)) = (self, earlier);
        Self(std::array::from_fn(|place| *if place < CLIENT_AT { &new } else { &old }.get(place).unwrap_or(&b'_')))
    }

    /// Returns this id with the mark of its user.
    #[must_use]
    pub fn of_user(self, user: &UserId) -> Self {
        let Self(mut bytes) = self;
        if let (Some(client), Some(mark)) = (self.0.get(CLIENT_AT..USER_AT), bytes.get_mut(USER_AT..)) {
            let name = [client, user.as_str().as_bytes()].concat();
            let digest = Uuid::new_v5(&namespace_uuid(), &name);
            for (digit, byte) in mark.iter_mut().zip(digest.as_bytes()) {
                *digit = *DIGITS.get(usize::from(byte % 64)).unwrap_or(&b'_');
            }
        }
        Self(bytes)
    }

    /// Returns whether it was made for this user.
    pub fn is_of(&self, user: &UserId) -> bool {
        self.of_user(user) == *self
    }

    /// Returns the half that all ids of one client share.
    pub fn client(&self) -> &str {
        self.expose().get(CLIENT_AT..).unwrap_or_default()
    }

    /// Returns the id as text, for its own client only.
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for PrivateId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PrivateId")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_printed_form_of_a_uuid_is_an_id() {
        let printed = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(MessageId::parse(printed).unwrap().to_string(), printed);
        for other in ["01890A5D-ac96-774b-bcce-b302099a8057", "01890a5dac96774bbcceb302099a8057", "", "x"] {
            assert_eq!(MessageId::parse(other), Err(InvalidId), "{other:?}");
        }
    }

    #[test]
    fn user_ids_are_what_issuers_have() {
        for good in [
            "a",
            "auth0|5f7c8ec7c33c6c004bbafe82",
            "a+b@x.org",
            "DOMAIN\\user",
            "https://id.example/users/7?a=b#c",
            "00u1/%2F",
            "Jürgen Groß",
            "用户",
            "a'b\"c",
            &"x".repeat(200),
        ] {
            assert_eq!(UserId::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            " ",
            " a",
            "a\u{a0}",
            "a\nb",
            "a\tb",
            "a\0",
            "a\u{202e}b",
            "a\u{200b}",
            "\u{2028}",
            &"x".repeat(201),
            &"ä".repeat(101),
        ] {
            assert_eq!(UserId::parse(bad), Err(InvalidId), "{bad:?}");
        }
    }

    #[test]
    fn all_private_ids_of_a_client_have_one_half_in_common() {
        let [one, other] = ["aaaaaaaaaaAAAAAAAAAA", "bbbbbbbbbbBBBBBBBBBB"].map(|text| PrivateId::parse(text).unwrap());
        let next = other.of_client(one);
        assert_eq!((next.expose(), next.client()), ("bbbbbbbbbbAAAAAAAAAA", one.client()));
    }

    #[test]
    fn a_private_id_knows_its_user() {
        let [ann, bob] = ["ann", "bob"].map(|name| UserId::parse(name).unwrap());
        let [one, other] = ["aaaaaaaaaaAAAAAAAAAA", "bbbbbbbbbbBBBBBBBBBB"].map(|text| PrivateId::parse(text).unwrap());
        let of_ann = one.of_user(&ann);
        assert_eq!(of_ann.expose().get(..USER_AT), one.expose().get(..USER_AT));
        assert!(of_ann.is_of(&ann) && other.of_client(of_ann).is_of(&ann), "the mark stays over all sessions of a client");
        assert!(!of_ann.is_of(&bob) && !one.is_of(&ann));
    }

    #[test]
    fn a_retry_has_the_same_message_id() {
        let (ann, bob) = (UserId::parse("ann").unwrap(), UserId::parse("bob").unwrap());
        assert_eq!(MessageId::of_client_id(&ann, "1"), MessageId::of_client_id(&ann, "1"));
        assert_ne!(MessageId::of_client_id(&ann, "1"), MessageId::of_client_id(&bob, "1"));
    }
}
