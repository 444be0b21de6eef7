//! Paging of lists by key.
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::http_error::HttpError;
use super::query::Query;

/// Default number of entries of a page.
const DEFAULT_PAGE: usize = 50;
/// Maximum number of entries of a page; a larger limit counts as this.
pub const MAX_PAGE: usize = 200;

/// A position in a list, opaque to clients. Its kind keeps it from being used with other lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// Makes the position `key` in a list of this kind.
    pub fn new(kind: char, key: impl std::fmt::Display) -> Self {
        Self(format!("{kind}{key}"))
    }

    /// Returns the text that clients see.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }

    fn decode(kind: char, text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        text.starts_with(kind).then_some(Self(text))
    }

    /// Returns the key it was made of.
    pub fn key(&self) -> &str {
        let mut characters = self.0.chars();
        characters.next();
        characters.as_str()
    }
}

/// The part of a list that is requested. Bounds are exclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page<K> {
    /// The newest entries.
    Newest,
    /// Entries right before this one.
    Before(K),
    /// Entries right after this one.
    After(K),
}

/// `?limit=`, `?before=`, `?after=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest<K> {
    /// 1 to [`MAX_PAGE`].
    pub limit: usize,
    /// Bounds.
    pub page: Page<K>,
}

impl<K> PageRequest<K> {
    /// Parses a query; `read` parses the key of a cursor.
    ///
    /// # Errors
    /// 400 for an invalid limit or cursor, and for both directions at once.
    pub fn read(query: &Query, kind: char, read: impl Fn(&str) -> Option<K>) -> Result<Self, HttpError> {
        let limit = limit(query)?;
        let key = |name: &'static str| {
            let Some(text) = query.get(name) else { return Ok(None) };
            let cursor = Cursor::decode(kind, text);
            cursor.and_then(|cursor| read(cursor.key())).map(Some).ok_or_else(|| HttpError::invalid(name))
        };
        let page = match (key("before")?, key("after")?) {
            (None, None) => Page::Newest,
            (Some(key), None) => Page::Before(key),
            (None, Some(key)) => Page::After(key),
            (Some(_), Some(_)) => return Err(HttpError::bad_request("Invalid after: there is a before, too")),
        };
        Ok(Self { limit, page })
    }

    /// Returns the limit plus one: an extra row shows that the list continues.
    pub fn limit_and_one(&self) -> i64 {
        i64::try_from(self.limit.saturating_add(1)).unwrap_or(i64::MAX)
    }
}

fn limit(query: &Query) -> Result<usize, HttpError> {
    let Some(text) = query.get("limit") else { return Ok(DEFAULT_PAGE) };
    let digits = text.trim_start_matches('0');
    match digits.parse::<usize>() {
        _ if !text.bytes().all(|byte| byte.is_ascii_digit()) || digits.is_empty() => Err(HttpError::invalid("limit")),
        Ok(limit) => Ok(limit.min(MAX_PAGE)),
        Err(_) => Ok(MAX_PAGE),
    }
}

/// The limit of a list without cursors.
impl Query {
    /// Parses `?limit=`, 1 to [`MAX_PAGE`].
    ///
    /// # Errors
    /// 400 if it is invalid.
    pub fn limit(&self) -> Result<usize, HttpError> {
        limit(self)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::FromRequest as _;
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    fn read(query: &str) -> Result<PageRequest<i64>, HttpError> {
        let request = TestRequest::with_uri(&format!("/?{query}")).to_http_request();
        let query = Query::from_request(&request, &mut actix_web::dev::Payload::None).into_inner()?;
        PageRequest::read(&query, 'm', |key| key.parse().ok())
    }

    #[test]
    fn limits_have_bounds() {
        for (query, limit) in [("", Some(50)), ("limit=1", Some(1)), ("limit=007", Some(7)), ("limit=200", Some(200))] {
            assert_eq!(read(query).ok().map(|page| page.limit), limit, "{query}");
        }
        for query in ["limit=201", "limit=99999999999999999999999"] {
            assert_eq!(read(query).unwrap().limit, 200);
        }
        for query in ["limit=", "limit=0", "limit=-1", "limit=x", "limit=1.5", "limit=+5", "limit=%31e3"] {
            assert_eq!(read(query).unwrap_err().code(), "INVALID_PAYLOAD", "{query}");
        }
    }

    #[test]
    fn cursors_are_of_their_own_list() {
        let cursor = Cursor::new('m', 17).encode();
        assert_eq!(read(&format!("before={cursor}")).unwrap().page, Page::Before(17));
        assert_eq!(read(&format!("after={cursor}")).unwrap().page, Page::After(17));
        let other = Cursor::new('c', 17).encode();
        for query in
            ["before=", "before=17", "before=%20", &format!("before={other}"), &format!("before={cursor}&after={cursor}")]
        {
            assert!(read(query).is_err(), "{query}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn any_cursor_has_an_answer(text in "[A-Za-z0-9_=-]{0,40}") {
            let _ = Cursor::decode('m', &text);
        }
    }
}
