// SPDX-License-Identifier: MIT OR Apache-2.0
//! National identifiers: what is valid, and its one normal form.
//!
//! Owns SPEC chapter 8.3. Never repairs an identifier, never hashes one. Reading is variable-time.

mod check;
mod domain;
mod mrz;
mod outcome;
mod pattern;
mod phone;
mod rules;
mod shape;
mod table;

use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

pub use outcome::{Checked, Strictness, Warning};
pub use pattern::{CheckDigit, MAX_PATTERN_BYTES, Pattern};

use crate::error::{Error, Result};
use crate::script;
use shape::{MAX_POSITIONS, Shape};
use table::Entry;

/// A kind of national identifier.
///
/// Shape: text. Each has one *normal form*, of ASCII, which indexes and tokens are made from; a *display form*, with separators;
/// and a mask ([`Mask::Identifier`](crate::mask::Mask)). Digits may be of the ASCII, Arabic-Indic and extended Arabic-Indic sets.
/// Protects nothing by itself: every identifier is of a domain small enough to be tried through. Source: SPEC 8.3.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Identifier {
    /// `aadhaar`: 12 digits, not the same backwards, with a Verhoeff digit. Source: UIDAI, A UID Numbering Scheme, 2010.
    Aadhaar,
    /// `aadhaar-vid`: 16 digits with a Verhoeff digit, a revocable alias. Source: UIDAI, Circular 1 of 2018.
    AadhaarVid,
    /// `at-vsnr`: Austrian social insurance number, its check digit fourth, then a date. Source: ASVG § 31 Abs. 4 Z 1; Dachverband der Sozialversicherungsträger.
    AustriaVsnr,
    /// `bd-nid`: Bangladesh, 10, 13 or 17 digits. The normal form keeps the length: one person's three numbers are three values, which
    /// only the registry can join (17 digits are a birth year and 13). Source: Bangladesh Election Commission, NID Wing.
    BangladeshNid,
    /// `cnic`: Pakistan, CNIC, SNIC, NICOP, POC and B-Form: 13 digits, no check digit. Source: NADRA.
    Cnic,
    /// An identifier that the registry describes itself.
    Custom(Arc<Pattern>),
    /// `ee-isikukood`: sex and century, birth date, serial number, check digit. Source: EVS 585:2007.
    EstoniaIsikukood,
    /// `family-number`: Pakistan, 6 letters and digits. Source: NADRA.
    FamilyNumber,
    /// `mrz`: the lines of a machine-readable zone of size TD1, TD2 or TD3. Source: ICAO Doc 9303, parts 3 to 6, eighth edition.
    IcaoMrz,
    /// `mosip-uin`: 10 digits with a Verhoeff digit. Source: MOSIP, ID Generator Service.
    MosipUin,
    /// `mosip-vid`: 16 digits with a Verhoeff digit. Source: MOSIP, ID Generator Service.
    MosipVid,
    /// `nic-before-2001`: Pakistan, 11 digits, void since 2004 and still in old rows. Source: NADRA.
    NicBefore2001,
    /// `ng-nin`: Nigeria, 11 digits, no published check digit. Source: NIMC.
    NigeriaNin,
    /// `ng-vnin`: Nigeria, two letters, 12 digits, two letters: an alias for one verifier. Source: NIMC.
    NigeriaVnin,
    /// `pk-passport`: two letters and 7 digits. Source: Directorate General of Immigration and Passports.
    PakistanPassport,
    /// `phone`: `+` and the digits of ITU-T E.164; Pakistani national forms are read too.
    Phone,
}

static BUILTIN: [Identifier; 15] = [
    Identifier::Aadhaar,
    Identifier::AadhaarVid,
    Identifier::AustriaVsnr,
    Identifier::BangladeshNid,
    Identifier::Cnic,
    Identifier::EstoniaIsikukood,
    Identifier::FamilyNumber,
    Identifier::IcaoMrz,
    Identifier::MosipUin,
    Identifier::MosipVid,
    Identifier::NicBefore2001,
    Identifier::NigeriaNin,
    Identifier::NigeriaVnin,
    Identifier::PakistanPassport,
    Identifier::Phone,
];

/// Why a text is refused.
enum Fault {
    Shape,
    CheckDigit,
    Rule(&'static str),
}

impl Identifier {
    /// Every identifier but [`Custom`](Self::Custom).
    #[must_use]
    pub fn builtin() -> &'static [Self] {
        &BUILTIN
    }

    /// The built-in identifier of that name.
    ///
    /// # Errors
    /// `Schema` if there is none.
    pub fn from_name(name: &str) -> Result<Self> {
        BUILTIN.iter().find(|identifier| identifier.name() == name).cloned().ok_or_else(|| {
            let known: Vec<&str> = BUILTIN.iter().map(Self::name).collect();
            Error::schema(format!(
                "an identifier is one of: {}; or describe it by a pattern",
                known.join(", ")
            ))
        })
    }

    /// The name in schemas and messages.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Custom(pattern) => pattern.name().as_str(),
            _ => self.entry().map_or("", |entry| entry.name),
        }
    }

    /// Reads a text and says what is odd about it.
    ///
    /// # Errors
    /// `Malformed` if it is no such identifier, or if `strictness` forbids how it is written.
    pub fn check(&self, text: &str, strictness: Strictness) -> Result<Checked> {
        let normal = self.normal(text)?;
        let same = |form: &str| form.chars().eq(text.chars().map(script::ascii_digit));
        if strictness == Strictness::Strict && !same(&normal) && !same(&self.written(&normal)) {
            return Err(Error::malformed(format!(
                "a valid `{}` in another form than its normal form or display form; read it leniently, or correct it",
                self.name()
            )));
        }
        let warnings = self.warnings(normal.as_bytes());
        Ok(Checked::new(normal, warnings))
    }

    /// Appends the normal form of a text, leniently read. Allocates nothing where `out` has room; what it holds is kept.
    ///
    /// # Errors
    /// `Malformed` if the text is no such identifier; `out` is then as before.
    pub fn append_normal(&self, text: &str, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        self.read(text, out).map_err(|fault| {
            out.get_mut(start..).unwrap_or_default().zeroize();
            out.truncate(start);
            self.error(&fault)
        })
    }

    /// The display form of a normal form, such as `00000-0000000-0`.
    ///
    /// # Errors
    /// `Malformed` if `normal` is not a normal form.
    pub fn display(&self, normal: &str) -> Result<Zeroizing<String>> {
        if *self.normal(normal)? != normal {
            return Err(Error::malformed(format!("not the normal form of `{}`; read it first", self.name())));
        }
        Ok(self.written(normal))
    }

    /// Bytes of the longest display form.
    #[must_use]
    pub fn longest_display(&self) -> usize {
        match self {
            // Three lines.
            Self::IcaoMrz => mrz::MAX_CHARACTERS + 2,
            Self::Phone => 1 + *phone::DIGITS.end(),
            _ => self.shapes().iter().map(Shape::display_bytes).max().unwrap_or_default(),
        }
    }

    /// What of a text may be shown; `None` if nothing may. A text that is such a mask already stays as it is.
    pub(crate) fn mask(&self, text: &str) -> Option<String> {
        let is_mask = match self {
            Self::IcaoMrz => return None,
            Self::Phone => phone::is_mask(text),
            _ => self.shapes().iter().any(|shape| !shape.shown.is_empty() && shape.is_mask(text)),
        };
        if is_mask {
            return Some(text.to_owned());
        }
        let normal = self.normal(text).ok()?;
        if matches!(self, Self::Phone) {
            return phone::mask(&normal);
        }
        let shape = self.shape(normal.len()).filter(|shape| !shape.shown.is_empty())?;
        let mut shown = String::new();
        shape.write(normal.as_bytes(), &shape.shown, &mut shown);
        Some(shown)
    }

    fn normal(&self, text: &str) -> Result<Zeroizing<String>> {
        let mut out = Zeroizing::new(Vec::with_capacity(MAX_POSITIONS.max(mrz::MAX_CHARACTERS)));
        self.append_normal(text, &mut out)?;
        // Never fails: a normal form is ASCII.
        let normal = core::str::from_utf8(&out).map_err(|_| self.error(&Fault::Shape))?;
        Ok(Zeroizing::new(normal.to_owned()))
    }

    /// The display form of what is a normal form.
    fn written(&self, normal: &str) -> Zeroizing<String> {
        let mut out = Zeroizing::new(String::with_capacity(MAX_PATTERN_BYTES));
        match (self, self.shape(normal.len())) {
            (Self::IcaoMrz, _) => mrz::write(normal, &mut out),
            (_, Some(shape)) => shape.write(normal.as_bytes(), &(0..normal.len()), &mut out),
            _ => out.push_str(normal),
        }
        out
    }

    fn read(&self, text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Self::IcaoMrz => return mrz::append(text, out),
            Self::Phone => return phone::append(text, out),
            _ => {}
        }
        let start = out.len();
        for c in text.chars() {
            let byte = match u8::try_from(c) {
                Ok(byte) if byte.is_ascii_alphanumeric() => byte,
                _ => match script::digit(c) {
                    Some(value) => b'0' + value,
                    None if separates(c) || self.shapes().iter().any(|shape| shape.has_separator(c)) => {
                        continue;
                    }
                    None => return Err(Fault::Shape),
                },
            };
            if out.len() - start == MAX_POSITIONS {
                return Err(Fault::Shape);
            }
            out.push(byte);
        }
        let read = out.get_mut(start..).unwrap_or_default();
        let shape = self.shape(read.len()).filter(|shape| shape.fit(read)).ok_or(Fault::Shape)?;
        if !shape.check_fits(read) {
            return Err(Fault::CheckDigit);
        }
        self.rule(read).map_or(Ok(()), |rule| Err(Fault::Rule(rule)))
    }

    fn entry(&self) -> Option<&'static Entry> {
        Some(match self {
            Self::Aadhaar => &table::AADHAAR,
            Self::AadhaarVid => &table::AADHAAR_VID,
            Self::AustriaVsnr => &table::AUSTRIA_VSNR,
            Self::BangladeshNid => &table::BANGLADESH_NID,
            Self::Cnic => &table::CNIC,
            Self::Custom(_) => return None,
            Self::EstoniaIsikukood => &table::ESTONIA_ISIKUKOOD,
            Self::FamilyNumber => &table::FAMILY_NUMBER,
            Self::IcaoMrz => &table::ICAO_MRZ,
            Self::MosipUin => &table::MOSIP_UIN,
            Self::MosipVid => &table::MOSIP_VID,
            Self::NicBefore2001 => &table::NIC_BEFORE_2001,
            Self::NigeriaNin => &table::NIGERIA_NIN,
            Self::NigeriaVnin => &table::NIGERIA_VNIN,
            Self::PakistanPassport => &table::PAKISTAN_PASSPORT,
            Self::Phone => &table::PHONE,
        })
    }

    fn shapes(&self) -> &[Shape] {
        match self {
            Self::Custom(pattern) => core::slice::from_ref(pattern.shape()),
            _ => self.entry().map_or(&[], |entry| entry.shapes),
        }
    }

    fn shape(&self, length: usize) -> Option<&Shape> {
        self.shapes().iter().find(|shape| shape.positions() == length)
    }

    fn error(&self, fault: &Fault) -> Error {
        let name = self.name();
        Error::malformed(match (fault, self) {
            (Fault::Shape, Self::Custom(pattern)) => {
                format!("not a `{name}`: expected {}", pattern.as_str())
            }
            (Fault::Shape, _) => {
                format!("not a `{name}`: expected {}", self.entry().map_or("", |entry| entry.expects))
            }
            (Fault::CheckDigit, _) => {
                format!(
                    "a check digit of this `{name}` does not fit: a character is wrong; compare with the document"
                )
            }
            (Fault::Rule(rule), _) => (*rule).to_owned(),
        })
    }
}

impl From<Pattern> for Identifier {
    fn from(pattern: Pattern) -> Self {
        Self::Custom(Arc::new(pattern))
    }
}

/// What people put between the parts of a number: spaces, invisible marks, dashes, and what is typed for a dash, tatweel on Urdu keyboards.
fn separates(c: char) -> bool {
    matches!(c, '.' | '/' | '_' | '\u{640}')
        || script::is_dash(c)
        || script::is_space(c)
        || script::is_invisible(c)
}
