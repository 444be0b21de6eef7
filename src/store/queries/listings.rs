//! Titles of listings.
use std::collections::HashMap;

use diesel::prelude::*;

use crate::model::ListingId;
use crate::store::connection::AnyConnection;
use crate::store::schema::listings;

/// Finds the title of a listing; `None` if it has none yet.
pub fn find_title(conn: &mut AnyConnection, listing: &ListingId) -> QueryResult<Option<String>> {
    listings::table.find(listing.as_str()).select(listings::title).first(conn).optional()
}

/// Returns the titles of those listings that have one.
pub(in crate::store) fn find_titles(conn: &mut AnyConnection, mut ids: Vec<&str>) -> QueryResult<HashMap<String, String>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    ids.sort_unstable();
    ids.dedup();
    let rows = listings::table.filter(listings::id.eq_any(ids)).select((listings::id, listings::title)).load(conn)?;
    Ok(rows.into_iter().collect())
}
