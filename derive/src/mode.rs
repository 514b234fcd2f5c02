// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is done with a field, and the settings that go with it.
//!
//! Owns the rules of one field: one mode, and no word that means nothing for it.

use proc_macro2::Ident;
use syn::{Error, GenericArgument, PathArguments, Result, Type};

use crate::attributes::{FieldWords, Given};

pub(crate) enum Mode {
    RecordId,
    Clear {
        name: String,
    },
    /// The variant of `Mask`, if one is said.
    Masked {
        name: String,
        mask: Option<&'static str>,
    },
    /// The position among the sealed fields.
    Sealed {
        name: String,
        position: usize,
        settings: Settings,
    },
}

/// The variants of each setting's enum, if one is said.
pub(crate) struct Settings {
    pub(crate) pad: Option<usize>,
    pub(crate) family: Option<&'static str>,
    pub(crate) absence: Option<&'static str>,
    pub(crate) migration: Option<&'static str>,
    pub(crate) mask: Option<&'static str>,
}

impl Settings {
    pub(crate) fn visible(&self) -> bool {
        self.absence == Some("Visible")
    }

    pub(crate) fn mixed(&self) -> bool {
        self.migration == Some("Mixed")
    }
}

impl FieldWords {
    /// Each field has exactly one mode.
    pub(crate) fn check_mode(&self, ident: &Ident) -> Result<()> {
        let modes = [
            ("record_id", self.record_id.as_ref().map(|given| given.span)),
            ("sealed", self.sealed.as_ref().map(|given| given.span)),
            ("masked", self.masked.as_ref().map(|given| given.span)),
            ("clear", self.clear.as_ref().map(|given| given.span)),
        ];
        let mut said = modes.into_iter().filter_map(|(mode, span)| Some((mode, span?)));
        match (said.next(), said.next()) {
            (None, _) => Err(Error::new(
                ident.span(),
                format!(
                    "say what is done with this field: #[amanat(sealed)], masked or clear on `{ident}`, or record_id"
                ),
            )),
            (Some((first @ "record_id", _)), Some((second, span))) => Err(Error::new(
                span,
                format!(
                    "`{first}` and `{second}` exclude each other: the column that identifies the row stays clear"
                ),
            )),
            (Some((first, _)), Some((second, span))) => {
                Err(Error::new(span, format!("`{first}` and `{second}` exclude each other")))
            }
            (Some(_), None) => Ok(()),
        }
    }

    pub(crate) fn into_mode(
        self,
        name: String,
        ty: &Type,
        sealed: &mut impl Iterator<Item = usize>,
    ) -> Result<Mode> {
        self.check_mask()?;
        if self.sealed.is_some() {
            let optional = is_option(ty);
            if let Some(absence) = self.absence.as_ref().filter(|said| said.value == "Visible" && !optional) {
                return Err(Error::new(
                    absence.span,
                    "an absent value needs an `Option`: only such a field can be visibly absent",
                ));
            }
            let value = |given: Option<Given<&'static str>>| given.map(|given| given.value);
            let settings = Settings {
                pad: self.pad.map(|pad| pad.value),
                family: value(self.family),
                absence: value(self.absence),
                migration: value(self.migration),
                mask: value(self.mask),
            };
            return Ok(Mode::Sealed { name, position: sealed.next().unwrap_or_default(), settings });
        }
        self.refuse_sealed_words()?;
        match (self.record_id, self.masked, self.mask) {
            (_, Some(_), Some(mask)) => {
                Err(Error::new(mask.span, "say the mask of a masked field so: masked = \"last-4\""))
            }
            (_, None, Some(mask)) => Err(Error::new(
                mask.span,
                "only a sealed field has a mask beside its value; this one is stored as it is",
            )),
            (_, Some(masked), None) => Ok(Mode::Masked { name, mask: masked.value }),
            (Some(_), None, None) => Ok(Mode::RecordId),
            (None, None, None) => Ok(Mode::Clear { name }),
        }
    }

    /// The mask of an identifier needs one; an identifier needs a value that is hidden.
    fn check_mask(&self) -> Result<()> {
        let masked = self.masked.as_ref().and_then(|given| Some((given.value?, given.span)));
        let mask = masked.or_else(|| self.mask.as_ref().map(|given| (given.value, given.span)));
        match (&self.identifier, mask) {
            (None, Some(("Identifier", span))) => Err(Error::new(
                span,
                "the mask of an identifier needs `identifier`, such as identifier = \"cnic\"",
            )),
            (Some(identifier), _) if self.sealed.is_none() && self.masked.is_none() => Err(Error::new(
                identifier.span,
                "`identifier` belongs to sealed and masked fields; this one is stored as it is",
            )),
            _ => Ok(()),
        }
    }

    fn refuse_sealed_words(&self) -> Result<()> {
        let span = |given: &Option<Given<&'static str>>| given.as_ref().map(|given| given.span);
        let words = [
            ("pad", self.pad.as_ref().map(|pad| pad.span)),
            ("family", span(&self.family)),
            ("absence", span(&self.absence)),
            ("migration", span(&self.migration)),
        ];
        let mut said = words.into_iter().filter_map(|(word, span)| Some((word, span?)));
        said.next().map_or(Ok(()), |(word, span)| {
            Err(Error::new(span, format!("`{word}` belongs to sealed fields; this one is not sealed")))
        })
    }
}

/// Whether a type is written as an `Option`.
pub(crate) fn is_option(ty: &Type) -> bool {
    optional(ty).is_some()
}

/// What an `Option` is of, or the type itself.
pub(crate) fn inner_type(ty: &Type) -> &Type {
    optional(ty).map_or(ty, |arguments| match arguments {
        PathArguments::AngleBracketed(of) => match of.args.first() {
            Some(GenericArgument::Type(inner)) => inner,
            _ => ty,
        },
        _ => ty,
    })
}

fn optional(ty: &Type) -> Option<&PathArguments> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Option")?;
    path.qself.is_none().then_some(&last.arguments)
}
