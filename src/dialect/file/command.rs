//! The commands that a file's events may ask for, and their fields.
use super::super::fields::{Field, Payload};
use super::super::packets::to_json;
use super::super::request_error::RequestError;
use super::super::vocabulary::Decoded;
use crate::auth::check_username;
use crate::chat::{ChatError, Command, Draft, OwnCopy, SendTo};
use crate::model::{ChosenStatus, MODEL_USER, Place, UserId};

/// Maximum number of sockets, notifications or messages in one answer.
const ANSWER_MAX: i64 = 100;

/// A command that an event asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CommandName(&'static str);

/// Fields of a message's place.
const TARGETS: [&str; 6] = ["user", "conversation", "room", "commonChat", "model", "alias"];

/// A field of each of these groups makes a command; the others can be left out.
type Needs = &'static [&'static [&'static str]];

/// Commands, the names of their fields, and what they need of them.
const COMMANDS: [(&str, &[&str], Needs); 25] = [
    (
        "send",
        &[
            "user",
            "conversation",
            "room",
            "commonChat",
            "model",
            "alias",
            "content",
            "type",
            "file",
            "files",
            "listing",
            "clientMessageId",
            "stream",
        ],
        &[&TARGETS, &["content", "file", "files"]],
    ),
    ("read", &["message"], &[&["message"]]),
    ("typing", &["conversation", "active"], &[&["conversation"]]),
    ("open", &["conversation", "groupsOnly"], &[&["conversation"]]),
    ("close", &["conversation"], &[&["conversation"]]),
    ("join", &["room", "commonChat"], &[&["room", "commonChat"]]),
    ("leave", &["room", "commonChat"], &[&["room", "commonChat"]]),
    ("history", &["conversation", "room", "commonChat", "limit"], &[&["conversation", "room", "commonChat"]]),
    ("status", &["status"], &[&["status"]]),
    ("edit", &["message", "content"], &[&["message"], &["content"]]),
    ("delete", &["message"], &[&["message"]]),
    ("create_direct", &["user"], &[&["user"]]),
    ("create_group", &["name", "avatar", "users"], &[&["name"], &["users"]]),
    ("rename", &["conversation", "name"], &[&["conversation"], &["name"]]),
    ("delete_conversation", &["conversation"], &[&["conversation"]]),
    ("add_members", &["conversation", "users"], &[&["conversation"], &["users"]]),
    ("remove_member", &["conversation", "user"], &[&["conversation"], &["user"]]),
    ("profile", &["fullName"], &[&["fullName"]]),
    ("conversations", &[], &[]),
    ("connections", &["limit"], &[]),
    ("notifications", &["limit"], &[]),
    ("introduce", &["username"], &[&["username"]]),
    ("account", &[], &[]),
    ("authenticate", &["token"], &[&["token"]]),
    ("nothing", &[], &[]),
];

impl CommandName {
    /// Finds a command.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::all().find(|command| command.0 == name)
    }

    /// Returns all commands.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        COMMANDS.iter().map(|(name, ..)| Self(name))
    }

    pub(super) fn as_str(self) -> &'static str {
        self.0
    }

    /// Returns the names of its fields.
    pub(super) fn fields(self) -> &'static [&'static str] {
        COMMANDS.iter().find(|(name, ..)| *name == self.0).map_or(&[], |(_, fields, _)| fields)
    }

    /// Returns groups of fields: the command needs one of each.
    pub(super) fn needs(self) -> &'static [&'static [&'static str]] {
        COMMANDS.iter().find(|(name, ..)| *name == self.0).map_or(&[], |(.., needs)| needs)
    }

    /// Makes the command of its fields.
    ///
    /// # Errors
    /// [`RequestError`] if a field is missing or invalid.
    pub(super) fn decode(self, fields: &Fields<'_>, copy: OwnCopy) -> Result<Decoded, RequestError> {
        let command = match self.0 {
            "send" => return send(fields).map(|command| Decoded::Command { own_copy: copy_of(&command, copy), command }),
            "read" => Command::MarkRead { message: fields.get("message").message()? },
            "typing" => {
                let active = fields.get("active").flag()?.unwrap_or(true);
                Command::Typing { conversation: fields.get("conversation").conversation()?, active }
            }
            "open" => {
                let groups_only = fields.get("groupsOnly").flag()?.unwrap_or_default();
                Command::OpenConversation { conversation: fields.get("conversation").conversation()?, groups_only }
            }
            "close" => return Decoded::leaving(fields.get("conversation").conversation()),
            "join" if fields.get("commonChat").flag()? == Some(true) => Command::JoinCommonChat,
            "join" => Command::JoinRoom { room: fields.get("room").room()? },
            "leave" if fields.get("commonChat").flag()? == Some(true) => Command::LeaveCommonChat,
            "leave" => Command::LeaveRoom { room: fields.get("room").room()? },
            "history" => Command::ListMessages { limit: limit(fields)?, place: place(fields)? },
            "status" => {
                let field = fields.get("status");
                let status = field.text()?.as_deref().and_then(ChosenStatus::parse).ok_or_else(|| field.request_error())?;
                Command::SetStatus { status }
            }
            "edit" => {
                Command::EditMessage { content: some_text(&fields.get("content"))?, message: fields.get("message").message()? }
            }
            "delete" => Command::DeleteMessage { message: fields.get("message").message()? },
            "create_direct" => Command::CreateDirect { participant: fields.get("user").user()? },
            "create_group" => Command::CreateGroup {
                name: some_text(&fields.get("name"))?,
                avatar: fields.get("avatar").text()?,
                participants: users(&fields.get("users"))?,
            },
            "rename" => Command::UpdateConversation {
                name: Some(some_text(&fields.get("name"))?),
                avatar: None,
                conversation: fields.get("conversation").conversation()?,
            },
            "delete_conversation" => Command::DeleteConversation { conversation: fields.get("conversation").conversation()? },
            "add_members" => Command::AddParticipants {
                participants: users(&fields.get("users"))?,
                conversation: fields.get("conversation").conversation()?,
            },
            "remove_member" => Command::RemoveParticipant {
                participant: fields.get("user").user()?,
                conversation: fields.get("conversation").conversation()?,
            },
            "profile" => Command::UpdateProfile { full_name: Some(fields.get("fullName").text()?), avatar: None },
            "conversations" => Command::ListConversations,
            "connections" => Command::ListConnections { limit: usize::try_from(limit(fields)?).unwrap_or_default() },
            "notifications" => Command::ListNotifications { limit: limit(fields)? },
            "introduce" => introduce(&fields.get("username"))?,
            "account" => return Ok(Decoded::OwnAccount),
            "authenticate" => return authenticate(&fields.get("token")),
            "nothing" => return Ok(Decoded::Done),
            _ => return Err(RequestError::UnknownEvent),
        };
        Ok(command.into())
    }
}

/// The fields of a command, as a filter made them.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    payload: Payload<'a>,
    names: &'a [(&'static str, &'static str)],
}

impl<'a> Fields<'a> {
    /// Reads the fields from JSON; `names` are those by which refusals call them.
    ///
    /// # Errors
    /// [`RequestError`] if it is no object.
    pub(super) fn parse(json: &'a str, names: &'a [(&'static str, &'static str)]) -> Result<Self, RequestError> {
        let shown = |name: &str| names.iter().find(|(own, _)| *own == name).map(|(_, shown)| (*shown).into());
        let payload = Payload::of_json(json).map_err(|request_error| match request_error {
            RequestError::Field(name) => RequestError::Field(shown(&name).unwrap_or(name)),
            other => other,
        });
        Ok(Self { payload: payload?, names })
    }

    fn get(&self, name: &'static str) -> Field<'a> {
        let shown = self.names.iter().find(|(own, _)| *own == name).map_or(name, |(_, shown)| shown);
        self.payload.field(name).named(shown)
    }

    /// Returns the field that says where a message goes: the first with a value, else the first that is named at all.
    fn target(&self) -> &'static str {
        let given = TARGETS.into_iter().rev().find(|name| self.payload.field(name).json().is_some());
        given.or_else(|| TARGETS.into_iter().find(|name| self.payload.has(name))).unwrap_or("user")
    }
}

fn send(fields: &Fields<'_>) -> Result<Command, RequestError> {
    let is_streamed = fields.get("stream").flag()? == Some(true);
    Ok(match fields.target() {
        "alias" => {
            let (field, user) = (fields.get("alias"), fields.get("user"));
            let name = field.id()?.ok_or_else(|| field.request_error())?;
            let recipient = user.json().map(|_| user.user()).transpose()?;
            Command::Send { to: SendTo::Named { name, recipient }, draft: draft(fields)? }
        }
        "model" => {
            let field = fields.get("model");
            let chat = field.id()?.ok_or_else(|| field.request_error())?;
            let shown_as = field.json().unwrap_or_default().into();
            Command::Send { to: SendTo::Model { chat, shown_as, stream: is_streamed }, draft: draft(fields)? }
        }
        "room" => {
            let field = fields.get("room");
            let shown_as = field.json().unwrap_or_default().into();
            Command::Send { to: SendTo::Room { room: field.room()?, shown_as }, draft: draft(fields)? }
        }
        "commonChat" => match fields.get("commonChat").flag()? {
            Some(true) => Command::Send { to: SendTo::CommonChat, draft: draft(fields)? },
            _ => return Err(fields.get("commonChat").request_error()),
        },
        "conversation" => {
            // Existence is checked only once everything else is right.
            let draft = draft(fields)?;
            let conversation = fields.get("conversation").conversation()?;
            match is_streamed {
                true => question(conversation.to_string(), draft),
                false => Command::Send { to: SendTo::Conversation(conversation), draft },
            }
        }
        _ => {
            let (recipient, draft) = (fields.get("user").user()?, draft(fields)?);
            match is_streamed && recipient.as_str() == MODEL_USER {
                true => question(MODEL_USER.to_owned(), draft),
                false => Command::Send { to: SendTo::User(recipient), draft },
            }
        }
    })
}

/// Returns a question whose answer comes piece by piece.
fn question(chat: String, draft: Draft) -> Command {
    Command::Send { to: SendTo::Model { shown_as: to_json(&chat).into(), chat, stream: true }, draft }
}

/// A question shows no copy of itself before it is stored.
fn copy_of(command: &Command, copy: OwnCopy) -> OwnCopy {
    let is_question = matches!(command, Command::Send { to: SendTo::Model { .. }, .. });
    if is_question && copy == OwnCopy::Live { OwnCopy::None } else { copy }
}

fn draft(fields: &Fields<'_>) -> Result<Draft, RequestError> {
    let content = fields.get("content");
    let draft = Draft {
        listing_id: fields.get("listing").listing()?,
        content: content.text()?.unwrap_or_default(),
        message_type: fields.get("type").message_type()?,
        file_url: fields.get("file").file_url()?,
        attachment_urls: fields.get("files").file_urls()?,
        client_message_id: fields.get("clientMessageId").id()?,
    };
    let is_empty = draft.content.is_empty() && draft.file_url.is_none() && draft.attachment_urls.is_empty();
    if is_empty { Err(content.request_error()) } else { Ok(draft) }
}

fn place(fields: &Fields<'_>) -> Result<Place, RequestError> {
    Ok(match fields.target() {
        "commonChat" => Place::CommonChat,
        "conversation" => Place::Conversation(fields.get("conversation").conversation()?),
        _ => Place::Room(fields.get("room").room()?),
    })
}

/// Returns the number of rows to answer with: 1 to 100, 50 unless it is given.
fn limit(fields: &Fields<'_>) -> Result<i64, RequestError> {
    let field = fields.get("limit");
    let Some(text) = field.id()? else { return Ok(ANSWER_MAX / 2) };
    let number: i64 = text.parse().map_err(|_| field.request_error())?;
    Ok(number.clamp(1, ANSWER_MAX))
}

fn some_text(field: &Field<'_>) -> Result<String, RequestError> {
    field.text()?.filter(|text| !text.is_empty()).ok_or_else(|| field.request_error())
}

/// Reads the name of a guest.
fn introduce(field: &Field<'_>) -> Result<Command, RequestError> {
    let username = some_text(field)?.trim().to_owned();
    check_username(&username, None).map_err(|_| field.request_error())?;
    Ok(Command::Introduce { username })
}

fn users(field: &Field<'_>) -> Result<Vec<UserId>, RequestError> {
    let json = field.json().ok_or_else(|| field.request_error())?;
    let ids: Vec<String> = serde_json::from_str(json).map_err(|_| field.request_error())?;
    ids.iter().map(|id| UserId::parse(id).map_err(|_| field.request_error())).collect()
}

fn authenticate(token: &Field<'_>) -> Result<Decoded, RequestError> {
    match token.text() {
        Ok(Some(token)) if !token.is_empty() => Ok(Decoded::Authenticate { token }),
        Ok(_) => Err(token.request_error()),
        // As in a CONNECT, a value that is not a text counts as an invalid token.
        Err(_) => Err(ChatError::InvalidToken.into()),
    }
}
