//! What filters do with values: reading, changing, calculating, comparing.
use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::rc::Rc;

use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::path::Opt;
use jaq_core::val::Range;
use jaq_core::{Error, ValR, ValT, ValX};

use super::number::Number;
use super::value::{Name, Value, spend, was_enough};

/// Returns the error of an operation that such values do not have.
///
/// It is no text, which only `error` raises.
pub(super) fn unfit() -> Error<Value> {
    Error::new(Value::Bool(false))
}

/// Takes work from the budget.
fn pay(work: usize) -> Result<(), Error<Value>> {
    if spend(work) { Ok(()) } else { Err(unfit()) }
}

/// Returns a shared value to change; a copy is paid for by its length.
fn own<T: Clone>(shared: &mut Rc<T>, length: usize) -> Result<&mut T, Error<Value>> {
    if Rc::strong_count(shared) > 1 {
        pay(length)?;
    }
    Ok(Rc::make_mut(shared))
}

/// Returns the place in a list of this length; negative numbers count from the end.
fn place(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(i64::try_from(length).ok()?)? } else { index };
    usize::try_from(index).ok().filter(|place| *place < length)
}

/// Returns the bounds of a slice of something of this length.
fn bounds(range: &Range<&Value>, length: usize) -> Result<(usize, usize), Error<Value>> {
    let bound = |value: Option<&Value>, usual: usize| match value {
        None | Some(Value::Null) => Ok(usual),
        Some(Value::Number(number)) => {
            let index = number.as_index().ok_or_else(unfit)?;
            let total = i64::try_from(length).unwrap_or(i64::MAX);
            let index = if index < 0 { index.saturating_add(total) } else { index };
            Ok(usize::try_from(index.clamp(0, total)).unwrap_or(length))
        }
        Some(_) => Err(unfit()),
    };
    let (start, end) = (bound(range.start, 0)?, bound(range.end, length)?);
    Ok((start, end.max(start)))
}

fn slice(text: &str, start: usize, end: usize) -> &str {
    let at = |place: usize| text.char_indices().nth(place).map_or(text.len(), |(at, _)| at);
    text.get(at(start)..at(end)).unwrap_or_default()
}

impl ValT for Value {
    fn from_num(text: &str) -> ValR<Self> {
        Number::parse(text).map(Self::Number).ok_or_else(unfit)
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(fields: I) -> ValR<Self> {
        let mut object = super::value::Object::default();
        for (name, value) in fields {
            let Self::Text(name) = name else { return Err(unfit()) };
            pay(1)?;
            object.set(Name::Given(name), Some(value));
        }
        Ok(Self::Object(Rc::new(object)).if_shallow())
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        match self {
            Self::List(list) => {
                let mut places = 0..list.items().len();
                Box::new(std::iter::from_fn(move || {
                    let place = places.next()?;
                    let value = list.items().get(place)?.clone();
                    Some(pay(1).map(|()| (Self::from(i64::try_from(place).unwrap_or_default()), value)))
                }))
            }
            Self::Object(object) => {
                let mut places = 0..object.fields().len();
                Box::new(std::iter::from_fn(move || {
                    let (name, value) = object.fields().get(places.next()?)?;
                    Some(pay(1).map(|()| (Self::from(name.clone()), value.clone())))
                }))
            }
            _ => box_once(Err(unfit())),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        // What is behind an error that is caught is worth no work either.
        let next = |value: Option<&Self>| {
            let value = value?.clone();
            was_enough().then(|| pay(1).map(|()| value))
        };
        match self {
            Self::List(list) => {
                let mut places = 0..list.items().len();
                Box::new(std::iter::from_fn(move || next(list.items().get(places.next()?))))
            }
            Self::Object(object) => {
                let mut places = 0..object.fields().len();
                Box::new(std::iter::from_fn(move || next(object.fields().get(places.next()?).map(|(_, value)| value))))
            }
            _ => box_once(Err(unfit())),
        }
    }

    fn index(self, index: &Self) -> ValR<Self> {
        pay(1)?;
        match (self, index) {
            (Self::Null, Self::Text(_) | Self::Number(_) | Self::Null) => Ok(Self::Null),
            (Self::Object(object), Self::Text(name)) => Ok(object.get(name).cloned().unwrap_or_default()),
            (Self::List(list), Self::Number(number)) => {
                let found = number.as_index().and_then(|index| place(index, list.items().len()));
                Ok(found.and_then(|place| list.items().get(place)).cloned().unwrap_or_default())
            }
            _ => Err(unfit()),
        }
    }

    fn range(self, range: Range<&Self>) -> ValR<Self> {
        match self {
            Self::Null => Ok(Self::Null),
            Self::List(list) => {
                let (start, end) = bounds(&range, list.items().len())?;
                pay(1 + end - start)?;
                Ok(Self::list(list.items().get(start..end).unwrap_or_default().to_vec()))
            }
            Self::Text(text) => {
                pay(1 + text.len() / 8)?;
                let (start, end) = bounds(&range, text.chars().count())?;
                Ok(Self::text(slice(&text, start, end)))
            }
            _ => Err(unfit()),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(self, opt: Opt, f: impl Fn(Self) -> I) -> ValX<'a, Self> {
        match self {
            Self::List(list) => {
                pay(list.items().len())?;
                let items = list.items().iter().cloned().flat_map(f).collect::<Result<Vec<_>, _>>()?;
                Ok(Self::list(items))
            }
            Self::Object(object) => {
                pay(object.fields().len())?;
                let fields = object.fields().iter().filter_map(|(name, value)| {
                    f(value.clone()).next().map(|changed| changed.map(|changed| (name.clone(), changed)))
                });
                Ok(Self::object_of(fields.collect::<Result<Vec<_>, _>>()?))
            }
            other => opt.fail(other, |_| unfit().into()),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(self, index: &Self, opt: Opt, f: impl Fn(Self) -> I) -> ValX<'a, Self> {
        pay(1)?;
        match (self, index) {
            (Self::Null, Self::Text(name)) => {
                let value = f(Self::Null).next().transpose()?;
                Ok(Self::object_of(value.map(|value| (Name::Given(name.clone()), value))))
            }
            (Self::Object(mut object), Self::Text(name)) => {
                let changed = f(object.get(name).cloned().unwrap_or_default()).next().transpose()?;
                let length = object.fields().len();
                own(&mut object, length)?.set(Name::Given(name.clone()), changed);
                Ok(Self::Object(object).if_shallow())
            }
            (Self::List(mut list), Self::Number(number)) => {
                let length = list.items().len();
                let Some(place) = number.as_index().and_then(|index| place(index, length)) else {
                    return opt.fail(Self::List(list), |_| unfit().into());
                };
                let changed = f(list.items().get(place).cloned().unwrap_or_default()).next().transpose()?;
                // Removing moves what is behind it.
                pay(if changed.is_none() { length } else { 1 })?;
                own(&mut list, length)?.set(place, changed);
                Ok(Self::List(list).if_shallow())
            }
            (other, _) => opt.fail(other, |_| unfit().into()),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        _: Range<&Self>,
        opt: Opt,
        _: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        opt.fail(self, |_| unfit().into())
    }

    fn as_bool(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    fn into_string(self) -> Self {
        match self {
            Self::Text(text) => Self::Text(text),
            other => Self::text(other.to_json()),
        }
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<isize> for Value {
    fn from(number: isize) -> Self {
        Self::Number(Number::Integer(i64::try_from(number).unwrap_or_default()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        spend(1 + text.len() / 8);
        Self::text(text)
    }
}

impl From<Range<Self>> for Value {
    fn from(range: Range<Self>) -> Self {
        Self::object([("start", range.start.unwrap_or_default()), ("end", range.end.unwrap_or_default())])
    }
}

impl FromIterator<Self> for Value {
    fn from_iter<I: IntoIterator<Item = Self>>(items: I) -> Self {
        let items: Vec<_> = items.into_iter().take_while(|_| spend(1)).collect();
        Self::list(items)
    }
}

impl Add for Value {
    type Output = ValR<Self>;

    fn add(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Null, value) | (value, Self::Null) => Ok(value),
            (Self::Number(left), Self::Number(right)) => {
                Ok(Self::Number(left.calculate(right, i64::checked_add, |left, right| left + right)))
            }
            (Self::Text(left), Self::Text(right)) => {
                pay(1 + (left.len() + right.len()) / 8)?;
                Ok(Self::text([&*left, &*right].concat()))
            }
            (Self::List(left), Self::List(right)) => {
                pay(1 + left.items().len() + right.items().len())?;
                Ok(Self::list([left.items(), right.items()].concat()))
            }
            (Self::Object(mut left), Self::Object(right)) => {
                pay(1)?;
                let length = left.fields().len();
                let object = own(&mut left, length)?;
                for (name, value) in right.fields() {
                    pay(1)?;
                    object.set(name.clone(), Some(value.clone()));
                }
                Ok(Self::Object(left).if_shallow())
            }
            _ => Err(unfit()),
        }
    }
}

impl Sub for Value {
    type Output = ValR<Self>;

    fn sub(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => {
                Ok(Self::Number(left.calculate(right, i64::checked_sub, |left, right| left - right)))
            }
            (Self::List(left), Self::List(right)) => {
                let kept = left.items().iter().filter(|item| !right.items().contains(item)).cloned().collect();
                pay(1)?;
                Ok(Self::list(kept))
            }
            _ => Err(unfit()),
        }
    }
}

impl Mul for Value {
    type Output = ValR<Self>;

    /// Multiplies numbers; a text cannot be repeated.
    fn mul(self, other: Self) -> ValR<Self> {
        let (Self::Number(left), Self::Number(right)) = (self, other) else { return Err(unfit()) };
        Ok(Self::Number(left.calculate(right, i64::checked_mul, |left, right| left * right)))
    }
}

impl Div for Value {
    type Output = ValR<Self>;

    fn div(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) if right.as_float() != 0.0 => {
                let exact = |left: i64, right: i64| (left.checked_rem(right)? == 0).then(|| left.checked_div(right))?;
                Ok(Self::Number(left.calculate(right, exact, |left, right| left / right)))
            }
            (Self::Text(text), Self::Text(separator)) => split(&text, &separator),
            _ => Err(unfit()),
        }
    }
}

/// Splits a text; an empty separator makes a list of its characters.
pub(super) fn split(text: &str, separator: &str) -> ValR<Value> {
    pay(1 + text.len())?;
    let parts = match (text, separator) {
        ("", _) => Vec::new(),
        (text, "") => text.chars().map(|character| Value::text(character.to_string())).collect(),
        (text, separator) => text.split(separator).map(Value::text).collect(),
    };
    Ok(Value::list(parts))
}

impl Rem for Value {
    type Output = ValR<Self>;

    fn rem(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) if right.as_float() != 0.0 => {
                Ok(Self::Number(left.calculate(right, i64::checked_rem, |left, right| left % right)))
            }
            _ => Err(unfit()),
        }
    }
}

impl Neg for Value {
    type Output = ValR<Self>;

    fn neg(self) -> ValR<Self> {
        Self::from(0_i64) - self
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other) == Ordering::Equal
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.compare(other))
    }
}

impl Value {
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(false) => 1,
            Self::Bool(true) => 2,
            Self::Number(_) => 3,
            Self::Text(_) => 4,
            Self::List(_) => 5,
            Self::Object(_) => 6,
        }
    }

    /// Compares in jq's order: null, false, true, numbers, texts, lists, objects. Without work left, all are equal.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        if !spend(1) {
            return Ordering::Equal;
        }
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => left.compare(*right),
            (Self::Text(left), Self::Text(right)) => {
                spend(left.len().min(right.len()) / 16);
                left.cmp(right)
            }
            (Self::List(left), Self::List(right)) => compare_all(left.items(), right.items()),
            (Self::Object(left), Self::Object(right)) => {
                let sorted = |object: &super::value::Object| {
                    let mut fields: Vec<_> = object.fields().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                    spend(fields.len());
                    fields.sort_by(|(left, _), (right, _)| (**left).cmp(right));
                    let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
                    (names, values)
                };
                let ((left_names, left_values), (right_names, right_values)) = (sorted(left), sorted(right));
                let names = |names: &[Name]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
                names(&left_names).cmp(&names(&right_names)).then_with(|| compare_all(&left_values, &right_values))
            }
            (left, right) => left.rank().cmp(&right.rank()),
        }
    }
}

fn compare_all(left: &[Value], right: &[Value]) -> Ordering {
    let pairs = left.iter().zip(right).map(|(left, right)| left.compare(right));
    let first = pairs.into_iter().find(|order| order.is_ne());
    first.unwrap_or_else(|| left.len().cmp(&right.len()))
}
