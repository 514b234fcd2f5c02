// SPDX-License-Identifier: MIT OR Apache-2.0
//! Identifiers that a registry describes itself.
//!
//! Owns the pattern language of SPEC 8.3.6. Never a regular expression: the length is fixed, so domain, rank and display form follow.

use super::check::Scheme;
use super::shape::{Class, MAX_POSITIONS, Part, Shape};
use crate::error::{Error, Result};
use crate::ident::Name;

/// Longest text of a pattern, in bytes.
pub const MAX_PATTERN_BYTES: usize = 256;

/// The check digit of an identifier that a pattern describes: its last position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckDigit {
    /// Weights 7, 3, 1 over digits and upper-case letters: ICAO Doc 9303-3, 4.9.
    Icao9303,
    /// Over digits: ISO/IEC 7812-1, Annex B.
    Luhn,
    /// No check digit.
    #[default]
    None,
    /// Over digits; catches every single wrong digit and every swap of neighbours: J. Verhoeff, Error Detecting Decimal Codes, 1969.
    Verhoeff,
}

/// An identifier of fixed length that a registry describes itself.
///
/// Shape: elements one after another. An element is a class, such as `[0-9]`, `[A-Z]` or `[2-9A-F]`, or a class and how often
/// it stands there, such as `[0-9]{7}`, or a separator: an ASCII character that is no letter, no digit and none of `[]{}`.
/// Separators stand in the display form; the normal form is without them. A letter that a class does not have is read
/// as its other case, if the class has that. Limits: 64 positions, [`MAX_PATTERN_BYTES`]. Source: SPEC 8.3.6.
///
/// ```
/// use amanat::identifier::{CheckDigit, Identifier, Pattern, Strictness};
///
/// # fn main() -> amanat::Result<()> {
/// let por = Pattern::new(&"por-card".parse()?, "[A-Z]{2}-[0-9]{8}", CheckDigit::None)?;
/// let por = Identifier::from(por);
/// assert_eq!(por.check("ab 00001234", Strictness::Lenient)?.normal(), "AB00001234");
/// assert_eq!(por.display("AB00001234")?.as_str(), "AB-00001234");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    name: Name,
    text: Box<str>,
    check: CheckDigit,
    shape: Shape,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// `Schema`, with the byte offset in the pattern, if it is not of the language, has no position or more than 64, if the check
    /// digit's position is not `[0-9]`, or if another position has characters that the check digit is not defined over;
    /// `Schema` too for the name of a built-in identifier; `Limit` if the text is longer than [`MAX_PATTERN_BYTES`].
    pub fn new(name: &Name, pattern: &str, check: CheckDigit) -> Result<Self> {
        if super::Identifier::from_name(name.as_str()).is_ok() {
            return Err(Error::schema("a built-in identifier has this name; choose another for the pattern"));
        }
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(Error::limit("a pattern has at most 256 bytes"));
        }
        let parts = Parser { text: pattern.as_bytes(), at: 0, positions: 0 }.parts()?;
        let scheme = match check {
            CheckDigit::Icao9303 => Scheme::Icao9303,
            CheckDigit::Luhn => Scheme::Luhn,
            CheckDigit::None => Scheme::None,
            CheckDigit::Verhoeff => Scheme::Verhoeff,
        };
        check_classes(&parts, check)?;
        let mut shape = Shape { parts: parts.into(), check: scheme, shown: 0..0 };
        if shape.varying() >= 8 {
            shape.shown = shape.positions() - 4..shape.positions();
        }
        Ok(Self { name: name.clone(), text: pattern.into(), check, shape })
    }

    /// The identifier's name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// The pattern's text.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        &self.text
    }

    /// The check digit.
    #[must_use]
    pub const fn check_digit(&self) -> CheckDigit {
        self.check
    }

    pub(super) const fn shape(&self) -> &Shape {
        &self.shape
    }
}

/// Refuses a check digit that the classes do not allow.
fn check_classes(parts: &[Part], check: CheckDigit) -> Result<()> {
    let over = match check {
        CheckDigit::None => return Ok(()),
        CheckDigit::Icao9303 => Class::DIGIT.and(Class::UPPER),
        CheckDigit::Luhn | CheckDigit::Verhoeff => Class::DIGIT,
    };
    let mut classes = parts.iter().filter_map(|part| match part {
        Part::Run(class, _) => Some(*class),
        Part::Separator(_) => None,
    });
    if !classes.clone().all(|class| class.is_within(over)) {
        return Err(Error::schema(
            "the check digit is not defined over all characters of the pattern: `luhn` and `verhoeff` take digits, `icao-9303` digits and upper-case letters",
        ));
    }
    if classes.next_back() != Some(Class::DIGIT) {
        return Err(Error::schema("the last position is the check digit; write it as [0-9]"));
    }
    Ok(())
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    positions: usize,
}

impl Parser<'_> {
    fn parts(mut self) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        while let Some(byte) = self.next() {
            parts.push(match byte {
                b'[' => self.run()?,
                b']' | b'{' | b'}' => return self.fault("this bracket opens nothing; write a class, as in [0-9]{7}"),
                b' '..=b'~' if !byte.is_ascii_alphanumeric() => Part::Separator(byte),
                _ => return self.fault("a letter or digit stands in a class, as in [A] or [A-Z]; a separator is ASCII punctuation or a space"),
            });
        }
        if self.positions == 0 {
            return self.fault("a pattern has at least one class, as in [0-9]{7}");
        }
        Ok(parts)
    }

    /// A class behind its `[`, and how often it stands there.
    fn run(&mut self) -> Result<Part> {
        let mut class = Class::NONE;
        loop {
            let first = match self.next() {
                Some(b']') if class != Class::NONE => break,
                Some(byte) if byte.is_ascii_alphanumeric() => byte,
                _ => {
                    return self.fault(
                        "a class lists letters, digits and ranges of them up to its ], as in [A-Z0-9]",
                    );
                }
            };
            let last = if self.next_is(b'-') { self.next() } else { Some(first) };
            let range = last.map_or(Class::NONE, |last| Class::range(first, last));
            if range == Class::NONE {
                return self.fault("a range goes up, between two digits or two letters of one case");
            }
            class = class.and(range);
        }
        let count = if self.next_is(b'{') { self.count()? } else { 1 };
        self.positions += usize::from(count);
        if self.positions > MAX_POSITIONS {
            return self.fault("a pattern has at most 64 positions");
        }
        Ok(Part::Run(class, count))
    }

    /// One or two digits behind `{`, not 0, and `}`.
    fn count(&mut self) -> Result<u8> {
        let mut count = 0;
        for _ in 0..3 {
            match self.next() {
                Some(byte) if byte.is_ascii_digit() && (count > 0 || byte != b'0') && count < 10 => {
                    count = count * 10 + (byte - b'0');
                }
                Some(b'}') if count > 0 => return Ok(count),
                _ => break,
            }
        }
        self.fault("how often a class stands there is a number from 1 to 64 in braces, as in {7}")
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.text.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn next_is(&mut self, byte: u8) -> bool {
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    /// An error at the byte that was read last.
    fn fault<T>(&self, message: &'static str) -> Result<T> {
        Err(Error::schema(message).at_offset(self.at.saturating_sub(1).min(self.text.len())))
    }
}
