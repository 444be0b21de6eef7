//! The tables of a file: the rows of each, and functions that read and store them.
use diesel::connection::DefaultLoadingMode;
use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::failure::TransferError;
use super::lines::row_line;
use crate::store::connection::AnyConnection;
use crate::store::file_names::{FileName, uploads_in};
use crate::store::schema::{
    audit_log, boots, conversation_names, conversations, deleted_places, listings, logins, message_reads, messages,
    notifications, participants, revoked_tokens, rooms, uploads, users,
};

/// Table of the servers' starts; every start adds a row.
pub(super) const STARTS: &str = "boots";

/// Receives the line of each row.
pub(super) type OnLine<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), TransferError>;

/// Operations on a table.
pub(super) struct Table {
    pub name: &'static str,
    pub count: fn(&mut AnyConnection) -> QueryResult<i64>,
    /// Reads all rows in the order of the key; only one is in memory at a time.
    pub read: fn(&mut AnyConnection, OnLine<'_>) -> Result<(), TransferError>,
    pub clear: fn(&mut AnyConnection) -> QueryResult<usize>,
}

/// Defines the tables: row type and key; columns that are never null, columns that may be, and nullable byte columns.
macro_rules! tables {
    ($($table:ident $row:ident ($($key:ident),+)
        { $($column:ident: $type:ty),* } { $($nullable:ident: $null_type:ty),* } { $($bytes:ident),* })+) => {
        $(
            #[derive(Debug, Serialize, Deserialize, Queryable, Selectable, Insertable)]
            #[diesel(table_name = $table)]
            #[diesel(treat_none_as_default_value = false)]
            #[serde(deny_unknown_fields)]
            pub(super) struct $row {
                $($column: $type,)*
                $(#[serde(skip_serializing_if = "Option::is_none")] $nullable: Option<$null_type>,)*
                $(#[serde(default, skip_serializing_if = "Option::is_none", with = "base64_text")] $bytes: Option<Vec<u8>>,)*
            }
        )+

        /// A row of a file.
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum Record {
            $($row($row),)+
        }

        /// Rows that are stored together.
        #[derive(Default)]
        pub(super) struct Batch {
            $($table: Vec<$row>,)+
            pub rows: usize,
        }

        impl Batch {
            pub(super) fn push(&mut self, record: Record) {
                match record {
                    $(Record::$row(row) => self.$table.push(row),)+
                }
                self.rows += 1;
            }

            /// Stores all rows, referenced ones first, and empties the batch.
            pub(super) fn store(&mut self, conn: &mut AnyConnection) -> QueryResult<()> {
                let Self { $($table,)+ rows: _ } = std::mem::take(self);
                $(
                    match conn {
                        _ if $table.is_empty() => {}
                        AnyConnection::Sqlite(conn) => {
                            for row in &$table {
                                diesel::insert_into($table::table).values(row).execute(conn)?;
                            }
                        }
                        AnyConnection::Postgres(conn) => {
                            diesel::copy_from($table::table).from_insertable($table).execute(conn)?;
                        }
                    }
                )+
                Ok(())
            }
        }

        /// All tables in the order of a file: referenced ones first.
        pub(super) const TABLES: &[Table] = &[$(
            Table {
                name: stringify!($table),
                count: |conn| $table::table.count().get_result(conn),
                clear: |conn| diesel::delete($table::table).execute(conn),
                read: |conn, on_line| {
                    let mut line = Vec::new();
                    let mut visit = |row: $row| {
                        row_line(&mut line, stringify!($table), &row)?;
                        on_line(&line)
                    };
                    let rows = $table::table.order(($($table::$key,)+));
                    match conn {
                        AnyConnection::Sqlite(conn) => {
                            let rows = rows.select($row::as_select()).load_iter::<$row, DefaultLoadingMode>(conn)?;
                            rows.into_iter().try_for_each(|row| visit(row?))
                        }
                        AnyConnection::Postgres(conn) => {
                            let rows = rows.select($row::as_select()).load_iter::<$row, PgRowByRowLoadingMode>(conn)?;
                            rows.into_iter().try_for_each(|row| visit(row?))
                        }
                    }
                },
            },
        )+];
    };
}

tables! {
    users Users (id)
    { id: String, username: String, username_key: String, search_text: String, role: String, status: String, disabled: bool,
      created_at: i64 }
    { email: String, email_key: String, password_hash: String, full_name: String, avatar: String, last_seen: i64,
      tokens_valid_from: i64, kept_login: String, deleted_at: i64, described_at: i64 }
    {}

    conversations Conversations (id)
    { id: String, kind: String, last_seq: i64, last_position: i64, created_at: i64, updated_at: i64 }
    { name: String, avatar: String, admin: String, direct_key: String }
    {}

    conversation_names ConversationNames (owner, name)
    { owner: String, name: String, conversation: String, named_at: i64 }
    {}
    {}

    rooms Rooms (place)
    { place: String, last_seq: i64, last_position: i64, created_at: i64, updated_at: i64 }
    {}
    {}

    participants Participants (conversation, user_id)
    { conversation: String, user_id: String, delivered_seq: i64, read_seq: i64, joined_at: i64, joined_rank: i64,
      joined_position: i64 }
    { left_at: i64, not_unread: i64 }
    {}

    messages Messages (id)
    { id: String, place: String, seq: i64, position: i64, sender: String, created_at: i64, updated_at: i64, role: String,
      message_type: String, content: String }
    { deleted_at: i64, listing_id: String, client_message_id: String, file: String, attachments: String, chat: String,
      changed_position: i64, truncated: bool }
    { request_hash, sent_by }

    deleted_places DeletedPlaces (place)
    { place: String }
    {}
    {}

    message_reads MessageReads (message, user_id)
    { message: String, user_id: String, read_at: i64 }
    {}
    {}

    notifications Notifications (id)
    { id: String, user_id: String, kind: String, message: String, created_at: i64 }
    { data: String, conversation: String, seen_at: i64, read_at: i64 }
    {}

    uploads Uploads (url)
    { url: String, owner: String, filename: String, size: i64, mimetype: String, message_type: String, uploaded_at: i64 }
    {}
    {}

    listings Listings (id)
    { id: String, title: String, updated_at: i64 }
    {}
    {}

    audit_log AuditLog (id)
    { id: String, done_at: i64, actor: String, action: String, times: i64 }
    { object: String, address: String }
    {}

    logins Logins (id)
    { id: String, user_id: String, begun_at: i64, used_at: i64, expires_at: i64 }
    { address: String, agent: String }
    {}

    revoked_tokens RevokedTokens (token_key)
    { token_key: String, revoked_until: i64 }
    {}
    {}

    boots Boots (id)
    { id: i64, started_at: i64, last_position: i64 }
    { given_up_to: i64 }
    {}
}

impl Batch {
    /// Returns the references to uploads in the rows; the file does not list them separately.
    pub(super) fn file_names(&self) -> Vec<FileName> {
        let of_messages = self.messages.iter().filter(|row| row.deleted_at.is_none()).flat_map(|row| {
            let texts = [row.file.as_deref(), row.attachments.as_deref(), Some(row.content.as_str())];
            texts.into_iter().flatten().flat_map(uploads_in).map(|url| (row.id.clone(), url.to_owned()))
        });
        let of_users = self.users.iter().flat_map(|row| {
            row.avatar.as_deref().into_iter().flat_map(uploads_in).map(|url| (format!("user:{}", row.id), url.to_owned()))
        });
        let of_conversations = self.conversations.iter().flat_map(|row| {
            let urls = row.avatar.as_deref().into_iter().flat_map(uploads_in);
            urls.map(|url| (format!("conversation:{}", row.id), url.to_owned()))
        });
        of_messages.chain(of_users).chain(of_conversations).collect()
    }
}

/// Bytes as base64.
mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => serializer.serialize_some(&STANDARD.encode(bytes)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| STANDARD.decode(text).map_err(D::Error::custom)).transpose()
    }
}
