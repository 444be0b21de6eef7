//! P9: what one socket asks for has a bound.
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use parlance::chat::{Command, Reply};

use super::broker::{Broker, direct};

#[actix::test]
async fn so_many_requests_wait_behind_one_that_reads() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let Ok(Reply::Sent { message, .. }) = broker.ask(ann, direct("bob", "hello")).await else { panic!("not sent") };
    let mark = Command::MarkRead { message: message.id };
    // Both readers are busy.
    let (hold, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    for _ in 0..2 {
        let (store, held) = (broker.store.clone(), held.clone());
        actix_rt::spawn(async move {
            let question = store.read(move |_| {
                let _ = held.lock().unwrap().recv_timeout(Duration::from_secs(20));
                Ok(())
            });
            let _ = question.await;
        });
    }
    while broker.store.stats().reads_in_flight < 2 {
        tokio::task::yield_now().await;
    }
    let first = broker.begin(ann, mark.clone()).await;
    for _ in 0..1_000 {
        broker.begin(ann, mark.clone()).await;
    }
    assert_eq!(broker.ask(ann, mark).await.unwrap_err().code(), "RATE_LIMITED");
    drop(hold);
    assert!(broker.reply(ann, first).await.is_ok());
}
