// SPDX-License-Identifier: MIT OR Apache-2.0
//! What shape and check digit do not say of an identifier.
//!
//! Owns the rules and warnings of SPEC 8.3.3. Never refuses what is only unusual.

use super::{Identifier, Warning};
use crate::time::Date;

impl Identifier {
    /// The rule that a normal form breaks.
    pub(super) fn rule(&self, normal: &[u8]) -> Option<&'static str> {
        match self {
            Self::Aadhaar if normal.iter().eq(normal.iter().rev()) => {
                Some("an Aadhaar number never reads the same backwards")
            }
            Self::EstoniaIsikukood if estonian_birth(normal).is_none() => {
                Some("the birth date inside this isikukood does not exist; compare with the document")
            }
            _ => None,
        }
    }

    pub(super) fn warnings(&self, normal: &[u8]) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut warn = |odd: bool, warning| {
            if odd {
                warnings.push(warning);
            }
        };
        match self {
            Self::AustriaVsnr => warn(austrian_date(normal).is_none(), Warning::SubstituteDate),
            Self::Cnic => {
                warn(matches!(normal.first(), Some(b'0' | b'8' | b'9')), Warning::FirstDigit);
                warn(normal.last() == Some(&b'0'), Warning::SexDigitZero);
            }
            Self::MosipUin | Self::MosipVid => warn(has_run(normal), Warning::RunOfDigits),
            _ => {}
        }
        warnings
    }
}

/// The number that digits write.
fn number(digits: &[u8]) -> Option<u16> {
    digits
        .iter()
        .try_fold(0_u16, |sum, digit| sum.checked_mul(10)?.checked_add(u16::from(digit.checked_sub(b'0')?)))
}

fn date(year: u16, month: &[u8], day: &[u8]) -> Option<Date> {
    let known = |digits| number(digits).and_then(|n| u8::try_from(n).ok()).filter(|n| *n > 0);
    Date::new(year, known(month)?, known(day)?).ok()
}

/// The first digit says sex and century: 1 and 2 from 1800 on, 3 and 4 from 1900 on, and so forth.
fn estonian_birth(normal: &[u8]) -> Option<Date> {
    let (century, rest) = normal.split_first()?;
    let century = 18 + u16::from(century.checked_sub(b'1')?) / 2;
    date(century * 100 + number(rest.get(..2)?)?, rest.get(2..4)?, rest.get(4..6)?)
}

/// The century is not told; in that of 2000 every day exists that exists in any.
fn austrian_date(normal: &[u8]) -> Option<Date> {
    date(2000 + number(normal.get(8..10)?)?, normal.get(6..8)?, normal.get(4..6)?)
}

fn has_run(digits: &[u8]) -> bool {
    let rises = |from: u8, to: u8| from.checked_add(1) == Some(to);
    digits.array_windows().any(|[left, right]| left == right)
        || digits
            .array_windows()
            .any(|[a, b, c]| (rises(*a, *b) && rises(*b, *c)) || (rises(*b, *a) && rises(*c, *b)))
}
