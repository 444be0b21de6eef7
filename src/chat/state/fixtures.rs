//! Values for the unit tests.
use std::sync::Arc;

use uuid::Uuid;

use super::detached::DetachedSession;
use super::requests::{Prefetched, ReplyTo, Running};
use super::sessions::{EventProgress, Session};
use super::tokens::Tokens;
use crate::chat::ports::{Capabilities, ClientDialects, Command};
use crate::engineio::{ConnectionKey, Peer, Slot};
use crate::model::{
    Account, ChosenStatus, ConversationId, Message, MessageId, MessageStatus, Place, PrivateId, Profile, Role, SocketId,
    Timestamp, UserId, UserRole,
};

pub(super) fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub(super) fn profile(name: &str) -> Arc<Profile> {
    Arc::new(Profile {
        id: user(name),
        username: name.to_owned(),
        full_name: None,
        avatar: None,
        email: None,
        role: UserRole::User,
    })
}

pub(super) fn account(name: &str) -> Account {
    Account {
        profile: profile(name),
        status: ChosenStatus::Online,
        last_seen: None,
        disabled: false,
        is_deleted: false,
        tokens_valid_from: None,
        kept_login: None,
        described_at: None,
        created_at: Timestamp::default(),
    }
}

/// A private id; no two numbers have the same.
pub(super) fn pid(number: u32) -> PrivateId {
    PrivateId::parse(&format!("{number:020}")).unwrap()
}

pub(super) fn conversation_id(number: u128) -> ConversationId {
    ConversationId::from_uuid(Uuid::from_u128(number))
}

pub(super) fn connection(slot: u32) -> ConnectionKey {
    ConnectionKey { worker: 0, slot: Slot { index: slot, generation: 0 } }
}

/// A message of ann's at a position, which is also its id.
pub(super) fn message_at(position: i64) -> Message {
    Message {
        id: MessageId::from_uuid(Uuid::from_u128(position as u128)),
        place: Place::Conversation(conversation_id(1)),
        seq: 0,
        position,
        sender: profile("ann"),
        role: Role::User,
        content: "hi".to_owned(),
        message_type: "text".to_owned(),
        file: None,
        attachments: Vec::new(),
        listing: None,
        client_message_id: None,
        chat: None,
        is_truncated: false,
        status: MessageStatus::Sent,
        read_by: Vec::new(),
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
        deleted_at: None,
    }
}

pub(super) fn running(name: &str) -> Running {
    Running {
        user: user(name),
        reply_to: ReplyTo::Http(0),
        command: Command::ListConversations,
        prefetched: Prefetched::default(),
    }
}

fn tokens() -> Tokens {
    Tokens { keys: Default::default(), expires_at: None }
}

pub(super) fn session(name: &str, pid: PrivateId) -> Session {
    Session {
        user: user(name),
        socket: SocketId::parse(pid.expose()).unwrap(),
        pid,
        capabilities: Capabilities::default(),
        client_dialects: ClientDialects::default(),
        tokens: tokens(),
        progress: EventProgress::default(),
        is_in_common_chat: false,
        request_queue: None,
        is_blocked: false,
        is_kicked: false,
        catch_up: None,
        unseen: None,
        subscriptions: None,
        peer: Peer::default(),
        connected_at: Timestamp::default(),
    }
}

pub(super) fn detached(name: &str, at: i64) -> DetachedSession {
    DetachedSession {
        user: user(name),
        socket: SocketId::parse(pid(9_999).expose()).unwrap(),
        capabilities: Capabilities::default(),
        client_dialects: ClientDialects::default(),
        tokens: tokens(),
        subscriptions: None,
        is_in_common_chat: false,
        reached: None,
        receives_after: 0,
        at: Timestamp::from_millis(at),
    }
}
