//! Titles of listings.
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::model::{ListingId, Timestamp};
use crate::store::connection::AnyConnection;

pub(super) fn set_title(conn: &mut AnyConnection, listing: &ListingId, title: &str, at: Timestamp) -> QueryResult<()> {
    diesel::sql_query(
        "INSERT INTO listings (id, title, updated_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET \
         title = excluded.title, updated_at = excluded.updated_at",
    )
    .bind::<Text, _>(listing.as_str())
    .bind::<Text, _>(title)
    .bind::<BigInt, _>(at.as_millis())
    .execute(conn)
    .map(drop)
}
