// SPDX-License-Identifier: MIT OR Apache-2.0
//! Telephone numbers as `+` and the digits of ITU-T E.164.
//!
//! Owns SPEC 8.3.5. Never asks a numbering plan: plans change, and the form that an index was made from must not.

use zeroize::Zeroizing;

use super::{Fault, separates};
use crate::script;

/// Digits of a whole number, its country code included (E.164, 6.1, says the most).
pub(super) const DIGITS: core::ops::RangeInclusive<usize> = 7..=15;
/// `00`, 15 digits, and a trunk prefix that is dropped.
const MAX_WRITTEN_DIGITS: usize = 18;
/// Digits of a Pakistani number without country code and trunk prefix.
const PAKISTANI_MOBILE: usize = 10;

/// Appends the normal form of any accepted way to write a number.
pub(super) fn append(text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut written = Written::default();
    text.chars().try_for_each(|c| written.take(c)).and_then(|()| written.normal(out)).ok_or(Fault::Shape)
}

/// Whether a text is a mask of a number: `+`, at least four stars, the last four digits.
pub(super) fn is_mask(text: &str) -> bool {
    let Some((stars, shown)) =
        text.strip_prefix('+').and_then(|rest| rest.split_at_checked(rest.len().saturating_sub(4)))
    else {
        return false;
    };
    let hides = *DIGITS.end() - 4;
    (4..=hides).contains(&stars.len())
        && stars.bytes().all(|b| b == b'*')
        && shown.len() == 4
        && shown.bytes().all(|b| b.is_ascii_digit())
}

/// Masks a normal form; `None` if fewer than four digits would be hidden.
pub(super) fn mask(normal: &str) -> Option<String> {
    let (hidden, shown) = normal.strip_prefix('+')?.split_at_checked(normal.len().checked_sub(5)?)?;
    (hidden.len() >= 4).then(|| format!("+{}{shown}", "*".repeat(hidden.len())))
}

/// What was read so far.
#[derive(Default)]
struct Written {
    digits: Zeroizing<[u8; MAX_WRITTEN_DIGITS]>,
    count: usize,
    plus: bool,
    /// How many digits stood before the last `(`.
    opened: Option<usize>,
}

impl Written {
    fn digits(&self) -> &[u8] {
        self.digits.get(..self.count).unwrap_or_default()
    }

    fn take(&mut self, c: char) -> Option<()> {
        if let Some(value) = script::digit(c) {
            *self.digits.get_mut(self.count)? = b'0' + value;
            self.count += 1;
            return Some(());
        }
        match c {
            '+' | '\u{ff0b}' if !self.plus && self.count == 0 => self.plus = true,
            '(' => self.opened = Some(self.count),
            ')' => self.close(),
            _ if separates(c) => {}
            _ => return None,
        }
        Some(())
    }

    /// Drops a trunk prefix `(0)` behind the country code of an international form: it is dialled inside the country only.
    fn close(&mut self) {
        let Some(before) = self.opened.take() else { return };
        let prefix = match (self.plus, self.digits()) {
            (true, _) => 0,
            (false, [b'0', b'0', ..]) => 2,
            _ => return,
        };
        if before > prefix && self.digits().get(before..) == Some(b"0") {
            self.count = before;
        }
    }

    fn normal(&self, out: &mut Vec<u8>) -> Option<()> {
        let (country, number): (&[u8], &[u8]) = match (self.plus, self.digits()) {
            (true, all) | (false, [b'0', b'0', all @ ..]) => match all {
                [b'9', b'2', b'0', rest @ ..] | [b'9', b'2', rest @ ..] => (b"92", rest),
                _ => (b"", all),
            },
            (false, [b'0', rest @ ..]) if matches!(rest.len(), 9 | 10) => (b"92", rest),
            (false, all @ [b'3', ..]) if all.len() == PAKISTANI_MOBILE => (b"92", all),
            (false, [b'9', b'2', rest @ ..]) if rest.len() == PAKISTANI_MOBILE && rest.starts_with(b"3") => {
                (b"92", rest)
            }
            _ => return None,
        };
        let begins = match (country, number) {
            (_, [] | [b'0', ..]) => false,
            (b"92", [b'3', ..]) => number.len() == PAKISTANI_MOBILE,
            _ => true,
        };
        let fits = begins && DIGITS.contains(&(country.len() + number.len()));
        fits.then(|| [b"+", country, number].into_iter().for_each(|part| out.extend_from_slice(part)))
    }
}
