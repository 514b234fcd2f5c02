// SPDX-License-Identifier: MIT OR Apache-2.0
//! Digits and spaces of every script that registries type in.
//!
//! Owns SPEC 8.1. Never folds letters: that differs by language and belongs to the normal forms.

/// The value of a digit: ASCII, Arabic-Indic (U+0660 to U+0669) or extended Arabic-Indic (U+06F0 to U+06F9).
pub(crate) fn digit(c: char) -> Option<u8> {
    let first = match c {
        '0'..='9' => '0',
        '\u{660}'..='\u{669}' => '\u{660}',
        '\u{6f0}'..='\u{6f9}' => '\u{6f0}',
        _ => return None,
    };
    u8::try_from(u32::from(c).checked_sub(u32::from(first))?).ok()
}

/// The character with its digit as ASCII.
pub(crate) fn ascii_digit(c: char) -> char {
    match digit(c) {
        Some(value) => char::from(b'0' + value),
        None => c,
    }
}

/// Whether a character is a space: of Unicode 15.0 the property White_Space, controls but for tab and line ends left out.
pub(crate) const fn is_space(c: char) -> bool {
    matches!(
        c,
        '\t' | '\n' | '\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

/// Whether a character is invisible and says nothing about a value: soft hyphen, zero-width and directional marks, byte order mark.
pub(crate) const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
