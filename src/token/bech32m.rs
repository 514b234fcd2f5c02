// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bech32m (BIP 350): base 32 without look-alike letters, and six check symbols over the whole text.
//!
//! Owns the alphabet and the checksum. Unlike BIP 173 it has no limit of 90 characters: SPEC 10.2 sets its own.

/// The alphabet of BIP 173, in the order of the values.
const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// Generator of BIP 173, for each of the five bits that leave the state.
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
/// What the checksum of a whole text must come to: the constant of BIP 350.
const TARGET: u32 = 0x2bc8_30a3;
/// Check symbols at the end of a text.
pub(super) const CHECK_SYMBOLS: usize = 6;
/// Bytes of the data that most tokens have: they make 32 symbols exactly.
pub(super) const SHORT_BYTES: usize = 20;
const SHORT_SYMBOLS: usize = 32;

/// Not a symbol.
const NONE: u8 = 0xff;
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an index out of range")]
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < 32 {
        values[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// State of the checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Check(u32);

const fn step(state: u32, value: u8) -> u32 {
    let leaving = state >> 25;
    // All ones if the bit is set.
    const fn mask(leaving: u32, bit: u32) -> u32 {
        0_u32.wrapping_sub((leaving >> bit) & 1)
    }
    let [a, b, c, d, e] = GENERATOR;
    ((state & 0x01ff_ffff) << 5)
        ^ value as u32
        ^ (a & mask(leaving, 0))
        ^ (b & mask(leaving, 1))
        ^ (c & mask(leaving, 2))
        ^ (d & mask(leaving, 3))
        ^ (e & mask(leaving, 4))
}

/// What each symbol at each place of short data adds to the final state: the checksum is linear.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an index out of range")]
const SHORT: [[u32; 32]; SHORT_SYMBOLS] = {
    let mut table = [[0; 32]; SHORT_SYMBOLS];
    let mut place = 0;
    while place < SHORT_SYMBOLS {
        let mut value = 0;
        while value < 32 {
            let mut state = step(0, value);
            let mut after = place + 1;
            while after < SHORT_SYMBOLS + CHECK_SYMBOLS {
                state = step(state, 0);
                after += 1;
            }
            table[place][value as usize] = state;
            value += 1;
        }
        place += 1;
    }
    table
};

impl Check {
    /// The state after the part before the separator: the high bits of each character, a zero, the low bits of each.
    pub(super) fn of_prefix(prefix: &str) -> Self {
        let high = prefix.bytes().map(|byte| byte >> 5);
        let low = prefix.bytes().map(|byte| byte & 31);
        Self(high.chain([0]).chain(low).fold(1, step))
    }

    /// The state after short data and its check symbols, were all of them zero.
    pub(super) fn before_short(self) -> Self {
        Self((0..SHORT_SYMBOLS + CHECK_SYMBOLS).fold(self.0, |state, _| step(state, 0)))
    }

    fn symbols(self) -> [u8; CHECK_SYMBOLS] {
        let check = self.0 ^ TARGET;
        [25, 20, 15, 10, 5, 0].map(|shift| symbol(check >> shift))
    }
}

/// The letter of the low five bits.
fn symbol(value: u32) -> u8 {
    ALPHABET.get((value & 31) as usize).copied().unwrap_or_default()
}

/// Appends data and check symbols after a prefix whose state is `check`.
pub(super) fn append(check: Check, data: &[u8], out: &mut Vec<u8>) {
    let mut state = check.0;
    let mut put = |value: u32, out: &mut Vec<u8>| {
        state = step(state, (value & 31) as u8);
        out.push(symbol(value));
    };
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in data {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            put(held >> bits, out);
        }
    }
    if bits > 0 {
        put(held << (5 - bits), out);
    }
    let check = (0..CHECK_SYMBOLS).fold(state, |state, _| step(state, 0));
    out.extend_from_slice(&Check(check).symbols());
}

/// As [`append`], for data of [`SHORT_BYTES`] and a state from [`Check::before_short`]: no step waits for the one before.
pub(super) fn append_short(check: Check, data: &[u8; SHORT_BYTES], out: &mut Vec<u8>) {
    let mut symbols = [0; SHORT_SYMBOLS + CHECK_SYMBOLS];
    let mut state = check.0;
    let groups =
        data.as_chunks::<5>().0.iter().zip(symbols.as_chunks_mut::<8>().0).zip(SHORT.as_chunks::<8>().0);
    for (([a, b, c, d, e], letters), weights) in groups {
        let held = u64::from_be_bytes([0, 0, 0, *a, *b, *c, *d, *e]);
        let places = letters.iter_mut().zip(weights).zip([35, 30, 25, 20, 15, 10, 5, 0_u32]);
        for ((letter, weight), shift) in places {
            let value = (held >> shift & 31) as usize;
            // Both tables have 32 places.
            *letter = ALPHABET.get(value).copied().unwrap_or_default();
            state ^= weight.get(value).copied().unwrap_or_default();
        }
    }
    if let Some(last) = symbols.last_chunk_mut() {
        *last = Check(state).symbols();
    }
    out.extend_from_slice(&symbols);
}

/// Why data does not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A character that is not of the alphabet, at this place.
    Character(usize),
    /// The check symbols do not fit.
    Check,
    /// Bits are left over that are not zero, or a symbol too many.
    Padding,
    /// Fewer symbols than the check has.
    Short,
}

/// Checks a text's part after the separator, and appends its data to `out`.
pub(super) fn decode(check: Check, text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    let value = |letter: u8| VALUES.get(usize::from(letter)).copied().unwrap_or(NONE);
    if let Some(place) = text.bytes().position(|letter| value(letter) == NONE) {
        return Err(Fault::Character(place));
    }
    if text.bytes().map(value).fold(check.0, step) != TARGET {
        return Err(Fault::Check);
    }
    let data = text.len().checked_sub(CHECK_SYMBOLS).ok_or(Fault::Short)?;
    let (mut bits, mut held) = (0_u32, 0_u32);
    for letter in text.bytes().take(data) {
        held = (held << 5 | u32::from(value(letter))) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.extend((held >> bits).to_be_bytes().last());
        }
    }
    if bits >= 5 || held & ((1 << bits) - 1) != 0 {
        return Err(Fault::Padding);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_bip_350_check_and_others_do_not() {
        // Prefix and rest of valid and invalid texts of BIP 350.
        let check = |prefix: &str, rest: &str| decode(Check::of_prefix(prefix), rest, &mut Vec::new());
        for (prefix, rest) in [
            ("a", "lqfn3a"),
            ("abcdef", "l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx"),
            ("split", "checkupstagehandshakeupstreamerranterredcaperredlc445v"),
            ("?", "v759aa"),
        ] {
            // Their data need not be whole bytes.
            assert!(matches!(check(prefix, rest), Ok(()) | Err(Fault::Padding)), "{prefix}");
        }
        for (prefix, rest) in [
            ("a", "lqfn3q"),
            ("?", "v759ac"),
            ("split", "checkupstagehandshakeupstreamerranterredcaperredlc445w"),
        ] {
            assert_eq!(check(prefix, rest), Err(Fault::Check), "{prefix}");
        }
        assert_eq!(check("a", "lqfn3b"), Err(Fault::Character(5)));
    }

    #[test]
    fn the_short_way_gives_what_the_long_way_gives() {
        let check = Check::of_prefix("amt1:p:2:bank:loans:");
        for seed in 0..=255_u8 {
            let data = core::array::from_fn(|place| {
                (place as u8).wrapping_mul(37).wrapping_add(seed.wrapping_mul(91))
            });
            let (mut short, mut long, mut back) = (Vec::new(), Vec::new(), Vec::new());
            append_short(check.before_short(), &data, &mut short);
            append(check, &data, &mut long);
            assert_eq!(short, long);
            let text = core::str::from_utf8(&short).expect("ASCII");
            assert_eq!((decode(check, text, &mut back), back.as_slice()), (Ok(()), &data[..]));
        }
    }

    #[test]
    fn every_single_wrong_letter_and_every_swap_is_caught() {
        let check = Check::of_prefix("amt1:p:2:bank:loans:");
        let mut text = Vec::new();
        append(check, &[0x5a; 50], &mut text);
        let fails =
            |text: &[u8]| decode(check, core::str::from_utf8(text).expect("ASCII"), &mut Vec::new()).is_err();
        for place in 0..text.len() {
            for letter in ALPHABET.iter().filter(|letter| **letter != text[place]) {
                let mut wrong = text.clone();
                wrong[place] = *letter;
                assert!(fails(&wrong));
            }
            let mut swapped = text.clone();
            swapped.swap(place, (place + 1) % text.len());
            assert!(swapped == text || fails(&swapped));
        }
    }
}
