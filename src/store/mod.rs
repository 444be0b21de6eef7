//! The database: one writer that commits in groups, and several readers.
//!
//! [`Store`] is the handle. A change is a [`Write`], which the persister stores in order of admission; a query is a
//! function of a connection, which a reader runs:
//!
//! ```text
//! try_write ─→ queue ─→ Persister ═ one transaction for all that waited ═→ Committed
//! read ─→ BlockingQueue ─→ Reader ═ find_…, list_… ═→ answer
//! ```
mod backup;
mod blocking_queue;
mod changes;
mod connection;
mod data_export;
mod database_file;
mod failure;
#[cfg(feature = "internals")]
mod fault;
mod file_names;
mod handle;
mod inspect;
mod lock;
mod maintenance;
mod migrations;
mod opening;
mod other_writers;
mod persister;
mod queries;
mod queue;
mod reader;
mod retention;
mod retry;
mod rows;
mod schema;
mod stats;
#[cfg(feature = "internals")]
mod stepped;
mod subscribers;
mod transfer;
mod url;
mod webhook_event;
mod write;

pub use diesel::QueryResult;

pub use self::backup::{BackupError, back_up};
pub use self::connection::AnyConnection;
pub use self::data_export::{PersonalError, export_personal};
pub use self::failure::{MaintenanceError, OpenError, StoreError};
#[cfg(feature = "internals")]
pub use self::fault::Fault;
pub use self::handle::{Store, StoreOptions};
pub use self::inspect::{DatabaseState, connect_to_look, look_at};
pub use self::lock::Claim;
pub use self::maintenance::{connect_alone, connect_beside, connect_or_make};
pub use self::migrations::{MigrationState, apply_migrations, list_migrations, revert_last_migration};
#[doc(hidden)]
pub use self::migrations::{revert_migrations, run_migrations};
pub use self::opening::Start;
pub use self::queries::audit::list_audit;
pub use self::queries::changed_accounts::{ChangedAccounts, list_changed_accounts};
pub use self::queries::conversations::{
    ConversationCursor, Membership, Overview, OverviewLimits, Undelivered, count_unread, find_by_alias, find_conversation,
    find_direct, list_contacts, list_conversations, list_overviews, list_undelivered, load_memberships,
};
pub use self::queries::files::list_unnamed_files;
pub use self::queries::listings::find_title;
pub use self::queries::logins::{find_login, list_logins};
pub use self::queries::messages::{
    ClientIdRow, HistoryRange, find_message, find_request_hash, find_stored, find_uploads, list_client_ids, list_history,
};
pub use self::queries::missed::{Had, Lacking, Received, Span, list_lacking, list_lacking_positions, load_received};
pub use self::queries::notifications::{NotificationCursor, NotificationRange, list_notifications, list_unseen};
pub use self::queries::search::{is_full_name, search_users};
pub use self::queries::sync::{DirectChanges, last_activity, last_change, list_direct_changes};
pub use self::queries::tokens::list_revoked;
pub use self::queries::users::{
    count_users, find_account, find_by_username, find_credentials, find_password_hash, find_profiles, find_taken, list_accounts,
    list_old_guests,
};
pub use self::queries::webhooks::{
    DueChecks, Untold, UntoldRange, count_dead_letters, list_dead_letters, list_untold, list_waiting_events, list_webhook_events,
    load_webhook_events, make_due_checks,
};
pub use self::queue::{Committed, Done};
pub use self::retention::{prune_deleted, prune_messages, prune_notifications, release_orphans};
pub use self::stats::StoreStats;
#[cfg(feature = "internals")]
pub use self::stepped::{NextWrite, SteppedStore};
pub use self::subscribers::Subscribers;
pub use self::transfer::{Import, Step, Sum, Sums, TransferError, compare, export, import};
pub use self::url::DatabaseUrl;
pub use self::webhook_event::{EventDetail, ListedEvent, QueuedEvent, StoredEvent};
pub use self::write::{
    AccountChange, AuditEntry, DeliveredUpTo, Login, NewMessage, NewNotification, NewUser, NotificationSubject, TestFault,
    Unreached, Write, Written, direct_key,
};
