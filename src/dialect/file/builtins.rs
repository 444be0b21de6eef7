//! The functions that filters may call: jq's, as far as what they do is bounded by what they are given.
use jaq_core::data::JustLut;
use jaq_core::load::parse::Def;
use jaq_core::native::{Fun, bome, run, unary, v};
use jaq_core::{Error, RunPtr, ValR, ValT as _, load};

use super::number::Number;
use super::value::{Value, spend};
use super::value_ops::{split, unfit};
use crate::model::Timestamp;

/// The type of data that filters are compiled for.
pub(super) type Data = JustLut<Value>;

/// Functions in jq's own words.
const DEFINITIONS: &str = r#"
def empty: {}[] as $x | .;
def error(f): (f | error_empty) as $x | .;
def error: error_empty as $x | .;
def tostring: "\(.)";
def select(f): if f then . else empty end;
def map(f): [.[] | f];
def map_values(f): .[] |= f;
def keys: keys_unsorted | sort;
def to_entries: [key_values[] as [$key, $value] | {$key, $value}];
def from_entries: reduce .[] as $x ({}; . + {($x.key): $x.value});
def with_entries(f): to_entries | map(f) | from_entries;
def del(f): f |= empty;
def add(f): reduce f as $x (null; . + $x);
def add: add(.[]);
def isempty(f): first((f | false), true);
def any(f): isempty(.[] | f or empty) | not;
def all(f): isempty(.[] | f and empty);
def any: any(.);
def all: all(.);
def sort_by(f): [.[] | [[f], .]] | sort | map(.[1]);
def first: .[0];
def last: .[-1];
"#;

/// Names of the functions that filters may call, with the number of their arguments.
const ALLOWED: [(&str, usize); 53] = [
    ("null", 0),
    ("true", 0),
    ("false", 0),
    ("not", 0),
    ("empty", 0),
    ("error", 0),
    ("error", 1),
    ("tostring", 0),
    ("select", 1),
    ("map", 1),
    ("map_values", 1),
    ("keys", 0),
    ("to_entries", 0),
    ("from_entries", 0),
    ("with_entries", 1),
    ("del", 1),
    ("add", 0),
    ("add", 1),
    ("isempty", 1),
    ("any", 0),
    ("any", 1),
    ("all", 0),
    ("all", 1),
    ("sort_by", 1),
    ("first", 0),
    ("first", 1),
    ("last", 0),
    ("last", 1),
    ("compact", 0),
    ("type", 0),
    ("length", 0),
    ("sort", 0),
    ("unique", 0),
    ("reverse", 0),
    ("min", 0),
    ("max", 0),
    ("floor", 0),
    ("tonumber", 0),
    ("tojson", 0),
    ("ascii_downcase", 0),
    ("ascii_upcase", 0),
    ("trim", 0),
    ("time_ms", 0),
    ("time_text", 0),
    ("has", 1),
    ("contains", 1),
    ("index", 1),
    ("startswith", 1),
    ("endswith", 1),
    ("ltrimstr", 1),
    ("rtrimstr", 1),
    ("split", 1),
    ("join", 1),
];

/// Returns whether filters may call this function.
pub(super) fn is_allowed(name: &str, arguments: usize) -> bool {
    ALLOWED.contains(&(name, arguments))
}

/// Returns the names of the functions that filters may call.
pub(super) fn allowed_names() -> impl Iterator<Item = &'static str> {
    ALLOWED.iter().map(|(name, _)| *name)
}

/// Returns the functions in jq's own words.
pub(super) fn definitions() -> Vec<Def<&'static str>> {
    load::parse(DEFINITIONS, |parser| parser.defs()).unwrap_or_default()
}

/// Returns the other functions.
pub(super) fn functions() -> impl Iterator<Item = Fun<Data>> {
    let plain = PLAIN.into_iter().map(|(name, function)| run::<Data>((name, v(0), function)));
    let with_one = WITH_ONE.into_iter().map(|(name, function)| run::<Data>((name, v(1), function)));
    jaq_core::funs().chain(plain).chain(with_one)
}

type Function = RunPtr<Data>;

/// Functions without an argument.
const PLAIN: [(&str, Function); 20] = [
    ("null", |_| bome(Ok(Value::Null))),
    ("true", |_| bome(Ok(Value::Bool(true)))),
    ("false", |_| bome(Ok(Value::Bool(false)))),
    ("not", |cv| bome(Ok(Value::Bool(!cv.1.as_bool())))),
    ("compact", |cv| bome(compact(&cv.1))),
    ("type", |cv| bome(Ok(Value::text(cv.1.kind())))),
    ("length", |cv| bome(length(&cv.1))),
    ("sort", |cv| bome(sorted(&cv.1).map(Value::list))),
    ("unique", |cv| {
        bome(sorted(&cv.1).map(|mut items| {
            items.dedup();
            Value::list(items)
        }))
    }),
    ("reverse", |cv| {
        bome(items(&cv.1).map(|items| {
            spend(items.len());
            Value::list(items.iter().rev().cloned().collect())
        }))
    }),
    ("min", |cv| bome(sorted(&cv.1).map(|items| items.first().cloned().unwrap_or_default()))),
    ("max", |cv| bome(sorted(&cv.1).map(|items| items.last().cloned().unwrap_or_default()))),
    ("floor", |cv| bome(number(&cv.1).map(|number| Value::Number(number.floor())))),
    ("tonumber", |cv| {
        bome(match &cv.1 {
            Value::Text(text) => Number::parse(text).map(Value::Number).ok_or_else(unfit),
            other => number(other).map(Value::Number),
        })
    }),
    ("tojson", |cv| bome(Ok(Value::from(cv.1.to_json())))),
    ("ascii_downcase", |cv| bome(text(&cv.1).map(|text| Value::from(text.to_ascii_lowercase())))),
    ("ascii_upcase", |cv| bome(text(&cv.1).map(|text| Value::from(text.to_ascii_uppercase())))),
    ("trim", |cv| bome(text(&cv.1).map(|text| Value::text(text.trim())))),
    ("time_ms", |cv| {
        bome(text(&cv.1).and_then(|text| Timestamp::parse(text).ok_or_else(unfit)).map(|at| Value::from(at.as_millis())))
    }),
    ("time_text", |cv| {
        bome(match number(&cv.1).map(Number::floor) {
            Ok(Number::Integer(millis)) => Ok(Value::from(Timestamp::from_millis(millis).to_string())),
            _ => Err(unfit()),
        })
    }),
];

/// Functions with one argument, a value.
const WITH_ONE: [(&str, Function); 9] = [
    ("has", |cv| unary(cv, |value, key| has(&value, &key))),
    ("contains", |cv| {
        unary(cv, |value, part| {
            Ok(Value::from(match (&value, &part) {
                (Value::Text(text), Value::Text(part)) => spend(1 + text.len() / 8) && text.contains(&**part),
                (value, part) => items(value)?.contains(part),
            }))
        })
    }),
    ("index", |cv| {
        unary(cv, |value, part| {
            let place = match (&value, &part) {
                (Value::Text(text), Value::Text(part)) if !part.is_empty() => {
                    spend(1 + text.len() / 8);
                    text.find(&**part).map(|at| text.get(..at).unwrap_or_default().chars().count())
                }
                (value, part) => items(value)?.iter().position(|item| item == part),
            };
            Ok(place.and_then(|place| i64::try_from(place).ok()).into())
        })
    }),
    ("startswith", |cv| unary(cv, |value, part| Ok(Value::from(text(&value)?.starts_with(text(&part)?))))),
    ("endswith", |cv| unary(cv, |value, part| Ok(Value::from(text(&value)?.ends_with(text(&part)?))))),
    ("ltrimstr", |cv| unary(cv, |value, part| Ok(without(value, &part, |text, part| text.strip_prefix(part))))),
    ("rtrimstr", |cv| unary(cv, |value, part| Ok(without(value, &part, |text, part| text.strip_suffix(part))))),
    ("split", |cv| unary(cv, |value, separator| split(text(&value)?, text(&separator)?))),
    ("join", |cv| unary(cv, |value, separator| join(items(&value)?, text(&separator)?))),
];

fn text(value: &Value) -> Result<&str, Error<Value>> {
    let text = value.as_text().ok_or_else(unfit)?;
    if spend(1 + text.len() / 16) { Ok(text) } else { Err(unfit()) }
}

fn items(value: &Value) -> Result<&[Value], Error<Value>> {
    value.as_list().filter(|_| spend(1)).ok_or_else(unfit)
}

fn number(value: &Value) -> Result<Number, Error<Value>> {
    if let Value::Number(number) = value { Ok(*number) } else { Err(unfit()) }
}

fn length(value: &Value) -> ValR<Value> {
    let length = match value {
        Value::Null => 0,
        Value::Text(text) => {
            spend(text.len() / 16);
            text.chars().count()
        }
        Value::List(list) => list.items().len(),
        Value::Object(object) => object.fields().len(),
        Value::Bool(_) | Value::Number(_) => return Err(unfit()),
    };
    Ok(Value::from(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn sorted(value: &Value) -> Result<Vec<Value>, Error<Value>> {
    let mut items = items(value)?.to_vec();
    // Nothing is as it should be once comparisons have no work left, so it must not be noticed either.
    spend(items.len());
    items.sort_by(Value::compare);
    Ok(items)
}

/// Leaves out fields that are `null`.
fn compact(value: &Value) -> ValR<Value> {
    let Value::Object(object) = value else { return Err(unfit()) };
    spend(object.fields().len());
    Ok(Value::object_of(object.fields().iter().filter(|(_, value)| !matches!(value, Value::Null)).cloned()))
}

fn has(value: &Value, key: &Value) -> ValR<Value> {
    Ok(Value::from(match (value, key) {
        (Value::Object(object), Value::Text(name)) => object.get(name).is_some(),
        (Value::List(list), Value::Number(number)) => {
            let index = number.as_index().and_then(|index| usize::try_from(index).ok());
            index.is_some_and(|index| index < list.items().len())
        }
        _ => return Err(unfit()),
    }))
}

fn without(value: Value, part: &Value, strip: impl for<'a> Fn(&'a str, &str) -> Option<&'a str>) -> Value {
    let stripped = match (&value, part) {
        (Value::Text(text), Value::Text(part)) => strip(text, part).map(Value::text),
        _ => None,
    };
    spend(1);
    stripped.unwrap_or(value)
}

fn join(items: &[Value], separator: &str) -> ValR<Value> {
    let mut joined = String::new();
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            joined.push_str(separator);
        }
        match item {
            Value::Null => {}
            Value::Text(text) => joined.push_str(text),
            other => joined.push_str(&other.to_json()),
        }
        if !spend(1 + separator.len() / 8) {
            return Err(unfit());
        }
    }
    Ok(Value::from(joined))
}
