//! Socket.IO packets, one a line; lines that start with `b` are binary messages. `/` is joined from the start.
#![no_main]
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use parlance::socketio::{Client, Incoming};

fuzz_target!(|text: &str| {
    let mut client = Client::new();
    client.join("/");
    for line in text.split('\n') {
        let incoming = match line.strip_prefix('b') {
            Some(data) => client.on_binary(Bytes::copy_from_slice(data.as_bytes()), 1_000),
            None => client.on_text(line),
        };
        match incoming {
            Ok(Some(Incoming::Connect { namespace, .. })) => client.join(&namespace),
            Ok(Some(Incoming::Event(event))) => {
                assert!(client.has_joined(&event.namespace));
                assert!((0..event.args.len()).all(|index| event.args.get(index).is_some()));
            }
            Ok(Some(Incoming::Ack { namespace, args, .. })) => {
                assert!(client.has_joined(&namespace));
                assert!((0..args.len()).all(|index| args.get(index).is_some()));
            }
            Ok(Some(Incoming::Disconnect { namespace })) => assert!(!client.has_joined(&namespace)),
            Ok(None) => {}
            Err(_) => return,
        }
    }
});
