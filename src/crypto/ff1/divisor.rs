// SPDX-License-Identifier: MIT OR Apache-2.0
//! Division of a secret by a public number, without a division instruction.
//!
//! Owns the one proof that everything in FF1 leans on.

/// A public divisor from 2 to 2^63 with its reciprocal.
///
/// With d the divisor and M = ⌊(2^64 - 1) / d⌋, let e = 2^64 / d - M. M is ⌊2^64 / d⌋, or one less if d divides 2^64, so 0 < e <= 1.
/// For any x < 2^64 the estimate q = ⌊x · M / 2^64⌋ is at most Q = ⌊x / d⌋, because M < 2^64 / d.
/// It is more than x · M / 2^64 - 1 = x / d - x · e / 2^64 - 1 > x / d - 2 >= Q - 2, so it is Q or Q - 1.
/// The estimated remainder x - q · d is therefore x mod d, or that plus d: one conditional subtraction makes both exact.
#[derive(Clone, Copy)]
pub(super) struct Divisor {
    value: u64,
    reciprocal: u64,
}

impl Divisor {
    pub(super) const fn new(value: u64) -> Self {
        Self { value, reciprocal: u64::MAX / value }
    }

    pub(super) fn value(self) -> u64 {
        self.value
    }

    /// `x mod d`, or that plus d.
    #[inline(always)]
    pub(super) fn estimate(self, x: u64) -> u64 {
        self.estimate_both(x).1
    }

    /// Quotient and remainder of any `x`.
    #[inline(always)]
    pub(super) fn divide(self, x: u64) -> (u64, u64) {
        let (quotient, remainder) = self.estimate_both(x);
        let (remainder, once) = self.subtract_once(remainder);
        (quotient.wrapping_add(once), remainder)
    }

    /// `left + right mod d`, or `left - right mod d`; `left` is below d, `right` below 2d.
    #[inline(always)]
    pub(super) fn combine<const SUBTRACT: bool>(self, left: u64, right: u64) -> u64 {
        let (right, _) = self.subtract_once(right);
        let right = if SUBTRACT { self.value - right } else { right };
        self.subtract_once(left + right).0
    }

    #[inline(always)]
    fn estimate_both(self, x: u64) -> (u64, u64) {
        let (_, quotient) = x.carrying_mul(self.reciprocal, 0);
        (quotient, x.wrapping_sub(quotient.wrapping_mul(self.value)))
    }

    /// `x mod d` of an `x` below 2d, and how often d was subtracted: 0 or 1.
    ///
    /// x - d is from -2^63 to 2^63 - 1, so its sign says whether x was below d. Of a comparison the compiler may make a branch, and for
    /// processors with plain AES instructions it did; of a shifted sign it does not.
    #[inline(always)]
    fn subtract_once(self, x: u64) -> (u64, u64) {
        let less = x.wrapping_sub(self.value);
        let was_below = (less.cast_signed() >> 63).cast_unsigned();
        (less.wrapping_add(self.value & was_below), was_below.wrapping_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::Divisor;

    /// Numbers around a multiple of `d`, at both ends of the range and in the middle.
    fn near_multiples(d: u64) -> impl Iterator<Item = u64> {
        let last = u64::MAX / d;
        let multiples = [0, 1, last / 3, last / 2, last - 1, last].map(|n| n * d);
        let around =
            |multiple: u64| [-1, 0, 1].into_iter().filter_map(move |by| multiple.checked_add_signed(by));
        multiples.into_iter().flat_map(around).chain([u64::MAX - 1, u64::MAX, 1 << 63, (1 << 63) - 1])
    }

    #[test]
    fn quotient_and_remainder_are_exact() {
        let powers = (2..=65536_u64).flat_map(|radix| {
            let power = move |exponent| radix.checked_pow(exponent);
            (1..64).map_while(power).take_while(|power| *power <= 1 << 63)
        });
        let mut checked = 0_u64;
        for d in powers.chain((1 << 63) - 1000..=1 << 63) {
            let divisor = Divisor::new(d);
            for x in near_multiples(d) {
                assert_eq!(divisor.divide(x), (x / d, x % d), "{x} / {d}");
                assert!(divisor.estimate(x) % d == x % d && divisor.estimate(x) / d < 2, "{x} / {d}");
                checked += 1;
            }
        }
        assert!(checked > 5_000_000, "{checked}");
    }

    #[test]
    fn small_moduli_add_and_subtract_every_pair() {
        for d in 2..100 {
            let divisor = Divisor::new(d);
            for (left, right) in (0..d).flat_map(|left| (0..2 * d).map(move |right| (left, right))) {
                assert_eq!(divisor.combine::<false>(left, right), (left + right) % d);
                assert_eq!(divisor.combine::<true>(left, right), (left + 2 * d - right) % d);
            }
        }
    }
}
