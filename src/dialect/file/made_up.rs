//! A request's outcome with made-up names and ids.
use std::sync::Arc;

use super::super::vocabulary::Decoded;
use crate::chat::{Command, Draft, Event, PresenceChange, Reply, SendTo, Sent};
use crate::model::{
    Account, ChosenStatus, ConversationId, ConversationKind, File, Listing, Message, MessageId, MessageStatus, Place, Profile,
    Role, Timestamp, UserId, UserRole,
};

/// A conversation's id.
const CONVERSATION: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
/// A message's id.
const MESSAGE: &str = "01890a5d-ac96-774b-bcce-b302099a8058";

/// Returns the event and the answer that a request of the user `you` would have.
pub(super) fn outcome(decoded: &Decoded, at: Timestamp) -> Option<(Option<Event>, Reply)> {
    let you = profile(UserId::parse("you").ok()?);
    let Decoded::Command { command, .. } = decoded else {
        let is_account = *decoded == Decoded::OwnAccount;
        return Some((None, if is_account { Reply::Account(Arc::new(account(you, at))) } else { Reply::Done }));
    };
    let conversation = ConversationId::parse(CONVERSATION).ok()?;
    let (event, reply) = match command {
        Command::Send { to, draft } => return sent(to, draft, you, conversation, at),
        Command::MarkRead { message } => {
            (Event::Read { message: *message, conversation, user: you.id.clone(), read_at: at }, Reply::Done)
        }
        Command::Typing { conversation, active } => {
            (Event::Typing { user: you, conversation: *conversation, active: *active }, Reply::Done)
        }
        Command::OpenConversation { conversation, .. } => {
            (Event::GroupOpened { user: you, conversation: *conversation, opened: true }, Reply::Done)
        }
        Command::LeaveConversation { conversation } => {
            (Event::GroupOpened { user: you, conversation: *conversation, opened: false }, Reply::Done)
        }
        Command::SetStatus { status: ChosenStatus::Offline } => {
            (Event::Presence(vec![PresenceChange::Offline { user: you.id.clone(), last_seen: at }]), Reply::Done)
        }
        Command::SetStatus { status } => {
            (Event::Presence(vec![PresenceChange::Online { user: you, status: *status, came: false }]), Reply::Done)
        }
        Command::EditMessage { message: id, content } => {
            let draft = Draft { content: content.clone(), ..Draft::default() };
            let message = Arc::new(Message { id: *id, ..message(&draft, Place::Conversation(conversation), you, at)? });
            let recipient = Some(profile(UserId::parse("bob").ok()?));
            let event = Event::MessageUpdated { message: message.clone(), kind: ConversationKind::Direct, recipient };
            (event, Reply::Message(message))
        }
        Command::DeleteMessage { message: id } => {
            let deleted = Message {
                id: *id,
                deleted_at: Some(at),
                ..message(&Draft::default(), Place::Conversation(conversation), you, at)?
            };
            let kind = ConversationKind::Direct;
            (Event::MessageDeleted { message: *id, conversation, kind, deleted_at: at }, Reply::Message(Arc::new(deleted)))
        }
        Command::ListMessages { place, .. } => {
            let draft = Draft { content: "An earlier message".to_owned(), ..Draft::default() };
            return Some((None, Reply::Messages(vec![message(&draft, place.clone(), you, at)?])));
        }
        Command::ListConversations => return Some((None, Reply::Conversations(Vec::new()))),
        Command::ListConnections { .. } => return Some((None, Reply::Connections { connections: Vec::new(), total: 0 })),
        Command::ListNotifications { .. } => return Some((None, Reply::Notifications(Vec::new()))),
        _ => return Some((None, Reply::Done)),
    };
    Some((Some(event), reply))
}

fn sent(
    to: &SendTo,
    draft: &Draft,
    you: Arc<Profile>,
    conversation: ConversationId,
    at: Timestamp,
) -> Option<(Option<Event>, Reply)> {
    let (place, kind, recipient) = match to {
        SendTo::User(user) => (Place::Conversation(conversation), ConversationKind::Direct, Some(profile(user.clone()))),
        SendTo::Named { recipient, name: _ } => {
            (Place::Conversation(conversation), ConversationKind::Direct, recipient.clone().map(profile))
        }
        SendTo::Conversation(conversation) => (Place::Conversation(*conversation), ConversationKind::Group, None),
        SendTo::Model { .. } => (Place::Conversation(conversation), ConversationKind::Ai, None),
        SendTo::Room { room, shown_as: _ } => (Place::Room(room.clone()), ConversationKind::Group, None),
        SendTo::CommonChat => (Place::CommonChat, ConversationKind::Group, None),
    };
    let message = Arc::new(message(draft, place, you, at)?);
    let event = match to {
        SendTo::Room { shown_as, .. } => Event::RoomMessage { message: message.clone(), shown_as: shown_as.clone() },
        SendTo::CommonChat => Event::RoomMessage { message: message.clone(), shown_as: "".into() },
        _ => Event::Message { message: message.clone(), kind, recipient: recipient.clone() },
    };
    Some((Some(event), Reply::Sent(Sent { message, recipient, status: MessageStatus::Sent, name: None })))
}

fn message(draft: &Draft, place: Place, sender: Arc<Profile>, at: Timestamp) -> Option<Message> {
    let Draft { content, message_type, file_url, attachment_urls, listing_id, client_message_id } = draft;
    let of_file = file_url.as_ref().map(|_| "file".to_owned());
    Some(Message {
        id: MessageId::parse(MESSAGE).ok()?,
        place,
        seq: 1,
        position: 1,
        sender,
        role: Role::User,
        content: content.clone(),
        message_type: message_type.clone().or(of_file).unwrap_or_else(|| "text".to_owned()),
        file: file_url.as_deref().map(file),
        attachments: attachment_urls.iter().map(|url| file(url)).collect(),
        listing: listing_id.clone().map(|id| Listing { id, title: None }),
        client_message_id: client_message_id.clone(),
        chat: None,
        is_truncated: false,
        status: MessageStatus::Sent,
        read_by: Vec::new(),
        created_at: at,
        updated_at: at,
        deleted_at: None,
    })
}

fn file(url: &str) -> File {
    File {
        url: url.to_owned(),
        filename: url.rsplit('/').next().unwrap_or_default().to_owned(),
        size: 0,
        mimetype: "application/octet-stream".to_owned(),
        message_type: "file".to_owned(),
    }
}

fn profile(id: UserId) -> Arc<Profile> {
    let username = id.as_str().to_owned();
    Arc::new(Profile { id, username, full_name: None, avatar: None, email: None, role: UserRole::User })
}

fn account(profile: Arc<Profile>, at: Timestamp) -> Account {
    Account {
        profile,
        status: ChosenStatus::Online,
        last_seen: None,
        disabled: false,
        is_deleted: false,
        tokens_valid_from: None,
        kept_login: None,
        described_at: None,
        created_at: at,
    }
}
