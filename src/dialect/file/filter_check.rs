//! Refuses filters whose work is not bounded by what they are given.
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::load::span;
use jaq_core::path::{Part, Path};

use super::builtins::{allowed_names, is_allowed};
use super::fault::Fault;

/// Maximum number of values that the commas of a filter may make of one.
const OUTPUTS_MAX: u64 = 64;
/// Maximum number of steps of a filter, with those of the functions that it calls. Most filters have some dozens.
const STEPS_MAX: u64 = 2_000;

/// A function that a file defines: its name, number of arguments, the values that its commas make of one, and its steps.
#[derive(Debug, Clone)]
struct Known {
    name: String,
    arguments: usize,
    outputs: u64,
    steps: u64,
}

/// Functions that passed.
#[derive(Debug, Clone, Default)]
pub(super) struct Checked(Vec<Known>);

/// Checks definitions that stand before all filters of a file.
pub(super) fn check_definitions(text: &str, definitions: &[Def<&str>]) -> Result<Checked, Vec<Fault>> {
    let mut judge = Judge { text, known: Vec::new(), steps: 0, faults: Vec::new() };
    judge.define(definitions);
    if judge.faults.is_empty() { Ok(Checked(judge.known)) } else { Err(judge.faults) }
}

/// Checks a filter.
pub(super) fn check(text: &str, term: &Term<&str>, checked: &Checked) -> Result<(), Vec<Fault>> {
    let mut judge = Judge { text, known: checked.0.clone(), steps: 0, faults: Vec::new() };
    let outputs = judge.term(term);
    judge.check_steps("", judge.steps);
    if outputs > OUTPUTS_MAX && judge.faults.is_empty() {
        judge.fault("", format!("makes more than {OUTPUTS_MAX} values of one"));
    }
    if judge.faults.is_empty() { Ok(()) } else { Err(judge.faults) }
}

struct Judge<'a> {
    text: &'a str,
    known: Vec<Known>,
    /// Steps of what was seen of the present function or filter.
    steps: u64,
    faults: Vec<Fault>,
}

impl Judge<'_> {
    fn fault(&mut self, part: &str, text: String) {
        let at = if part.is_empty() { 0 } else { span(self.text, part).start };
        self.faults.push(Fault { at, text });
    }

    fn define(&mut self, definitions: &[Def<&str>]) {
        for Def { name, args, body } in definitions {
            if let Some(filter) = args.iter().find(|argument| !argument.starts_with('$')) {
                self.fault(filter, format!("arguments are values: write ${filter}"));
            }
            // It is known behind itself only, so it cannot call itself.
            let before = std::mem::take(&mut self.steps);
            let outputs = self.term(body);
            let steps = std::mem::replace(&mut self.steps, before);
            self.check_steps(name, steps);
            self.known.push(Known { name: (*name).to_owned(), arguments: args.len(), outputs, steps });
        }
    }

    /// Returns the number of values that commas make of one, at most.
    fn term(&mut self, term: &Term<&str>) -> u64 {
        self.steps = self.steps.saturating_add(1);
        match term {
            Term::Id | Term::Num(_) | Term::Var(_) => 1,
            Term::Recurse => {
                self.fault("", "`..` is not allowed: its work has no bound".to_owned());
                1
            }
            Term::Str(format, parts) => {
                if let Some(format) = format {
                    self.fault(format, format!("{format} is not known"));
                }
                let parts = parts.iter().map(|part| if let StrPart::Term(term) = part { self.term(term) } else { 1 });
                product(parts)
            }
            Term::Arr(items) => {
                // The items stay together, and are made one after the other.
                let outputs = items.as_deref().map_or(1, |items| self.term(items));
                self.bounded(outputs);
                1
            }
            Term::Obj(fields) => {
                let fields = fields.iter().map(|(name, value)| {
                    let value = value.as_ref().map_or(1, |value| self.term(value));
                    self.term(name).saturating_mul(value)
                });
                product(fields)
            }
            Term::Neg(term) => self.term(term),
            Term::BinOp(left, operation, right) => self.operation(left, operation, right),
            Term::Label(name, _) | Term::Break(name) => {
                self.fault(name, "`label` and `break` are not allowed".to_owned());
                1
            }
            Term::Fold(_, list, pattern, terms) => {
                let list = self.term(list);
                let terms = terms.iter().map(|term| self.term(term)).fold(1, u64::saturating_mul);
                // Each item multiplies what the commas of the update make.
                if terms > 1 {
                    self.fault("", "a comma in `reduce` or `foreach` is not allowed: its work has no bound".to_owned());
                }
                list.saturating_mul(self.pattern(pattern))
            }
            Term::TryCatch(term, handler) => {
                let handler = handler.as_deref().map_or(1, |handler| self.term(handler));
                self.term(term).saturating_mul(handler)
            }
            Term::IfThenElse(cases, otherwise) => {
                let cases = cases.iter().map(|(condition, then)| {
                    let condition = self.term(condition);
                    condition.saturating_mul(self.term(then))
                });
                let cases = cases.max().unwrap_or(1);
                cases.max(otherwise.as_deref().map_or(1, |otherwise| self.term(otherwise)))
            }
            Term::Def(definitions, term) => {
                let before = self.known.len();
                self.define(definitions);
                let outputs = self.term(term);
                self.known.truncate(before);
                outputs
            }
            Term::Call(name, arguments) => self.call(name, arguments),
            Term::Path(term, Path(parts)) => {
                let term = self.term(term);
                let parts = parts.iter().map(|(part, _)| match part {
                    Part::Index(index) => self.term(index),
                    Part::Range(start, end) => {
                        let start = start.as_ref().map_or(1, |start| self.term(start));
                        start.saturating_mul(end.as_ref().map_or(1, |end| self.term(end)))
                    }
                });
                term.saturating_mul(product(parts))
            }
        }
    }

    fn operation(&mut self, left: &Term<&str>, operation: &BinaryOp<&str>, right: &Term<&str>) -> u64 {
        let (left, right) = (self.term(left), self.term(right));
        match operation {
            BinaryOp::Comma => left.saturating_add(right),
            BinaryOp::Pipe(Some(pattern)) => left.saturating_mul(right).saturating_mul(self.pattern(pattern)),
            _ => left.saturating_mul(right),
        }
    }

    fn pattern(&mut self, pattern: &Pattern<&str>) -> u64 {
        match pattern {
            Pattern::Var(_) => 1,
            Pattern::Arr(parts) => product(parts.iter().map(|part| self.pattern(part))),
            Pattern::Obj(fields) => product(fields.iter().map(|(name, part)| {
                let name = self.term(name);
                name.saturating_mul(self.pattern(part))
            })),
        }
    }

    fn call(&mut self, name: &str, arguments: &[Term<&str>]) -> u64 {
        let outputs = product(arguments.iter().map(|argument| self.term(argument)));
        self.bounded(outputs);
        let own = self.known.iter().rev().find(|known| known.name == name && known.arguments == arguments.len());
        if let Some(own) = own {
            self.steps = self.steps.saturating_add(own.steps);
            return outputs.saturating_mul(own.outputs);
        }
        if !is_allowed(name, arguments.len()) {
            let is_known = allowed_names().any(|known| known == name) || self.known.iter().any(|known| known.name == name);
            let text = match is_known {
                true => format!("{name} does not have {} arguments", arguments.len()),
                false => format!("{name} is not a function that filters may call"),
            };
            self.fault(name, text);
        }
        outputs
    }

    fn check_steps(&mut self, part: &str, steps: u64) {
        if steps > STEPS_MAX {
            self.fault(part, format!("comes to more than {STEPS_MAX} steps, with those of the functions that it calls"));
        }
    }

    fn bounded(&mut self, outputs: u64) {
        if outputs > OUTPUTS_MAX {
            self.fault("", format!("makes more than {OUTPUTS_MAX} values of one"));
        }
    }
}

fn product(factors: impl Iterator<Item = u64>) -> u64 {
    factors.fold(1, u64::saturating_mul)
}
