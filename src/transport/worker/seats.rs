//! The table of one thread's connections.
use crate::engineio::Seat;

/// A table whose slots are reused, each time with a new generation.
#[derive(Debug)]
pub(super) struct Seats<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    occupant: Option<T>,
}

impl<T> Default for Seats<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Seats<T> {
    /// Reserves a slot until it is freed.
    pub(super) fn reserve(&mut self) -> Seat {
        if let Some(slot) = self.free.pop()
            && let Some(place) = self.places.get(slot as usize)
        {
            return Seat { slot, generation: place.generation };
        }
        let slot = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(Place { generation: 0, occupant: None });
        Seat { slot, generation: 0 }
    }

    /// Fills a reserved slot.
    pub(super) fn fill(&mut self, seat: Seat, occupant: T) {
        if let Some(place) = self.places.get_mut(seat.slot as usize).filter(|place| place.generation == seat.generation) {
            place.occupant = Some(occupant);
        }
    }

    /// Returns the occupant of a slot, if the generation matches.
    pub(super) fn get(&self, seat: Seat) -> Option<&T> {
        self.places.get(seat.slot as usize).filter(|place| place.generation == seat.generation)?.occupant.as_ref()
    }

    /// Frees a slot; messages sent to its occupant from now on reach nobody.
    pub(super) fn free(&mut self, seat: Seat) -> Option<T> {
        let place = self.places.get_mut(seat.slot as usize).filter(|place| place.generation == seat.generation)?;
        let occupant = place.occupant.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(seat.slot);
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
    fn a_seat_is_used_again_under_a_new_generation() {
        let mut seats = Seats::default();
        let first = seats.reserve();
        let second = seats.reserve();
        seats.fill(first, 'a');
        seats.fill(second, 'b');
        assert_eq!(seats.free(first), Some('a'));
        assert_eq!(seats.free(first), None);
        let third = seats.reserve();
        seats.fill(third, 'c');
        assert_eq!((third.slot, third.generation), (first.slot, first.generation + 1));
        assert_eq!((seats.get(first), seats.get(second), seats.get(third)), (None, Some(&'b'), Some(&'c')));
        assert_eq!(seats.iter().collect::<String>(), "cb");
    }
}
