//! Answers of the hook.
use serde::Deserialize;

use crate::auth::Claims;
use crate::chat::{HOOK_REFUSED, HookRefusal};
use crate::config::HookEvent;
use crate::model::{Timestamp, UserId, UserRole};

/// Longest code of a refusal, in characters.
const CODE_MAX: usize = 64;
/// Longest sentence of a refusal, in characters.
const SENTENCE_MAX: usize = 500;
/// Longest name, e-mail address or role of a user that is named, in characters.
const NAME_MAX: usize = 254;

/// Rules for the text that an answer may put in place of a message's.
#[derive(Debug, Clone, Default)]
pub(super) struct TextRules {
    /// Id of the message: an answer that names another one is no answer.
    pub message: Option<String>,
    /// Set if the message has files, so that it needs no text.
    pub may_be_empty: bool,
    /// `MAX_MESSAGE_LENGTH`, in characters; 0: no limit.
    pub max_length: usize,
}

/// Answer of the hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// `{}`
    Allow,
    /// `{"message":{"content":…}}`
    Change(String),
    /// `{"refuse":{"code":…,"message":…}}`
    Refuse(HookRefusal),
    /// `{"user":{"id":…}}`
    Name(Box<Claims>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    message: Option<Text>,
    refuse: Option<Refusal>,
    user: Option<Named>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    id: Option<String>,
    content: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    code: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Named {
    id: String,
    username: Option<String>,
    full_name: Option<String>,
    email: Option<String>,
    role: Option<String>,
    expires_at: Option<String>,
}

impl Answer {
    /// Reads the answer to the question `id` about an `event`.
    ///
    /// # Errors
    /// The reason why it is none, for the log.
    pub(super) fn read(json: &str, event: HookEvent, rules: &TextRules, id: &str, now: Timestamp) -> Result<Self, &'static str> {
        // Of an array, too, the fields would be read.
        if !json.trim_start().starts_with('{') {
            return Err("the answer is no JSON object");
        }
        let body: Body = serde_json::from_str(json).map_err(|_| "the answer is not as documented")?;
        match (body.message, body.refuse, body.user) {
            (None, None, None) => Ok(Self::Allow),
            (None, Some(refusal), None) => refusal.read().ok_or("its refusal is not as documented").map(Self::Refuse),
            (Some(text), None, None) if matches!(event, HookEvent::Send | HookEvent::Edit) => text.read(rules).map(Self::Change),
            (None, None, Some(user)) if event == HookEvent::Connect => {
                let claims = user.read(id, now).ok_or("its user is not as documented")?;
                Ok(Self::Name(Box::new(claims)))
            }
            _ => Err("the answer says more than one thing, or nothing that this question asks for"),
        }
    }
}

impl Text {
    fn read(self, rules: &TextRules) -> Result<String, &'static str> {
        let Self { id, content } = self;
        if id.is_some() && id != rules.message {
            return Err("the answer is about another message");
        }
        if content.contains('\0') || (content.is_empty() && !rules.may_be_empty) {
            return Err("its text cannot be a message's");
        }
        if rules.max_length > 0 && content.chars().count() > rules.max_length {
            return Err("its text is longer than MAX_MESSAGE_LENGTH");
        }
        Ok(content)
    }
}

impl Refusal {
    fn read(self) -> Option<HookRefusal> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        let code = self.code.unwrap_or_else(|| HOOK_REFUSED.to_owned());
        let message = self.message.unwrap_or_else(|| "Not allowed".to_owned());
        let is_code = (1..=CODE_MAX).contains(&code.len()) && code.bytes().all(is_plain);
        (is_code && is_text(&message, SENTENCE_MAX)).then(|| HookRefusal { code: code.into(), message: message.into() })
    }
}

impl Named {
    fn read(self, question: &str, now: Timestamp) -> Option<Claims> {
        let Self { id, username, full_name, email, role, expires_at } = self;
        let is_right = [&username, &full_name, &email, &role].into_iter().flatten().all(|text| is_text(text, NAME_MAX));
        let expires_at = match expires_at {
            Some(text) => Some(Timestamp::parse(&text)?),
            None => None,
        };
        let is_role = role.as_deref().is_none_or(|role| UserRole::parse(role).is_some());
        // Guests are named by this server alone.
        let user = UserId::parse(&id).ok().filter(|user| is_right && is_role && !user.is_guest())?;
        let issued_at = Some(now);
        Some(Claims { expires_at, issued_at, username, full_name, email, role, ..Claims::of(user, question) })
    }
}

fn is_text(text: &str, max_length: usize) -> bool {
    !text.is_empty() && text.chars().count() <= max_length && !text.contains(['\0', '\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, event: HookEvent) -> Result<Answer, &'static str> {
        let rules = TextRules { message: Some("m1".to_owned()), may_be_empty: false, max_length: 5 };
        Answer::read(json, event, &rules, "hook_1", Timestamp::from_millis(7))
    }

    #[test]
    fn documented_answers_are_read() {
        let refusal = |code: &str, message: &str| Ok(Answer::Refuse(HookRefusal { code: code.into(), message: message.into() }));
        let change = |text: &str| Ok(Answer::Change(text.to_owned()));
        for (json, expected) in [
            ("{}", Ok(Answer::Allow)),
            (" {\"refuse\":null}", Ok(Answer::Allow)),
            (r#"{"message":{"content":"fünf5"}}"#, change("fünf5")),
            (r#"{"message":{"id":"m1","content":"x"}}"#, change("x")),
            (r#"{"refuse":{}}"#, refusal("HOOK_REFUSED", "Not allowed")),
            (r#"{"refuse":{"code":"PHONE","message":"No numbers"}}"#, refusal("PHONE", "No numbers")),
        ] {
            assert_eq!(read(json, HookEvent::Send), expected, "{json}");
        }
    }

    #[test]
    fn anything_else_is_no_answer() {
        let long = "x".repeat(SENTENCE_MAX + 1);
        for json in [
            "",
            "ok",
            "null",
            "[]",
            "[null,{},null]",
            "true",
            "{",
            "{}{}",
            r#"{"refuse":true}"#,
            r#"{"refused":{}}"#,
            r#"{"allow":false}"#,
            r#"{"refuse":{"code":""}}"#,
            r#"{"refuse":{"code":"two words"}}"#,
            r#"{"refuse":{"message":"a\nb"}}"#,
            &format!(r#"{{"refuse":{{"message":"{long}"}}}}"#),
            r#"{"refuse":{},"message":{"content":"x"}}"#,
            r#"{"message":{}}"#,
            r#"{"message":{"content":""}}"#,
            r#"{"message":{"content":7}}"#,
            r#"{"message":{"content":"sixsix"}}"#,
            r#"{"message":{"content":"a\u0000"}}"#,
            r#"{"message":{"content":"\ud800"}}"#,
            r#"{"message":{"id":"m2","content":"x"}}"#,
            r#"{"user":{"id":"ann"}}"#,
        ] {
            assert!(read(json, HookEvent::Send).is_err(), "{json}");
        }
        assert!(read(r#"{"message":{"content":"x"}}"#, HookEvent::Delete).is_err());
        let with_file = TextRules { may_be_empty: true, ..TextRules::default() };
        let empty = Answer::read(r#"{"message":{"content":""}}"#, HookEvent::Edit, &with_file, "", Timestamp::default());
        assert_eq!(empty, Ok(Answer::Change(String::new())));
    }

    #[test]
    fn a_user_is_named_at_connect() {
        let json = r#"{"user":{"id":"ann","username":"Ann","role":"admin","expiresAt":"2030-01-01T00:00:00Z"}}"#;
        let Ok(Answer::Name(claims)) = read(json, HookEvent::Connect) else { panic!("no user") };
        assert_eq!(
            (claims.user.as_str(), claims.username.as_deref(), claims.role.as_deref()),
            ("ann", Some("Ann"), Some("admin"))
        );
        assert_eq!(claims.expires_at, Timestamp::parse("2030-01-01T00:00:00Z"));
        assert_eq!((claims.issued_at, &*claims.revocation_key), (Some(Timestamp::from_millis(7)), "hook_1"));
        for json in [
            r#"{"user":{}}"#,
            r#"{"user":{"id":""}}"#,
            r#"{"user":{"id":7}}"#,
            r#"{"user":{"id":"guest:AAAAAAAAAAAAAAAAAAAA"}}"#,
            r#"{"user":{"id":"ann","rolle":"admin"}}"#,
            r#"{"user":{"id":"ann","role":"boss"}}"#,
            r#"{"allow":false}"#,
            r#"{"user":{"id":"ann","expiresAt":"soon"}}"#,
            r#"{"user":{"id":"ann","username":""}}"#,
            r#"{"user":{"id":"ann"},"refuse":{}}"#,
            r#"{"message":{"content":"x"}}"#,
        ] {
            assert!(read(json, HookEvent::Connect).is_err(), "{json}");
        }
    }
}
