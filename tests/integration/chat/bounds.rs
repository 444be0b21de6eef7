//! P9: the requests of one socket are bounded.
use parlance::chat::{Command, Reply, Sent};

use super::broker::{Broker, direct};

#[actix::test]
async fn so_many_requests_wait_behind_one_that_reads() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let Ok(Reply::Sent(Sent { message, .. })) = broker.ask(ann, direct("bob", "hello")).await else { panic!("not sent") };
    let mark = Command::MarkRead { message: message.id };
    let hold = broker.hold_reads().await;
    let first = broker.begin(ann, mark.clone()).await;
    for _ in 0..1_000 {
        broker.begin(ann, mark.clone()).await;
    }
    assert_eq!(broker.ask(ann, mark).await.unwrap_err().code(), "RATE_LIMITED");
    drop(hold);
    assert!(broker.reply(ann, first).await.is_ok());
}
