//! Migrations: forwards, backwards, and forwards again.
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use parlance::store::{self, AnyConnection};

use super::fixture::Fixture;

on_both_databases!(up_down_up);

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Returns all columns and indexes of all tables.
fn shape(conn: &mut AnyConnection) -> Vec<String> {
    let sql = match conn {
        AnyConnection::Sqlite(_) => {
            // SQLite keeps `sqlite_sequence` once a table has had numbers that are never given twice.
            "SELECT coalesce(sql, name) AS line FROM sqlite_master \
             WHERE name NOT LIKE '%schema_migrations%' AND name <> 'sqlite_sequence' ORDER BY name"
        }
        AnyConnection::Postgres(_) => {
            "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable AS line \
             FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '%schema_migrations%' \
             UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexdef NOT LIKE '%schema_migrations%' \
             ORDER BY line"
        }
    };
    diesel::sql_query(sql).load::<Line>(conn).unwrap().into_iter().map(|line| line.line).collect()
}

async fn up_down_up(fixture: Fixture) {
    let shapes = fixture.store.ask_writer(|conn| {
        let first = shape(conn);
        store::revert_migrations(conn).unwrap();
        let none = shape(conn);
        store::run_migrations(conn).unwrap();
        // A second run has nothing to do.
        store::run_migrations(conn).unwrap();
        conn.batch_execute("SELECT 1")?;
        Ok((first, none, shape(conn)))
    });
    let (first, none, second) = shapes.await.unwrap();
    assert!(first.len() > 20, "{first:?}");
    assert_eq!(none, Vec::<String>::new());
    assert_eq!(first, second);
}

#[test]
fn both_databases_have_the_same_versions_and_each_a_way_back() {
    let list = |database: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                assert!(path.join("up.sql").is_file() && path.join("down.sql").is_file(), "{}", path.display());
                path.file_name().unwrap().to_owned()
            })
            .collect();
        names.sort();
        names
    };
    assert_eq!(list("postgres"), list("sqlite"));
}
