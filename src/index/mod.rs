// SPDX-License-Identifier: MIT OR Apache-2.0
//! Blind indexes: find a row by a value without telling the store the value.
//!
//! Owns SPEC chapter 9. Never takes a value that is not in normal form, never works without a key.
