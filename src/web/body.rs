//! JSON bodies of requests.
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Data, Payload as PayloadStream};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt as _;
use serde_json::{Map, Number, Value};
use tokio::time::{Instant, timeout_at};

use super::http_error::HttpError;
use super::identity::is_known;
use super::settings::WebState;
use crate::model::UserId;
use crate::model::limits::INTEGER_MAX;

/// Maximum size of a body from an unauthenticated client, in bytes.
const STRANGER_BYTES: usize = 16 * 1_024;
/// Time within which a body must arrive,
const RECEIVE_LIMIT: Duration = Duration::from_secs(10);
/// plus one second for each so many bytes received.
const BYTES_PER_SECOND: u64 = 1_024;

/// A JSON object from a request. An absent body is `{}`, `null` counts as absent, unknown fields are ignored.
#[derive(Debug, Clone, Default)]
pub struct Body(Map<String, Value>);

impl Body {
    fn parse(bytes: &[u8]) -> Result<Self, HttpError> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        // Parsed as a whole, so that an unpaired surrogate is refused wherever it is.
        let Ok(Value::Object(fields)) = serde_json::from_slice(bytes) else { return Err(HttpError::invalid("JSON")) };
        Self::of(fields)
    }

    /// Makes a body of these fields.
    ///
    /// # Errors
    /// 400 naming a field with U+0000.
    pub fn of(fields: Map<String, Value>) -> Result<Self, HttpError> {
        match fields.iter().find(|(name, value)| name.contains('\0') || has_nul(value)) {
            Some((name, _)) => Err(HttpError::invalid(name.replace('\0', "\u{fffd}"))),
            None => Ok(Self(fields)),
        }
    }

    /// Returns a field's value, unless it is `null`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Returns a required field's value.
    ///
    /// # Errors
    /// 400 naming the field.
    pub fn required(&self, name: &str) -> Result<&Value, HttpError> {
        self.get(name).ok_or_else(|| HttpError::missing(name))
    }

    /// Returns the names of fields other than `known`, which a change ignores: its answer lists them.
    pub fn ignored(&self, known: &[&str]) -> Vec<String> {
        self.0.keys().filter(|name| !known.contains(&name.as_str())).cloned().collect()
    }

    /// Returns a flag, if present.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, HttpError> {
        self.get(name).map(|value| value.as_bool().ok_or_else(|| HttpError::invalid(name))).transpose()
    }

    /// Returns an object, if present.
    ///
    /// # Errors
    /// 400 naming the field.
    pub fn object(&self, name: &str) -> Result<Option<Self>, HttpError> {
        let fields = |value: &Value| value.as_object().cloned().map(Self).ok_or_else(|| HttpError::invalid(name));
        self.get(name).map(fields).transpose()
    }

    /// Returns a required text.
    ///
    /// # Errors
    /// 400 naming the field.
    pub fn text(&self, name: &str) -> Result<&str, HttpError> {
        self.optional_text(name)?.ok_or_else(|| HttpError::missing(name))
    }

    /// Returns a text, if present.
    ///
    /// # Errors
    /// As [`Body::text`].
    pub fn optional_text(&self, name: &str) -> Result<Option<&str>, HttpError> {
        self.get(name).map(|value| value.as_str().ok_or_else(|| HttpError::invalid(name))).transpose()
    }

    /// Returns a text of `least` to `most` characters, if present.
    ///
    /// # Errors
    /// As [`Body::text`].
    pub fn bounded_text(&self, name: &str, least: usize, most: usize) -> Result<Option<&str>, HttpError> {
        let text = self.optional_text(name)?;
        match text.map(|text| text.chars().count()) {
            Some(length) if length < least || length > most => Err(HttpError::invalid(name)),
            _ => Ok(text),
        }
    }

    /// Returns an id of `least` to `most` characters, if present; an integer counts as its decimal text.
    ///
    /// # Errors
    /// As [`Body::text`].
    pub fn id_text(&self, name: &str, least: usize, most: usize) -> Result<Option<String>, HttpError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = id_text(value).ok_or_else(|| HttpError::invalid(name))?;
        if (least..=most).contains(&text.chars().count()) { Ok(Some(text)) } else { Err(HttpError::invalid(name)) }
    }

    /// Returns an integer from `least` to `most`, if present.
    ///
    /// # Errors
    /// As [`Body::text`].
    pub fn bounded_integer(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, HttpError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let integer = value.as_number().and_then(whole).filter(|integer| (least..=most).contains(integer));
        integer.map(Some).ok_or_else(|| HttpError::invalid(name))
    }

    /// Returns a required user id.
    ///
    /// # Errors
    /// As [`Body::text`].
    pub fn user(&self, name: &str) -> Result<UserId, HttpError> {
        user(self.required(name)?).ok_or_else(|| HttpError::invalid(name))
    }

    /// Returns a required list of users without duplicates.
    ///
    /// # Errors
    /// As [`Body::text`].
    pub fn users(&self, name: &str) -> Result<Vec<UserId>, HttpError> {
        let list = self.required(name)?.as_array().ok_or_else(|| HttpError::invalid(name))?;
        let mut users = list.iter().map(user).collect::<Option<Vec<_>>>().ok_or_else(|| HttpError::invalid(name))?;
        let mut seen = hashbrown::HashSet::with_capacity(users.len());
        users.retain(|user| seen.insert(user.clone()));
        Ok(users)
    }
}

fn user(value: &Value) -> Option<UserId> {
    UserId::parse(&id_text(value)?).ok()
}

fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => whole(number).map(|integer| integer.to_string()),
        _ => None,
    }
}

/// Returns an integer, however it is written: `7.0` counts, too.
fn whole(number: &Number) -> Option<u64> {
    let integer = number.as_u64().or_else(|| {
        let value = number.as_f64().filter(|value| value.fract() == 0.0)?;
        // Without a fraction; out-of-range values fail to parse.
        format!("{value:.0}").parse().ok()
    });
    integer.filter(|integer| *integer <= INTEGER_MAX)
}

/// Returns whether the value contains U+0000, which Postgres texts cannot hold. The parser bounds the depth.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

impl FromRequest for Body {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, HttpError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let most = request.app_data::<Data<WebState>>().map_or(0, |state| state.settings.max_body_bytes);
        let limit = if is_known(request) { most } else { most.min(STRANGER_BYTES) };
        let content_type = request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?").to_owned());
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let stream = PayloadStream::from_request(request, payload);
        Box::pin(async move {
            if announced.is_some_and(|length| length > limit as u64) {
                return Err(HttpError::too_large("The body is too large"));
            }
            let stream = stream.await.map_err(|_| HttpError::invalid("body"))?;
            let bytes = receive(stream, limit).await?;
            if !bytes.is_empty() && content_type.is_some_and(|content_type| !is_json(&content_type)) {
                return Err(HttpError::unsupported_type("The body must be application/json"));
            }
            Self::parse(&bytes)
        })
    }
}

async fn receive(mut stream: PayloadStream, limit: usize) -> Result<Vec<u8>, HttpError> {
    let (mut bytes, begun) = (Vec::new(), Instant::now());
    let due = |received: usize| begun + RECEIVE_LIMIT + Duration::from_secs(received as u64 / BYTES_PER_SECOND);
    while let Some(chunk) =
        timeout_at(due(bytes.len()), stream.next()).await.map_err(|_| HttpError::bad_request("The body came too slowly"))?
    {
        let chunk = chunk.map_err(|error| match error {
            PayloadError::Overflow => HttpError::too_large("The body is too large"),
            _ => HttpError::invalid("body"),
        })?;
        if bytes.len() + chunk.len() > limit {
            return Err(HttpError::too_large("The body is too large"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_object_without_u0000_is_refused() {
        for bad in [
            "{",
            "[]",
            "null",
            "1",
            "\"a\"",
            "{\"a\":1}x",
            "{\"a\":\"\\u0000\"}",
            "{\"a\":[{\"b\\u0000\":1}]}",
            "{\"\\u0000\":1}",
            "{\"a\":\"\\ud800\"}",
            "{\"ignored\":{\"x\":\"\\udc00\"}}",
        ] {
            assert!(Body::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Body::parse(b"{\"a\":\"\xff\"}").is_err());
        assert!(Body::parse(b"").is_ok() && Body::parse(b" \n").is_ok() && Body::parse(b"{}").is_ok());
    }

    #[test]
    fn fields_are_checked_by_name() {
        let body =
            Body::parse(br#"{"t":"x","n":null,"i":7,"f":1.5,"neg":-1,"big":9007199254740992,"u":["a",7,"a"],"bad":["a\tb"]}"#)
                .unwrap();
        assert_eq!(body.text("t").unwrap(), "x");
        assert!(body.text("n").is_err() && body.text("i").is_err());
        assert_eq!(body.optional_text("n").unwrap(), None);
        assert_eq!(body.id_text("i", 1, 200).unwrap().as_deref(), Some("7"));
        let whole = Body::parse(br#"{"i":7.0,"e":9.007199254740991e15,"over":9.007199254740992e15,"less":-1.0}"#).unwrap();
        assert_eq!(whole.id_text("i", 1, 200).unwrap().as_deref(), Some("7"));
        assert_eq!(whole.bounded_integer("e", 0, INTEGER_MAX).unwrap(), Some(INTEGER_MAX));
        assert!(whole.bounded_integer("over", 0, u64::MAX).is_err() && whole.id_text("less", 1, 9).is_err());
        assert!(
            body.id_text("f", 1, 200).is_err() && body.id_text("neg", 1, 200).is_err() && body.id_text("big", 1, 200).is_err()
        );
        assert_eq!(body.users("u").unwrap().iter().map(UserId::as_str).collect::<Vec<_>>(), ["a", "7"]);
        assert!(body.users("bad").is_err() && body.users("t").is_err() && body.users("missing").is_err());
        assert!(body.bounded_text("t", 2, 3).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn any_bytes_have_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Body::parse(&bytes);
        }
    }
}
