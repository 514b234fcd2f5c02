// SPDX-License-Identifier: MIT OR Apache-2.0
//! FF1 against NIST's samples, Wycheproof's vectors and another implementation, and its two forms against each other.

use std::collections::BTreeSet;

use aes::cipher::KeyInit;
use aes::{Aes128Enc, Aes192Enc, Aes256Enc};
use fpe::ff1::{FF1, FlexibleNumeralString};
use wycheproof::{TestResult, fpe_list, fpe_str};

use super::unhex;
use crate::crypto::ff1::{Ff1, Ff1Small};
use crate::error::Kind;
use crate::secret::Secret;

fn key() -> Ff1 {
    Ff1::new(&Secret::copy_from(&[7; 32]).expect("32 bytes"))
}

/// The integer that numerals write, and back.
fn to_integer(radix: u32, numerals: &[u16]) -> Option<u64> {
    let digit = |number: u64, numeral: &u16| number.checked_mul(radix.into())?.checked_add((*numeral).into());
    numerals.iter().try_fold(0, digit)
}

fn to_numerals(radix: u32, length: usize, mut value: u64) -> Vec<u16> {
    let mut numerals = vec![0; length];
    for numeral in numerals.iter_mut().rev() {
        *numeral = u16::try_from(value % u64::from(radix)).expect("a numeral");
        value /= u64::from(radix);
    }
    numerals
}

/// Encrypts with a key of any length in each form that takes the format, and back; `None` if refused.
fn encrypt(key: &[u8], radix: u32, tweak: &[u8], plain: &[u16]) -> Option<Vec<u16>> {
    macro_rules! run {
        ($cipher:ty) => {{
            let key = Ff1::with_cipher(<$cipher>::new_from_slice(key).expect("a key"));
            let mut numerals = plain.to_vec();
            if key.encrypt(radix, tweak, &mut numerals).is_err() {
                assert_eq!(numerals, plain, "changed by a refusal");
                assert!(key.decrypt(radix, tweak, &mut numerals).is_err());
                return None;
            }
            let encrypted = numerals.clone();
            key.decrypt(radix, tweak, &mut numerals).expect("decrypted");
            assert_eq!(numerals, plain);
            if let Ok(small) = Ff1Small::new(&key, radix, plain.len(), tweak) {
                let (open, sealed) = (to_integer(radix, plain), to_integer(radix, &encrypted));
                let (open, sealed) = (open.expect("fits"), sealed.expect("fits"));
                assert_eq!(small.encrypt(open).expect("a value"), sealed);
                assert_eq!(small.decrypt(sealed).expect("a value"), open);
            }
            Some(encrypted)
        }};
    }
    match key.len() {
        16 => run!(Aes128Enc),
        24 => run!(Aes192Enc),
        _ => run!(Aes256Enc),
    }
}

#[test]
fn nine_samples_of_nist() {
    let text = include_str!("../../tests/vectors/foreign/ff1_nist.txt");
    let mut samples = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let [key, tweak, radix, plain, expected] = line.split(' ').collect::<Vec<_>>()[..] else { panic!() };
        let numerals = |text: &str| -> Vec<u16> {
            text.chars()
                .map(|c| u16::try_from(c.to_digit(36).expect("a numeral")).expect("below 36"))
                .collect()
        };
        let (key, tweak) = (unhex(key), unhex(tweak.trim_start_matches('-')));
        let encrypted = encrypt(&key, radix.parse().expect("a radix"), &tweak, &numerals(plain));
        assert_eq!(encrypted, Some(numerals(expected)), "{line}");
        samples += 1;
    }
    assert_eq!(samples, 9);
}

/// How Wycheproof's vectors ended.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    valid: usize,
    /// Valid by the rule of 2016, which asked for a hundred values; refused here.
    too_few_values: usize,
    refused: usize,
    /// Numerals that no `u16` holds, letters of no alphabet, keys that are not of AES: nothing to call.
    no_input: usize,
}

impl Counts {
    fn check(
        &mut self,
        result: TestResult,
        key: &[u8],
        radix: usize,
        tweak: &[u8],
        texts: [Option<Vec<u16>>; 2],
    ) {
        let radix_32 = u32::try_from(radix).expect("a radix");
        let [Some(plain), expected] = texts else {
            assert_eq!(result, TestResult::Invalid);
            self.no_input += 1;
            return;
        };
        if ![16, 24, 32].contains(&key.len()) {
            assert_eq!(result, TestResult::Invalid);
            self.no_input += 1;
            return;
        }
        let encrypted = encrypt(key, radix_32, tweak, &plain);
        let values = (radix as f64).powi(i32::try_from(plain.len()).expect("short"));
        match (result, values < 1e6) {
            (TestResult::Valid, true) => {
                assert_eq!(encrypted, None);
                self.too_few_values += 1;
            }
            (TestResult::Valid, false) => {
                assert!(encrypted.is_some());
                assert_eq!(encrypted, expected);
                self.valid += 1;
            }
            _ => {
                assert_eq!(encrypted, None);
                self.refused += 1;
            }
        }
    }
}

#[test]
fn wycheproofs_lists_of_numerals_agree() {
    use fpe_list::{TestName, TestSet};
    let (mut counts, mut files) = (Counts::default(), 0);
    for name in TestName::all() {
        let set = TestSet::load(name).expect("a set of vectors");
        files += 1;
        for group in &set.test_groups {
            for test in &group.tests {
                let plain = test.pt.iter().map(|numeral| u16::try_from(*numeral).ok()).collect();
                let expected = test.ct.iter().map(|numeral| u16::try_from(*numeral).ok()).collect();
                counts.check(test.result, &test.key, group.radix, &test.tweak, [plain, expected]);
            }
        }
    }
    assert_eq!(files, 13);
    assert_eq!(counts, Counts { valid: 27_098, too_few_values: 72, refused: 2145, no_input: 2252 });
}

#[test]
fn wycheproofs_texts_agree() {
    use fpe_str::{TestName, TestSet};
    let (mut counts, mut files) = (Counts::default(), 0);
    for name in TestName::all() {
        let set = TestSet::load(name).expect("a set of vectors");
        files += 1;
        for group in &set.test_groups {
            let numerals = |text: &str| {
                let place = |c| group.alphabet.chars().position(|other| other == c);
                text.chars().map(|c| u16::try_from(place(c)?).ok()).collect()
            };
            for test in &group.tests {
                let texts = [numerals(&test.pt), numerals(&test.ct)];
                counts.check(test.result, &test.key, group.radix, &test.tweak, texts);
            }
        }
    }
    assert_eq!(files, 9);
    assert_eq!(counts, Counts { valid: 22_004, too_few_values: 66, refused: 54, no_input: 3555 });
}

/// SplitMix64: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).expect("64 bits")).expect("64 bits")
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}

/// Fewest numerals of a radix that make a million values.
fn shortest(radix: u32) -> usize {
    (2..).find(|length| u64::from(radix).pow(*length) >= 1_000_000).expect("found") as usize
}

#[test]
fn another_implementation_agrees() {
    let mut random = Numbers(1);
    let mut checked = 0;
    for radix in [2, 3, 7, 8, 10, 16, 26, 36, 62, 85, 255, 256, 257, 999, 1000, 4096, 65535, 65536] {
        for round in 0..40 {
            let spread = if round == 0 { 260 - shortest(radix) } else { 30 };
            let length = shortest(radix) + random.below(spread + 1);
            let plain: Vec<u16> = (0..length)
                .map(|_| u16::try_from(random.below(radix as usize)).expect("a numeral"))
                .collect();
            let tweak_bytes = if round == 1 { 256 } else { random.below(50) };
            let (key, tweak) = (random.bytes(32), random.bytes(tweak_bytes));
            let other = FF1::<aes::Aes256>::new(&key, radix).expect("a radix");
            let expected =
                other.encrypt(&tweak, &FlexibleNumeralString::from(plain.clone())).expect("encrypted");
            let encrypted = encrypt(&key, radix, &tweak, &plain).expect("encrypted");
            assert_eq!(encrypted, Vec::from(expected), "radix {radix}, {length} numerals");
            let encrypted = FlexibleNumeralString::from(encrypted);
            let decrypted = other.decrypt(&tweak, &encrypted).expect("decrypted");
            assert_eq!(Vec::<u16>::from(decrypted), plain, "radix {radix}, {length} numerals");
            checked += 1;
        }
    }
    assert_eq!(checked, 18 * 40);
}

/// Compares both forms on the ends of the range and on random values, in both directions.
fn forms_agree(random: &mut Numbers, radix: u32, length: usize, tweak: &[u8], count: usize) {
    let key = key();
    let small = Ff1Small::new(&key, radix, length, tweak).expect("a format");
    let end = u64::from(radix).pow(u32::try_from(length).expect("short"));
    let mut values: Vec<u64> =
        (0..count).map(|_| random.next() % end).chain([0, 1, end - 2, end - 1]).collect();
    let plain = values.clone();
    small.encrypt_batch(&mut values).expect("values");
    for (value, encrypted) in plain.iter().zip(&values) {
        let mut numerals = to_numerals(radix, length, *value);
        key.encrypt(radix, tweak, &mut numerals).expect("numerals");
        assert_eq!(to_integer(radix, &numerals), Some(*encrypted), "radix {radix}, {length} numerals");
    }
    // The ends of the range as ciphertexts too.
    values.extend([0, 1, end - 2, end - 1]);
    let sealed = values.clone();
    small.decrypt_batch(&mut values).expect("values");
    assert_eq!(values[..plain.len()], plain);
    for (value, decrypted) in sealed.iter().zip(&values) {
        let mut numerals = to_numerals(radix, length, *value);
        key.decrypt(radix, tweak, &mut numerals).expect("numerals");
        assert_eq!(to_integer(radix, &numerals), Some(*decrypted), "radix {radix}, {length} numerals");
    }
}

#[test]
fn integers_and_numerals_agree_at_every_decimal_and_alphanumeric_length() {
    let mut random = Numbers(2);
    for length in 6..=19 {
        forms_agree(&mut random, 10, length, b"8 bytes.", 100);
    }
    for length in 4..=12 {
        forms_agree(&mut random, 36, length, b"8 bytes.", 100);
    }
}

#[test]
fn integers_and_numerals_agree_at_every_tweak_length() {
    let mut random = Numbers(3);
    for bytes in (0..=50).chain([255, 256]) {
        // Numbers of 3, 4 and 5 bytes.
        for length in [13, 16, 19] {
            let tweak = random.bytes(bytes);
            forms_agree(&mut random, 10, length, &tweak, 3);
        }
    }
}

#[test]
fn integers_and_numerals_agree_in_the_widest_formats_below_2_to_the_64() {
    let mut random = Numbers(4);
    for length in 2..64 {
        let fits = |radix: &u32| u64::from(*radix).checked_pow(length).is_some();
        let (mut low, mut high) = (2, 65537);
        while high - low > 1 {
            let middle = (low + high) / 2;
            if fits(&middle) { low = middle } else { high = middle }
        }
        let widest = low.min(65536);
        let longer_half = u64::from(widest).pow(length.div_ceil(2));
        assert!(longer_half < 1 << 39, "the bound that the integers lean on");
        let length = length as usize;
        if length >= shortest(widest) {
            forms_agree(&mut random, widest, length, b"", 20);
        }
        if widest < 65536 {
            let beyond = Ff1Small::new(&key(), widest + 1, length, b"");
            assert_eq!(beyond.err().expect("refused").kind(), Kind::Limit);
        }
    }
}

#[test]
fn a_batch_of_any_size_gives_what_single_values_give() {
    let small = Ff1Small::new(&key(), 10, 13, b"tweak").expect("a format");
    let mut random = Numbers(5);
    let plain: Vec<u64> = (0..200).map(|_| random.next() % 10_u64.pow(13)).collect();
    let single: Vec<u64> = plain.iter().map(|value| small.encrypt(*value).expect("a value")).collect();
    for count in 0..=plain.len() {
        let mut values = plain[..count].to_vec();
        small.encrypt_batch(&mut values).expect("values");
        assert_eq!(values, single[..count]);
        small.decrypt_batch(&mut values).expect("values");
        assert_eq!(values, plain[..count]);
    }
}

#[test]
fn a_million_values_are_permuted() {
    let small = Ff1Small::new(&key(), 10, 6, b"").expect("the smallest format");
    let mut values: Vec<u64> = (0..1_000_000).collect();
    small.encrypt_batch(&mut values).expect("values");
    assert!(values.iter().zip(0..).filter(|(value, plain)| *value == plain).count() < 20);
    values.sort_unstable();
    assert!(values.iter().zip(0..).all(|(value, expected)| *value == expected));
}

#[test]
fn another_key_radix_length_or_tweak_encrypts_differently() {
    let other = Ff1::new(&Secret::copy_from(&[8; 32]).expect("32 bytes"));
    let formats = [
        (&key(), 10, 13, "a"),
        (&other, 10, 13, "a"),
        (&key(), 11, 13, "a"),
        (&key(), 10, 14, "a"),
        (&key(), 10, 13, "b"),
        (&key(), 10, 13, "a\0"),
        (&key(), 10, 13, ""),
    ];
    let encrypt = |(key, radix, length, tweak): (&Ff1, u32, usize, &str)| {
        Ff1Small::new(key, radix, length, tweak.as_bytes()).expect("a format").encrypt(42).expect("a value")
    };
    assert_eq!(formats.map(encrypt).into_iter().collect::<BTreeSet<_>>().len(), formats.len());
}

#[test]
fn what_does_not_fit_is_refused_and_unchanged() {
    let key = key();
    let refusal = |radix, tweak: &[u8], numerals: &[u16]| {
        let mut changed = numerals.to_vec();
        let error = key.encrypt(radix, tweak, &mut changed).expect_err("refused");
        assert_eq!(key.decrypt(radix, tweak, &mut changed).expect_err("refused").kind(), error.kind());
        assert_eq!(changed, numerals);
        error.kind()
    };
    // Fewer than a million values, and the least lengths that are accepted.
    for (radix, length) in [(2, 20), (10, 6), (16, 5), (36, 4), (999, 3), (1000, 2), (65536, 2)] {
        assert_eq!(refusal(radix, b"", &vec![0; length - 1]), Kind::Limit);
        assert_eq!(Ff1Small::new(&key, radix, length - 1, b"").err().expect("refused").kind(), Kind::Limit);
        assert!(key.encrypt(radix, b"", &mut vec![0; length]).is_ok());
        assert!(Ff1Small::new(&key, radix, length, b"").is_ok());
    }
    assert_eq!(refusal(10, b"", &[]), Kind::Limit);
    for radix in [0, 1, 65537, u32::MAX] {
        assert_eq!(refusal(radix, b"", &[0; 20]), Kind::Misuse);
    }
    assert_eq!(refusal(10, b"", &[0; 261]), Kind::Limit);
    assert_eq!(refusal(10, &[0; 257], &[0; 10]), Kind::Limit);
    assert!(key.encrypt(65536, &[0; 256], &mut [u16::MAX; 260]).is_ok());
    for place in 0..9 {
        let mut numerals = [9; 9];
        numerals[place] = 10;
        assert_eq!(refusal(10, b"", &numerals), Kind::Malformed);
    }
    assert_eq!(Ff1Small::new(&key, 10, 20, b"").err().expect("refused").kind(), Kind::Limit);
    let small = Ff1Small::new(&key, 10, 19, b"").expect("a format");
    for value in [10_u64.pow(19), u64::MAX] {
        assert_eq!(small.encrypt(value).expect_err("refused").kind(), Kind::Malformed);
        let mut values = [1, 2, value];
        assert_eq!(small.decrypt_batch(&mut values).expect_err("refused").kind(), Kind::Malformed);
        assert_eq!(values, [1, 2, value]);
    }
}
