//! Counts of sessions by the way they speak.

use crate::chat::ports::ClientDialects;
use crate::hash::HashMap;

/// Open sessions by the way they speak: few ways, whatever the number of sessions.
#[derive(Debug, Default)]
pub(super) struct Census(HashMap<ClientDialects, usize>);

impl Census {
    pub(super) fn add(&mut self, client_dialects: ClientDialects) {
        *self.0.entry(client_dialects).or_default() += 1;
    }

    pub(super) fn remove(&mut self, client_dialects: ClientDialects) {
        if let Some(count) = self.0.get_mut(&client_dialects) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&client_dialects);
            }
        }
    }

    /// Each way with how many sessions speak so.
    pub(super) fn client_dialect_counts(&self) -> Vec<(ClientDialects, usize)> {
        self.0.iter().map(|(client_dialects, count)| (*client_dialects, *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_left_is_not_counted() {
        let (one, other) = (ClientDialects { asked: 1, ..ClientDialects::default() }, ClientDialects::default());
        let mut census = Census::default();
        [one, one, other].into_iter().for_each(|client_dialects| census.add(client_dialects));
        census.remove(one);
        census.remove(other);
        assert_eq!(census.client_dialect_counts(), [(one, 1)]);
    }
}
