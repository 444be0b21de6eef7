//! Compressed messages: the first byte gives the window, the second the number of times that the rest is repeated. As
//! in a server, one thread uses one compressor for all messages.
#![no_main]
use libfuzzer_sys::fuzz_target;
use parlance::transport::{Compressor, Deflate, inflate};

thread_local! {
    static COMPRESSOR: Compressor = Compressor::default();
}

fuzz_target!(|input: &[u8]| {
    let [bits, repeats, text @ ..] = input else { return };
    let offer = format!("permessage-deflate; server_max_window_bits={}", 9 + bits % 7);
    let (agreed, _) = Deflate::negotiate([offer.as_str()]).expect("an offer that is taken");
    let payload = text.repeat(1 + usize::from(*repeats));
    if let Some(compressed) = COMPRESSOR.with(|compressor| compressor.compress(agreed, &payload)) {
        assert!(compressed.len() < payload.len());
        assert_eq!(inflate(&compressed, payload.len()).as_deref(), Ok(&payload[..]));
    }
    let limit = usize::from(*bits) * 64;
    assert!(inflate(text, limit).map_or(true, |message| message.len() <= limit));
});
