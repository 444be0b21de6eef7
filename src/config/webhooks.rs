//! Webhooks: the one of the settings, and those of a file.
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Deserializer, de::Error as _};
use toml::Spanned;

use super::address::BackendAddress;
use super::secret::Secret;
use super::settings::Config;
use super::word::WebhookEvent;

/// Name of the webhook of `WEBHOOK_URL`.
const NAME_OF_SETTINGS: &str = "default";
/// Longest name of a webhook.
const NAME_CHARS_MAX: usize = 32;

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name, for the log and for administrators.
    pub name: String,
    /// Its address.
    pub url: BackendAddress,
    /// The secret by which its requests are signed.
    pub secret: Secret,
    /// The events that it is sent.
    pub events: Vec<WebhookEvent>,
    /// Places of its address and its secret: names of settings, or `FILE:LINE:COLUMN`.
    pub set_at: [String; 2],
}

/// The content of `WEBHOOK_FILE`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    webhook: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Spanned<String>,
    #[serde(deserialize_with = "address")]
    url: Spanned<BackendAddress>,
    secret: Spanned<String>,
    events: Vec<Word>,
}

/// An event's name.
struct Word(WebhookEvent);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Spanned<BackendAddress>, D::Error> {
    /// An address that is checked where it stands.
    struct Checked(BackendAddress);

    impl<'de> Deserialize<'de> for Checked {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            String::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
        }
    }
    let checked = Spanned::<Checked>::deserialize(deserializer)?;
    let span = checked.span();
    Ok(Spanned::new(span, checked.into_inner().0))
}

impl Config {
    /// Returns the webhooks: that of `WEBHOOK_URL`, called `default`, and those of `WEBHOOK_FILE`.
    ///
    /// # Errors
    /// The setting at fault and the reason, or `FILE:LINE:COLUMN` and the reason.
    pub fn webhooks(&self) -> Result<Vec<Webhook>, String> {
        let mut webhooks = Vec::new();
        if self.webhook_url.as_url().is_some() {
            let secret = self.webhook_secret.clone().ok_or("WEBHOOK_SECRET: must be set where WEBHOOK_URL is")?;
            webhooks.push(Webhook {
                name: NAME_OF_SETTINGS.to_owned(),
                url: self.webhook_url.clone(),
                secret,
                events: self.webhook_events.as_slice().to_vec(),
                set_at: ["WEBHOOK_URL", "WEBHOOK_SECRET"].map(str::to_owned),
            });
        }
        if let Some(path) = &self.webhook_file {
            let text = std::fs::read_to_string(path).map_err(|error| format!("WEBHOOK_FILE: {}: {error}", path.display()))?;
            read(path, &text, &mut webhooks)?;
        }
        Ok(webhooks)
    }
}

/// Adds the webhooks of a file.
fn read(path: &Path, text: &str, webhooks: &mut Vec<Webhook>) -> Result<(), String> {
    let at = |span: Option<Range<usize>>| {
        let (line, column) = place(text, span.map_or(0, |span| span.start));
        format!("{}:{line}:{column}", path.display())
    };
    // The message alone: a whole error shows the line, which may hold a secret.
    let file: File = toml::from_str(text).map_err(|error| format!("{}: {}", at(error.span()), one_line(error.message())))?;
    for Entry { name, url, secret, events } in file.webhook {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let (place, text) = (at(Some(name.span())), name.into_inner());
        if !(1..=NAME_CHARS_MAX).contains(&text.len()) || !text.bytes().all(is_plain) {
            return Err(format!("{place}: a name has 1 to {NAME_CHARS_MAX} letters, digits, -, _ and ."));
        }
        if webhooks.iter().any(|known| known.name == text) {
            return Err(format!("{place}: there is another webhook {text:?}"));
        }
        if url.get_ref().as_url().is_none() {
            return Err(format!("{}: the address is empty", at(Some(url.span()))));
        }
        let set_at = [at(Some(url.span())), at(Some(secret.span()))];
        webhooks.push(Webhook {
            name: text,
            url: url.into_inner(),
            secret: Secret::new(secret.into_inner()),
            events: events.into_iter().map(|Word(event)| event).collect(),
            set_at,
        });
    }
    Ok(())
}

/// Returns line and column of an offset in bytes, counted from 1, the column in characters.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before.get(line_start..).unwrap_or_default().chars().count() + 1)
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn of(text: &str) -> Result<Vec<Webhook>, String> {
        let mut webhooks = Vec::new();
        read(Path::new("hooks.toml"), text, &mut webhooks).map(|()| webhooks)
    }

    #[test]
    fn a_file_names_webhooks() {
        let text = format!(
            "[[webhook]]\nname = \"mail\"\nurl = \"http://localhost:4000/mail\"\nsecret = \"{SECRET}\"\nevents = \
             [\"message.unreached\"]\n\n[[webhook]]\nname = \"audit\"\nurl = \"https://audit.example.org\"\nsecret = \"{SECRET}\"\n\
             events = [\"message.created\", \"message.deleted\"]\n"
        );
        let webhooks = of(&text).unwrap();
        assert_eq!(webhooks.iter().map(|webhook| webhook.name.as_str()).collect::<Vec<_>>(), ["mail", "audit"]);
        assert_eq!(webhooks[0].events, [WebhookEvent::MessageUnreached]);
        assert_eq!(webhooks[1].url.as_url(), Some("https://audit.example.org"));
        assert_eq!(webhooks[1].set_at, ["hooks.toml:9:7", "hooks.toml:10:10"]);
        assert!(!format!("{webhooks:?}").contains("MfKQ9"));
        assert_eq!(of(""), Ok(Vec::new()));
    }

    #[test]
    fn a_wrong_file_is_said_where() {
        let entry = |name: &str, url: &str, event: &str| {
            format!("[[webhook]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"\nevents = [\"{event}\"]\n")
        };
        let good = entry("mail", "http://localhost", "message.created");
        for (text, place) in [
            ("[[webhook]\n".to_owned(), "hooks.toml:1:"),
            ("webhook = 3".to_owned(), "hooks.toml:1:11: "),
            ("[[webhook]]\nname = \"mail\"\n".to_owned(), "hooks.toml:1:1: "),
            (entry("a name", "http://localhost", "message.created"), "hooks.toml:2:8: a name has"),
            (entry("mail", "localhost", "message.created"), "hooks.toml:3:7: must begin with http"),
            (entry("mail", "http://localhost", "message.made"), "hooks.toml:5:10: \"message.made\" is unknown"),
            (format!("{good}{good}"), "hooks.toml:7:8: there is another"),
            (format!("{good}colour = \"red\"\n"), "hooks.toml:6:1: unknown field"),
        ] {
            let error = of(&text).unwrap_err();
            assert!(error.starts_with(place), "{error} for {text}");
            assert!(!error.contains('\n') && !error.contains("MfKQ9"), "{error}");
        }
    }

    #[test]
    fn an_address_needs_its_secret() {
        let config = Config { webhook_url: "http://localhost".parse().unwrap(), ..Config::default() };
        assert!(config.webhooks().unwrap_err().starts_with("WEBHOOK_SECRET: must be set"));
        let config = Config { webhook_secret: Some(Secret::new(SECRET)), ..config };
        assert_eq!(config.webhooks().unwrap()[0].name, "default");
        assert_eq!(Config::default().webhooks(), Ok(Vec::new()));
    }
}
