//! Ends sessions that earlier servers left running in Postgres.
//!
//! After a server is killed, Postgres still finishes the statement that it was running. That statement must neither
//! take a number that the present server assigns, nor be committed after the present server's writes.
use std::thread;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer};
use log::warn;

use super::connection::{AnyConnection, one_line};
use super::failure::OpenError;

/// Time for a session to end; longer means that its machine is stuck.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
/// Selects other sessions with the mark of a server's writers in our schema (see `connection.rs`). `pg_locks` lists
/// numbers of advisory locks as unsigned.
const OTHERS: &str = "FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 \
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid::bigint = 1885957229 \
     AND objid::bigint = (hashtext(current_schema())::bigint & 4294967295) AND pid <> pg_backend_pid()";

#[derive(QueryableByName)]
struct Ended {
    #[diesel(sql_type = Integer)]
    pid: i32,
    #[diesel(sql_type = Bool)]
    #[expect(dead_code, reason = "it is waited for the end itself")]
    is_signalled: bool,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Ends the sessions of other writers, and waits until they are gone. To be called by the holder of the claim. Blocks.
///
/// # Errors
/// [`OpenError::Unavailable`] if one does not end.
pub(super) fn end_other_writers(conn: &mut AnyConnection) -> Result<(), OpenError> {
    let AnyConnection::Postgres(conn) = conn else { return Ok(()) };
    let failed = |error: diesel::result::Error| OpenError::Unavailable(one_line(&error.to_string()));
    let end = format!("SELECT pid, pg_terminate_backend(pid) AS is_signalled {OTHERS}");
    let ended: Vec<Ended> = diesel::sql_query(end).load(conn).map_err(failed)?;
    if ended.is_empty() {
        return Ok(());
    }
    let pids: Vec<i32> = ended.into_iter().map(|session| session.pid).collect();
    warn!(pids:? = pids; "ended sessions that an earlier server left in the database");
    let begun = Instant::now();
    loop {
        let Count { count } = diesel::sql_query(format!("SELECT count(*) AS count {OTHERS}")).get_result(conn).map_err(failed)?;
        if count == 0 {
            return Ok(());
        }
        if begun.elapsed() > ENDS_WITHIN {
            let cause = format!("sessions of an earlier server do not end (Postgres pids {pids:?})");
            return Err(OpenError::Unavailable(cause));
        }
        thread::sleep(PAUSE);
    }
}
