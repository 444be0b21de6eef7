//! Filters: compiled once, run for a message.
use std::fmt;

use jaq_core::load::lex::Lexer;
use jaq_core::load::parse::{Parser, Term};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars};

use super::builtins::{Data, definitions, functions};
use super::command::CommandName;
use super::fault::Fault;
use super::field_check::check_fields;
use super::filter_check::{Checked, check, check_definitions};
use super::value::{Value, grant, was_enough};

/// Longest filter, in bytes: it is parsed by recursion.
const LENGTH_MAX: usize = 4_096;
/// Longest text of definitions, in bytes.
const DEFINITIONS_MAX: usize = 16 * 1_024;
/// Greatest depth of brackets and of what else a filter nests, about.
const DEPTH_MAX: usize = 200;
/// Maximum number of parts that signs and words join: the parser, the compiler and the filter itself go down by recursion.
const CHAIN_MAX: usize = 200;
/// Words that join parts.
const JOINING: [&str; 11] = ["if", "elif", "then", "else", "as", "and", "or", "reduce", "foreach", "try", "def"];
/// Work that a filter may do however small its input is. A filter of usual size takes a few hundred.
const WORK: usize = 50_000;
/// Work for each byte of its input.
const WORK_A_BYTE: usize = 4;

/// Reason for which a filter has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// It raised an error with this text by `error`.
    Said(String),
    /// It did something to a value that such values do not have.
    Unfit,
    /// It returned nothing.
    Nothing,
    /// It returned several values.
    Several,
    /// It had more to do than its input is worth.
    TooMuchWork,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Said(text) => text,
            Self::Unfit => "the values are not of the kinds that the filter expects",
            Self::Nothing => "the filter returns nothing",
            Self::Several => "the filter returns several values",
            Self::TooMuchWork => "the filter has too much to do, or makes too much of its input",
        })
    }
}

/// Functions that all filters of a file may call.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    text: String,
    checked: Checked,
}

impl Definitions {
    /// Parses and checks definitions.
    ///
    /// # Errors
    /// All faults that are found, or the first one of those that hide others.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        check_size(text, DEFINITIONS_MAX)?;
        let tokens = Lexer::new(text).lex().map_err(|errors| lex_faults(text, errors))?;
        let definitions = Parser::new(&tokens).parse(|parser| parser.defs()).map_err(|errors| parse_faults(text, errors))?;
        let checked = check_definitions(text, &definitions)?;
        let parsed = Self { text: format!("{text}\n"), checked };
        // Variables are looked up by the compiler.
        parsed.compile(".", 0)?;
        Ok(parsed)
    }

    /// Compiles the definitions with a filter behind them; `before` are the bytes of the definitions.
    fn compile(&self, filter: &str, before: usize) -> Result<jaq_core::Filter<Data>, Vec<Fault>> {
        let code = format!("{}{filter}", self.text);
        let at = |part: &str| jaq_core::load::span(&code, part).start.saturating_sub(before).min(code.len());
        let arena = Arena::default();
        let modules = Loader::new(definitions()).load(&arena, File { code: code.as_str(), path: () });
        let modules = modules.map_err(|_| vec![Fault { at: 0, text: "is not a filter".to_owned() }])?;
        let compiled = Compiler::default().with_funs(functions()).compile(modules);
        compiled.map_err(|errors| {
            let faults = errors.into_iter().flat_map(|(_, faults)| faults);
            faults.map(|(part, what)| Fault { at: at(part), text: format!("unknown {} {part}", what.as_str()) }).collect()
        })
    }
}

/// A compiled filter.
pub(super) struct Filter {
    compiled: jaq_core::Filter<Data>,
}

impl Filter {
    /// Parses, checks and compiles a filter.
    ///
    /// # Errors
    /// All faults that are found, or the first one of those that hide others.
    pub(super) fn parse(text: &str, definitions: &Definitions) -> Result<Self, Vec<Fault>> {
        Self::parse_if(text, definitions, |_| Ok(()))
    }

    /// Same as [`Filter::parse`], for the fields of a command.
    ///
    /// # Errors
    /// Also if the filter shows that it makes fields which the command does not have, or lacks some.
    pub(super) fn parse_fields(text: &str, definitions: &Definitions, command: CommandName) -> Result<Self, Vec<Fault>> {
        Self::parse_if(text, definitions, |term| check_fields(text, term, command))
    }

    fn parse_if(
        text: &str,
        definitions: &Definitions,
        fits: impl FnOnce(&Term<&str>) -> Result<(), Vec<Fault>>,
    ) -> Result<Self, Vec<Fault>> {
        check_size(text, LENGTH_MAX)?;
        let tokens = Lexer::new(text).lex().map_err(|errors| lex_faults(text, errors))?;
        let term: Term<&str> = Parser::new(&tokens).parse(|parser| parser.term()).map_err(|errors| parse_faults(text, errors))?;
        check(text, &term, &definitions.checked)?;
        fits(&term)?;
        Ok(Self { compiled: definitions.compile(text, definitions.text.len())? })
    }

    /// Runs the filter on what `input` makes; `bytes` is about how large that is.
    ///
    /// # Errors
    /// [`Failure`] unless it has exactly one result.
    pub(super) fn run(&self, bytes: usize, input: impl FnOnce() -> Option<Value>) -> Result<Value, Failure> {
        grant(WORK.saturating_add(bytes.saturating_mul(WORK_A_BYTE)));
        let input = input().ok_or(Failure::Unfit)?;
        let context = Ctx::<Data>::new(&self.compiled.lut, Vars::new([]));
        let mut results = self.compiled.id.run((context, input));
        let first = results.next();
        let failure = match (first, was_enough()) {
            (_, false) => Failure::TooMuchWork,
            (None, true) => Failure::Nothing,
            (Some(Ok(value)), true) => match results.next() {
                None if was_enough() => return Ok(value),
                None => Failure::TooMuchWork,
                Some(_) => Failure::Several,
            },
            (Some(Err(exception)), true) => match exception.get_err().map(jaq_core::Error::into_val) {
                Ok(Value::Text(text)) => Failure::Said(text.to_string()),
                _ => Failure::Unfit,
            },
        };
        Err(failure)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Filter")
    }
}

/// Refuses what is too long or too deep for a parser that goes down by recursion.
fn check_size(text: &str, longest: usize) -> Result<(), Vec<Fault>> {
    if text.len() > longest {
        return Err(vec![Fault { at: 0, text: format!("is longer than {longest} bytes") }]);
    }
    let (mut depth, mut signs) = (0_usize, 0_usize);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        signs = match byte {
            b'-' => signs + 1,
            b' ' | b'\n' => signs,
            _ => 0,
        };
        if depth + signs > DEPTH_MAX {
            return Err(vec![Fault { at, text: "is nested too deeply".to_owned() }]);
        }
    }
    let joined = longest_chain(text);
    if joined > CHAIN_MAX {
        return Err(vec![Fault { at: 0, text: format!("joins more than {CHAIN_MAX} parts by signs and words") }]);
    }
    Ok(())
}

/// Returns how many signs and words join parts of the filter, or of the definition that has most: each may go one level
/// deeper, and a word takes as much of the stack as two signs.
fn longest_chain(text: &str) -> usize {
    let (mut depth, mut joined, mut longest) = (0_usize, 0_usize, 0_usize);
    for part in text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_') {
        let word = part.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        joined += if JOINING.contains(&word) { 2 } else { 0 };
        match part.bytes().last() {
            Some(b'(' | b'[' | b'{') => depth += 1,
            Some(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            Some(b'|' | b',' | b'/' | b'+' | b'-' | b'*' | b'%' | b'=' | b'<' | b'>') => joined += 1,
            Some(b';') if depth == 0 => joined = 0,
            _ => {}
        }
        longest = longest.max(joined);
    }
    longest
}

fn lex_faults(text: &str, errors: Vec<jaq_core::load::lex::Error<&str>>) -> Vec<Fault> {
    let fault = |(expected, found): (jaq_core::load::lex::Expect<&str>, &str)| Fault {
        at: jaq_core::load::span(text, found).start,
        text: format!("{} expected", expected.as_str()),
    };
    errors.into_iter().map(fault).collect()
}

fn parse_faults(text: &str, errors: Vec<jaq_core::load::parse::TError<'_, &str>>) -> Vec<Fault> {
    let fault = |(expected, found): jaq_core::load::parse::TError<'_, &str>| {
        let found = found.map(|token| token.0);
        let at = found.map_or(text.len(), |found| jaq_core::load::span(text, found).start);
        let instead = found.map_or_else(|| "the end".to_owned(), |found| found.chars().take(20).collect());
        Fault { at, text: format!("{} expected, not {instead}", expected.as_str()) }
    };
    errors.into_iter().map(fault).collect()
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
