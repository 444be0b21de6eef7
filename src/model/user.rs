//! Users, and the parts of them that others see.
use std::sync::Arc;

use schemars::JsonSchema;

use super::id::UserId;
use super::limits::USERNAME_MAX;
use super::timestamp::Timestamp;

/// The user as which the AI model writes; nobody can log in as it.
pub const MODEL_USER: &str = "model";

/// Public and private profile of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Opaque to clients.
    pub id: UserId,
    /// 1–64 characters, unique without regard to case.
    pub username: String,
    /// Display name; `None` falls back to the username.
    pub full_name: Option<String>,
    /// Address of a picture.
    pub avatar: Option<String>,
    /// Shown to the user and to administrators; some front ends also show it to users who share a conversation.
    pub email: Option<String>,
    /// The stored role; shown to the same people as the e-mail address.
    pub role: UserRole,
}

/// Permissions of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub enum UserRole {
    /// An ordinary user.
    #[default]
    User,
    /// May use `/api/admin`.
    Admin,
}

impl UserRole {
    /// `user` or `admin`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }

    /// Reads what [`UserRole::as_str`] prints.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "user" => Some(Self::User),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}

/// The presence a user chose; kept over reconnects and restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub enum ChosenStatus {
    /// Present.
    #[default]
    Online,
    /// Not at the keyboard.
    Away,
    /// Not to be disturbed.
    Busy,
    /// Appears offline to all others.
    Offline,
}

impl ChosenStatus {
    /// `online`, `away`, `busy` or `offline`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
            Self::Busy => "busy",
            Self::Offline => "offline",
        }
    }

    /// Reads what [`ChosenStatus::as_str`] prints.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "online" => Some(Self::Online),
            "away" => Some(Self::Away),
            "busy" => Some(Self::Busy),
            "offline" => Some(Self::Offline),
            _ => None,
        }
    }
}

/// A user as stored, without the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The profile.
    pub profile: Arc<Profile>,
    /// The chosen presence.
    pub status: ChosenStatus,
    /// Time at which the last socket closed; `None` before the first.
    pub last_seen: Option<Timestamp>,
    /// Set by an administrator: all tokens of this user are refused.
    pub disabled: bool,
    /// The account was deleted: its row remains as the author of messages to others.
    pub is_deleted: bool,
    /// Tokens issued before this moment are revoked (a changed password), except those of `kept_login`.
    pub tokens_valid_from: Option<Timestamp>,
    /// Login that changed the password; its tokens stay valid.
    pub kept_login: Option<String>,
    /// Time at which the profile was last stated by a foreign token or an administrator; `None` if neither gave one.
    pub described_at: Option<Timestamp>,
    /// Time of creation.
    pub created_at: Timestamp,
}

/// Returns a username for a user of whom only the id is known.
pub fn name_of_id(id: &UserId) -> String {
    id.as_str().chars().take(USERNAME_MAX).collect()
}

/// Returns a username with a number appended, for when the name itself is taken.
pub fn numbered_name(username: &str, number: u64) -> String {
    let number = number.to_string();
    let kept: String = username.chars().take(USERNAME_MAX.saturating_sub(number.len())).collect();
    kept + &number
}

/// Returns a guest's name that says so, for when an account is shown under the name itself.
pub fn marked_name(username: &str) -> String {
    const MARK: &str = " (guest)";
    let kept: String = username.chars().take(USERNAME_MAX.saturating_sub(MARK.len())).collect();
    kept + MARK
}

/// Profile fields stated by a source that makes users, such as a foreign token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// The username wanted; may already belong to another user.
    pub username: Option<String>,
    /// The e-mail address; may also belong to another user.
    pub email: Option<String>,
    /// The display name.
    pub full_name: Option<String>,
    /// The role.
    pub role: Option<UserRole>,
    /// Time of the statement.
    pub said_at: Option<Timestamp>,
}

impl Description {
    /// Returns whether it is older than the stored profile, or states nothing new.
    pub fn is_known(&self, account: &Account) -> bool {
        let Self { username, email, full_name, role, said_at } = self;
        let profile = &account.profile;
        let is_older = account.described_at.is_some_and(|known| said_at.is_none_or(|said_at| said_at < known));
        let is_called = |name: &String| {
            let stem = profile.username.trim_end_matches(|letter: char| letter.is_ascii_digit());
            let number = profile.username.strip_prefix(stem).and_then(|number| number.parse().ok());
            profile.username == *name || number.is_some_and(|number| numbered_name(name, number) == profile.username)
        };
        let says_nothing = username.as_ref().is_none_or(is_called)
            && (email.is_none() || *email == profile.email)
            && (full_name.is_none() || *full_name == profile.full_name)
            && role.is_none_or(|role| role == profile.role);
        is_older || says_nothing
    }
}
