//! Remarks on a file that is valid: names that clash, and what no front end will ever see.
use std::path::Path;

use super::super::table::DialectSet;
use super::dialect::FileDialect;
use super::format::Document;
use super::occasion::Occasion;
use super::problem::{Problem, Source};

/// Occasions without which something that was sent is never seen.
const WANTED: [(&str, &str); 2] =
    [("message.direct", "direct messages are never shown"), ("message.group", "messages of groups are never shown")];

impl FileDialect {
    /// Returns remarks on the dialect, given the text that it was made of and the dialects beside it.
    pub fn remarks(&self, path: &Path, text: &str, beside: DialectSet) -> Vec<Problem> {
        let source = Source { path, text };
        let Ok(document) = toml::from_str::<Document>(text) else { return Vec::new() };
        let mut remarks = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for table in &document.client {
            let (name, place) = (table.event.get_ref().as_str(), table.event.span());
            let others = beside.knowing(name).iter().filter(|dialect| dialect.name() != self.name);
            let others: Vec<_> = others.map(|dialect| dialect.name()).collect();
            if !seen.contains(&name) && !others.is_empty() {
                let others = others.join(", ");
                remarks.push(
                    source.problem(place.start, format!("{others} has the event {name}, too: a pin decides, then the order")),
                );
            }
            seen.push(name);
        }
        for (occasion, lack) in WANTED {
            let is_told = document.server.iter().any(|table| {
                table.on.get_ref().texts().iter().flat_map(|name| Occasion::named(name)).any(|known| known.name() == occasion)
            });
            if !is_told {
                remarks.push(source.problem(document.name.span().start, format!("there is no event on {occasion}: {lack}")));
            }
        }
        let sends_to = |field: &str| {
            document.client.iter().any(|table| {
                let fields = table.fields.as_ref().map(|fields| fields.get_ref().as_str()).unwrap_or_default();
                table.command.get_ref() == "send" && fields.contains(field)
            })
        };
        for (field, occasion) in [("room:", "message.room"), ("commonChat:", "message.common_chat")] {
            let is_told = Occasion::named(occasion).into_iter().any(|occasion| self.tells(occasion).next().is_some());
            if sends_to(field) && !is_told {
                let text = format!("there is no event on {occasion}: what is sent there is never shown");
                remarks.push(source.problem(document.name.span().start, text));
            }
        }
        remarks
    }
}
