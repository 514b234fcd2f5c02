// SPDX-License-Identifier: MIT OR Apache-2.0
//! Texts that were opened and wait to be sealed anew, one after the other in one buffer.
//!
//! Owns their memory: none of it is freed before it is wiped. Never gives a text out beyond the buffer.

use std::ops::Range;

use zeroize::{Zeroize, Zeroizing};

/// Room of the first text, so that a buffer grows seldom.
const FIRST_ROOM: usize = 1 << 14;

/// Texts of one field in a batch. The next batch overwrites them; the last ones are wiped with the buffer.
#[derive(Default)]
pub(crate) struct Texts(Zeroizing<String>);

impl Texts {
    /// Keeps a text, and says where.
    pub(crate) fn keep(&mut self, text: &str) -> Range<usize> {
        let start = self.0.len();
        let end = start + text.len();
        if end > self.0.capacity() {
            // A buffer that grew by itself would leave what it held in memory that is free.
            let mut room = Zeroizing::new(String::with_capacity(end.next_power_of_two().max(FIRST_ROOM)));
            room.push_str(&self.0);
            self.0.zeroize();
            self.0 = room;
        }
        self.0.push_str(text);
        start..end
    }

    /// The text at a place.
    pub(crate) fn at(&self, place: &Range<usize>) -> &str {
        self.0.get(place.clone()).unwrap_or_default()
    }

    /// Forgets the texts and keeps the room.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_what_they_are_while_the_buffer_grows() {
        let mut texts = Texts::default();
        for round in 0..3 {
            texts.clear();
            let long = |n: usize| format!("{round} é {n}").repeat(n % 40);
            let places: Vec<_> = (0..2_000).map(|n| texts.keep(&long(n))).collect();
            assert!(places.iter().enumerate().all(|(n, place)| texts.at(place) == long(n)));
        }
    }
}
