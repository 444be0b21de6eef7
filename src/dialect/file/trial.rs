//! Shows what an event of a dialect becomes, without a server.
use serde_json::{Map, Value as Json, json};

use super::super::table::DialectSet;
use super::super::vocabulary::{Asked, Vocabulary};
use super::dialect::FileDialect;
use super::made_up::outcome;
use crate::chat::{Event, Reply};
use crate::model::Timestamp;
use crate::socketio::{Args, Client, Incoming};

impl FileDialect {
    /// Returns what an event becomes, as JSON: the command and its fields, the answers, and what each dialect is shown of it.
    /// `args` are JSON values joined by commas.
    ///
    /// # Errors
    /// A sentence, if the dialect has no such event, or the arguments are not JSON.
    pub fn try_event(&self, event: &str, args: &str) -> Result<Json, String> {
        let entry = self.events.iter().find(|entry| entry.name == event);
        let entry = entry.ok_or_else(|| {
            let known: Vec<_> = self.events.iter().map(|entry| entry.name).collect();
            format!("{} has no event {event}, it has: {}", self.name, known.join(", "))
        })?;
        let args = args_of(args).ok_or("the arguments are not JSON")?;
        let at = Timestamp::now();
        let asked = Asked { event: entry.name, at, ..Asked::default() };
        let mut requests = vec![self.request(asked.clone(), &args, at)];
        for (further, _) in self.further(Some(&asked), &args) {
            requests.push(self.request(further, &args, at));
        }
        Ok(if requests.len() == 1 { requests.swap_remove(0) } else { Json::Array(requests) })
    }

    fn request(&self, mut asked: Asked, args: &Args, at: Timestamp) -> Json {
        let Some(ask) = self.ask(&asked) else { return Json::Null };
        let mut shown = Map::new();
        shown.insert("command".to_owned(), json!(ask.command.as_str()));
        if let Ok(fields) = ask.fields_of(&mut asked, args) {
            shown.insert("fields".to_owned(), parsed(&fields));
        }
        let decoded = match asked.part {
            0 => self.decode(&mut asked, args),
            part => {
                let mut further = self.further(Some(&asked), args).into_iter();
                match further.find(|(known, _)| known.part == part) {
                    Some((own, request)) => {
                        asked = own;
                        request
                    }
                    None => return Json::Null,
                }
            }
        };
        match decoded {
            Err(request_error) => {
                shown.insert("refusal".to_owned(), parsed(&format!("[{}]", self.encode_refusal_ack(&asked, &request_error))));
                shown.insert("refusalEvent".to_owned(), packet(&self.encode_refusal(&asked, &request_error)));
            }
            Ok(decoded) => {
                let (event, reply) = outcome(&decoded, at).unwrap_or((None, Reply::Done));
                if asked.part == 0 {
                    shown.insert("ack".to_owned(), parsed(&format!("[{}]", self.encode_ack(&asked, &reply))));
                }
                if let Some(answer) = self.encode_reply(&asked, &reply) {
                    shown.insert("answer".to_owned(), packet(&answer));
                }
                if let Some(event) = event {
                    shown.insert("shown".to_owned(), Json::Object(self.in_all(&event)));
                }
            }
        }
        Json::Object(shown)
    }

    /// Returns the packets of an event in this dialect and in all others.
    fn in_all(&self, event: &Event) -> Map<String, Json> {
        let packets = |dialect: &dyn Vocabulary| {
            let packets = dialect.encode(event).unwrap_or_default();
            json!(packets.iter().map(|text| packet(text)).collect::<Vec<_>>())
        };
        let mut shown = Map::new();
        shown.insert(self.name.to_owned(), packets(self));
        for dialect in DialectSet::all().iter().filter(|dialect| dialect.name() != self.name) {
            shown.insert(dialect.name().to_owned(), packets(&*dialect));
        }
        shown
    }
}

/// Returns the arguments of an event, given as JSON values joined by commas.
fn args_of(json: &str) -> Option<Args> {
    let mut client = Client::new();
    client.on_text("0").ok()?;
    client.join("/");
    let comma = if json.is_empty() { "" } else { "," };
    match client.on_text(&format!("2[\"x\"{comma}{json}]")).ok()?? {
        Incoming::Event(event) => Some(event.args),
        _ => None,
    }
}

fn parsed(json: &str) -> Json {
    serde_json::from_str(json).unwrap_or_default()
}

/// Returns the event's name and arguments.
fn packet(text: &str) -> Json {
    parsed(text.get(2..).unwrap_or_default())
}
