// SPDX-License-Identifier: MIT OR Apache-2.0
//! Placeholder while the crate is being written.
fn main() {}
