// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files and tables for amanat: the keyring file, CSV, JSON Lines and SQLite.
//!
//! Owns what touches a file. Never decides how a value is sealed, never replaces a stored value before its replacement is safe.

pub mod durable;
pub mod keyring_file;
pub mod secret_file;

pub use durable::{Access, PartFile};
pub use keyring_file::KeyringPath;
