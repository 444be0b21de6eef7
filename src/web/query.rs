//! Query strings.
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use percent_encoding::percent_decode_str;

use super::http_error::HttpError;

/// The query of a request. The first of repeated names counts.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    fn parse(text: &str) -> Result<Self, HttpError> {
        let decode = |part: &str| {
            let spaced = part.replace('+', " ");
            let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| HttpError::invalid("query"))?;
            if decoded.contains('\0') { Err(HttpError::invalid("query")) } else { Ok(decoded.into_owned()) }
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let read = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        };
        pairs.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Returns a parameter's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl FromRequest for Query {
    type Error = HttpError;
    type Future = Ready<Result<Self, HttpError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_values_are_decoded() {
        let query = Query::parse("a=1&b=x+y%26&a=2&c&=d&%C3%A4=%C3%B6").unwrap();
        assert_eq!(
            (query.get("a"), query.get("b"), query.get("c"), query.get("ä")),
            (Some("1"), Some("x y&"), Some(""), Some("ö"))
        );
        assert!(query.get("z").is_none());
        assert!(Query::parse("a=%ff").is_err() && Query::parse("a=%00").is_err() && Query::parse("%00=1").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn any_query_has_an_answer(text in "[ -~]{0,60}") {
            let _ = Query::parse(&text);
        }
    }
}
