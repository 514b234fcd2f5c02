// SPDX-License-Identifier: MIT OR Apache-2.0
//! Normal forms: named, versioned, frozen.
//!
//! Owns SPEC 8.2. Never changes a value that is stored: only indexes and tokens see a normal form. Variable-time in the value.

use std::borrow::Cow;
use std::io::Write;

use crate::error::{Error, Result};
use crate::identifier::Identifier;
use crate::script::{ascii_digit, digit, is_dash, is_invisible, is_space};
use crate::secret::{SecretBytes, ct_eq};
use crate::suite::MAX_FIELD_BYTES;
use crate::time::Date;
use crate::value::ValueRef;

mod arabic;
mod latin;
mod name;

/// Longest normal form.
pub const MAX_NORMAL_BYTES: usize = 1024;

/// How a value is written before it is compared: two values that a clerk takes for the same have one normal form.
///
/// Each form has a name with a version and is frozen: what it makes of a value never changes. Limits: values up to
/// [`MAX_FIELD_BYTES`] in, [`MAX_NORMAL_BYTES`] out. Source: SPEC 8.2.
///
/// ```
/// # fn main() -> amanat::Result<()> {
/// use amanat::{ValueRef, normal::NormalForm};
///
/// let form = NormalForm::from_name("urdu-name/v1")?;
/// let arabic_keyboard = form.normalise(ValueRef::Text("علي"))?;
/// let urdu_keyboard = form.normalise(ValueRef::Text("علی"))?;
/// assert!(arabic_keyboard.matches(&urdu_keyboard));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NormalForm {
    /// `date/v1`: a date, or text `YYYY-MM-DD` with digits of any of three scripts; gives `YYYY-MM-DD`.
    Date,
    /// `digits/v1`: text of digits; gives ASCII digits, leading zeros kept, without spaces and dashes.
    Digits,
    /// `exact/v1`: any type; gives the type and the bytes as they are.
    Exact,
    /// `cnic/v1` and so on, the identifier's name and a version; `e164/v1` for phones, `custom/v1:name` for a described one: text; gives the
    /// identifier's normal form.
    Identifier(Identifier),
    /// `latin-name/v1`: text; gives base letters in lower case, without apostrophes, a space for hyphens, dots, commas and MRZ fillers.
    LatinName,
    /// `urdu-name/v1`: text; gives the letters of Urdu whatever keyboard typed them, without marks; Latin letters as in `latin-name/v1`.
    UrduName,
}

impl NormalForm {
    /// The form of a stored name. That of a custom identifier is not found by name: it is made of the identifier.
    ///
    /// # Errors
    /// `Unsupported` if there is none.
    pub fn from_name(name: &str) -> Result<Self> {
        let plain = [Self::Date, Self::Digits, Self::Exact, Self::LatinName, Self::UrduName];
        let identifiers = Identifier::builtin().iter().cloned().map(Self::Identifier);
        plain.into_iter().chain(identifiers).find(|form| form.name() == name).ok_or_else(|| {
            Error::unsupported(
                "no such normal form; examples are digits/v1, urdu-name/v1, cnic/v1 and e164/v1",
            )
        })
    }

    /// What enters keys and messages: the name, and with a form of the schema's own its pattern too, so that a changed pattern is another form.
    pub(crate) fn identity(&self) -> Cow<'static, str> {
        match self {
            Self::Identifier(Identifier::Custom(pattern)) => {
                format!("{}:{}", self.name(), pattern.as_str()).into()
            }
            _ => self.name(),
        }
    }

    /// The stored name.
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        let name = match self {
            Self::Date => "date/v1",
            Self::Digits => "digits/v1",
            Self::Exact => "exact/v1",
            Self::Identifier(identifier) => match identifier {
                Identifier::Aadhaar => "aadhaar/v1",
                Identifier::AadhaarVid => "aadhaar-vid/v1",
                Identifier::AustriaVsnr => "at-vsnr/v1",
                Identifier::BangladeshNid => "bd-nid/v1",
                Identifier::Cnic => "cnic/v1",
                Identifier::Custom(pattern) => return format!("custom/v1:{}", pattern.name()).into(),
                Identifier::EstoniaIsikukood => "ee-isikukood/v1",
                Identifier::FamilyNumber => "family-number/v1",
                Identifier::IcaoMrz => "mrz/v1",
                Identifier::MosipUin => "mosip-uin/v1",
                Identifier::MosipVid => "mosip-vid/v1",
                Identifier::NicBefore2001 => "nic-before-2001/v1",
                Identifier::NigeriaNin => "ng-nin/v1",
                Identifier::NigeriaVnin => "ng-vnin/v1",
                Identifier::PakistanPassport => "pk-passport/v1",
                Identifier::Phone => "e164/v1",
            },
            Self::LatinName => "latin-name/v1",
            Self::UrduName => "urdu-name/v1",
        };
        name.into()
    }

    /// Brings a value into this form.
    ///
    /// # Errors
    /// `Schema` for null, a type that the form does not take, and a value of which nothing is left; `Malformed` for text that the form
    /// refuses; `Limit` if the value or its normal form is too long.
    pub fn normalise(&self, value: ValueRef<'_>) -> Result<Normal> {
        let mut normal = Normal { form: self.clone(), bytes: SecretBytes::default() };
        self.normalise_into(value, &mut normal)?;
        Ok(normal)
    }

    /// Brings a value into this form, in a buffer kept from row to row; after an error the buffer is empty.
    ///
    /// # Errors
    /// Those of [`NormalForm::normalise`].
    pub fn normalise_into(&self, value: ValueRef<'_>, out: &mut Normal) -> Result<()> {
        if out.form != *self {
            out.form = self.clone();
        }
        let done = self.write(value, &mut out.bytes);
        if done.is_err() {
            out.bytes.wipe();
        }
        done
    }

    fn write(&self, value: ValueRef<'_>, out: &mut SecretBytes) -> Result<()> {
        if value.content_bytes() > MAX_FIELD_BYTES {
            return Err(Error::limit("a value is longer than its normal form may be"));
        }
        let room = match (self, value) {
            (Self::LatinName | Self::UrduName, ValueRef::Text(text)) => name::room(text),
            _ => (value.content_bytes() + GROWTH).min(MAX_NORMAL_BYTES + 1),
        };
        out.make_room(room);
        let mut done = Ok(());
        let written = out.fill_with(|out| done = self.append(value, out));
        done?;
        if written.is_empty() {
            return Err(Error::schema("nothing is left of the value in its normal form"));
        }
        Ok(())
    }

    fn append(&self, value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<()> {
        match (self, value) {
            (_, ValueRef::Null) => Err(Error::schema("null has no normal form; leave absent values out")),
            (Self::Date, ValueRef::Date(date)) => {
                write!(out, "{date}").map_err(|_| Error::limit("no room for a date"))
            }
            (Self::Date, ValueRef::Text(text)) => append_date(text, out),
            (Self::Digits, ValueRef::Text(text)) => append_digits(text, out),
            (Self::Exact, value) => append_exact(value, out),
            (Self::Identifier(identifier), ValueRef::Text(text)) => identifier.append_normal(text, out),
            (Self::LatinName, ValueRef::Text(text)) => name::LATIN.append(text, out),
            (Self::UrduName, ValueRef::Text(text)) => name::URDU.append(text, out),
            (_, ValueRef::Integer(_)) => Err(Error::schema(format!(
                "the normal form {} takes text: an integer has lost its leading zeros; keep the column as text",
                self.name()
            ))),
            (_, value) => Err(Error::schema(format!(
                "the normal form {} takes text, and this value is of the type {}",
                self.name(),
                value.type_name()
            ))),
        }
    }
}

/// Bytes that a form other than of names may be longer than the value: a date grows by six, a phone number by `+92`.
const GROWTH: usize = 8;
/// Length of `YYYY-MM-DD`.
const DATE_BYTES: usize = 10;

/// Text that is a date already but for its script: what says day, month and year in another order is refused.
fn append_date(text: &str, out: &mut Vec<u8>) -> Result<()> {
    let wrong = || {
        Error::malformed(
            "a date is written YYYY-MM-DD, with 00 for an unknown month or day; other orders are ambiguous",
        )
    };
    let text = text.trim_matches(|c| is_space(c) || is_invisible(c));
    for c in text.chars().filter(|c| !is_invisible(*c)) {
        let byte = if is_dash(c) { b'-' } else { u8::try_from(ascii_digit(c)).map_err(|_| wrong())? };
        out.push(byte);
        if out.len() > DATE_BYTES {
            return Err(wrong());
        }
    }
    let text = core::str::from_utf8(out).map_err(|_| wrong())?;
    text.parse::<Date>().map(|_| ()).map_err(|_| wrong())
}

fn append_digits(text: &str, out: &mut Vec<u8>) -> Result<()> {
    for c in text.chars() {
        if let Some(value) = digit(c) {
            out.push(b'0' + value);
        } else if !(is_space(c) || is_dash(c) || is_invisible(c)) {
            return Err(Error::malformed("only digits, spaces and dashes have the normal form digits/v1"));
        }
        if out.len() > MAX_NORMAL_BYTES {
            return Err(name::too_long());
        }
    }
    Ok(())
}

fn append_exact(value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<()> {
    value.check()?;
    if value.content_bytes() >= MAX_NORMAL_BYTES {
        return Err(name::too_long());
    }
    value.with_parts(|kind, content| {
        out.push(kind);
        out.extend_from_slice(content);
    });
    Ok(())
}

/// A value in a normal form: personal data, wiped when dropped, never printed.
#[derive(Debug)]
pub struct Normal {
    form: NormalForm,
    bytes: SecretBytes,
}

impl Normal {
    /// An empty buffer for [`NormalForm::normalise_into`].
    #[must_use]
    pub fn empty(form: NormalForm) -> Self {
        Self { form, bytes: SecretBytes::default() }
    }

    /// The form.
    #[must_use]
    pub const fn form(&self) -> &NormalForm {
        &self.form
    }

    /// Shape: 1 to [`MAX_NORMAL_BYTES`] bytes, UTF-8 but for `exact/v1`; empty after [`NormalForm::normalise_into`] failed.
    #[must_use]
    pub const fn bytes(&self) -> &SecretBytes {
        &self.bytes
    }

    /// Whether two values are the same in the same form; compares in constant time. An empty buffer matches nothing.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.form == other.form && !self.as_bytes().is_empty() && ct_eq(self.as_bytes(), other.as_bytes())
    }

    /// Refuses the empty buffer that a failed normalisation leaves.
    pub(crate) fn check_ready(&self) -> Result<()> {
        if self.as_bytes().is_empty() {
            return Err(Error::misuse("a normal form is empty: the error of making it was ignored"));
        }
        Ok(())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.expose()
    }
}
