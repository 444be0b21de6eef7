//! Chat completions as OpenAI made them and vLLM, llama.cpp, Ollama and others serve them.
use serde::Deserialize;
use serde_json::{Value, json};

use super::protocol::{Part, Protocol, Unreadable, with_path};
use crate::chat::Turn;
use crate::model::Role;

const DEFAULT_URL: &str = "https://api.openai.com";
const DEFAULT_MODEL: &str = "gpt-4o-mini";
/// The data of the event after the last one.
const DONE: &str = "[DONE]";

/// One model of a server that speaks chat completions.
#[derive(Debug)]
pub struct OpenAi {
    url: String,
    model: String,
    system_prompt: String,
}

impl OpenAi {
    /// `base`: the base address; empty `model` and `system_prompt`: the usual one, none.
    pub fn new(base: &crate::config::ModelAddress, model: &str, system_prompt: &str) -> Self {
        Self {
            url: format!("{}/chat/completions", with_path(base.or(DEFAULT_URL), "/v1")),
            model: if model.is_empty() { DEFAULT_MODEL } else { model }.to_owned(),
            system_prompt: system_prompt.to_owned(),
        }
    }
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
        let messages: Vec<_> = system.into_iter().chain(alternating(turns)).collect();
        json!({"model": self.model, "messages": messages, "stream": stream}).to_string()
    }

    fn read(&self, json: &str) -> Result<Part, Unreadable> {
        if json.trim() == DONE {
            return Ok(Part { text: String::new(), is_last: true });
        }
        let answer: Answer = serde_json::from_str(json).map_err(|_| Unreadable("it is no chat completion"))?;
        if answer.error.is_some() {
            return Err(Unreadable("an error came instead of an answer"));
        }
        // An event may report figures alone.
        let Some(choice) = answer.choices.into_iter().next() else { return Ok(Part::default()) };
        let said = choice.message.or(choice.delta).and_then(|said| said.content);
        Ok(Part { text: said.unwrap_or_default(), is_last: choice.finish_reason.is_some() })
    }

    fn refusal(&self, json: &str) -> Option<String> {
        let error = serde_json::from_str::<Answer>(json).ok()?.error?;
        let named = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
        named("code").or_else(|| named("type"))
    }
}

/// Many models refuse whatever does not begin with the user and go on by turns: a failed question would end the chat.
fn alternating(turns: &[Turn]) -> impl Iterator<Item = Value> {
    let from_user = turns.iter().position(|turn| turn.role == Role::User).unwrap_or_default();
    let turns = turns.get(from_user..).unwrap_or_default();
    turns.chunk_by(|one, next| one.role == next.role).map(|same| {
        let texts: Vec<_> = same.iter().map(|turn| turn.text.as_str()).collect();
        let role = if same.iter().any(|turn| turn.role == Role::Model) { "assistant" } else { "user" };
        json!({"role": role, "content": texts.join("\n\n")})
    })
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    choices: Vec<Choice>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    message: Option<Said>,
    delta: Option<Said>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
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
        ] {
            assert_eq!(openai(url, "", "").address(true), expected);
        }
    }

    #[test]
    fn it_is_told_what_was_said() {
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

    #[test]
    fn turns_alternate_and_the_user_begins() {
        let said = [(Role::Model, "0"), (Role::User, "1"), (Role::User, "2"), (Role::Model, "3"), (Role::User, "4")];
        let turns = said.map(|(role, text)| Turn { role, text: text.to_owned() });
        let alternating: Vec<_> = alternating(&turns).map(|message| message.to_string()).collect();
        assert_eq!(
            alternating,
            [
                r#"{"content":"1\n\n2","role":"user"}"#,
                r#"{"content":"3","role":"assistant"}"#,
                r#"{"content":"4","role":"user"}"#
            ]
        );
    }

    #[test]
    fn answers_are_read() {
        let part = |text: &str, is_last| Ok(Part { text: text.to_owned(), is_last });
        for (json, expected) in [
            (
                r#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{}}"#,
                part("Hello", true),
            ),
            (r#"{"choices":[{"delta":{"role":"assistant"},"finish_reason":null}]}"#, part("", false)),
            (r#"{"choices":[{"delta":{"content":"Hel"},"finish_reason":null}]}"#, part("Hel", false)),
            (r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#, part("", true)),
            (r#"{"choices":[],"usage":{"total_tokens":3}}"#, part("", false)),
            ("[DONE]", part("", true)),
            (r#"{"error":{"message":"x"}}"#, Err(Unreadable("an error came instead of an answer"))),
            (r#"{"choices":[{"delta":{"con"#, Err(Unreadable("it is no chat completion"))),
            (r#"{"choices":[{"message":{"content":[1]}}]}"#, Err(Unreadable("it is no chat completion"))),
        ] {
            assert_eq!(openai("", "", "").read(json), expected, "{json}");
        }
    }

    #[test]
    fn a_refusal_says_its_name() {
        for (json, name) in [
            (r#"{"error":{"message":"…","type":"invalid_request_error","code":"model_not_found"}}"#, Some("model_not_found")),
            (r#"{"error":{"message":"…","type":"not_found_error","code":404}}"#, Some("not_found_error")),
            (r#"{"error":"no such model"}"#, None),
            ("", None),
        ] {
            assert_eq!(openai("", "", "").refusal(json).as_deref(), name, "{json}");
        }
    }
}
