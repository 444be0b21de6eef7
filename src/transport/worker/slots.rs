//! The table of one thread's connections.
use crate::engineio::Slot;

/// A table whose slots are reused, each time with a new generation.
#[derive(Debug)]
pub(super) struct Slots<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    occupant: Option<T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// Reserves a index until it is freed.
    pub(super) fn reserve(&mut self) -> Slot {
        if let Some(index) = self.free.pop()
            && let Some(place) = self.places.get(index as usize)
        {
            return Slot { index, generation: place.generation };
        }
        let index = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(Place { generation: 0, occupant: None });
        Slot { index, generation: 0 }
    }

    /// Fills a reserved index.
    pub(super) fn fill(&mut self, slot: Slot, occupant: T) {
        if let Some(place) = self.places.get_mut(slot.index as usize).filter(|place| place.generation == slot.generation) {
            place.occupant = Some(occupant);
        }
    }

    /// Returns the occupant of a index, if the generation matches.
    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        self.places.get(slot.index as usize).filter(|place| place.generation == slot.generation)?.occupant.as_ref()
    }

    /// Frees a index; messages sent to its occupant from now on reach nobody.
    pub(super) fn free(&mut self, slot: Slot) -> Option<T> {
        let place = self.places.get_mut(slot.index as usize).filter(|place| place.generation == slot.generation)?;
        let occupant = place.occupant.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(slot.index);
        Some(occupant)
    }

    /// Returns all occupants.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|place| place.occupant.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_under_a_new_generation() {
        let mut slots = Slots::default();
        let first = slots.reserve();
        let second = slots.reserve();
        slots.fill(first, 'a');
        slots.fill(second, 'b');
        assert_eq!(slots.free(first), Some('a'));
        assert_eq!(slots.free(first), None);
        let third = slots.reserve();
        slots.fill(third, 'c');
        assert_eq!((third.index, third.generation), (first.index, first.generation + 1));
        assert_eq!((slots.get(first), slots.get(second), slots.get(third)), (None, Some(&'b'), Some(&'c')));
        assert_eq!(slots.iter().collect::<String>(), "cb");
    }
}
