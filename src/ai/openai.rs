//! The chat completions API of OpenAI, also served by vLLM, llama.cpp, Ollama and others.
use serde_json::json;

use super::json::Json;
use super::protocol::{Broken, End, Part, Protocol, text_of, with_path};
use super::refusal::error_in;
use crate::chat::Turn;
use crate::model::Role;

const DEFAULT_URL: &str = "https://api.openai.com";
const DEFAULT_MODEL: &str = "gpt-4o-mini";
/// The path of the method.
const METHOD: &str = "/chat/completions";
/// Finish reasons of an answer that, alone or with its chat, became too long.
const CUT: [&str; 6] =
    ["length", "max_tokens", "max_length", "max_output_tokens", "model_length", "model_context_window_exceeded"];
/// Parts of finish reasons that are no regular end: an error, a filter, a stop by somebody.
const BROKEN_OFF: [&str; 8] =
    ["error", "filter", "safety", "sensitive", "recitation", "abort", "cancel", "insufficient_system_resource"];

/// One model of a server that speaks chat completions.
#[derive(Debug)]
pub(super) struct OpenAi {
    url: String,
    model: String,
    system_prompt: String,
}

impl OpenAi {
    /// `base` is the base address or the whole one; an empty `model` means the default one, an empty `system_prompt`
    /// none.
    pub(super) fn new(base: &crate::config::ModelAddress, model: &str, system_prompt: &str) -> Self {
        Self {
            url: endpoint(base.or(DEFAULT_URL)),
            model: if model.is_empty() { DEFAULT_MODEL } else { model }.to_owned(),
            system_prompt: system_prompt.to_owned(),
        }
    }
}

/// Returns the address of the method; a query string stays at the end.
fn endpoint(base: &str) -> String {
    let at = base.find('?').unwrap_or(base.len());
    let (place, query) = base.split_at_checked(at).unwrap_or((base, ""));
    if place.ends_with(METHOD) { base.to_owned() } else { format!("{}{METHOD}{query}", with_path(place, "/v1")) }
}

impl Protocol for OpenAi {
    fn address(&self, _stream: bool) -> String {
        self.url.clone()
    }

    fn key_header(&self) -> (&'static str, &'static str) {
        ("authorization", "Bearer ")
    }

    fn request(&self, turns: &[Turn], stream: bool) -> String {
        let system = (!self.system_prompt.is_empty()).then(|| json!({"role": "system", "content": self.system_prompt}));
        let said = turns.iter().map(|Turn { role, text }| {
            let role = if *role == Role::Model { "assistant" } else { "user" };
            json!({"role": role, "content": text})
        });
        let messages: Vec<_> = system.into_iter().chain(said).collect();
        json!({"model": self.model, "messages": messages, "stream": stream}).to_string()
    }

    fn read(&self, json: Json<'_>) -> Result<Part, Broken> {
        let choice = json.get("choices").and_then(Json::first);
        if let Some(error) = error_in(json).or_else(|| error_in(choice?)) {
            return Err(Broken::by_error(error.raw()));
        }
        // An event may hold statistics alone.
        let Some(choice) = choice else { return Ok(Part::default()) };
        let said = |name| choice.get(name)?.get("content").map(text_of).filter(|text| !text.is_empty());
        let text = said("delta").or_else(|| said("message")).unwrap_or_default();
        let end = choice.get("finish_reason").and_then(Json::word).map_or(Ok(None), |reason| end_of(&reason))?;
        Ok(Part { text, end })
    }

    fn refusal(&self, json: Json<'_>) -> Option<String> {
        let error = error_in(json)?;
        let named = |name| error.get(name).and_then(Json::word);
        named("code").or_else(|| named("type"))
    }
}

/// Maps the finish reason to an end. Many servers put an empty one into every event.
fn end_of(reason: &str) -> Result<Option<End>, Broken> {
    let reason = reason.trim().to_ascii_lowercase().replace('-', "_");
    match &*reason {
        "" | "null" | "none" => Ok(None),
        reason if CUT.contains(&reason) => Ok(Some(End::Cut)),
        reason if BROKEN_OFF.iter().any(|word| reason.contains(word)) => Err(Broken::Off("the provider broke the answer off")),
        _ => Ok(Some(End::Whole)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openai(url: &str, model: &str, system_prompt: &str) -> OpenAi {
        OpenAi::new(&url.parse().unwrap_or_default(), model, system_prompt)
    }

    #[test]
    fn it_is_asked_below_its_base_address() {
        for (url, expected) in [
            ("", "https://api.openai.com/v1/chat/completions"),
            ("http://localhost:8000", "http://localhost:8000/v1/chat/completions"),
            ("http://localhost:8000/v1/", "http://localhost:8000/v1/chat/completions"),
            ("https://example.org/openai", "https://example.org/openai/chat/completions"),
            ("http://localhost:8000/v1/chat/completions", "http://localhost:8000/v1/chat/completions"),
            ("http://localhost:8000/v1/chat/completions/", "http://localhost:8000/v1/chat/completions"),
            ("https://a.example/d/x/chat/completions?api-version=2", "https://a.example/d/x/chat/completions?api-version=2"),
            ("https://a.example/d/x/?api-version=2", "https://a.example/d/x/chat/completions?api-version=2"),
            ("https://a.example?api-version=2", "https://a.example/v1/chat/completions?api-version=2"),
        ] {
            assert_eq!(openai(url, "", "").address(true), expected);
        }
    }

    #[test]
    fn it_gets_what_was_said() {
        let turns = [(Role::User, "Hi"), (Role::Model, "Hello")];
        let turns = turns.map(|(role, text)| Turn { role, text: text.to_owned() });
        let said = r#"{"content":"Hi","role":"user"},{"content":"Hello","role":"assistant"}"#;
        assert_eq!(
            openai("", "", "").request(&turns, true),
            format!(r#"{{"messages":[{said}],"model":"gpt-4o-mini","stream":true}}"#)
        );
        assert_eq!(
            openai("", "llama", "Be brief.").request(&turns, false),
            format!(r#"{{"messages":[{{"content":"Be brief.","role":"system"}},{said}],"model":"llama","stream":false}}"#)
        );
    }

    fn read(json: &str) -> Result<Part, Broken> {
        openai("", "", "").read(Json::all(json).unwrap()[0])
    }

    #[test]
    fn answers_are_read() {
        let part = |text: &str, end| Ok(Part { text: text.as_bytes().to_vec(), end });
        let (whole, cut) = (Some(End::Whole), Some(End::Cut));
        let error = Err(Broken::Off("an error came instead of an answer"));
        for (json, expected) in [
            (
                r#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{}}"#,
                part("Hello", whole),
            ),
            (r#"{"choices":[{"delta":{"role":"assistant"},"finish_reason":null}]}"#, part("", None)),
            (r#"{"choices":[{"delta":{"content":"Hel"},"finish_reason":null}]}"#, part("Hel", None)),
            (r#"{"choices":[{"delta":{"content":"Hel"},"finish_reason":""}]}"#, part("Hel", None)),
            (r#"{"choices":[{"delta":{"content":"Hel"},"message":{"content":""},"finish_reason":0}]}"#, part("Hel", None)),
            (r#"{"choices":[{"delta":null,"message":null,"finish_reason":"eos"}]}"#, part("", whole)),
            (r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#, part("", cut)),
            (r#"{"choices":[{"delta":{},"finish_reason":"MAX_TOKENS"}]}"#, part("", cut)),
            (r#"{"choices":[],"usage":{"total_tokens":3}}"#, part("", None)),
            (r#"{"choices":null,"error":null,"usage":{"total_tokens":3}}"#, part("", None)),
            (r#"{"choices":[null]}"#, part("", None)),
            ("null", part("", None)),
            (r#""ping""#, part("", None)),
            (r#"{"choices":[{"delta":{"content":[{"type":"text","text":"Hel"},{"text":"l"},"o"]}}]}"#, part("Hello", None)),
            (
                r#"{"choices":[{"message":{"content":[1,null,{"type":"thinking","thinking":[{"text":"hm"}]},{"type":"text"}]}}]}"#,
                part("", None),
            ),
            (r#"{"choices":[{"delta":{"content":null,"reasoning_content":"hm","reasoning":"hm"}}]}"#, part("", None)),
            (r#"{"error":{"message":"x"}}"#, error.clone()),
            (r#"{"choices":[{"delta":{"content":"Hel"},"error":{"code":502},"finish_reason":"error"}]}"#, error.clone()),
            (r#"{"object":"error","message":"x","code":500}"#, error),
            (r#"{"error":{"code":"context_length_exceeded"}}"#, Err(Broken::TooLong)),
            (
                r#"{"choices":[{"delta":{"content":"Hel"},"finish_reason":"content_filter"}]}"#,
                Err(Broken::Off("the provider broke the answer off")),
            ),
        ] {
            assert_eq!(read(json), expected, "{json}");
        }
        assert_eq!(read(r#"{"choices":[{"delta":{"content":"\ud83d"}}]}"#).unwrap().text, b"\xED\xA0\xBD");
    }

    #[test]
    fn a_refusal_says_its_name() {
        for (json, name) in [
            (r#"{"error":{"message":"…","type":"invalid_request_error","code":"model_not_found"}}"#, Some("model_not_found")),
            (r#"{"error":{"message":"…","type":"not_found_error","code":404}}"#, Some("not_found_error")),
            (r#"{"error":"no such model"}"#, None),
            ("1", None),
        ] {
            assert_eq!(openai("", "", "").refusal(Json::all(json).unwrap()[0]).as_deref(), name, "{json}");
        }
    }
}
