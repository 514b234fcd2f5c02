// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names: each character becomes what a frozen table says.
//!
//! Owns the walk over a text. Never asks the standard library or a crate about Unicode: their versions move. SPEC 8.2.

use super::{MAX_NORMAL_BYTES, arabic, latin};
use crate::error::{Error, Result};
use crate::script;

/// Every character from the first to the second becomes the third.
pub(super) type Row = (char, char, &'static str);

pub(super) static LATIN: Table = Table::new(&[latin::MACHINE_READABLE, latin::ROWS], false);
pub(super) static URDU: Table = Table::new(&[latin::ROWS, arabic::ROWS], true);

const ALEF: &str = "\u{627}";
const ALEF_MADDA: &str = "\u{622}";
const MADDA: char = '\u{653}';

/// Characters below this one are looked up directly: Latin, and all letters of Urdu.
const NEAR: u32 = 0x700;
/// In place of a character in [`Table::near`]: it is left out.
const GONE: char = '\u{10ffff}';
/// In place of a character in [`Table::near`]: it becomes several, which a row tells.
const SEVERAL: char = '\u{10fffe}';

/// What becomes of every character.
pub(super) struct Table {
    near: [char; NEAR as usize],
    rows: &'static [&'static [Row]],
    joins_madda: bool,
}

enum Fold {
    One(char),
    Several(&'static str),
}

impl Fold {
    const NOTHING: Self = Self::Several("");
}

impl Table {
    const fn new(rows: &'static [&'static [Row]], joins_madda: bool) -> Self {
        Self { near: near(rows), rows, joins_madda }
    }

    #[inline]
    fn fold(&self, c: char) -> Fold {
        match self.near.get(c as usize) {
            Some(&GONE) => Fold::NOTHING,
            Some(&SEVERAL) | None => self.fold_far(c),
            Some(&near) => Fold::One(near),
        }
    }

    fn fold_far(&self, c: char) -> Fold {
        // Full-width ASCII is ASCII at another place.
        if let '\u{ff01}'..='\u{ff5e}' = c {
            let ascii = char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c);
            return self.fold(ascii);
        }
        let row = self.rows.iter().find_map(|rows| {
            let at = rows.partition_point(|(_, last, _)| *last < c);
            rows.get(at).filter(|(first, ..)| *first <= c)
        });
        match row {
            Some((_, _, becomes)) => Fold::Several(becomes),
            None => plain(c).map_or(Fold::NOTHING, Fold::One),
        }
    }

    /// Appends the normal form of a text to an empty buffer; with [`room`] made before, the buffer does not move.
    pub(super) fn append(&self, text: &str, out: &mut Vec<u8>) -> Result<()> {
        for c in text.chars() {
            match self.fold(c) {
                Fold::One(c) => self.push(c, out)?,
                Fold::Several(becomes) => becomes.chars().try_for_each(|c| self.push(c, out))?,
            }
        }
        if out.last() == Some(&b' ') {
            out.pop();
        }
        Ok(())
    }

    #[inline]
    fn push(&self, c: char, out: &mut Vec<u8>) -> Result<()> {
        match c {
            ' ' => {
                // One between words, none before the first; one after the last is taken away at the end.
                if !matches!(out.last(), None | Some(b' ')) {
                    out.push(b' ');
                }
                return Ok(());
            }
            MADDA if self.joins_madda => join_madda(out),
            '\0'..='\x7f' => out.push(c as u8),
            '\u{80}'..='\u{7ff}' => {
                // What `encode_utf8` gives, in half the time.
                let ([high, ..], [low, ..]) =
                    ((c as u32 >> 6).to_le_bytes(), (c as u32 & 0x3f).to_le_bytes());
                out.extend_from_slice(&[0xc0 | high, 0x80 | low]);
            }
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        if out.len() <= MAX_NORMAL_BYTES { Ok(()) } else { Err(too_long()) }
    }
}

/// Alef and madda are one letter, whatever was left out between them; a madda elsewhere is a mark and left out.
fn join_madda(out: &mut Vec<u8>) {
    if out.ends_with(ALEF.as_bytes()) {
        out.truncate(out.len() - ALEF.len());
        out.extend_from_slice(ALEF_MADDA.as_bytes());
    }
}

/// Bytes that the normal form of a text may need while it is written.
pub(super) fn room(text: &str) -> usize {
    // Ligatures of U+F000 and above become up to eleven times as long, all else at most twice.
    let growth = if text.as_bytes().iter().any(|byte| *byte >= 0xef) { 11 } else { 2 };
    (text.len() * growth).min(MAX_NORMAL_BYTES + char::MAX.len_utf8() + 1)
}

pub(super) fn too_long() -> Error {
    Error::limit(format!("a normal form is at most {MAX_NORMAL_BYTES} bytes; is this the right column?"))
}

/// What becomes of a character that no row names; `None` if it is left out.
const fn plain(c: char) -> Option<char> {
    if script::is_space(c) {
        return Some(' ');
    }
    if script::is_invisible(c) {
        return None;
    }
    Some(script::ascii_digit(c).to_ascii_lowercase())
}

/// The characters below [`NEAR`], worked out when the library is compiled.
#[allow(clippy::indexing_slicing, reason = "what is out of range here does not compile")]
const fn near(tables: &[&[Row]]) -> [char; NEAR as usize] {
    let mut near = ['\0'; NEAR as usize];
    let mut code = 0;
    while code < NEAR {
        if let Some(c) = char::from_u32(code) {
            near[code as usize] = match plain(c) {
                Some(plain) => plain,
                None => GONE,
            };
        }
        code += 1;
    }
    let mut table = 0;
    while table < tables.len() {
        let mut row = 0;
        while row < tables[table].len() {
            let (first, last, becomes) = tables[table][row];
            let mut code = first as u32;
            while code <= last as u32 && code < NEAR {
                near[code as usize] = one_character(becomes);
                code += 1;
            }
            row += 1;
        }
        table += 1;
    }
    near
}

/// The one character of a text, if it is of one or two bytes.
const fn one_character(text: &str) -> char {
    let code = match *text.as_bytes() {
        [] => return GONE,
        [byte] => byte as u32,
        [first @ 0xc0..=0xdf, second] => (first as u32 & 0x1f) << 6 | second as u32 & 0x3f,
        _ => return SEVERAL,
    };
    match char::from_u32(code) {
        Some(c) => c,
        None => SEVERAL,
    }
}
