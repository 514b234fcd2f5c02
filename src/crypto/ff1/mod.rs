// SPDX-License-Identifier: MIT OR Apache-2.0
//! FF1 (SP 800-38G): encryption that keeps the format.
//!
//! Owns the Feistel rounds. Never a cipher: the blocks are those of the `aes` crate. SPEC 10.6.
