//! Errors of the store, and the classification of a failed statement: is the database at fault, or the row.
use diesel::result::{DatabaseErrorKind as Kind, Error};

use super::connection::NO_TLS;

/// Parts of error messages that mean that the database, not the row, is at fault. SQLite's are fixed; Postgres's may be
/// in another language, in which case the persister's trial write decides.
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

/// Parts of libpq's messages for errors that waiting cannot cure.
const HOPELESS: [&str; 6] = [
    NO_TLS,
    "invalid URI",
    "invalid sslmode value",
    "certificate verify failed",
    "root certificate file",
    "server does not support SSL",
];

/// Reason for the store not doing something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database is unreachable, or the queue is full: nothing of it is stored.
    #[error("the store is unavailable")]
    Unavailable,
    /// The database got it and did not answer in time: it may be stored, now or later, or not.
    #[error("the store did not answer")]
    Unknown,
    /// The database refuses this particular row; the log has the cause.
    #[error("the database refused it")]
    Refused,
    /// A unique name is taken: `username` or `email`.
    #[error("{0} is taken")]
    Conflict(&'static str),
    /// The code that handled it panicked.
    #[error("internal error")]
    Internal,
}

/// Reason for a store not being opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The database could not be reached within the time allowed.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// The database was reached, but waiting will not help.
    #[error("the database cannot be used: {0}")]
    Unusable(String),
}

/// Reason for failed maintenance of the whole database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaintenanceError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file does not exist.
    #[error("there is no database {0}: `parlance migrate up` makes it")]
    Missing(String),
    /// Another process has it open.
    #[error("the database is in use: stop the server that uses it, and other commands, first")]
    InUse,
    /// Its tables are of another version.
    #[error("the database lacks the migration {0}: `parlance migrate up` brings it up to date")]
    Outdated(String),
    /// It failed midway.
    #[error("the database failed: {0}")]
    Failed(String),
}

impl From<diesel::result::Error> for MaintenanceError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Classifies a failure to connect.
pub(super) fn absent(cause: String) -> OpenError {
    if HOPELESS.iter().any(|text| cause.contains(text)) { OpenError::Unusable(cause) } else { OpenError::Unavailable(cause) }
}

/// Returns whether an error alone shows that the database is unreachable.
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

/// Returns whether an error is certainly the row's: it violates a constraint of the tables.
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

/// Returns the error for a refused row.
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
    fn an_absent_database_is_distinguished_from_a_bad_row() {
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
