// SPDX-License-Identifier: MIT OR Apache-2.0
//! Digits, spaces and dashes of every script that registries type in.
//!
//! Owns SPEC 8.1. Never folds letters: that differs by language and belongs to the normal forms.

/// The value of a digit: ASCII, Arabic-Indic (U+0660 to U+0669) or extended Arabic-Indic (U+06F0 to U+06F9).
pub(crate) const fn digit(c: char) -> Option<u8> {
    let first = match c {
        '0'..='9' => '0',
        '\u{660}'..='\u{669}' => '\u{660}',
        '\u{6f0}'..='\u{6f9}' => '\u{6f0}',
        _ => return None,
    };
    let [value, ..] = (c as u32 - first as u32).to_le_bytes();
    Some(value)
}

/// The character with its digit as ASCII.
pub(crate) const fn ascii_digit(c: char) -> char {
    match digit(c) {
        Some(value) => (b'0' + value) as char,
        None => c,
    }
}

/// Whether a character is a space: of Unicode 15.0 the property White_Space, controls but for tab, line feed and carriage return left out.
pub(crate) const fn is_space(c: char) -> bool {
    matches!(
        c,
        '\t' | '\n' | '\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

/// Whether a character is a dash that people type between digits: hyphen, hyphens and dashes of U+2010 to U+2015, minus sign, and the
/// Urdu full stop, which looks like one and lies nearer on an Urdu keyboard.
pub(crate) const fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{6d4}' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Whether a character is invisible and says nothing about a value: soft hyphen, zero-width, directional and deprecated format characters,
/// byte order mark.
pub(crate) const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
