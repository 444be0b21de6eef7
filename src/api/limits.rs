//! Limits of what is sent to the routes: they are checked where it is read, and said in the OpenAPI document.

/// Longest address of a picture, in characters.
pub const AVATAR_MAX: usize = 2_048;
/// Longest text that is searched for, in characters: the longest name.
pub const SEARCH_MAX: usize = 200;

/// Longest title of a listing, in characters.
pub const TITLE_MAX: usize = 500;

/// Longest name of a group, in characters.
pub const GROUP_NAME_MAX: usize = 200;
/// Most users that one request can put into a group.
pub const PARTICIPANTS_MAX: usize = 10_000;

/// Longest text of a notification, in characters.
pub const NOTIFICATION_MAX: usize = 4_000;
/// Most notifications that one request marks by their ids.
pub const IDS_MAX: usize = 10_000;

/// Longest name of an event, in characters.
pub const EVENT_MAX: usize = 200;
/// Longest name of a room, in characters: that of a public room with `room_` before it.
pub const ROOM_MAX: usize = 205;
