// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a check of an identifier says.
//!
//! Owns warnings. Never prints an identifier.

use core::fmt;

use zeroize::Zeroizing;

/// How much a reader tolerates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strictness {
    /// Any way people write it: spaces, hyphens and invisible marks anywhere, letters of either case.
    #[default]
    Lenient,
    /// The normal form or the display form, in digits of any of the three sets.
    Strict,
}

/// What is odd about a valid identifier. Never a reason to refuse it: real people hold such numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Warning {
    /// A CNIC whose first digit is 0, 8 or 9: of no province in the published list, in use for some series.
    FirstDigit,
    /// Equal neighbours, or three digits in a row that rise or fall by one: MOSIP's generator leaves such numbers out by default.
    RunOfDigits,
    /// A CNIC that ends in 0, which the published rule (odd for men, even for women) does not always list.
    SexDigitZero,
    /// A VSNR whose date is none: issued where the birth date is unknown or its serial numbers are used up.
    SubstituteDate,
}

/// A valid identifier: its normal form, and what is odd about it.
pub struct Checked {
    normal: Zeroizing<String>,
    warnings: Vec<Warning>,
}

impl Checked {
    pub(super) const fn new(normal: Zeroizing<String>, warnings: Vec<Warning>) -> Self {
        Self { normal, warnings }
    }

    /// The normal form.
    #[must_use]
    pub fn normal(&self) -> &str {
        &self.normal
    }

    /// What is odd; empty for most.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checked")
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstDigit => "the first digit is of no province in the published list",
            Self::RunOfDigits => {
                "holds equal neighbours or a rising or falling run, which the issuer leaves out by default"
            }
            Self::SexDigitZero => "the last digit is 0, which stands for neither sex in some published rules",
            Self::SubstituteDate => "holds a substitute for a birth date",
        })
    }
}
