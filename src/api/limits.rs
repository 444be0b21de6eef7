//! Limits of request fields: enforced where a field is read, and stated in the OpenAPI document.

/// Longest address of a picture, in characters.
pub(super) const AVATAR_MAX: usize = 2_048;
/// Longest search text, in characters: the longest name.
pub(super) const SEARCH_MAX: usize = 200;

/// Longest title of a listing, in characters.
pub(super) const TITLE_MAX: usize = 500;

/// Longest name of a group, in characters.
pub(super) const GROUP_NAME_MAX: usize = 200;
/// Maximum number of users that one request can add to a group.
pub(super) const PARTICIPANTS_MAX: usize = 10_000;

/// Longest text of a notification, in characters.
pub(super) const NOTIFICATION_MAX: usize = 4_000;
/// Maximum number of notifications that one request can mark by id.
pub(super) const IDS_MAX: usize = 10_000;

/// Longest name of an event, in characters.
pub(super) const EVENT_MAX: usize = 200;
/// Longest name of a room, in characters: a public room's name after `room_`.
pub(super) const ROOM_MAX: usize = 205;
