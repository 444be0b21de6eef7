//! Counts of sessions by the way they speak.
use hashbrown::HashMap;

use crate::chat::ports::Manner;

/// Open sessions by the way they speak: few ways, whatever the number of sessions.
#[derive(Debug, Default)]
pub struct Census(HashMap<Manner, usize>);

impl Census {
    pub fn add(&mut self, manner: Manner) {
        *self.0.entry(manner).or_default() += 1;
    }

    pub fn remove(&mut self, manner: Manner) {
        if let Some(count) = self.0.get_mut(&manner) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&manner);
            }
        }
    }

    /// Each way with how many sessions speak so.
    pub fn manners(&self) -> Vec<(Manner, usize)> {
        self.0.iter().map(|(manner, count)| (*manner, *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_left_is_not_counted() {
        let (one, other) = (Manner { asked: 1, ..Manner::default() }, Manner::default());
        let mut census = Census::default();
        [one, one, other].into_iter().for_each(|manner| census.add(manner));
        census.remove(one);
        census.remove(other);
        assert_eq!(census.manners(), [(one, 1)]);
    }
}
