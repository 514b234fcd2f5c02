// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many rows the next batch has, and how long to wait before it.
//!
//! Owns the arithmetic alone; the times are measured by the caller. Never sleeps.

use core::num::NonZeroU32;
use core::time::Duration;

/// A batch never grows by more than this factor at once: one quick batch proves little.
const GROWTH: usize = 2;

/// The size of batches, adapted to how long they take, and a cap on the rate.
#[derive(Clone, Debug)]
pub struct Pace {
    rows: usize,
    least: usize,
    most: usize,
    target: Duration,
    cap: Option<NonZeroU32>,
}

impl Pace {
    /// Batches of `least` to `most` rows, each of which should take about `target`: for so long the application may wait for a row.
    #[must_use]
    pub fn new(least: usize, most: usize, target: Duration) -> Self {
        let least = least.max(1);
        Self { rows: least.max(most.min(1_000)), least, most: most.max(least), target, cap: None }
    }

    /// Caps the rate at so many rows a second.
    #[must_use]
    pub const fn with_cap(mut self, rows_per_second: Option<NonZeroU32>) -> Self {
        self.cap = rows_per_second;
        self
    }

    /// Rows of the next batch.
    #[must_use]
    pub fn rows(&self) -> usize {
        // A batch of more than a second's rows would make the rate a matter of luck.
        let cap = self.cap.map_or(usize::MAX, |cap| usize::try_from(cap.get()).unwrap_or(usize::MAX));
        self.rows.min(cap)
    }

    /// Takes note that a batch of `rows` took so long; gives how long to wait before the next.
    pub fn done(&mut self, rows: usize, took: Duration) -> Duration {
        if rows >= self.rows && took > Duration::ZERO {
            let fits = u128::try_from(rows).unwrap_or(u128::MAX).saturating_mul(self.target.as_nanos())
                / took.as_nanos();
            let fits = usize::try_from(fits).unwrap_or(usize::MAX);
            self.rows = fits.min(self.rows.saturating_mul(GROWTH)).clamp(self.least, self.most);
        }
        self.wait(rows).saturating_sub(took)
    }

    /// Takes note that a batch failed and will be tried again: smaller, because what it met is likelier in a long transaction.
    pub fn failed(&mut self) {
        self.rows = (self.rows / 2).max(self.least);
    }

    /// How long so many rows take at the cap.
    fn wait(&self, rows: usize) -> Duration {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        self.cap.map_or(Duration::ZERO, |cap| Duration::from_secs(1).saturating_mul(rows) / cap.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_and_shrink_with_the_time_they_take_and_stay_within_their_bounds() {
        let mut pace = Pace::new(10, 10_000, Duration::from_millis(500));
        assert_eq!(pace.rows(), 1_000);
        pace.done(1_000, Duration::from_millis(1));
        assert_eq!(pace.rows(), 2_000);
        pace.done(100, Duration::from_millis(1));
        assert_eq!(pace.rows(), 2_000, "the last, short batch of a range says nothing");
        pace.done(2_000, Duration::from_secs(2));
        assert_eq!(pace.rows(), 500);
        pace.done(500, Duration::from_secs(3_600));
        assert_eq!(pace.rows(), 10);
        for _ in 0..20 {
            pace.done(pace.rows(), Duration::from_micros(1));
        }
        assert_eq!(pace.rows(), 10_000);
        pace.failed();
        assert_eq!(pace.rows(), 5_000);
    }

    #[test]
    fn a_cap_bounds_the_batch_and_the_rate() {
        let mut pace = Pace::new(10, 10_000, Duration::from_millis(500)).with_cap(NonZeroU32::new(100));
        assert_eq!(pace.rows(), 100);
        assert_eq!(pace.done(100, Duration::from_millis(300)), Duration::from_millis(700));
        assert_eq!(pace.done(100, Duration::from_secs(2)), Duration::ZERO);
    }
}
