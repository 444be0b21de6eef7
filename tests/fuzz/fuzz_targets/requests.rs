//! Requests of an HTTP connection: the first byte gives the length of reads, the rest comes from the client. Each
//! request is answered once it is complete.
#![no_main]
use libfuzzer_sys::fuzz_target;
use parlance::transport::Requests;

fuzz_target!(|input: &[u8]| {
    let [read_bytes, stream @ ..] = input else { return };
    assert_eq!(ends(stream, usize::from(*read_bytes).max(1)), ends(stream, stream.len().max(1)));
});

/// Returns the ends of requests.
fn ends(stream: &[u8], read_bytes: usize) -> Vec<usize> {
    let (mut requests, mut ends, mut at) = (Requests::default(), Vec::new(), 0);
    for mut read in stream.chunks(read_bytes) {
        while !read.is_empty() {
            let taken = requests.follow(read);
            assert!(taken > 0 && taken <= read.len());
            (at, read) = (at + taken, &read[taken..]);
            if requests.is_whole() {
                ends.push(at);
                assert!(requests.follow_answer(b"HTTP/1.1 200 OK"));
            }
        }
    }
    ends
}
