//! Limits on input, each defined once. Texts are counted in characters.

/// Longest id of a user, in bytes.
pub const USER_ID_MAX: usize = 200;
/// Longest id that clients or their servers choose themselves (a room, a listing, a `clientMessageId`), and longest
/// text that is looked up as one of our ids.
pub const ID_MAX: usize = 200;
/// Longest message type.
pub const TYPE_MAX: usize = 32;
/// Longest address of an upload; ours are far shorter.
pub const URL_MAX: usize = 2_000;
/// Maximum number of `attachments` of a message.
pub const ATTACHMENTS_MAX: usize = 20;
/// Longest username.
pub const USERNAME_MAX: usize = 64;
/// Longest display name.
pub const FULL_NAME_MAX: usize = 200;
/// Longest e-mail address (source: RFC 5321, a path without its brackets).
pub const EMAIL_MAX: usize = 254;
/// Shortest new password.
pub const PASSWORD_MIN: usize = 8;
/// Longest new password.
pub const PASSWORD_MAX: usize = 1_024;
/// Largest integer that JavaScript holds exactly, 2^53 − 1.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;
