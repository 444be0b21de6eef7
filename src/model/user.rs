//! Users and what others see of them.
use std::sync::Arc;

use schemars::JsonSchema;

use super::id::UserId;
use super::limits::USERNAME_MAX;
use super::timestamp::Timestamp;

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
    /// The account was deleted: its row stays as the author of what it said to others.
    pub is_deleted: bool,
    /// Tokens issued before this moment are revoked (a changed password), except those of `kept_login`.
    pub tokens_valid_from: Option<Timestamp>,
    /// The login that changed the password: its tokens stay valid.
    pub kept_login: Option<String>,
    /// When what is said of the user was said, by a token made elsewhere or by an administrator; `None`: nobody said when.
    pub described_at: Option<Timestamp>,
    /// When the user was made.
    pub created_at: Timestamp,
}

/// A username with a number behind it, for want of the name itself.
pub fn numbered_name(username: &str, number: u64) -> String {
    let number = number.to_string();
    let kept: String = username.chars().take(USERNAME_MAX.saturating_sub(number.len())).collect();
    kept + &number
}

/// The description of a user where users are made, as far as there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// The username that is wanted; another user may have it.
    pub username: Option<String>,
    /// The e-mail address; it, too, may be another's.
    pub email: Option<String>,
    /// The name to show.
    pub full_name: Option<String>,
    /// What the user may do.
    pub role: Option<UserRole>,
    /// When it was said.
    pub said_at: Option<Timestamp>,
}

impl Description {
    /// Tells whether it is older than what is known of a user, or says nothing else.
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
