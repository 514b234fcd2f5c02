// SPDX-License-Identifier: MIT OR Apache-2.0
//! Normal forms: named, versioned, frozen.
//!
//! Owns SPEC chapter 8. Never changes a value that is stored: only indexes and tokens see a normal form.
