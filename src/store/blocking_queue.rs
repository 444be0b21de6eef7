//! A queue at which threads wait. They sleep at once: those of actix's `SyncArbiter` yield the processor several times
//! before, for each message.
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The queue. It has no bound of its own.
pub(super) struct BlockingQueue<T> {
    state: Mutex<State<T>>,
    added: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    is_closed: bool,
}

impl<T> BlockingQueue<T> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { waiting: VecDeque::new(), is_closed: false }), added: Condvar::new() }
    }

    pub(super) fn push(&self, item: T) {
        self.lock().waiting.push_back(item);
        self.added.notify_one();
    }

    /// Waits for the next item; `None` once the queue is closed.
    pub(super) fn next(&self) -> Option<T> {
        let is_idle = |state: &mut State<T>| state.waiting.is_empty() && !state.is_closed;
        let mut state = self.added.wait_while(self.lock(), is_idle).unwrap_or_else(PoisonError::into_inner);
        if state.is_closed { None } else { state.waiting.pop_front() }
    }

    /// Returns the next item, if there is one.
    #[cfg(feature = "internals")]
    pub(super) fn take(&self) -> Option<T> {
        self.lock().waiting.pop_front()
    }

    /// Returns the number of items.
    #[cfg(feature = "internals")]
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Ends the waiting of all threads.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.added.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn each_item_is_for_one_thread_and_all_end_with_the_queue() {
        let queue = Arc::new(BlockingQueue::new());
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || std::iter::from_fn(|| queue.next()).inspect(|_| thread::yield_now()).collect::<Vec<i32>>())
            })
            .collect();
        (0..100).for_each(|item| queue.push(item));
        while !queue.lock().waiting.is_empty() {
            thread::yield_now();
        }
        queue.close();
        let mut taken: Vec<i32> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        taken.sort_unstable();
        assert_eq!(taken, (0..100).collect::<Vec<_>>());
        queue.push(100);
        assert_eq!(queue.next(), None);
    }
}
