// SPDX-License-Identifier: MIT OR Apache-2.0
//! Normal forms: named, versioned, frozen.
//!
//! Owns SPEC chapter 8. Never changes a value that is stored: only indexes and tokens see a normal form.

use crate::error::{Error, Result};
use crate::secret::{SecretBytes, ct_eq};
use crate::value::ValueRef;

/// A normal form: how a value is written before it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NormalForm {
    /// The bytes as they are.
    Exact,
}

impl NormalForm {
    /// The stored name.
    #[must_use]
    pub fn name(&self) -> String {
        "exact/v1".to_owned()
    }

    /// Brings a value into this form.
    ///
    /// # Errors
    /// `Schema` if it has none.
    pub fn normalise(&self, value: ValueRef<'_>) -> Result<Normal> {
        let ValueRef::Text(text) = value else { return Err(Error::schema("only text has this normal form")) };
        Ok(Normal { form: self.clone(), bytes: SecretBytes::new(text.as_bytes().to_vec()) })
    }
}

/// A value in a normal form. Wiped when dropped, never printed.
#[derive(Debug)]
pub struct Normal {
    form: NormalForm,
    bytes: SecretBytes,
}

impl Normal {
    /// The form.
    #[must_use]
    pub const fn form(&self) -> &NormalForm {
        &self.form
    }

    /// Whether two values are one in this form.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.form == other.form && ct_eq(self.as_bytes(), other.as_bytes())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.expose()
    }
}
