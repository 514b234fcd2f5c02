// SPDX-License-Identifier: MIT OR Apache-2.0
//! Check digits.
//!
//! Owns SPEC 8.3.2. Never corrects a digit: a mistyped number and a neighbour's number look alike. Variable-time.

/// How the check digit of an identifier follows from its other characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scheme {
    None,
    Austria,
    Estonia,
    Icao9303,
    Luhn,
    Verhoeff,
}

impl Scheme {
    /// Where the check digit stands in an identifier of that length.
    pub(super) const fn position(self, length: usize) -> Option<usize> {
        match self {
            Self::None => None,
            Self::Austria => Some(3),
            _ => length.checked_sub(1),
        }
    }

    /// The check digit that belongs into a whole identifier, whatever stands in its place; `None` if there is none.
    pub(super) fn digit(self, whole: &[u8]) -> Option<u8> {
        let (_, before) = whole.split_last()?;
        let digit = match self {
            Self::None => return None,
            Self::Austria => austria(whole),
            Self::Estonia => estonia(before),
            Self::Icao9303 => icao9303(before.iter().copied()),
            Self::Luhn => luhn(before),
            Self::Verhoeff => verhoeff(before),
        }?;
        Some(b'0' + digit)
    }
}

fn value(digit: u8) -> Option<u8> {
    digit.is_ascii_digit().then(|| digit - b'0')
}

/// The sum of digits times weights; both end together.
fn weighted(digits: &[u8], weights: &[u16]) -> Option<u16> {
    let products = digits.iter().zip(weights).map(|(digit, weight)| Some(u16::from(value(*digit)?) * weight));
    products.sum()
}

fn below_ten(remainder: u16) -> Option<u8> {
    u8::try_from(remainder).ok().filter(|digit| *digit < 10)
}

/// Weights of ten digits, 0 for the check digit itself, modulo 11. A number whose remainder is 10 is never issued.
fn austria(whole: &[u8]) -> Option<u8> {
    below_ten(weighted(whole, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6])? % 11)
}

/// Modulo 11; a remainder of 10 is computed again with the second weights, and then stands for 0.
fn estonia(before: &[u8]) -> Option<u8> {
    const WEIGHTS: [[u16; 10]; 2] = [[1, 2, 3, 4, 5, 6, 7, 8, 9, 1], [3, 4, 5, 6, 7, 8, 9, 1, 2, 3]];
    for weights in &WEIGHTS {
        let remainder = weighted(before, weights)? % 11;
        if remainder < 10 {
            return below_ten(remainder);
        }
    }
    Some(0)
}

/// ICAO Doc 9303-3, 4.9: weights 7, 3, 1 over digits, letters from 10 to 35, and the filler `<` as 0.
pub(super) fn icao9303(characters: impl Iterator<Item = u8>) -> Option<u8> {
    let mut sum = 0_u32;
    for (character, weight) in characters.zip([7, 3, 1].into_iter().cycle()) {
        let value = match character {
            b'0'..=b'9' => character - b'0',
            b'A'..=b'Z' => character - b'A' + 10,
            b'<' => 0,
            _ => return None,
        };
        // Far from overflow: no identifier has more than 90 characters.
        sum += u32::from(value) * weight;
    }
    u8::try_from(sum % 10).ok()
}

/// ISO/IEC 7812-1, Annex B: every second digit from the right, the last included, is doubled.
fn luhn(before: &[u8]) -> Option<u8> {
    let mut sum = 0;
    for (place, digit) in before.iter().rev().enumerate() {
        let value = value(*digit)?;
        let doubled = if place.is_multiple_of(2) { value * 2 } else { value };
        sum = (sum + doubled / 10 + doubled % 10) % 10;
    }
    Some((10 - sum) % 10)
}

/// Products in the dihedral group of order ten: 0 to 4 rotations, 5 to 9 reflections.
const PRODUCTS: [[u8; 10]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
];

/// What each digit is taken for at a place from the right: powers of the permutation (1 5 8 9 4 2 7 0)(3 6).
const PERMUTED: [[u8; 10]; 8] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
    [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
    [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
    [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
    [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
    [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
    [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
];

/// J. Verhoeff, Error Detecting Decimal Codes, Mathematical Centre Tracts 29, Amsterdam 1969.
fn verhoeff(before: &[u8]) -> Option<u8> {
    let mut product = 0_u8;
    for (digit, places) in before.iter().rev().zip(PERMUTED.iter().cycle().skip(1)) {
        let permuted = *places.get(usize::from(value(*digit)?))?;
        product = *PRODUCTS.get(usize::from(product))?.get(usize::from(permuted))?;
    }
    // The inverse: a reflection undoes itself.
    Some(if product < 5 { (5 - product) % 5 } else { product })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_what_verhoeff_defines() {
        let turned = |value: usize, by: usize| (value + by) % 5;
        for (left, row) in PRODUCTS.iter().enumerate() {
            for (right, product) in row.iter().enumerate() {
                let expected = match (left < 5, right < 5) {
                    (true, true) => turned(left, right),
                    (true, false) => 5 + turned(left, right - 5),
                    (false, true) => 5 + turned(left - 5, 5 - right),
                    (false, false) => turned(left, 5 - (right - 5)),
                };
                assert_eq!(usize::from(*product), expected, "{left} and {right}");
            }
        }
        let once = |value: u8| match value {
            3 => 6,
            6 => 3,
            _ => {
                let circle = [1, 5, 8, 9, 4, 2, 7, 0, 1];
                circle.array_windows().find(|[from, _]| *from == value).map_or(0, |[_, to]| *to)
            }
        };
        let mut expected = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        for row in PERMUTED {
            assert_eq!(row, expected);
            expected = expected.map(once);
        }
    }

    #[test]
    fn published_check_digits_are_computed() {
        for (scheme, whole) in [
            (Scheme::Verhoeff, "2363"),
            (Scheme::Verhoeff, "234123412346"),
            (Scheme::Verhoeff, "2341234123412341"),
            (Scheme::Luhn, "79927398713"),
            (Scheme::Icao9303, "L898902C36"),
            (Scheme::Icao9303, "7408122"),
            (Scheme::Icao9303, "1204159"),
            (Scheme::Icao9303, "ZE184226B<<<<<1"),
            (Scheme::Icao9303, "AB12345671"),
            (Scheme::Estonia, "36805280109"),
            (Scheme::Austria, "1237010180"),
        ] {
            let at = scheme.position(whole.len()).and_then(|at| whole.as_bytes().get(at).copied());
            assert_eq!(scheme.digit(whole.as_bytes()), at, "{scheme:?}, {whole}");
        }
        // 1×3 + 1×7 + 9×9 + 1×8 + 1×2 + 8×1 = 109 = 9 × 11 + 10.
        assert_eq!(Scheme::Austria.digit(b"1190010180"), None);
        assert_eq!(Scheme::None.digit(b"12"), None);
        for scheme in [Scheme::Luhn, Scheme::Verhoeff, Scheme::Estonia, Scheme::Austria] {
            assert!(scheme.digit(b"").is_none() && scheme.digit(b"1x34567890").is_none());
        }
    }
}
