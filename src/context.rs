// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a value belongs: registry, table, field, record.
//!
//! Owns associated data (SPEC 5.4). Registry, table and field are inputs of the key, the record id is associated data:
//! an envelope moved to another row, column, table or registry does not open.

use core::fmt;
use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::ident::Name;
use crate::suite::{BLOCK_BYTES, HEADER_BYTES};
use crate::wire::pae;

/// Longest record id in bytes.
pub const MAX_RECORD_ID_BYTES: usize = 1_024;

/// A field of a table of a registry: what a field key is derived for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldContext {
    registry: Name,
    table: Name,
    field: Name,
}

impl FieldContext {
    /// Names a field.
    #[must_use]
    pub const fn new(registry: Name, table: Name, field: Name) -> Self {
        Self { registry, table, field }
    }

    /// The registry.
    #[must_use]
    pub const fn registry(&self) -> &Name {
        &self.registry
    }

    /// The table.
    #[must_use]
    pub const fn table(&self) -> &Name {
        &self.table
    }

    /// The field.
    #[must_use]
    pub const fn field(&self) -> &Name {
        &self.field
    }
}

/// The id of a record: which row an envelope belongs to.
///
/// Shape: 1 to [`MAX_RECORD_ID_BYTES`] bytes, made from the row's key by SPEC 3.2. `Debug` does not print it: record ids are personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordId<'a>(Cow<'a, [u8]>);

impl<'a> RecordId<'a> {
    /// A key of one text column.
    ///
    /// # Errors
    /// `Limit` if it is empty or too long.
    pub fn text(text: &'a str) -> Result<Self> {
        Self::checked(Cow::Borrowed(text.as_bytes()))
    }

    /// A key of one integer column.
    #[must_use]
    pub fn integer(number: i64) -> RecordId<'static> {
        RecordId(Cow::Owned(number.to_string().into_bytes()))
    }

    /// A key of several columns, each as text.
    ///
    /// # Errors
    /// `Schema` if there are fewer than two, `Limit` if they are too long together.
    pub fn composite(columns: &[&str]) -> Result<RecordId<'static>> {
        if columns.len() < 2 {
            return Err(Error::schema("a composite record id has at least two columns"));
        }
        let parts: Vec<&[u8]> = columns.iter().map(|column| column.as_bytes()).collect();
        RecordId::checked(Cow::Owned(pae(&parts)))
    }

    /// From the stored bytes of SPEC 3.2.
    pub(crate) fn checked(bytes: Cow<'a, [u8]>) -> Result<Self> {
        match bytes.len() {
            0 => Err(Error::limit("the record id is empty; every row needs one, and it must never change")),
            1..=MAX_RECORD_ID_BYTES => Ok(Self(bytes)),
            _ => Err(Error::limit("the record id is longer than 1024 bytes")),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RecordId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordId(..)")
    }
}

/// Associated data in a buffer that is used again: `header ‖ u16 length ‖ record id ‖ zeros` to a multiple of 16.
pub(crate) struct AssociatedData {
    /// Of record ids that fit, which is nearly all: no allocation and no bounds that grow.
    short: [u8; SHORT_BYTES],
    long: Vec<u8>,
}

/// Room for a record id of 44 bytes.
const SHORT_BYTES: usize = 64;

impl Default for AssociatedData {
    fn default() -> Self {
        Self { short: [0; SHORT_BYTES], long: Vec::new() }
    }
}

impl AssociatedData {
    /// Associated data of this header and record id; an empty id is that of a token.
    #[inline]
    pub(crate) fn set(&mut self, header: &[u8; HEADER_BYTES], record_id: &[u8]) -> &[u8] {
        // A record id has at most MAX_RECORD_ID_BYTES, which fits.
        let length = u16::try_from(record_id.len()).unwrap_or(u16::MAX).to_be_bytes();
        let used = HEADER_BYTES + length.len() + record_id.len();
        let rounded = used.next_multiple_of(BLOCK_BYTES);
        if rounded > SHORT_BYTES {
            self.long.clear();
            [&header[..], &length, record_id].iter().for_each(|part| self.long.extend_from_slice(part));
            self.long.resize(rounded, 0);
            return &self.long;
        }
        self.short = [0; SHORT_BYTES];
        let (fixed, rest) = self.short.split_at_mut(HEADER_BYTES + 2);
        let (first, second) = fixed.split_at_mut(HEADER_BYTES);
        first.copy_from_slice(header);
        second.copy_from_slice(&length);
        rest.split_at_mut(record_id.len()).0.copy_from_slice(record_id);
        self.short.split_at(rounded).0
    }
}
