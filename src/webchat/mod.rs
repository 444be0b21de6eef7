//! The chat at `/`, the demo and the widget: pages with all their files, in the binary. They have no privilege: they ask
//! for everything with their reader's own login, over the routes and events of every front end.
mod demo;
mod files;
mod operations;
mod pages;
mod routes;

pub use self::operations::OPERATIONS;
pub use self::routes::routes;
