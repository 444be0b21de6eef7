//! The chat at `/`, the demo and the widget: pages with all their files, in the binary. They have no privilege: they ask
//! for everything with their reader's own login, over the routes and events of every front end.
mod demo;
mod files;
mod operations;
mod pages;
mod routes;

pub(crate) use self::operations::OPERATIONS;
pub(crate) use self::routes::routes;
