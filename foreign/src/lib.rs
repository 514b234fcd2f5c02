// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opens values that other tools sealed, so that they can be sealed by amanat.
//!
//! Owns the trait [`Opener`] and, with the feature `formats`, the formats of known tools. Never seals: nothing here makes a ciphertext.

#[cfg(feature = "formats")]
mod aead;
#[cfg(feature = "formats")]
mod limits;
#[cfg(feature = "formats")]
mod reader;
#[cfg(feature = "formats")]
mod text;

#[cfg(feature = "formats")]
mod fernet;
#[cfg(feature = "formats")]
mod lockbox;
#[cfg(feature = "formats")]
mod pgcrypto;
#[cfg(feature = "formats")]
mod rails;
#[cfg(feature = "formats")]
mod tink;
#[cfg(feature = "formats")]
mod vault;

#[cfg(feature = "formats")]
mod format;

use core::fmt;

use amanat::error::Result;
use zeroize::Zeroizing;

#[cfg(feature = "formats")]
pub use fernet::{Fernet, MAX_FERNET_KEYS};
#[cfg(feature = "formats")]
pub use format::{Format, open};
#[cfg(feature = "formats")]
pub use limits::{MAX_INFLATED_BYTES, MAX_KEY_FILE_BYTES, MAX_STORED_BYTES};
#[cfg(feature = "formats")]
pub use lockbox::Lockbox;
#[cfg(feature = "formats")]
pub use pgcrypto::{MAX_PASSPHRASE_BYTES, Pgcrypto};
#[cfg(feature = "formats")]
pub use rails::{MAX_RAILS_KEYS, Rails};
#[cfg(feature = "formats")]
pub use tink::{MAX_TINK_KEYS, Tink};
#[cfg(feature = "formats")]
pub use vault::Vault;

/// Opens the values of one column that another tool sealed. One that serves several threads.
///
/// Every value of the column that is no envelope of amanat goes to the opener; nothing is tried with several. Implement it for a format of
/// your own.
pub trait Opener: fmt::Debug + Send + Sync {
    /// Name of the format, for messages.
    fn name(&self) -> &str;

    /// Opens a stored value: the bytes of a binary column, or the UTF-8 of a text column. Gives the plaintext bytes, which are wiped.
    ///
    /// # Errors
    /// `Malformed`, `Unsupported`, `Limit` and `UnknownKey` from what can be read without a key; `Unauthentic`, and nothing more precise,
    /// once a key was used. A value that was found authentic may still be refused by `Limit` or `Unsupported`: it inflates to too much. No
    /// message holds a value.
    fn open(&self, stored: &[u8], origin: &Origin<'_>) -> Result<Zeroizing<Vec<u8>>>;
}

/// Where a value stands: some tools bind values to their place.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Origin<'a> {
    /// Table in the store.
    pub table: &'a str,
    /// Column in the store.
    pub column: &'a str,
    /// Texts of the record id's columns, in the schema's order.
    pub record: &'a [&'a str],
}

impl<'a> Origin<'a> {
    /// Names the place of a value.
    #[must_use]
    pub const fn new(table: &'a str, column: &'a str, record: &'a [&'a str]) -> Self {
        Self { table, column, record }
    }
}

/// A record id is personal data and is not printed.
impl fmt::Debug for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({}.{})", self.table, self.column)
    }
}
