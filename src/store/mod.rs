//! The database: one writer that commits in groups, and readers.
//!
//! [`Store`] is the handle. A change is a [`Write`], which the persister stores in the order of admission; a question is
//! a function of a connection, which a reader answers:
//!
//! ```text
//! try_write ─→ queue ─→ Persister ═ one transaction for all that waited ═→ Committed
//! read ─→ Reader ═ find_…, list_… ═→ answer
//! ```
mod audit;
mod backup;
mod changed;
mod changed_accounts;
mod changes;
mod claim;
mod connection;
mod conversations;
mod database_file;
mod failure;
mod file_names;
mod handle;
mod listings;
mod looking;
mod maintenance;
mod messages;
mod migrations;
mod missed;
mod notifications;
mod opening;
mod other_writers;
mod persister;
mod personal;
mod queue;
mod reader;
mod retention;
mod rows;
mod schema;
mod stats;
mod tokens;
mod transfer;
mod url;
mod users;
mod write;

pub use diesel::QueryResult;

pub use self::audit::{AuditEntry, list_audit};
pub use self::backup::{BackupError, back_up};
pub use self::changed::{DirectChanges, last_activity, last_change, list_direct_changes};
pub use self::changed_accounts::{ChangedAccounts, list_changed_accounts};
pub use self::claim::Claim;
pub use self::connection::AnyConnection;
pub use self::conversations::{
    ConversationCursor, Membership, Overview, OverviewLimits, Undelivered, count_unread, find_called, find_conversation,
    find_direct, list_contacts, list_conversations, list_overviews, list_undelivered, load_memberships,
};
pub use self::failure::OpenError;
pub use self::file_names::list_unnamed_files;
pub use self::handle::{Store, StoreOptions};
pub use self::listings::find_title;
pub use self::looking::{DatabaseState, connect_to_look, look_at};
pub use self::maintenance::{MaintenanceError, connect_alone, connect_beside, connect_or_make};
pub use self::messages::{
    ClientIdRow, HistoryRange, find_message, find_request_hash, find_uploads, list_client_ids, list_history,
};
pub use self::migrations::{MigrationState, apply_migrations, list_migrations, revert_last_migration};
#[doc(hidden)]
pub use self::migrations::{revert_migrations, run_migrations};
pub use self::missed::{Had, Lacking, Received, Span, list_lacking, list_lacking_positions, load_received};
pub use self::notifications::{NotificationCursor, NotificationRange, list_notifications, list_unseen};
pub use self::opening::Start;
pub use self::personal::{PersonalError, export_personal};
pub use self::queue::{Committed, Done};
pub use self::retention::{prune_messages, prune_notifications, release_orphans};
pub use self::stats::StoreStats;
pub use self::tokens::list_revoked;
pub use self::transfer::{Import, Step, Sum, Sums, TransferError, compare, export, import};
pub use self::url::DatabaseUrl;
pub use self::users::{
    count_users, find_account, find_by_username, find_credentials, find_password_hash, find_profiles, find_taken, list_accounts,
    search_users,
};
pub use self::write::{
    DeliveredUpTo, NewMessage, NewNotification, NewUser, StoreError, TellsOf, TestFault, Write, Written, direct_key,
};
