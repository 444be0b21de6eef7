//! A TCP connection: two streams of bytes that arrive late, in pieces, or not at all.
use crate::random::Random;

/// Bytes that a kernel takes from a server whose client does not read.
const KERNEL_BYTES: usize = 8 * 1_024;

/// One direction of a wire.
#[derive(Debug)]
pub struct Stream {
    /// Time in µs at which the last bytes arrive.
    last_at: u64,
    /// Number of bytes that still arrive; `None`: all.
    left: Option<usize>,
    /// The end is on its way.
    pub is_ended: bool,
}

impl Stream {
    fn new() -> Self {
        Self { last_at: 0, left: None, is_ended: false }
    }

    /// Returns the part of these bytes that arrives.
    pub fn pass(&mut self, bytes: &mut Vec<u8>) {
        if let Some(left) = &mut self.left {
            bytes.truncate(*left);
            *left -= bytes.len();
        }
    }
}

/// A connection between a client and a server.
#[derive(Debug)]
pub struct Wire {
    pub client: usize,
    /// The start of the server that accepted it, and its place there.
    pub boot: u32,
    pub slot: u32,
    /// To the server.
    pub up: Stream,
    /// To the client.
    pub down: Stream,
    /// Bytes sent to the client that it has not read.
    pub unread: usize,
    random: Random,
    delay: u64,
}

impl Wire {
    pub fn new(client: usize, boot: u32, slot: u32, mut random: Random) -> Self {
        let delay = *random.pick(&[300, 2_000, 20_000, 80_000]);
        Self { client, boot, slot, up: Stream::new(), down: Stream::new(), unread: 0, random, delay }
    }

    /// Returns the times at which these bytes arrive, and how many at each.
    pub fn send(&mut self, is_up: bool, now: u64, bytes: usize) -> Vec<(u64, usize)> {
        let mut parts = vec![bytes];
        // A frame may be cut anywhere.
        if bytes > 1 && self.random.one_in(12) {
            let first = self.random.between(1, bytes as u64 - 1) as usize;
            parts = vec![first, bytes - first];
        }
        parts.into_iter().map(|part| (self.arrival(is_up, now), part)).collect()
    }

    /// Returns the time at which the end arrives.
    pub fn end(&mut self, is_up: bool, now: u64) -> u64 {
        if is_up {
            self.up.is_ended = true
        } else {
            self.down.is_ended = true
        }
        self.arrival(is_up, now)
    }

    /// Cuts it: of the bytes under way, and of all later ones, few arrive or none.
    pub fn cut(&mut self) {
        let some = |random: &mut Random| if random.one_in(2) { 0 } else { random.below(400) as usize };
        self.up.left.get_or_insert(some(&mut self.random));
        self.down.left.get_or_insert(some(&mut self.random));
    }

    /// Returns whether the kernel takes no more bytes for the client.
    pub fn is_full(&self) -> bool {
        self.unread >= KERNEL_BYTES
    }

    fn arrival(&mut self, is_up: bool, now: u64) -> u64 {
        let delay = self.delay / 2 + self.random.below(self.delay);
        let stream = if is_up { &mut self.up } else { &mut self.down };
        stream.last_at = stream.last_at.max(now + delay);
        stream.last_at
    }
}
