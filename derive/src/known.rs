// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names that the library gives to identifiers and normal forms.
//!
//! Owns no meaning: a test of the library compares these lists with its own.

/// An identifier: its name, its variant of `Identifier`, and its normal form.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) variant: &'static str,
    pub(crate) form: &'static str,
}

const fn known(name: &'static str, variant: &'static str, form: &'static str) -> Known {
    Known { name, variant, form }
}

/// Every identifier that needs no pattern.
pub(crate) static IDENTIFIERS: [Known; 15] = [
    known("aadhaar", "Aadhaar", "aadhaar/v1"),
    known("aadhaar-vid", "AadhaarVid", "aadhaar-vid/v1"),
    known("at-vsnr", "AustriaVsnr", "at-vsnr/v1"),
    known("bd-nid", "BangladeshNid", "bd-nid/v1"),
    known("cnic", "Cnic", "cnic/v1"),
    known("ee-isikukood", "EstoniaIsikukood", "ee-isikukood/v1"),
    known("family-number", "FamilyNumber", "family-number/v1"),
    known("mrz", "IcaoMrz", "mrz/v1"),
    known("mosip-uin", "MosipUin", "mosip-uin/v1"),
    known("mosip-vid", "MosipVid", "mosip-vid/v1"),
    known("nic-before-2001", "NicBefore2001", "nic-before-2001/v1"),
    known("ng-nin", "NigeriaNin", "ng-nin/v1"),
    known("ng-vnin", "NigeriaVnin", "ng-vnin/v1"),
    known("pk-passport", "PakistanPassport", "pk-passport/v1"),
    known("phone", "Phone", "e164/v1"),
];

pub(crate) const DATE: &str = "date/v1";
pub(crate) const EXACT: &str = "exact/v1";
/// The normal forms that are not an identifier's.
pub(crate) const FORMS: [&str; 5] = [DATE, "digits/v1", EXACT, "latin-name/v1", "urdu-name/v1"];
