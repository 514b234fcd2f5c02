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
    pub(crate) fn domain(&self) -> Option<Domain> {
        match self.shapes() {
            [shape] => shape.size().map(|size| Domain { size }),
            _ => None,
        }
    }

    /// The place of a normal form in its domain: its positions in mixed radix, without the check digit.
    pub(crate) fn rank(&self, normal: &[u8]) -> Option<u64> {
        self.domain()?;
        let rank = self.shapes().first()?.rank(normal)?;
        self.rule(normal).is_none().then_some(rank)
    }

    /// Appends the identifier at a place, with its check digit; false, and nothing, if there is no valid one at this place.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifier::{CheckDigit, Pattern};
    use proptest::prelude::*;

    fn ranked() -> Vec<(Identifier, u64)> {
        let pattern =
            |text, check| Pattern::new(&"card".parse().expect("a name"), text, check).expect("a pattern");
        let described = [
            (pattern("[A-C][2-46]-[xy0]", CheckDigit::None), 3 * 4 * 3),
            (pattern("[A-Z]{2}[0-9]{5}[0-9]", CheckDigit::Icao9303), 676 * 100_000),
            (pattern("[0-9]{15}[0-9]", CheckDigit::Luhn), 1_000_000_000_000_000),
            (pattern("[0-9]{19}", CheckDigit::None), 10_000_000_000_000_000_000),
        ];
        let described = described.map(|(pattern, size)| (Identifier::from(pattern), size));
        let built_in = [
            (Identifier::Aadhaar, 80_000_000_000),
            (Identifier::AadhaarVid, 800_000_000_000_000),
            (Identifier::AustriaVsnr, 72_000_000),
            (Identifier::Cnic, 10_000_000_000_000),
            (Identifier::EstoniaIsikukood, 640_000_000),
            (Identifier::FamilyNumber, 2_176_782_336),
            (Identifier::MosipUin, 800_000_000),
            (Identifier::MosipVid, 800_000_000_000_000),
            (Identifier::NicBefore2001, 100_000_000_000),
            (Identifier::NigeriaNin, 100_000_000_000),
            (Identifier::NigeriaVnin, 456_976_000_000_000_000),
            (Identifier::PakistanPassport, 6_760_000_000),
        ];
        built_in.into_iter().chain(described).collect()
    }

    #[test]
    fn every_identifier_of_one_length_has_a_domain_and_no_other() {
        for (identifier, size) in ranked() {
            assert_eq!(identifier.domain(), Some(Domain { size }), "{identifier:?}");
            let mut out = Vec::new();
            assert!(!identifier.unrank(size, &mut out) && out.is_empty(), "{identifier:?}");
        }
        let long =
            Pattern::new(&"card".parse().expect("a name"), "[0-9]{20}", CheckDigit::None).expect("a pattern");
        for identifier in [Identifier::BangladeshNid, Identifier::IcaoMrz, Identifier::Phone, long.into()] {
            assert!(identifier.domain().is_none() && !identifier.unrank(0, &mut Vec::new()));
            assert_eq!(identifier.rank(b"00000000000000000000"), None);
        }
    }

    #[test]
    fn known_places_are_found() {
        for (identifier, normal, rank) in [
            (Identifier::Cnic, "3520212345671", 3_520_212_345_671),
            (Identifier::Aadhaar, "234123412346", 3_412_341_234),
            (Identifier::AustriaVsnr, "1237010180", 23 * 80_000 + 180 + 100 * 20),
            (Identifier::PakistanPassport, "AB1234567", 11_234_567),
            (Identifier::FamilyNumber, "00000A", 10),
        ] {
            assert_eq!(identifier.rank(normal.as_bytes()), Some(rank), "{identifier:?}");
        }
        assert_eq!(Identifier::Aadhaar.rank(b"234123412345"), None);
        assert_eq!(Identifier::Aadhaar.rank(b"23412341234"), None);
        assert_eq!(Identifier::Cnic.rank(b"35202-1234567-1"), None);
        assert_eq!(Identifier::PakistanPassport.rank(b"ab1234567"), None);
        assert_eq!(Identifier::EstoniaIsikukood.rank(b"36802300109"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_place_and_its_identifier_find_each_other(seed in any::<u64>()) {
            for (identifier, size) in ranked() {
                let rank = seed % size;
                let mut out = b"before".to_vec();
                if !identifier.unrank(rank, &mut out) {
                    prop_assert_eq!(&out[..], b"before");
                    continue;
                }
                let normal = out.strip_prefix(b"before").expect("what was there is kept");
                prop_assert_eq!(identifier.rank(normal), Some(rank));
                let mut read = Vec::new();
                identifier.append_normal(core::str::from_utf8(normal).expect("ASCII"), &mut read).expect("valid");
                prop_assert_eq!(&read[..], normal);
            }
        }
    }

    #[test]
    fn a_known_share_of_places_holds_a_valid_identifier() {
        for (identifier, least, most) in [
            (Identifier::Aadhaar, 1.0, 1.0),
            (Identifier::Cnic, 1.0, 1.0),
            // Of the dates that the digits can write, those that exist.
            (Identifier::EstoniaIsikukood, 0.44, 0.47),
            // One number in eleven has no check digit.
            (Identifier::AustriaVsnr, 0.90, 0.92),
        ] {
            let size = identifier.domain().expect("a domain").size;
            let mut out = Vec::new();
            let valid = (0..20_000_u32).filter(|i| {
                out.clear();
                identifier.unrank((u64::from(*i) * (size / 20_000) + u64::from(*i) * 7919) % size, &mut out)
            });
            let share = f64::from(u32::try_from(valid.count()).expect("at most 20,000")) / 20_000.0;
            assert!((least..=most).contains(&share), "{identifier:?}: {share}");
        }
    }
}
