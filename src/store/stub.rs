//! Signatures only; the bodies follow.
#![allow(unused_variables, reason = "bodies follow")]
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix::Recipient;
use tokio::sync::oneshot;

use super::{StoreError, Write, Written};
use crate::model::{
    Account, Conversation, ConversationId, ConversationKind, File, Message, MessageId, Place, Profile, Timestamp, UserId,
};
use std::sync::Arc;

pub type QueryResult<T> = Result<T, StoreError>;
pub struct AnyConnection;
#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub url: DatabaseUrl,
    pub pool_size: usize,
    pub retry_for: Duration,
    pub queue: usize,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    Sqlite(PathBuf),
    Postgres(String),
}
impl DatabaseUrl {
    pub fn parse(text: &str, data_dir: &Path) -> Result<Self, String> {
        Err(String::new())
    }
}
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    #[error("the database cannot be used: {0}")]
    Unusable(String),
}
#[derive(Debug, Clone, Default)]
pub struct StoreStats {
    pub queued: usize,
    pub reads_in_flight: usize,
    pub batches: u64,
    pub writes: u64,
    pub failed_commits: u64,
    pub refused: u64,
    pub commit_time: Duration,
    pub commit_time_buckets: Vec<(Duration, u64)>,
}
#[derive(Debug, Clone)]
pub struct Membership {
    pub conversation: ConversationId,
    pub kind: ConversationKind,
    pub other: Option<UserId>,
    pub delivered_seq: i64,
    pub read_seq: i64,
    pub last_seq: i64,
    pub joined_position: i64,
}
#[derive(Debug, Clone)]
pub struct ClientIdRow {
    pub client_message_id: String,
    pub message: MessageId,
    pub request_hash: Option<[u8; 32]>,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationCursor {
    pub updated_at: Timestamp,
    pub id: ConversationId,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryRange {
    Newest,
    Before(i64),
    After(i64),
}
#[derive(actix::Message, Debug)]
#[rtype(result = "()")]
pub struct Committed {
    pub outcomes: Vec<(u64, Result<Written, StoreError>)>,
}
#[derive(Debug)]
pub enum Done {
    Nobody,
    Tagged(u64),
    Answer(oneshot::Sender<Result<Written, StoreError>>),
}
#[derive(Clone)]
pub struct Store;
impl Store {
    pub async fn open(options: StoreOptions) -> Result<Self, OpenError> {
        Err(OpenError::Unusable(String::new()))
    }
    pub fn boot(&self) -> i64 {
        0
    }
    pub fn last_position(&self) -> i64 {
        0
    }
    pub fn report_to(&self, recipient: Recipient<Committed>) {}
    pub fn try_write(&self, write: Write, done: Done) -> Result<(), StoreError> {
        Ok(())
    }
    pub async fn write(&self, write: Write) -> Result<Written, StoreError> {
        Ok(Written::Done)
    }
    pub fn has_room(&self) -> bool {
        true
    }
    pub fn is_failing(&self) -> bool {
        false
    }
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        Err(StoreError::Internal)
    }
    pub async fn read_after_writes<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        Err(StoreError::Internal)
    }
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
    pub fn stats(&self) -> StoreStats {
        StoreStats::default()
    }
    pub async fn finish(&self) {}
}
macro_rules! query {
    ($name:ident($($argument:ident: $type:ty),*) -> $result:ty, $value:expr) => {
        pub fn $name(conn: &mut AnyConnection, $($argument: $type),*) -> QueryResult<$result> {
            Ok($value)
        }
    };
}
query!(find_account(id: &UserId) -> Option<Account>, None);
query!(find_credentials(login: &str) -> Option<(Account, Option<String>)>, None);
query!(find_profiles(ids: &[UserId]) -> Vec<Arc<Profile>>, vec![]);
query!(search_users(text: &str, limit: i64) -> Vec<Account>, vec![]);
query!(list_accounts(after: Option<&UserId>, limit: i64) -> Vec<Account>, vec![]);
query!(count_users() -> i64, 0);
query!(load_memberships(id: &UserId) -> Vec<Membership>, vec![]);
query!(find_conversation(id: ConversationId) -> Option<Conversation>, None);
query!(find_direct(one: &UserId, other: &UserId) -> Option<Conversation>, None);
query!(list_conversations(user: &UserId, before: Option<ConversationCursor>, limit: i64) -> Vec<(Conversation, i64)>, vec![]);
query!(count_unread(user: &UserId, conversation: ConversationId) -> i64, 0);
query!(find_message(id: MessageId) -> Option<Message>, None);
query!(find_request_hash(id: MessageId) -> Option<Option<[u8; 32]>>, None);
query!(list_history(place: &Place, range: HistoryRange, limit: i64) -> Vec<Message>, vec![]);
query!(list_changed(conversation: ConversationId, since: Timestamp, limit: i64) -> Vec<Message>, vec![]);
query!(last_activity(user: &UserId) -> Option<Timestamp>, None);
query!(list_missed(user: &UserId, after: i64, up_to: i64, limit: i64) -> Vec<Message>, vec![]);
query!(missed_start(user: &UserId, up_to: i64, newest: i64) -> i64, 0);
query!(list_client_ids(user: &UserId, since: Timestamp, limit: i64) -> Vec<ClientIdRow>, vec![]);
query!(find_uploads(urls: &[String]) -> Vec<(File, UserId)>, vec![]);
query!(list_revoked(now: Timestamp) -> Vec<(String, Timestamp)>, vec![]);
