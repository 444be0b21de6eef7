//! Search of users by part of a name.
//!
//! An index has each three letters in a row ("gram") of the names: a GIN index in Postgres, a full-text table that triggers
//! fill in SQLite. It gives few users to look at where the text is rare. Where it is common, the first users in order are
//! enough.
use std::collections::BTreeSet;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use crate::model::{Account, name_key};
use crate::store::connection::AnyConnection;
use crate::store::rows::AccountRow;
use crate::store::schema::users;

/// Number of letters of a gram.
const GRAM: usize = 3;
/// Maximum number of grams of a text that are looked up.
const GRAMS_MAX: usize = 16;
/// Number of users looked at in order of username before the index of grams is used.
const FIRST_LOOK: i64 = 2_000;
/// Maximum number of users found by that index that are sorted; where there are more, going on in order is faster.
const RARE_MAX: i64 = 1_000;

/// A condition on a user.
type Condition<'a> = Box<dyn BoxableExpression<users::table, <AnyConnection as Connection>::Backend, SqlType = Bool> + 'a>;

/// Returns the text that [`search_users`] searches.
pub(in crate::store) fn search_text(username: &str, full_name: Option<&str>) -> String {
    format!("{}\n{}", name_key(username), name_key(full_name.unwrap_or_default()))
}

/// Returns users whose username or full name contains `text`, ignoring case, in order of username.
pub fn search_users(conn: &mut AnyConnection, text: &str, limit: i64) -> QueryResult<Vec<Account>> {
    let key = name_key(text);
    let pattern = format!("%{}%", escaped(&key));
    let Some(grams) = Grams::of(conn, &key) else { return first_named(conn, &pattern, limit, None) };
    if let Some(found) = look_at_first(conn, &pattern, limit)? {
        return Ok(found);
    }
    let rare = users::table.filter(is_named(&pattern)).filter(grams.condition()).limit(RARE_MAX + 1);
    let mut found: Vec<(String, AccountRow)> = rare.select((users::username_key, AccountRow::as_select())).load(conn)?;
    if i64::try_from(found.len()).is_ok_and(|found| found <= RARE_MAX) {
        found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        found.truncate(usize::try_from(limit).unwrap_or_default());
        return accounts(found.into_iter().map(|(_, row)| row).collect());
    }
    first_named(conn, &pattern, limit, None)
}

/// Returns whether an account is shown under this full name.
pub fn is_full_name(conn: &mut AnyConnection, name: &str) -> QueryResult<bool> {
    let line = format!("\n{}", name_key(name));
    let pattern = format!("%{}", escaped(&line));
    let found = match Grams::of(conn, &line) {
        Some(grams) => users::table.filter(is_named(&pattern)).filter(grams.condition()).select(users::id).first::<String>(conn),
        None => users::table.filter(is_named(&pattern)).select(users::id).first::<String>(conn),
    };
    Ok(found.optional()?.is_some())
}

/// Returns the first `limit` of these users, if there are as many among the first of all.
fn look_at_first(conn: &mut AnyConnection, pattern: &str, limit: i64) -> QueryResult<Option<Vec<Account>>> {
    let next = users::table.order(users::username_key).offset(FIRST_LOOK).select(users::username_key);
    let Some(next) = next.first::<String>(conn).optional()? else { return Ok(None) };
    let found = first_named(conn, pattern, limit, Some(next))?;
    Ok(i64::try_from(found.len()).is_ok_and(|found| found >= limit).then_some(found))
}

/// Returns the first `limit` of these users, of those before a username's key if it is given. SQLite looks at an index with
/// the names, and at the rows only of those found. The text of deleted users is empty.
fn first_named(conn: &mut AnyConnection, pattern: &str, limit: i64, before: Option<String>) -> QueryResult<Vec<Account>> {
    let mut keys = users::table
        .filter(users::search_text.like(pattern).escape('\\').and(users::search_text.ne("")))
        .order(users::username_key)
        .limit(limit)
        .select(users::username_key)
        .into_boxed();
    if let Some(before) = before {
        keys = keys.filter(users::username_key.lt(before));
    }
    let keys: Vec<String> = keys.load(conn)?;
    let found = users::table.filter(users::username_key.eq_any(keys).and(users::deleted_at.is_null()));
    accounts(found.order(users::username_key).select(AccountRow::as_select()).load(conn)?)
}

/// Returns the condition that a user's [`search_text`] matches a `LIKE` pattern, and that the user is not deleted.
fn is_named(pattern: &str) -> Condition<'_> {
    Box::new(users::search_text.like(pattern).escape('\\').and(users::deleted_at.is_null()))
}

fn accounts(rows: Vec<AccountRow>) -> QueryResult<Vec<Account>> {
    rows.into_iter().map(Account::try_from).collect()
}

/// The grams of a text, as the database's index takes them.
struct Grams {
    before: &'static str,
    grams: String,
}

impl Grams {
    /// Returns the grams of a name's key; `None` if it is too short for one.
    fn of(conn: &AnyConnection, key: &str) -> Option<Self> {
        let letters: Vec<char> = key.chars().collect();
        if letters.len() < GRAM {
            return None;
        }
        Some(match conn {
            AnyConnection::Postgres(_) => Self { before: "name_grams(users.search_text) @> name_grams(", grams: key.to_owned() },
            AnyConnection::Sqlite(_) => {
                let grams: BTreeSet<String> = letters.windows(GRAM).take(GRAMS_MAX).map(quoted).collect();
                let before = "users.id IN (SELECT user_numbers.user_id FROM user_names \
                     JOIN user_numbers ON user_numbers.number = user_names.rowid WHERE user_names MATCH ";
                Self { before, grams: grams.into_iter().collect::<Vec<_>>().join(" ") }
            }
        })
    }

    /// Returns the condition that the index has a user under all of them.
    fn condition(&self) -> Condition<'_> {
        Box::new(sql::<Bool>(self.before).bind::<Text, _>(self.grams.as_str()).sql(")"))
    }
}

/// Returns a gram as a string of SQLite's query language for full texts.
fn quoted(gram: &[char]) -> String {
    let gram: String = gram.iter().collect();
    format!("\"{}\"", gram.replace('"', "\"\""))
}

/// Returns a text in which wildcards of `LIKE` stand for themselves.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn signs_of_patterns_stand_for_themselves() {
        assert_eq!(super::escaped("50%_a\\"), "50\\%\\_a\\\\");
        assert_eq!(super::quoted(&['a', '"', 'b']), "\"a\"\"b\"");
    }
}
