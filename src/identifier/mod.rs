// SPDX-License-Identifier: MIT OR Apache-2.0
//! National identifiers: what is valid, and its one normal form.
//!
//! Owns SPEC chapter 8.3. Never repairs an identifier, never hashes one.
