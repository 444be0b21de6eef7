//! Google's Gemini API: `generateContent`, and `streamGenerateContent?alt=sse`, whose events have the same shape.
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;

use super::protocol::{Part, Protocol, Unreadable, with_path};
use crate::chat::Turn;

const DEFAULT_URL: &str = "https://generativelanguage.googleapis.com";
const DEFAULT_MODEL: &str = "gemini-2.5-flash";
/// What may stand in a model's name as it is.
const IN_NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'/');

/// One model of Gemini.
#[derive(Debug)]
pub struct Gemini {
    /// Up to the method's name.
    model_url: String,
    system_prompt: String,
}

impl Gemini {
    /// `base`: the base address; empty `model` and `system_prompt`: the usual one, none.
    pub fn new(base: &crate::config::ModelAddress, model: &str, system_prompt: &str) -> Self {
        let base = with_path(base.or(DEFAULT_URL), "/v1beta");
        let model = if model.is_empty() { DEFAULT_MODEL } else { model };
        // Tuned models bring the name of their collection.
        let collection = if model.contains('/') { "" } else { "models/" };
        let model_url = format!("{base}/{collection}{}", utf8_percent_encode(model, IN_NAME));
        Self { model_url, system_prompt: system_prompt.to_owned() }
    }
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

    fn read(&self, json: &str) -> Result<Part, Unreadable> {
        let answer: Answer = serde_json::from_str(json).map_err(|_| Unreadable("it is no answer of Gemini"))?;
        if answer.error.is_some() {
            return Err(Unreadable("an error came instead of an answer"));
        }
        let Some(candidate) = answer.candidates.into_iter().next() else {
            let is_blocked = answer.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some());
            // An event may report figures alone.
            return if is_blocked { Err(Unreadable("the question was blocked")) } else { Ok(Part::default()) };
        };
        let parts = candidate.content.map(|content| content.parts).unwrap_or_default();
        let text = parts.into_iter().filter(|part| !part.thought).filter_map(|part| part.text).collect();
        Ok(Part { text, is_last: candidate.finish_reason.is_some() })
    }

    fn refusal(&self, json: &str) -> Option<String> {
        serde_json::from_str::<Answer>(json).ok()?.error?.status
    }

    fn retry_after(&self, json: &str) -> Option<Duration> {
        let error = serde_json::from_str::<Answer>(json).ok()?.error?;
        let delay = error.details.into_iter().find_map(|detail| detail.retry_delay)?;
        Duration::try_from_secs_f64(delay.strip_suffix('s')?.parse().ok()?).ok()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    candidates: Vec<Candidate>,
    prompt_feedback: Option<Feedback>,
    error: Option<Refused>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    parts: Vec<TextPart>,
}

#[derive(Deserialize)]
struct TextPart {
    text: Option<String>,
    /// What the model said to itself.
    #[serde(default)]
    thought: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    status: Option<String>,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    retry_delay: Option<String>,
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
        ] {
            let gemini = gemini(url, model, "");
            assert_eq!(gemini.address(false), format!("{expected}:generateContent"));
            assert_eq!(gemini.address(true), format!("{expected}:streamGenerateContent?alt=sse"));
        }
    }

    #[test]
    fn it_is_told_what_was_said() {
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

    #[test]
    fn answers_are_read() {
        let part = |text: &str, is_last| Ok(Part { text: text.to_owned(), is_last });
        for (json, expected) in [
            (
                r#"{"candidates":[{"content":{"parts":[{"text":"Hel"},{"text":"lo"}],"role":"model"},"finishReason":"STOP","index":0}]}"#,
                part("Hello", true),
            ),
            (r#"{"candidates":[{"content":{"parts":[{"text":"Hel"}]}}]}"#, part("Hel", false)),
            (r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"Yes"}]}}]}"#, part("Yes", false)),
            (r#"{"candidates":[{"finishReason":"SAFETY"}]}"#, part("", true)),
            (r#"{"candidates":[{"content":{"parts":[{"functionCall":{}}]}}]}"#, part("", false)),
            (r#"{"usageMetadata":{"totalTokenCount":3}}"#, part("", false)),
            (r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#, Err(Unreadable("the question was blocked"))),
            (r#"{"error":{"code":500,"status":"INTERNAL"}}"#, Err(Unreadable("an error came instead of an answer"))),
            (r#"{"candidates":[{"content":{"par"#, Err(Unreadable("it is no answer of Gemini"))),
            ("<html>", Err(Unreadable("it is no answer of Gemini"))),
        ] {
            assert_eq!(gemini("", "", "").read(json), expected, "{json}");
        }
    }

    #[test]
    fn a_refusal_says_its_name_and_when_to_come_back() {
        let gemini = gemini("", "", "");
        let json = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"…","details":[{"@type":"x"},{"@type":"y","retryDelay":"1.5s"}]}}"#;
        assert_eq!(gemini.refusal(json).as_deref(), Some("RESOURCE_EXHAUSTED"));
        assert_eq!(gemini.retry_after(json), Some(Duration::from_millis(1_500)));
        assert_eq!((gemini.refusal("{}"), gemini.retry_after("no")), (None, None));
    }
}
