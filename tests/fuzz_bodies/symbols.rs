// SPDX-License-Identifier: MIT OR Apache-2.0
//! The text of a token by the book (BIP 173 and 350), one bit at a time: a second opinion, and the way to forge what checks.

const ALPHABET: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const CHECK_SYMBOLS: usize = 6;

/// The text of a header, which ends in a colon, and data.
pub(super) fn text_of(header: &str, data: &[u8]) -> String {
    let mut symbols = regroup(data.iter().copied(), 8, 5);
    let check = checksum(header, symbols.iter().copied().chain([0; CHECK_SYMBOLS])) ^ 0x2bc8_30a3;
    let low = |shift: u32| u8::try_from(check >> shift & 31).expect("five bits");
    symbols.extend([25, 20, 15, 10, 5, 0].map(low));
    let letter = |symbol: u8| char::from(*ALPHABET.as_bytes().get(usize::from(symbol)).expect("five bits"));
    let letters: String = symbols.into_iter().map(letter).collect();
    format!("{header}1{letters}")
}

/// Header and data of a text that [`text_of`] gives.
pub(super) fn parts_of(text: &str) -> (&str, Vec<u8>) {
    let (header, letters) = text.split_at(text.rfind(":1").expect("a token") + 1);
    let letters = letters.get(1..letters.len() - CHECK_SYMBOLS).expect("check symbols");
    let symbol = |letter| u8::try_from(ALPHABET.find(letter).expect("a letter of the alphabet"));
    let symbols = letters.chars().map(|letter| symbol(letter).expect("five bits"));
    let mut data = regroup(symbols, 5, 8);
    // The bits that fill up the last symbol are no data.
    data.truncate(letters.len() * 5 / 8);
    (header, data)
}

/// Groups of bits in groups of another size, the last one filled up with zeros.
fn regroup(groups: impl Iterator<Item = u8>, from: u32, to: usize) -> Vec<u8> {
    let bits: Vec<u8> = groups.flat_map(|group| (0..from).rev().map(move |bit| group >> bit & 1)).collect();
    let padded =
        |chunk: &[u8]| (0..to).fold(0, |group, at| group << 1 | chunk.get(at).copied().unwrap_or_default());
    bits.chunks(to).map(padded).collect()
}

fn checksum(header: &str, symbols: impl Iterator<Item = u8>) -> u32 {
    let high = header.bytes().map(|byte| byte >> 5);
    let low = header.bytes().map(|byte| byte & 31);
    high.chain([0]).chain(low).chain(symbols).fold(1, |check, symbol| {
        let generator = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
        let top = check >> 25;
        let set = (0..).zip(generator).filter(|(bit, _)| top >> bit & 1 == 1);
        set.fold((check & 0x01ff_ffff) << 5 ^ u32::from(symbol), |check, (_, value)| check ^ value)
    })
}
