#![allow(clippy::all, unused, missing_docs)]
use super::*;
use crate::model::*;
use actix::*;
use tokio::sync::oneshot;
pub type QueryResult<T> = Result<T, StoreError>;
pub struct AnyConnection;
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
#[derive(Debug)]
pub struct ClientIdRow {
    pub client_message_id: String,
    pub message: MessageId,
    pub request_hash: Option<[u8; 32]>,
}
#[derive(Message)]
#[rtype(result = "()")]
pub struct Committed {
    pub outcomes: Vec<(u64, Result<Written, StoreError>)>,
}
pub enum Done {
    Nobody,
    Tagged(u64),
    Answer(oneshot::Sender<Result<Written, StoreError>>),
}
#[derive(Clone)]
pub struct Store;
impl Store {
    pub fn last_position(&self) -> i64 {
        0
    }
    pub fn report_to(&self, _: Recipient<Committed>) {}
    pub fn try_write(&self, _: Write, _: Done) -> Result<(), StoreError> {
        Ok(())
    }
    pub async fn write(&self, _: Write) -> Result<Written, StoreError> {
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
        _: impl FnOnce(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        Err(StoreError::Internal)
    }
    pub async fn read_after_writes<T: Send + 'static>(
        &self,
        _: impl FnOnce(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        Err(StoreError::Internal)
    }
}
pub fn find_account(_: &mut AnyConnection, _: &UserId) -> QueryResult<Option<Account>> {
    Ok(None)
}
pub fn load_memberships(_: &mut AnyConnection, _: &UserId) -> QueryResult<Vec<Membership>> {
    Ok(vec![])
}
pub fn find_conversation(_: &mut AnyConnection, _: ConversationId) -> QueryResult<Option<Conversation>> {
    Ok(None)
}
pub fn find_direct(_: &mut AnyConnection, _: &UserId, _: &UserId) -> QueryResult<Option<Conversation>> {
    Ok(None)
}
pub fn find_message(_: &mut AnyConnection, _: MessageId) -> QueryResult<Option<crate::model::Message>> {
    Ok(None)
}
pub fn find_uploads(_: &mut AnyConnection, _: &[String]) -> QueryResult<Vec<(File, UserId)>> {
    Ok(vec![])
}
pub fn list_client_ids(_: &mut AnyConnection, _: &UserId, _: Timestamp, _: i64) -> QueryResult<Vec<ClientIdRow>> {
    Ok(vec![])
}
pub fn missed_start(_: &mut AnyConnection, _: &UserId, _: i64, _: i64) -> QueryResult<i64> {
    Ok(0)
}
pub fn list_missed(_: &mut AnyConnection, _: &UserId, _: i64, _: i64, _: i64) -> QueryResult<Vec<crate::model::Message>> {
    Ok(vec![])
}
