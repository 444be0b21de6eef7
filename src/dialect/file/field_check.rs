//! Refuses filters that make fields which their command does not have, or not those that it needs.
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::load::span;
use jaq_core::ops::Math;

use super::command::CommandName;
use super::fault::Fault;

/// Checks the names of the fields that a filter makes for a command, as far as its text shows them.
pub(super) fn check_fields(text: &str, term: &Term<&str>, command: CommandName) -> Result<(), Vec<Fault>> {
    let mut made = Made::default();
    made.add(term);
    let (name, known) = (command.as_str(), command.fields());
    let unknown = made.names.iter().filter(|field| !known.contains(*field)).map(|field| Fault {
        at: span(text, field).start,
        text: format!("{name} has no field {field}, known are: {}", known.join(", ")),
    });
    let mut faults: Vec<Fault> = unknown.collect();
    for group in command.needs() {
        if !made.is_open && faults.is_empty() && !group.iter().any(|field| made.names.contains(field)) {
            faults.push(Fault { at: 0, text: format!("{name} needs a field of: {}", group.join(", ")) });
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// Names of the fields of what a filter makes.
#[derive(Default)]
struct Made<'a> {
    names: Vec<&'a str>,
    /// Tells whether there may be others, which the text does not show.
    is_open: bool,
}

impl<'a> Made<'a> {
    fn add(&mut self, term: &Term<&'a str>) {
        match term {
            Term::Obj(fields) => {
                for (name, _) in fields {
                    match name {
                        Term::Str(None, parts) if let [StrPart::Str(name)] = &**parts => self.names.push(name),
                        _ => self.is_open = true,
                    }
                }
            }
            Term::BinOp(_, BinaryOp::Pipe(_), last) | Term::Def(_, last) => self.add(last),
            Term::BinOp(left, BinaryOp::Math(Math::Add) | BinaryOp::Alt, right) => {
                self.add(left);
                self.add(right);
            }
            Term::IfThenElse(cases, otherwise) => {
                self.is_open |= otherwise.is_none();
                for term in cases.iter().map(|(_, then)| then).chain(otherwise.as_deref()) {
                    self.add(term);
                }
            }
            _ => self.is_open = true,
        }
    }
}
