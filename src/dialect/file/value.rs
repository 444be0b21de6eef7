//! Values that filters work on: JSON, and a budget of work for all that is done with it.
use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;

use hashbrown::HashSet;
use smallvec::SmallVec;

use super::number::Number;

/// Greatest depth of a value, as in what clients send.
const MAX_DEPTH: u8 = 128;

thread_local! {
    /// Work that the running filter has left.
    static BUDGET: Cell<usize> = const { Cell::new(0) };
}

/// Sets the work that the next filter may do.
pub(super) fn grant(work: usize) {
    BUDGET.set(work);
}

/// Takes work from the budget; `false` if there is not enough left, and then nothing is.
pub(super) fn spend(work: usize) -> bool {
    let left = BUDGET.get();
    BUDGET.set(left.saturating_sub(work));
    left >= work && left > 0
}

/// Returns whether the last filter did all that it wanted.
pub(super) fn was_enough() -> bool {
    BUDGET.get() > 0
}

/// A JSON value.
#[derive(Debug, Clone, Default)]
pub(super) enum Value {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(Rc<str>),
    /// A list.
    List(Rc<List>),
    /// An object.
    Object(Rc<Object>),
}

/// The items of a list.
#[derive(Debug, Clone, Default)]
pub(super) struct List {
    depth: u8,
    items: Vec<Value>,
}

impl List {
    pub(super) fn items(&self) -> &[Value] {
        &self.items
    }

    /// Replaces an item; `None` removes it.
    pub(super) fn set(&mut self, place: usize, value: Option<Value>) {
        match (self.items.get_mut(place), value) {
            (Some(item), Some(value)) => {
                self.depth = self.depth.max(value.depth().saturating_add(1));
                *item = value;
            }
            (Some(_), None) => drop(self.items.remove(place)),
            (None, _) => {}
        }
    }
}

/// Name of a field.
#[derive(Debug, Clone)]
pub(super) enum Name {
    /// Of what is told.
    Known(&'static str),
    /// Of a filter, or of what came.
    Given(Rc<str>),
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Given(name) => name,
        }
    }
}

impl From<Name> for Value {
    fn from(name: Name) -> Self {
        match name {
            Name::Known(name) => Self::text(name),
            Name::Given(name) => Self::Text(name),
        }
    }
}

/// A field: filters make objects of one at a time.
type Fields = SmallVec<[(Name, Value); 1]>;

/// The fields of an object, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Object {
    depth: u8,
    fields: Fields,
}

impl Object {
    /// Makes an object of fields as they came; of repeated ones the last counts.
    pub(super) fn of(fields: Vec<(Rc<str>, Value)>) -> Self {
        let mut seen = HashSet::new();
        let last = fields.into_iter().rev().filter(|(name, _)| seen.insert(name.clone()));
        let mut fields: Fields = last.map(|(name, value)| (Name::Given(name), value)).collect();
        fields.reverse();
        let depth = fields.iter().map(|(_, value)| value.depth()).max().unwrap_or_default().saturating_add(1);
        Self { depth, fields }
    }

    pub(super) fn fields(&self) -> &[(Name, Value)] {
        &self.fields
    }

    /// Returns the value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let place = self.place(name)?;
        self.fields.get(place).map(|(_, value)| value)
    }

    fn place(&self, name: &str) -> Option<usize> {
        if !spend(1 + self.fields.len() / 4) {
            return None;
        }
        self.fields.iter().position(|(known, _)| &**known == name)
    }

    /// Sets a field; `None` removes it.
    pub(super) fn set(&mut self, name: Name, value: Option<Value>) {
        match (self.place(&name), value) {
            (Some(place), Some(value)) => {
                self.depth = self.depth.max(value.depth().saturating_add(1));
                if let Some((_, field)) = self.fields.get_mut(place) {
                    *field = value;
                }
            }
            (None, Some(value)) => {
                self.depth = self.depth.max(value.depth().saturating_add(1));
                self.fields.push((name, value));
            }
            (Some(place), None) => drop(self.fields.remove(place)),
            (None, None) => {}
        }
    }
}

impl Value {
    /// Makes a text.
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// Makes a text, or `null`.
    pub(super) fn optional(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    /// Makes a list. A value that is too deep ends the filter.
    pub(super) fn list(items: Vec<Self>) -> Self {
        let depth = items.iter().map(Self::depth).max().unwrap_or_default().saturating_add(1);
        Self::List(Rc::new(List { depth, items })).if_shallow()
    }

    /// Makes an object of fields with different names.
    pub(super) fn object<const N: usize>(fields: [(&'static str, Self); N]) -> Self {
        Self::object_of(fields.into_iter().map(|(name, value)| (Name::Known(name), value)))
    }

    /// Makes an object of fields with different names. A value that is too deep ends the filter.
    pub(super) fn object_of(fields: impl IntoIterator<Item = (Name, Self)>) -> Self {
        let fields: Fields = fields.into_iter().collect();
        let depth = fields.iter().map(|(_, value)| value.depth()).max().unwrap_or_default().saturating_add(1);
        Self::Object(Rc::new(Object { depth, fields })).if_shallow()
    }

    /// Returns the value unless it is too deep, which ends the filter.
    pub(super) fn if_shallow(self) -> Self {
        if self.depth() <= MAX_DEPTH {
            return self;
        }
        spend(usize::MAX);
        Self::Null
    }

    fn depth(&self) -> u8 {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => 0,
            Self::List(list) => list.depth,
            Self::Object(object) => object.depth,
        }
    }

    /// Returns the text, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// Returns the items, if it is a list.
    pub(super) fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(list) = self { Some(list.items()) } else { None }
    }

    /// Returns the kind of value, as the filter `type` does.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Number::Integer(number))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
