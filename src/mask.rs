// SPDX-License-Identifier: MIT OR Apache-2.0
//! Masks: what of a value may be shown.
//!
//! Owns the masked type, the only form of a personal value that is `Serialize` and prints itself. Never shows a part that is not asked for.

use core::fmt;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::identifier::Identifier;
use crate::value::ValueRef;

/// Stands for each hidden character.
const HIDDEN: char = '*';
/// Length of a mask that shows nothing, whatever the value: the length is hidden too.
const ALL_HIDDEN: &str = "********";

/// How a value is masked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mask {
    /// Eight stars, whatever the value.
    #[default]
    All,
    /// What may be shown of an identifier: at most four characters, in its display form, and no part that tells locality, sex or
    /// birth date, nor a check digit over such a part. What is no valid identifier, and every type but text, shows nothing.
    ///
    /// | identifier | mask of an invented value |
    /// |---|---|
    /// | `aadhaar` | `**** **** 2346` |
    /// | `aadhaar-vid` | `**** **** **** 2341` |
    /// | `at-vsnr` | `123* ******`: the serial number |
    /// | `bd-nid` | `******4567`, or longer as the number is |
    /// | `cnic` | `*****-***4567-*`: the last four of the serial number |
    /// | `ee-isikukood` | `*******010*`: the serial number |
    /// | `family-number`, `mrz` | nothing |
    /// | `mosip-uin`, `mosip-vid`, `nic-before-2001`, `ng-nin`, `ng-vnin`, `pk-passport` | the last four |
    /// | `phone` | `+********4567`; nothing of fewer than eight digits |
    /// | a pattern | the last four; nothing if fewer than eight positions vary |
    Identifier(Identifier),
    /// The last four characters of text, separators not counted; text with fewer than eight of them, and every other type, shows nothing.
    LastFour,
}

/// A masked value: safe to print, log and serialise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Masked(String);

impl Masked {
    /// The text to show.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Mask {
    /// Takes over a stored mask. What this mask would still change is no mask of it, and must not pass for one.
    ///
    /// # Errors
    /// `Schema` if the text shows more than the mask does.
    pub fn read(&self, stored: &str) -> Result<Masked> {
        let masked = self.apply(ValueRef::Text(stored));
        if masked.0 == stored {
            return Ok(masked);
        }
        Err(Error::schema("a masked column holds a value that is not masked; protect the table"))
    }

    /// Masks a value. Masking a mask changes nothing.
    #[must_use]
    pub fn apply(&self, value: ValueRef<'_>) -> Masked {
        let shown = match (self, value) {
            (Self::Identifier(identifier), ValueRef::Text(text)) => identifier.mask(text),
            (Self::LastFour, ValueRef::Text(text)) => last_four(text),
            _ => None,
        };
        Masked(shown.unwrap_or_else(|| ALL_HIDDEN.to_owned()))
    }
}

/// Separators kept, the last four other characters shown, stars for the rest; `None` if there are too few to hide behind.
///
/// Every character but a separator counts, stars too, so that a mask has the same four last characters as its value.
fn last_four(text: &str) -> Option<String> {
    let separates = |c: char| matches!(c, '-' | ' ' | '/' | '.');
    let mut left = text.chars().filter(|c| !separates(*c)).count();
    if left < 8 {
        return None;
    }
    let mask = |c: char| {
        if separates(c) {
            return c;
        }
        left -= 1;
        if left < 4 { c } else { HIDDEN }
    };
    Some(text.chars().map(mask).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_show_four_at_most_and_change_nothing_twice() {
        let show = |text: &str| Mask::LastFour.apply(ValueRef::Text(text)).to_string();
        assert_eq!(show("35202-1234567-1"), "*****-****567-1");
        assert_eq!(show("3520212345671"), "*********5671");
        assert_eq!(show("1234567"), "********");
        for text in
            ["35202-1234567-1", "0000032345>78", "a!b!c!d!e!f!", "........12345678", "۳۵۲۰۲-۱۲۳۴۵۶۷-۱"]
        {
            assert_eq!(show(&show(text)), show(text), "{text}");
        }
        assert!(
            Mask::LastFour.read("*****-****567-1").is_ok() && Mask::LastFour.read("35202-1234567-1").is_err()
        );
        assert_eq!(Mask::All.apply(ValueRef::Text("x")).as_str(), "********");
        assert_eq!(Mask::LastFour.apply(ValueRef::Integer(1_234_567_890)).as_str(), "********");
    }
}
