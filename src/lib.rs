// SPDX-License-Identifier: MIT OR Apache-2.0
//! Protects the identity records of national registries.
//!
//! Modules stand in reading order: each uses only those before it (`tests/layers.rs` checks it); the first four, the ground floor,
//! may use each other.

pub mod error;
pub mod ident;
pub mod secret;
pub mod time;

pub mod suite;
mod wire;

pub mod envelope;

mod crypto;

pub mod context;
pub mod keys;
pub mod value;

mod script;

pub mod identifier;
pub mod mask;
pub mod normal;

pub mod blob;
pub mod field;
pub mod index;
pub mod token;

pub mod schema;
pub mod surrogate;

pub mod record;

pub mod rotate;

pub mod inspect;

pub use context::{FieldContext, RecordId};
pub use crypto::Engine;
pub use envelope::Envelope;
pub use error::{Error, Kind, Result};
pub use field::{EnvelopeBatch, FieldOpener, FieldSealer, OpenOptions, SealOptions};
pub use ident::{KeyId, Name, Timestamp};
pub use keys::{Allowance, Keyring, KeyringFile};
pub use record::{Cell, Finder, Mixed, Record, RecordOpener, RecordSealer, SealedField, SealedRecord};
pub use schema::{Schema, TableSchema};
pub use secret::{Secret, SecretBytes};
pub use suite::Suite;
pub use time::Date;
pub use value::{Bucket, Value, ValueRef};

#[cfg(feature = "derive")]
pub use amanat_derive::Record;

/// What `#[derive(Record)]` writes into other crates. Not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::record::beside::SurrogateForm;
    pub use crate::record::call::{Opened, SealedForm, Stored};
    pub use crate::record::form::{MaskedForm, deserialize, mask, sealed, serialize};
    pub use crate::record::typed::PlainRecordIsNotSerialize;
    pub use serde;

    /// Columns of indexes and tokens in serde's formats.
    pub mod surrogate {
        pub use crate::record::beside::{deserialize, serialize};
    }
}

/// FF1 for this repository's benches and fuzz targets alone, until format-preserving tokens are public. Not for use.
#[doc(hidden)]
pub mod __bench {
    pub use crate::crypto::ff1::{Ff1, Ff1Small};
}

#[cfg(test)]
mod tests;

/// The Rust of the README is compiled as a test.
#[cfg(all(doctest, feature = "derive"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
