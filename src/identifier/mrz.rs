// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machine-readable zones of travel documents: ICAO Doc 9303, parts 3 to 6.
//!
//! Owns SPEC 8.3.4. Never accepts a zone of which one check digit does not fit.

use core::ops::Range;

use super::Fault;
use super::check::icao9303;
use crate::script;

/// Characters of the longest zone.
pub(super) const MAX_CHARACTERS: usize = 90;
const FILLER: u8 = b'<';

/// Where the parts of a zone stand when its lines are joined. The check digit of a part stands right behind it.
struct Form {
    line: usize,
    characters: usize,
    number: Range<usize>,
    nationality: Range<usize>,
    birth: Range<usize>,
    expiry: Range<usize>,
    /// Where a number of more than nine characters goes on (size 1 and 2), or a part with a check digit of its own (size 3).
    optional: Range<usize>,
    composite: &'static [Range<usize>],
}

const FORMS: [Form; 3] = [
    // Part 5, size TD1.
    Form {
        line: 30,
        characters: 90,
        number: 5..14,
        nationality: 45..48,
        birth: 30..36,
        expiry: 38..44,
        optional: 15..30,
        composite: &[5..37, 38..45, 48..59],
    },
    // Part 6, size TD2.
    Form {
        line: 36,
        characters: 72,
        number: 36..45,
        nationality: 46..49,
        birth: 49..55,
        expiry: 57..63,
        optional: 64..71,
        composite: &[36..46, 49..56, 57..71],
    },
    // Part 4, size TD3.
    Form {
        line: 44,
        characters: 88,
        number: 44..53,
        nationality: 54..57,
        birth: 57..63,
        expiry: 65..71,
        optional: 72..86,
        composite: &[44..54, 57..64, 65..87],
    },
];

/// Appends the lines without line ends, if they are a zone.
pub(super) fn append(text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    let start = out.len();
    for c in text.chars() {
        if script::is_space(c) || script::is_invisible(c) {
            continue;
        }
        let byte = u8::try_from(script::ascii_digit(c)).map_err(|_| Fault::Shape)?.to_ascii_uppercase();
        let known = byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == FILLER;
        if !known || out.len() - start == MAX_CHARACTERS {
            return Err(Fault::Shape);
        }
        out.push(byte);
    }
    let zone = out.get(start..).unwrap_or_default();
    let form = FORMS.iter().find(|form| form.characters == zone.len()).ok_or(Fault::Shape)?;
    form.check(zone)
}

/// Writes a normal form with its line ends.
pub(super) fn write(normal: &str, out: &mut String) {
    let line =
        FORMS.iter().find(|form| form.characters == normal.len()).map_or(normal.len(), |form| form.line);
    for (at, c) in normal.char_indices() {
        if at > 0 && at.is_multiple_of(line) {
            out.push('\n');
        }
        out.push(c);
    }
}

impl Form {
    fn check(&self, zone: &[u8]) -> Result<(), Fault> {
        let part = |range: &Range<usize>| zone.get(range.clone()).unwrap_or_default();
        let letters = |range| part(range).iter().all(|b| b.is_ascii_uppercase() || *b == FILLER);
        let date = |range| part(range).iter().all(|b| b.is_ascii_digit() || *b == FILLER);
        let sex = matches!(zone.get(self.birth.end + 1), Some(b'F' | b'M' | b'X' | b'<'));
        let document = zone.first().is_some_and(u8::is_ascii_uppercase);
        let fits = letters(&(0..5)) && letters(&self.nationality) && date(&self.birth) && date(&self.expiry);
        if !(fits && sex && document) {
            return Err(Fault::Shape);
        }
        if zone.first() == Some(&b'V') {
            return Err(Fault::Rule(
                "a visa's zone has no check digit over all of it; keep the visa number as a pattern",
            ));
        }
        let single = [&self.birth, &self.expiry].into_iter().all(|range| fits_behind(zone, range));
        let mut all = self.composite.iter().flat_map(|range| part(range).iter().copied());
        let composite =
            is_check(icao9303(&mut all), self.composite.last().and_then(|last| zone.get(last.end)));
        let checks = single && composite && self.number_fits(zone) && self.optional_fits(zone);
        if checks { Ok(()) } else { Err(Fault::CheckDigit) }
    }

    /// A filler in place of the check digit says that the number goes on, its check digit last, up to the next filler.
    fn number_fits(&self, zone: &[u8]) -> bool {
        if zone.get(self.number.end) != Some(&FILLER) || self.has_optional_check() {
            return fits_behind(zone, &self.number);
        }
        let optional = zone.get(self.optional.clone()).unwrap_or_default();
        let rest = optional.split(|b| *b == FILLER).next().unwrap_or_default();
        let Some((check, rest @ [_, ..])) = rest.split_last() else { return false };
        let number = zone.get(self.number.clone()).unwrap_or_default();
        is_check(icao9303(number.iter().chain(rest).copied()), Some(check))
    }

    /// An empty part may have a filler as its check digit.
    fn optional_fits(&self, zone: &[u8]) -> bool {
        let with_check = zone.get(self.optional.start..=self.optional.end).unwrap_or_default();
        !self.has_optional_check()
            || with_check.iter().all(|b| *b == FILLER)
            || fits_behind(zone, &self.optional)
    }

    /// Whether the optional part has a check digit of its own, in front of that over all.
    fn has_optional_check(&self) -> bool {
        self.composite.last().is_some_and(|last| last.end == self.optional.end + 1)
    }
}

fn fits_behind(zone: &[u8], range: &Range<usize>) -> bool {
    let part = zone.get(range.clone()).unwrap_or_default();
    is_check(icao9303(part.iter().copied()), zone.get(range.end))
}

fn is_check(digit: Option<u8>, found: Option<&u8>) -> bool {
    digit.is_some_and(|digit| found == Some(&(b'0' + digit)))
}
