//! The store, on both databases.
mod fixture;

/// Runs each scenario on a new database of either kind.
macro_rules! on_both_databases {
    ($($(#[$attribute:meta])* $scenario:ident),* $(,)?) => {
        mod sqlite {
            $($(#[$attribute])* #[actix::test] async fn $scenario() {
                super::$scenario(crate::store::fixture::Fixture::sqlite().await).await;
            })*
        }
        mod postgres {
            $($(#[$attribute])* #[actix::test] async fn $scenario() {
                super::$scenario(crate::store::fixture::Fixture::postgres().await).await;
            })*
        }
    };
}

mod conversations;
mod database_file;
mod files;
mod messages;
mod migrations;
mod missed;
mod notifications;
mod outage;
mod persister;
mod starts;
mod sync;
mod unread;
mod users;
mod webhooks;
