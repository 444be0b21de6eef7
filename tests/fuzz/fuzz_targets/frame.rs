//! WebSocket frames: the first byte gives the length of reads, the second the limit, the rest comes from the client.
#![no_main]
use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use parlance::transport::FrameDecoder;

fuzz_target!(|input: &[u8]| {
    let [read_bytes, limit, stream @ ..] = input else { return };
    let max_bytes = usize::from(*limit) * 16;
    let split = decode(stream, usize::from(*read_bytes).max(1), max_bytes);
    assert_eq!(split, decode(stream, stream.len().max(1), max_bytes));
});

/// Returns the decoded messages and the error, as text.
fn decode(stream: &[u8], read_bytes: usize, max_bytes: usize) -> (Vec<String>, String) {
    let (mut decoder, mut messages) = (FrameDecoder::new(), Vec::new());
    for read in stream.chunks(read_bytes) {
        let result = decoder.decode(&mut read.to_vec(), max_bytes, |message| {
            messages.push(format!("{message:?}"));
            ControlFlow::Continue(())
        });
        if let Err(error) = result {
            return (messages, error.to_string());
        }
    }
    (messages, String::new())
}
