// SPDX-License-Identifier: MIT OR Apache-2.0
//! The identifiers that are built in, as data.
//!
//! Owns the table of SPEC 8.3.3. Never refuses a number that its authority may have issued to a person.

use super::check::Scheme;
use super::shape::{Class, Part, Shape};

/// What is known of an identifier.
pub(super) struct Entry {
    pub(super) name: &'static str,
    /// For messages, after "expected".
    pub(super) expects: &'static str,
    /// Each of another length; none if the identifier has no fixed shape.
    pub(super) shapes: &'static [Shape],
    /// About how many values a guesser must try, where that is fewer than the shape allows.
    pub(super) plausible: Option<f64>,
}

const D: Class = Class::DIGIT;
/// No mask shows all of it; this one shows nothing.
const NOTHING: core::ops::Range<usize> = 0..0;

const fn run(class: Class, count: u8) -> Part {
    Part::Run(class, count)
}

const fn digits(count: u8) -> Part {
    run(D, count)
}

/// One digit from another on.
const fn from(first: u8, last: u8) -> Part {
    run(Class::range(first, last), 1)
}

const HYPHEN: Part = Part::Separator(b'-');
const SPACE: Part = Part::Separator(b' ');

pub(super) static AADHAAR: Entry = Entry {
    name: "aadhaar",
    expects: "12 digits, the first from 2 to 9",
    shapes: &[Shape::new(
        &[from(b'2', b'9'), digits(3), SPACE, digits(4), SPACE, digits(4)],
        Scheme::Verhoeff,
        8..12,
    )],
    plausible: None,
};

pub(super) static AADHAAR_VID: Entry = Entry {
    name: "aadhaar-vid",
    expects: "16 digits, the first from 2 to 9",
    shapes: &[Shape::new(
        &[from(b'2', b'9'), digits(3), SPACE, digits(4), SPACE, digits(4), SPACE, digits(4)],
        Scheme::Verhoeff,
        12..16,
    )],
    plausible: None,
};

/// The check digit is hidden too: it would narrow the hidden birth date to a tenth.
pub(super) static AUSTRIA_VSNR: Entry = Entry {
    name: "at-vsnr",
    expects: "10 digits: a serial number from 100, a check digit, a date as DDMMYY",
    shapes: &[Shape::new(
        &[
            from(b'1', b'9'),
            digits(3),
            SPACE,
            from(b'0', b'3'),
            digits(1),
            from(b'0', b'1'),
            digits(1),
            digits(2),
        ],
        Scheme::Austria,
        0..3,
    )],
    // 900 serial numbers for each day of a century, of which one in eleven has no check digit.
    plausible: Some(3.0e7),
};

pub(super) static BANGLADESH_NID: Entry = Entry {
    name: "bd-nid",
    expects: "10 digits, 13, or 17 of which the first four are the birth year",
    shapes: &[
        Shape::new(&[digits(10)], Scheme::None, 6..10),
        Shape::new(&[digits(13)], Scheme::None, 9..13),
        Shape::new(&[from(b'1', b'2'), digits(16)], Scheme::None, 13..17),
    ],
    // The tenth digit follows from nine by a rule that is not published.
    plausible: Some(1.0e9),
};

/// Locality and sex are hidden: all but the last four digits of the serial number.
pub(super) static CNIC: Entry = Entry {
    name: "cnic",
    expects: "13 digits, as in 00000-0000000-0",
    shapes: &[Shape::new(&[digits(5), HYPHEN, digits(7), HYPHEN, digits(1)], Scheme::None, 8..12)],
    // The localities that exist, times the serial numbers and sexes.
    plausible: Some(5.0e10),
};

/// The check digit is hidden too: it would narrow sex and birth date to a tenth.
pub(super) static ESTONIA_ISIKUKOOD: Entry = Entry {
    name: "ee-isikukood",
    expects: "11 digits: sex and century, birth date as YYMMDD, a serial number, a check digit",
    shapes: &[Shape::new(
        &[
            from(b'1', b'8'),
            digits(2),
            from(b'0', b'1'),
            digits(1),
            from(b'0', b'3'),
            digits(1),
            digits(3),
            digits(1),
        ],
        Scheme::Estonia,
        7..10,
    )],
    // 1,000 serial numbers for each sex and day of 120 years.
    plausible: Some(9.0e7),
};

/// Two hidden characters of six would be too few.
pub(super) static FAMILY_NUMBER: Entry = Entry {
    name: "family-number",
    expects: "6 letters and digits",
    shapes: &[Shape::new(&[run(D.and(Class::UPPER), 6)], Scheme::None, NOTHING)],
    plausible: None,
};

pub(super) static ICAO_MRZ: Entry = Entry {
    name: "mrz",
    expects: "the lines of a machine-readable zone: three of 30 characters, two of 36 or two of 44",
    shapes: &[],
    // Who knows name and dates guesses the nine characters of the document number.
    plausible: Some(1.0e14),
};

pub(super) static MOSIP_UIN: Entry = Entry {
    name: "mosip-uin",
    expects: "10 digits, the first from 2 to 9",
    shapes: &[Shape::new(&[from(b'2', b'9'), digits(9)], Scheme::Verhoeff, 6..10)],
    plausible: None,
};

pub(super) static MOSIP_VID: Entry = Entry {
    name: "mosip-vid",
    expects: "16 digits, the first from 2 to 9",
    shapes: &[Shape::new(&[from(b'2', b'9'), digits(15)], Scheme::Verhoeff, 12..16)],
    plausible: None,
};

pub(super) static NIC_BEFORE_2001: Entry = Entry {
    name: "nic-before-2001",
    expects: "11 digits",
    shapes: &[Shape::new(&[digits(11)], Scheme::None, 7..11)],
    plausible: None,
};

pub(super) static NIGERIA_NIN: Entry = Entry {
    name: "ng-nin",
    expects: "11 digits",
    shapes: &[Shape::new(&[digits(11)], Scheme::None, 7..11)],
    plausible: None,
};

pub(super) static NIGERIA_VNIN: Entry = Entry {
    name: "ng-vnin",
    expects: "two letters, 12 digits, two letters",
    shapes: &[Shape::new(&[run(Class::UPPER, 2), digits(12), run(Class::UPPER, 2)], Scheme::None, 12..16)],
    plausible: None,
};

pub(super) static PAKISTAN_PASSPORT: Entry = Entry {
    name: "pk-passport",
    expects: "two letters and 7 digits",
    shapes: &[Shape::new(&[run(Class::UPPER, 2), digits(7)], Scheme::None, 5..9)],
    plausible: None,
};

pub(super) static PHONE: Entry = Entry {
    name: "phone",
    expects: "+ and 7 to 15 digits with the country code, or a Pakistani number as it is dialled inside the country",
    shapes: &[],
    // The mobile numbers of one country.
    plausible: Some(1.0e9),
};
