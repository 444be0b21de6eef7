//! Engine.IO: the body of a POST.
#![no_main]
use libfuzzer_sys::fuzz_target;
use parlance::engineio::{Packet, decode_payload};

fuzz_target!(|body: &[u8]| {
    let Ok(packets) = decode_payload(body) else { return };
    for packet in packets {
        if let Ok(Packet::Message(text)) = packet {
            assert!(body.as_ptr_range().contains(&text.as_ptr()) || text.is_empty());
        }
    }
});
