//! Errors of the store, and whose fault a failed statement is: the database's, or the row's.
use diesel::result::{DatabaseErrorKind as Kind, Error};

use super::connection::NO_TLS;

/// Beginnings and parts of messages that say that the database, not the row, is at fault. SQLite's are fixed texts;
/// Postgres's may come in another language, which the persister's trial write then decides.
const ABSENCE: [&str; 22] = [
    "database is locked",
    "database table is locked",
    "database schema is locked",
    "disk I/O error",
    "database or disk is full",
    "unable to open database file",
    "attempt to write a readonly database",
    "database disk image is malformed",
    "file is not a database",
    "out of memory",
    "terminating connection",
    "the database system is",
    "too many clients",
    "too many connections",
    "remaining connection slots",
    "server closed the connection",
    "could not connect",
    "no connection to the server",
    "No space left on device",
    "canceling statement due to",
    "could not extend file",
    "Could not allocate memory",
];

/// Words of libpq when no waiting helps.
const HOPELESS: [&str; 6] = [
    NO_TLS,
    "invalid URI",
    "invalid sslmode value",
    "certificate verify failed",
    "root certificate file",
    "server does not support SSL",
];

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database is away, or too much waits for it: nothing of it is stored.
    #[error("the store is away")]
    Unavailable,
    /// The database was given it, and did not say in time what became of it: it is stored, or will be, or never.
    #[error("the store did not answer")]
    Unknown,
    /// The database refuses this very row; the cause is in the log.
    #[error("the database refused it")]
    Refused,
    /// A unique name is taken: `username` or `email`.
    #[error("{0} is taken")]
    Conflict(&'static str),
    /// The code that did it panicked.
    #[error("internal error")]
    Internal,
}

/// Why a new store could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It did not answer for as long as it may take.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// It is there, but waiting will not help.
    #[error("the database cannot be used: {0}")]
    Unusable(String),
}

/// Why work on the whole database cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaintenanceError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no file of this name.
    #[error("there is no database {0}: `parlance migrate up` makes it")]
    Missing(String),
    /// Somebody else has it open.
    #[error("the database is in use: stop the server that uses it, and other commands, first")]
    InUse,
    /// Its tables are not those of this version.
    #[error("the database lacks the migration {0}: `parlance migrate up` brings it up to date")]
    Outdated(String),
    /// It failed on the way.
    #[error("the database failed: {0}")]
    Failed(String),
}

impl From<diesel::result::Error> for MaintenanceError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Why there is no connection.
pub(super) fn absent(cause: String) -> OpenError {
    if HOPELESS.iter().any(|text| cause.contains(text)) { OpenError::Unusable(cause) } else { OpenError::Unavailable(cause) }
}

/// Tells whether an error says by itself that the database is away.
pub(super) fn is_absence(error: &Error) -> bool {
    match error {
        Error::DatabaseError(
            Kind::ClosedConnection | Kind::UnableToSendCommand | Kind::SerializationFailure | Kind::ReadOnlyTransaction,
            _,
        )
        | Error::BrokenTransactionManager => true,
        Error::DatabaseError(_, information) => {
            let message = information.message();
            !is_constraint(error) && ABSENCE.iter().any(|part| message.contains(part))
        }
        Error::RollbackErrorOnCommit { commit_error, .. } => is_absence(commit_error),
        _ => false,
    }
}

/// Tells whether an error is surely the row's: it breaks a rule of the tables.
pub(super) fn is_constraint(error: &Error) -> bool {
    matches!(
        error,
        Error::DatabaseError(
            Kind::UniqueViolation
                | Kind::ForeignKeyViolation
                | Kind::NotNullViolation
                | Kind::CheckViolation
                | Kind::RestrictViolation
                | Kind::ExclusionViolation,
            _
        )
    )
}

/// The answer to the one whose row was refused.
pub(super) fn refusal(error: &Error) -> StoreError {
    if let Error::DatabaseError(Kind::UniqueViolation, information) = error {
        let (constraint, message) = (information.constraint_name().unwrap_or_default(), information.message());
        for (column, name) in [("username_key", "username"), ("email_key", "email"), ("direct_key", "direct conversation")] {
            if constraint.contains(column) || message.contains(column) {
                return StoreError::Conflict(name);
            }
        }
    }
    StoreError::Refused
}

/// Returns the text of a panic.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: Kind, message: &str) -> Error {
        Error::DatabaseError(kind, Box::new(message.to_owned()))
    }

    #[test]
    fn an_absent_database_is_told_from_a_bad_row() {
        for (kind, message, expected) in [
            (Kind::ClosedConnection, "", true),
            (Kind::Unknown, "database is locked", true),
            (Kind::Unknown, "database or disk is full", true),
            (Kind::Unknown, "disk I/O error", true),
            (Kind::Unknown, "FATAL:  terminating connection due to administrator command", true),
            (Kind::Unknown, "sorry, too many clients already", true),
            (Kind::SerializationFailure, "could not serialize access", true),
            (Kind::Unknown, "invalid byte sequence for encoding \"UTF8\": 0x00", false),
            (Kind::UniqueViolation, "UNIQUE constraint failed: users.username_key", false),
            (Kind::CheckViolation, "out of memory", false),
            (Kind::Unknown, "value too long", false),
        ] {
            assert_eq!(is_absence(&error(kind, message)), expected, "{message}");
        }
        assert!(is_absence(&Error::BrokenTransactionManager));
        assert!(!is_absence(&Error::NotFound));
    }

    #[test]
    fn a_taken_name_is_named() {
        let taken = error(Kind::UniqueViolation, "UNIQUE constraint failed: users.email_key");
        assert_eq!(refusal(&taken), StoreError::Conflict("email"));
        assert_eq!(refusal(&error(Kind::NotNullViolation, "users.email_key")), StoreError::Refused);
    }
}
