//! `parlance token …`: makes, inspects and revokes tokens.
mod commands;
mod inspect;
mod known;

pub(super) use self::commands::{TokenCommand, execute};
