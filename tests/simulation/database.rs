//! The database in memory.
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};
use parlance::store::{AnyConnection, run_migrations};

use crate::history::Row;
use crate::random::Digest;

/// Tables that are not the server's.
const FOREIGN: &str = "name NOT LIKE 'sqlite_%' AND name NOT LIKE '__diesel%'";

#[derive(diesel::QueryableByName)]
struct Text {
    #[diesel(sql_type = diesel::sql_types::Text)]
    text: String,
}

#[derive(diesel::QueryableByName)]
struct Last {
    #[diesel(sql_type = diesel::sql_types::Text)]
    place: String,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    seq: i64,
}

/// Makes an empty database with all tables.
pub fn make() -> AnyConnection {
    let mut conn = SqliteConnection::establish(":memory:").expect("SQLite opens a database in memory");
    conn.batch_execute("PRAGMA foreign_keys = ON; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")
        .expect("the settings");
    let mut conn = AnyConnection::Sqlite(conn);
    run_migrations(&mut conn).expect("the migrations");
    conn
}

/// Empties all tables: faster than to make them again, and statements stay prepared.
pub fn clear(conn: &mut AnyConnection) {
    let tables = names(conn);
    let delete: String = tables.iter().map(|table| format!("DELETE FROM {table};")).collect();
    sqlite(conn)
        .batch_execute(&format!(
            "PRAGMA foreign_keys = OFF; BEGIN; {delete} INSERT INTO user_names (user_names) VALUES ('delete-all'); COMMIT; \
             PRAGMA foreign_keys = ON;"
        ))
        .expect("deletes");
    // Present only once a table counts by it.
    let _ = sqlite(conn).batch_execute("DELETE FROM sqlite_sequence;");
}

/// Reads all messages of conversations, in their order.
pub fn messages(conn: &mut AnyConnection) -> Vec<Row> {
    let query = "SELECT id, place, seq, position, sender, content, client_message_id, deleted_at IS NOT NULL AS is_deleted \
                 FROM messages ORDER BY place, seq";
    diesel::sql_query(query).load(sqlite(conn)).expect("messages are read")
}

/// Reads the number of the newest message of each conversation.
pub fn last_numbers(conn: &mut AnyConnection) -> diesel::QueryResult<Vec<(String, i64)>> {
    let query = "SELECT place, max(seq) AS seq FROM messages GROUP BY place ORDER BY place";
    let rows: Vec<Last> = diesel::sql_query(query).load(sqlite(conn))?;
    Ok(rows.into_iter().map(|Last { place, seq }| (place, seq)).collect())
}

/// Adds all rows of all tables to a digest.
pub fn digest(conn: &mut AnyConnection, digest: &mut Digest) {
    for table in names(conn) {
        let columns: Vec<Text> = diesel::sql_query(format!("SELECT name AS text FROM pragma_table_info('{table}') ORDER BY cid"))
            .load(sqlite(conn))
            .expect("columns are read");
        let row: Vec<String> = columns.iter().map(|column| format!("quote({})", column.text)).collect();
        let rows: Vec<Text> = diesel::sql_query(format!("SELECT {} AS text FROM {table} ORDER BY 1", row.join("||'|'||")))
            .load(sqlite(conn))
            .expect("rows are read");
        digest.add(table.as_bytes());
        rows.iter().for_each(|row| digest.add(row.text.as_bytes()));
    }
}

fn names(conn: &mut AnyConnection) -> Vec<String> {
    // The index of names is a table that nobody reads, in tables of its own.
    let query = format!(
        "SELECT name AS text FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND {FOREIGN} ORDER BY name"
    );
    let rows: Vec<Text> = diesel::sql_query(query).load(sqlite(conn)).expect("tables are listed");
    rows.into_iter().map(|row| row.text).collect()
}

fn sqlite(conn: &mut AnyConnection) -> &mut SqliteConnection {
    match conn {
        AnyConnection::Sqlite(conn) => conn,
        AnyConnection::Postgres(_) => unreachable!("the database is in memory"),
    }
}
