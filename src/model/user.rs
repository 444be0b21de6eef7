//! Users and what others see of them.
use std::sync::Arc;

use schemars::JsonSchema;

use super::{Timestamp, UserId};

/// The user that the AI model writes as; nobody logs in as it.
pub const MODEL_USER: &str = "model";

/// Who a user is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Opaque to clients.
    pub id: UserId,
    /// 1–64 characters, unique without regard to case.
    pub username: String,
    /// The name to show; `None` falls back to the username.
    pub full_name: Option<String>,
    /// Address of a picture.
    pub avatar: Option<String>,
    /// For the user, for administrators, and where a front end shows it to those who share a conversation.
    pub email: Option<String>,
    /// The stored role; shown as the e-mail is.
    pub role: UserRole,
}

/// What a user may do.
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

/// A user as stored, less the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Who it is.
    pub profile: Arc<Profile>,
    /// The chosen presence.
    pub status: ChosenStatus,
    /// When the last socket closed; `None` before the first.
    pub last_seen: Option<Timestamp>,
    /// By an administrator: no token of this user is accepted.
    pub disabled: bool,
    /// Whether the account was deleted: its row stays as the author of what it said to others.
    pub is_deleted: bool,
    /// Tokens issued before this moment are revoked (a changed password), except those of `kept_login`.
    pub tokens_valid_from: Option<Timestamp>,
    /// The login that changed the password: its tokens stay valid.
    pub kept_login: Option<String>,
    /// When the user was made.
    pub created_at: Timestamp,
}
