// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many identifiers there are, and the place of each among them.
//!
//! Owns SPEC 8.3.7. Never gives a check digit a place: it follows from the rest. Variable-time.

use zeroize::Zeroize;

use super::Identifier;

/// The values that a format-preserving token is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Domain {
    /// How many there are; some of them may be no valid identifier.
    pub(crate) size: u64,
}

impl Identifier {
    /// Size in bits of the domain that the shape allows, check digits not counted.
    #[must_use]
    pub fn domain_bits(&self) -> f64 {
        match self {
            // 7 to 15 digits, of which the first is not 0.
            Self::Phone => (1e15_f64 - 1e6).log2(),
            // TD3, without its five check digits.
            Self::IcaoMrz => 83.0 * 37_f64.log2(),
            _ => self.shapes().iter().map(|shape| shape.bits().exp2()).sum::<f64>().log2(),
        }
    }

    /// Size in bits of what a guesser must try, where more than the shape is known; at most [`domain_bits`](Self::domain_bits).
    ///
    /// An estimate from what is published, for plans of indexes; the true number of issued values may be lower still.
    #[must_use]
    pub fn plausible_bits(&self) -> f64 {
        let plausible = self.entry().and_then(|entry| entry.plausible);
        plausible.map_or(f64::INFINITY, f64::log2).min(self.domain_bits())
    }

    /// The domain of format-preserving tokens.
    ///
    /// None for Bangladesh (three lengths), phones (lengths differ by country) and machine-readable zones (names and dates), nor
    /// for a pattern of more than 2^64 values: such a value gets an opaque token.
    #[allow(dead_code, reason = "for format-preserving tokens")]
    pub(crate) fn domain(&self) -> Option<Domain> {
        match self.shapes() {
            [shape] => shape.size().map(|size| Domain { size }),
            _ => None,
        }
    }

    /// The place of a normal form in its domain: its positions in mixed radix, without the check digit.
    #[allow(dead_code, reason = "for format-preserving tokens")]
    pub(crate) fn rank(&self, normal: &[u8]) -> Option<u64> {
        self.domain()?;
        let rank = self.shapes().first()?.rank(normal)?;
        self.rule(normal).is_none().then_some(rank)
    }

    /// Appends the identifier at a place, with its check digit; false, and nothing, if there is no valid one at this place.
    #[allow(dead_code, reason = "for format-preserving tokens")]
    pub(crate) fn unrank(&self, rank: u64, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let made =
            self.domain().and_then(|_| self.shapes().first()).and_then(|shape| shape.unrank(rank, out));
        let valid = made.is_some() && self.rule(out.get(start..).unwrap_or_default()).is_none();
        if !valid {
            out.get_mut(start..).unwrap_or_default().zeroize();
            out.truncate(start);
        }
        valid
    }
}
