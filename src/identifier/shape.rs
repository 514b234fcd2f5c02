// SPDX-License-Identifier: MIT OR Apache-2.0
//! Identifiers of fixed length: a class of characters at each position, the separators of the display form, one check digit.
//!
//! Owns SPEC 8.3.1. Never guesses at what is missing. Variable-time.

use core::ops::Range;
use std::borrow::Cow;

use super::check::Scheme;

/// Most positions of an identifier of fixed length.
pub(super) const MAX_POSITIONS: usize = 64;

/// The characters that a position takes: one bit for each of `0` to `9`, `A` to `Z`, `a` to `z`, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Class(u64);

impl Class {
    pub(super) const DIGIT: Self = Self::range(b'0', b'9');
    pub(super) const UPPER: Self = Self::range(b'A', b'Z');
    pub(super) const NONE: Self = Self(0);

    /// From one character to another of the same kind; empty if they are not.
    pub(super) const fn range(first: u8, last: u8) -> Self {
        match (order(first), order(last)) {
            (Some(low), Some(high)) if low <= high && kind(first) == kind(last) => {
                Self((1 << high) | ((1 << high) - (1 << low)))
            }
            _ => Self::NONE,
        }
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    pub(super) const fn radix(self) -> u32 {
        self.0.count_ones()
    }

    /// The character as this position holds it: a letter may be put in the other case.
    fn take(self, byte: u8) -> Option<u8> {
        if self.has(byte) {
            return Some(byte);
        }
        let other = if byte.is_ascii_uppercase() { byte | 0x20 } else { byte.to_ascii_uppercase() };
        self.has(other).then_some(other)
    }

    fn has(self, byte: u8) -> bool {
        order(byte).is_some_and(|bit| self.0 >> bit & 1 == 1)
    }

    /// How many characters of this class come before this one.
    fn rank(self, byte: u8) -> Option<u64> {
        let bit = order(byte).filter(|bit| self.0 >> bit & 1 == 1)?;
        Some(u64::from((self.0 & ((1 << bit) - 1)).count_ones()))
    }

    /// The character with so many before it.
    fn unrank(self, rank: u64) -> Option<u8> {
        let mut left = self.0;
        for _ in 0..rank {
            left &= left.checked_sub(1)?;
        }
        let bit = u8::try_from(left.trailing_zeros()).ok()?;
        match bit {
            0..=9 => Some(b'0' + bit),
            10..=35 => Some(b'A' + (bit - 10)),
            36..=61 => Some(b'a' + (bit - 36)),
            _ => None,
        }
    }
}

const fn order(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'Z' => Some(byte - b'A' + 10),
        b'a'..=b'z' => Some(byte - b'a' + 36),
        _ => None,
    }
}

/// 0 for digits, 2 for upper-case letters, 3 for lower-case ones.
const fn kind(byte: u8) -> u8 {
    if byte.is_ascii_digit() { 0 } else { byte >> 5 }
}

/// A piece of the display form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// So many positions of a class.
    Run(Class, u8),
    /// An ASCII character that no normal form holds.
    Separator(u8),
}

/// An identifier of fixed length.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub(super) parts: Cow<'static, [Part]>,
    pub(super) check: Scheme,
    /// The positions that a mask shows.
    pub(super) shown: Range<usize>,
}

impl Shape {
    pub(super) const fn new(parts: &'static [Part], check: Scheme, shown: Range<usize>) -> Self {
        Self { parts: Cow::Borrowed(parts), check, shown }
    }

    /// Number of positions, which is the length of the normal form.
    pub(super) fn positions(&self) -> usize {
        self.runs().map(|(_, count)| count).sum()
    }

    /// Length of the display form.
    pub(super) fn display_bytes(&self) -> usize {
        let separators = self.parts.iter().filter(|part| matches!(part, Part::Separator(_))).count();
        self.positions() + separators
    }

    /// Number of positions that hold one character of several.
    pub(super) fn varying(&self) -> usize {
        self.runs().filter(|(class, _)| class.radix() > 1).map(|(_, count)| count).sum()
    }

    pub(super) fn has_separator(&self, character: char) -> bool {
        let is = |part: &Part| matches!(part, Part::Separator(byte) if char::from(*byte) == character);
        self.parts.iter().any(is)
    }

    fn runs(&self) -> impl DoubleEndedIterator<Item = (Class, usize)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Run(class, count) => Some((*class, usize::from(*count))),
            Part::Separator(_) => None,
        })
    }

    /// Puts letters in the case of their class; false if a character is missing, left over or of no class here.
    pub(super) fn fit(&self, read: &mut [u8]) -> bool {
        let mut left = read;
        for (class, count) in self.runs() {
            let Some((run, rest)) = left.split_at_mut_checked(count) else { return false };
            for byte in run {
                let Some(taken) = class.take(*byte) else { return false };
                *byte = taken;
            }
            left = rest;
        }
        left.is_empty()
    }

    pub(super) fn check_fits(&self, normal: &[u8]) -> bool {
        let Some(at) = self.check.position(normal.len()) else { return true };
        self.check.digit(normal).is_some_and(|digit| normal.get(at) == Some(&digit))
    }

    /// Writes the display form with a star for each position that is not shown.
    pub(super) fn write(&self, normal: &[u8], shown: &Range<usize>, out: &mut String) {
        let mut position = 0;
        for part in &*self.parts {
            match part {
                Part::Separator(byte) => out.push(char::from(*byte)),
                Part::Run(_, count) => {
                    for at in position..position + usize::from(*count) {
                        let byte = normal.get(at).filter(|_| shown.contains(&at));
                        out.push(char::from(*byte.unwrap_or(&b'*')));
                    }
                    position += usize::from(*count);
                }
            }
        }
    }

    /// Whether a text is what [`write`](Self::write) makes of some identifier and the shown positions.
    pub(super) fn is_mask(&self, text: &str) -> bool {
        let (mut bytes, mut position) = (text.bytes(), 0);
        for part in &*self.parts {
            match part {
                Part::Separator(separator) => {
                    if bytes.next() != Some(*separator) {
                        return false;
                    }
                }
                Part::Run(class, count) => {
                    for at in position..position + usize::from(*count) {
                        let fits =
                            |byte| if self.shown.contains(&at) { class.has(byte) } else { byte == b'*' };
                        if !bytes.next().is_some_and(fits) {
                            return false;
                        }
                    }
                    position += usize::from(*count);
                }
            }
        }
        bytes.next().is_none()
    }

    /// Radix of each run of positions, the check digit's left out.
    fn free(&self) -> impl Iterator<Item = (u32, u32)> {
        let mut left = self.check.position(self.positions());
        self.runs().map(move |(class, count)| {
            let inside = left.is_some_and(|at| at < count);
            left = if inside { None } else { left.map(|at| at - count) };
            (class.radix(), u32::try_from(count - usize::from(inside)).unwrap_or(0))
        })
    }

    /// Number of values of the positions without the check digit, if it fits 64 bits.
    pub(super) fn size(&self) -> Option<u64> {
        let mut runs = self.free();
        runs.try_fold(1_u64, |size, (radix, count)| size.checked_mul(u64::from(radix).checked_pow(count)?))
    }

    /// The same in bits.
    pub(super) fn bits(&self) -> f64 {
        self.free().map(|(radix, count)| f64::from(radix).log2() * f64::from(count)).sum()
    }

    /// The place of a normal form among all of its shape: the positions in mixed radix, the first most significant.
    pub(super) fn rank(&self, normal: &[u8]) -> Option<u64> {
        let check = self.check.position(normal.len());
        let mut rank = 0_u64;
        let mut position = 0;
        for (class, count) in self.runs() {
            for at in position..position + count {
                let digit = class.rank(*normal.get(at)?)?;
                if check != Some(at) {
                    rank = rank.checked_mul(u64::from(class.radix()))?.checked_add(digit)?;
                }
            }
            position += count;
        }
        (position == normal.len() && self.check_fits(normal)).then_some(rank)
    }

    /// Appends the text at a place, with its check digit; `None`, and any rest in `out`, if it has none or the place does not exist.
    pub(super) fn unrank(&self, rank: u64, out: &mut Vec<u8>) -> Option<()> {
        let (start, positions) = (out.len(), self.positions());
        let check = self.check.position(positions);
        out.resize(start + positions, b'0');
        let (mut left, mut end) = (rank, positions);
        for (class, count) in self.runs().rev() {
            for at in (end - count..end).rev().filter(|at| check != Some(*at)) {
                let radix = u64::from(class.radix());
                *out.get_mut(start + at)? = class.unrank(left.checked_rem(radix)?)?;
                left /= radix;
            }
            end -= count;
        }
        if let Some(at) = check {
            *out.get_mut(start + at)? = self.check.digit(out.get(start..)?)?;
        }
        (left == 0).then_some(())
    }
}
