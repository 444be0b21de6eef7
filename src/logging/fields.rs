//! The fields of a log line, beside its message.
use std::fmt;

use log::kv::{Error, Key, Source, Value, VisitSource, VisitValue};

/// A field's value as JSON; text is what would be printed.
pub(super) type Field = serde_json::Value;

/// Returns the fields of a line in order, leaving out those without a value.
pub(super) fn fields_of(source: &dyn Source) -> Vec<(String, Field)> {
    let mut collected = Collected(Vec::new());
    // It stops at a value that cannot be printed; the fields before it are better than none.
    let _ = source.visit(&mut collected);
    collected.0
}

struct Collected(Vec<(String, Field)>);

impl<'kvs> VisitSource<'kvs> for Collected {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let mut read = Read(Field::Null);
        value.visit(&mut read)?;
        if !read.0.is_null() {
            self.0.push((key.to_string(), read.0));
        }
        Ok(())
    }
}

struct Read(Field);

impl<'v> VisitValue<'v> for Read {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        self.0 = value.to_string().into();
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_str(&mut self, value: &str) -> Result<(), Error> {
        self.0 = value.into();
        Ok(())
    }
}

/// Writes ` name=value` for each field; a value that is not a single plain word is quoted.
pub(super) fn write_as_text(target: &mut dyn std::io::Write, fields: &[(String, Field)]) -> std::io::Result<()> {
    fields.iter().try_for_each(|(name, value)| write!(target, " {name}={}", AsText(value)))
}

struct AsText<'a>(&'a Field);

impl fmt::Display for AsText<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Field::String(text) if is_plain(text) => formatter.write_str(text),
            Field::String(text) => write!(formatter, "{text:?}"),
            other => write!(formatter, "{other}"),
        }
    }
}

fn is_plain(text: &str) -> bool {
    let is_special = |character: char| character.is_whitespace() || character.is_control() || matches!(character, '"' | '=');
    !text.is_empty() && !text.contains(is_special)
}
