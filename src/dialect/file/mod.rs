//! Dialects that files describe: TOML with filters in the language of jq.
mod builtins;
mod command;
mod dialect;
mod fault;
mod field_check;
mod filter;
mod filter_check;
mod format;
mod load;
mod made_up;
mod number;
mod occasion;
mod problem;
mod review;
mod told;
mod trial;
mod value;
mod value_json;
mod value_ops;

#[cfg(test)]
mod tests;

pub use self::dialect::FileDialect;
pub use self::problem::Problem;

/// A file to begin with.
pub const START: &str = include_str!("start.toml");
