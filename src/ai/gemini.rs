//! Google's Gemini API: `generateContent`, and `streamGenerateContent?alt=sse`, whose events have the same shape.
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::json::Json;
use super::protocol::{Broken, End, Part, Protocol, path_of, text_of, with_path};
use super::refusal::error_in;
use crate::chat::Turn;

const DEFAULT_URL: &str = "https://generativelanguage.googleapis.com";
const DEFAULT_MODEL: &str = "gemini-2.5-flash";
/// The methods, appended to the model's name.
const METHODS: [&str; 2] = [":generateContent", ":streamGenerateContent"];
/// The collections of models.
const COLLECTIONS: [&str; 2] = ["/models", "/tunedModels"];
/// Characters of a model's name that need no escape.
const IN_NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'/');

/// One model of Gemini.
#[derive(Debug)]
pub(super) struct Gemini {
    /// Address up to the method's name.
    model_url: String,
    system_prompt: String,
}

impl Gemini {
    /// `base` is the base address, or that of a model or method; an empty `model` means the default one, an empty
    /// `system_prompt` none.
    pub(super) fn new(base: &crate::config::ModelAddress, model: &str, system_prompt: &str) -> Self {
        let (base, named) = split_model(base.or(DEFAULT_URL));
        let model_url = match named {
            Some(named) if model.is_empty() => format!("{base}{named}"),
            _ => {
                let base = if named.is_some() { base.to_owned() } else { with_path(base, "/v1beta") };
                let model = if model.is_empty() { DEFAULT_MODEL } else { model };
                // Names of tuned models include their collection.
                let collection = if model.contains('/') { "" } else { "models/" };
                format!("{base}/{collection}{}", utf8_percent_encode(model, IN_NAME))
            }
        };
        Self { model_url, system_prompt: system_prompt.to_owned() }
    }
}

/// Splits an address that may end with a model and a method into its base and that model's path.
fn split_model(address: &str) -> (&str, Option<&str>) {
    let address = address.split_once('?').map_or(address, |(place, _)| place);
    let address = METHODS.iter().find_map(|method| address.strip_suffix(method)).unwrap_or(address);
    let path = path_of(address);
    for collection in COLLECTIONS {
        if let Some(base) = path.strip_suffix(collection).and(address.strip_suffix(collection)) {
            return (base, None);
        }
        let below = path.rfind(&format!("{collection}/"));
        if let Some(parts) = below.and_then(|at| address.split_at_checked(address.len() - path.len() + at)) {
            return (parts.0, Some(parts.1));
        }
    }
    (address, None)
}

impl Protocol for Gemini {
    fn address(&self, stream: bool) -> String {
        let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        format!("{}:{method}", self.model_url)
    }

    fn key_header(&self) -> (&'static str, &'static str) {
        ("x-goog-api-key", "")
    }

    fn request(&self, turns: &[Turn], _stream: bool) -> String {
        let part = |text: &str| json!([{"text": text}]);
        let contents: Vec<_> =
            turns.iter().map(|Turn { role, text }| json!({"role": role.as_str(), "parts": part(text)})).collect();
        let mut request = json!({"contents": contents});
        if let (Some(fields), false) = (request.as_object_mut(), self.system_prompt.is_empty()) {
            fields.insert("systemInstruction".to_owned(), json!({"parts": part(&self.system_prompt)}));
        }
        request.to_string()
    }

    fn read(&self, json: Json<'_>) -> Result<Part, Broken> {
        if let Some(error) = error_in(json) {
            return Err(Broken::by_error(error.raw()));
        }
        let Some(candidate) = json.get("candidates").and_then(Json::first) else {
            let blocked = json.get("promptFeedback").and_then(|feedback| feedback.get("blockReason")?.word());
            let is_blocked = blocked.is_some_and(|reason| !is_unspecified(&reason));
            // An event may hold statistics alone.
            return if is_blocked { Err(Broken::Off("the question was blocked")) } else { Ok(Part::default()) };
        };
        let text = candidate.get("content").and_then(|content| content.get("parts")).map(text_of).unwrap_or_default();
        let end = candidate.get("finishReason").and_then(Json::word).map_or(Ok(None), |reason| end_of(&reason))?;
        Ok(Part { text, end })
    }

    fn refusal(&self, json: Json<'_>) -> Option<String> {
        error_in(json)?.get("status")?.word()
    }

    fn retry_after(&self, json: Json<'_>) -> Option<Duration> {
        let details = error_in(json)?.get("details")?.items();
        let delay = details.into_iter().find_map(|detail| detail.get("retryDelay")?.word())?;
        Duration::try_from_secs_f64(delay.strip_suffix('s')?.parse().ok()?).ok()
    }
}

/// Maps the finish reason to an end; all but two of them name an error or a filter.
fn end_of(reason: &str) -> Result<Option<End>, Broken> {
    match reason {
        reason if is_unspecified(reason) => Ok(None),
        reason if reason.eq_ignore_ascii_case("STOP") => Ok(Some(End::Whole)),
        reason if reason.eq_ignore_ascii_case("MAX_TOKENS") => Ok(Some(End::Cut)),
        _ => Err(Broken::Off("the provider broke the answer off")),
    }
}

fn is_unspecified(reason: &str) -> bool {
    reason.is_empty() || reason.ends_with("_UNSPECIFIED")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    fn gemini(url: &str, model: &str, system_prompt: &str) -> Gemini {
        Gemini::new(&url.parse().unwrap_or_default(), model, system_prompt)
    }

    #[test]
    fn it_is_asked_at_the_models_address() {
        let usual = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash";
        for (url, model, expected) in [
            ("", "", usual),
            ("http://localhost:9/", "a b?", "http://localhost:9/v1beta/models/a%20b%3F"),
            ("http://localhost:9/v1", "tunedModels/x", "http://localhost:9/v1/tunedModels/x"),
            ("http://localhost:9/v1/models", "x", "http://localhost:9/v1/models/x"),
            ("http://localhost:9/v1beta/models/x", "", "http://localhost:9/v1beta/models/x"),
            ("http://localhost:9/v1beta/models/x:generateContent", "", "http://localhost:9/v1beta/models/x"),
            ("http://localhost:9/v1beta/models/x:streamGenerateContent?alt=sse", "x", "http://localhost:9/v1beta/models/x"),
            ("http://localhost:9/v1beta/models/x:generateContent/", "y", "http://localhost:9/v1beta/models/y"),
            ("http://localhost:9/p/a/publishers/google/models/x", "", "http://localhost:9/p/a/publishers/google/models/x"),
            ("http://localhost:9/v1beta/tunedModels/x:generateContent", "", "http://localhost:9/v1beta/tunedModels/x"),
            ("http://models/", "x", "http://models/v1beta/models/x"),
        ] {
            let gemini = gemini(url, model, "");
            assert_eq!(gemini.address(false), format!("{expected}:generateContent"));
            assert_eq!(gemini.address(true), format!("{expected}:streamGenerateContent?alt=sse"));
        }
    }

    #[test]
    fn it_gets_what_was_said() {
        let turns = [(Role::User, "Hi"), (Role::Model, "Hello"), (Role::User, "\"?\"")];
        let turns = turns.map(|(role, text)| Turn { role, text: text.to_owned() });
        let contents = concat!(
            r#"[{"parts":[{"text":"Hi"}],"role":"user"},{"parts":[{"text":"Hello"}],"role":"model"},"#,
            r#"{"parts":[{"text":"\"?\""}],"role":"user"}]"#
        );
        assert_eq!(gemini("", "", "").request(&turns, false), format!(r#"{{"contents":{contents}}}"#));
        assert_eq!(
            gemini("", "", "Be brief.").request(&turns, true),
            format!(r#"{{"contents":{contents},"systemInstruction":{{"parts":[{{"text":"Be brief."}}]}}}}"#)
        );
    }

    fn read(json: &str) -> Result<Part, Broken> {
        gemini("", "", "").read(Json::all(json).unwrap()[0])
    }

    #[test]
    fn answers_are_read() {
        let part = |text: &str, end| Ok(Part { text: text.as_bytes().to_vec(), end });
        let broken = Err(Broken::Off("the provider broke the answer off"));
        for (json, expected) in [
            (
                r#"{"candidates":[{"content":{"parts":[{"text":"Hel"},{"text":"lo"}],"role":"model"},"finishReason":"STOP","index":0}]}"#,
                part("Hello", Some(End::Whole)),
            ),
            (r#"{"candidates":[{"content":{"parts":[{"text":"Hel"}]}}]}"#, part("Hel", None)),
            (r#"{"candidates":[{"content":{"parts":[{"text":"Hel"}]},"finishReason":""}]}"#, part("Hel", None)),
            (
                r#"{"candidates":[{"content":{"parts":[{"text":"Hel"}]},"finishReason":"FINISH_REASON_UNSPECIFIED"}]}"#,
                part("Hel", None),
            ),
            (
                r#"{"candidates":[{"content":{"parts":[{"text":"Hel"}]},"finishReason":"MAX_TOKENS"}]}"#,
                part("Hel", Some(End::Cut)),
            ),
            (r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"Yes"}]}}]}"#, part("Yes", None)),
            (r#"{"candidates":[{"finishReason":"SAFETY"}]}"#, broken.clone()),
            (r#"{"candidates":[{"content":{"parts":[{"text":"Hel"}]},"finishReason":"OTHER"}]}"#, broken),
            (r#"{"candidates":[{"content":{"parts":[{"functionCall":{}}]}}]}"#, part("", None)),
            (r#"{"candidates":[{"content":{"parts":null}}]}"#, part("", None)),
            (r#"{"candidates":null,"promptFeedback":{}}"#, part("", None)),
            ("null", part("", None)),
            (r#"{"usageMetadata":{"totalTokenCount":3}}"#, part("", None)),
            (r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#, Err(Broken::Off("the question was blocked"))),
            (r#"{"error":{"code":500,"status":"INTERNAL"}}"#, Err(Broken::Off("an error came instead of an answer"))),
        ] {
            assert_eq!(read(json), expected, "{json}");
        }
    }

    #[test]
    fn a_refusal_says_its_name_and_when_to_come_back() {
        let gemini = gemini("", "", "");
        let json = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"…","details":[{"@type":"x"},{"@type":"y","retryDelay":"1.5s"}]}}"#;
        let json = Json::all(json).unwrap()[0];
        assert_eq!(gemini.refusal(json).as_deref(), Some("RESOURCE_EXHAUSTED"));
        assert_eq!(gemini.retry_after(json), Some(Duration::from_millis(1_500)));
        let json = Json::all("{}").unwrap()[0];
        assert_eq!((gemini.refusal(json), gemini.retry_after(json)), (None, None));
    }
}
