// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calendar dates, partial ones included.
//!
//! Owns the proleptic Gregorian calendar. Never reads a clock. SPEC 5.1, type 0x04.

use core::fmt;
use core::str::FromStr;

use zeroize::Zeroize;

use crate::error::{Error, Result};

/// A calendar date whose day, or day and month, may be unknown.
///
/// Registries hold birth dates of which only the year is known. Shape as text: `1957-03-28`, `1957-03-00`, `1957-00-00`.
/// Limits: year 1 to 9999. `Debug` does not print the date: a birth date is personal data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Checks and keeps a date; `month` and `day` may be 0 for unknown, `day` must be 0 if `month` is.
    ///
    /// # Errors
    /// `Malformed` if there is no such date.
    pub fn new(year: u16, month: u8, day: u8) -> Result<Self> {
        let known = (1..=9999).contains(&year) && month <= 12;
        let day_fits = if month == 0 { day == 0 } else { day <= days_in_month(year, month) };
        if known && day_fits {
            return Ok(Self { year, month, day });
        }
        Err(Error::malformed("there is no such date; write YYYY-MM-DD, with 00 for an unknown month or day"))
    }

    /// Year, 1 to 9999.
    #[must_use]
    pub const fn year(self) -> u16 {
        self.year
    }

    /// Month, 1 to 12, or 0 if unknown.
    #[must_use]
    pub const fn month(self) -> u8 {
        self.month
    }

    /// Day, 1 to 31, or 0 if unknown.
    #[must_use]
    pub const fn day(self) -> u8 {
        self.day
    }

    /// The stored form: `u16(year) ‖ month ‖ day`.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.year.to_be_bytes();
        [high, low, self.month, self.day]
    }

    /// Overwrites the date where it lies; the result is no date and must not be used.
    pub(crate) fn wipe_in_place(&mut self) {
        self.year.zeroize();
        self.month.zeroize();
        self.day.zeroize();
    }

    /// Days since 1970-01-01; `None` before it or if a part is unknown.
    pub(crate) fn days_since_epoch(self) -> Option<u64> {
        if self.month == 0 || self.day == 0 {
            return None;
        }
        let months = (1..self.month).map(|m| u64::from(days_in_month(self.year, m)));
        let days = days_before_year(self.year) + months.sum::<u64>() + u64::from(self.day) - 1;
        days.checked_sub(days_before_year(1970))
    }

    /// The date that many days after 1970-01-01; the last day of 9999 if there are more.
    pub(crate) fn from_days_since_epoch(days: u64) -> Self {
        let days = days.saturating_add(days_before_year(1970));
        let (mut low, mut high) = (1970_u16, 9999);
        while low < high {
            let middle = (low + high).div_ceil(2);
            if days_before_year(middle) <= days { low = middle } else { high = middle - 1 }
        }
        let mut rest = days - days_before_year(low);
        for month in 1..=12 {
            let length = days_in_month(low, month);
            if rest < u64::from(length) {
                let day = u8::try_from(rest + 1).unwrap_or(length);
                return Self { year: low, month, day };
            }
            rest -= u64::from(length);
        }
        Self { year: low, month: 12, day: 31 }
    }
}

/// Days of all years from 1 to before `year`.
fn days_before_year(year: u16) -> u64 {
    let past = u64::from(year) - 1;
    past * 365 + past / 4 - past / 100 + past / 400
}

/// Days of a month; 0 for a month that does not exist.
fn days_in_month(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u8::from(leap),
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Date(..)")
    }
}

impl FromStr for Date {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::malformed("a date is written YYYY-MM-DD, with 00 for an unknown month or day");
        let number = |part: &str, digits: usize| {
            let plain = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| part.parse::<u16>().ok()).flatten().ok_or_else(wrong)
        };
        let mut parts = text.split('-');
        let mut next = |digits| number(parts.next().unwrap_or_default(), digits);
        let (year, month, day) = (next(4)?, next(2)?, next(2)?);
        if parts.next().is_some() {
            return Err(wrong());
        }
        let small = |n: u16| u8::try_from(n).map_err(|_| wrong());
        Self::new(year, small(month)?, small(day)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_calendar_converts_both_ways() {
        for days in (0..2_932_896).step_by(13) {
            assert_eq!(Date::from_days_since_epoch(days).days_since_epoch(), Some(days));
        }
        assert_eq!(Date::from_days_since_epoch(11_016).to_string(), "2000-02-29");
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        for text in
            ["2023-02-29", "1900-02-29", "2000-13-01", "0000-01-01", "2000-00-01", "2000-1-01", "2000-01-01-"]
        {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
        assert!("2000-02-29".parse::<Date>().is_ok() && "1957-00-00".parse::<Date>().is_ok());
    }
}
