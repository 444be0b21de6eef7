//! Refusals of providers: whether to retry, when, and whether with less.
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::json::Json;

/// Longest name of a refusal in the log, in characters.
const NAME_MAX: usize = 64;
/// Phrases, in lower case, in which providers say that a chat is too long for their model.
const TOO_LONG: [&str; 20] = [
    "context_length",
    "context length",
    "context window",
    "context_window",
    "context size",
    "context_size",
    "maximum context",
    "token count",
    "number of tokens",
    "too many tokens",
    "too many input tokens",
    "maximum input length",
    "max_model_len",
    "tokens_limit",
    "token limit",
    "prompt is too long",
    "input is too long",
    "prompt too long",
    "string_above_max_length",
    "request too large",
];

/// Returns whether a refusal means that a shorter chat would be answered.
pub(super) fn is_too_long(text: &str) -> bool {
    let text = text.to_lowercase();
    TOO_LONG.iter().any(|words| text.contains(words))
}

/// Returns the error in a body. Some providers put an empty `error` into every answer.
pub(super) fn error_in(json: Json<'_>) -> Option<Json<'_>> {
    let error = json.get("error").filter(|error| !matches!(error.raw(), "false" | "0" | r#""""# | "{}" | "[]"));
    let is_one = |name| json.get(name).and_then(Json::word).is_some_and(|word| word.eq_ignore_ascii_case("error"));
    error.or_else(|| (is_one("type") || is_one("object")).then_some(json))
}

/// Parses `Retry-After`: seconds, or a date.
pub(super) fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    // A date in the past means at once.
    Some((date.to_utc() - Utc::now()).to_std().unwrap_or_default())
}

/// Returns whether a provider's error is a plain name, not a sentence, which might repeat parts of the chat.
pub(super) fn is_plain_name(name: &str) -> bool {
    name.len() <= NAME_MAX && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_come_back_is_seconds_or_a_date() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let later = (Utc::now() + chrono::Duration::seconds(60)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        assert!((Duration::from_secs(50)..Duration::from_secs(61)).contains(&retry_after(&later).unwrap()), "{later}");
        for nonsense in ["", "soon", "-1", "1.5"] {
            assert_eq!(retry_after(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn the_log_names_refusals_and_repeats_no_sentence() {
        for (name, is_plain) in [("RESOURCE_EXHAUSTED", true), ("model_not_found", true), ("you said so", false), ("sk-1", false)]
        {
            assert_eq!(is_plain_name(name), is_plain, "{name}");
        }
    }

    #[test]
    fn a_chat_that_is_too_long_is_recognized_in_each_providers_words() {
        for (text, expected) in [
            (
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","code":"context_length_exceeded"}}"#,
                true,
            ),
            (
                r#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#,
                true,
            ),
            (
                r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#,
                true,
            ),
            (r#"{"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#, true),
            (
                r#"{"object":"error","message":"This model's maximum context length is 2048 tokens. However, you requested 4000","code":400}"#,
                true,
            ),
            (
                r#"{"error":{"code":"tokens_limit_reached","message":"Request body too large for gpt-4o model. Max size: 8000 tokens."}}"#,
                true,
            ),
            (r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#, false),
            (r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}"#, false),
            ("", false),
        ] {
            assert_eq!(is_too_long(text), expected, "{text}");
        }
    }

    #[test]
    fn an_empty_error_is_none() {
        for (json, expected) in [
            (r#"{"error":{"message":"x"}}"#, true),
            (r#"{"error":"x"}"#, true),
            (r#"{"object":"error","message":"x"}"#, true),
            (r#"{"type":"error"}"#, true),
            (r#"{"error":null}"#, false),
            (r#"{"error":""}"#, false),
            (r#"{"error":{},"object":"chat.completion.chunk"}"#, false),
            ("[]", false),
        ] {
            assert_eq!(error_in(Json::all(json).unwrap()[0]).is_some(), expected, "{json}");
        }
    }
}
