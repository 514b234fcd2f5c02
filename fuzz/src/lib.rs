// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the targets run.

#[path = "../../tests/fuzz_bodies/mod.rs"]
mod fuzz_bodies;

#[path = "../../tests/fuzz_bodies/rows.rs"]
mod rows;

#[path = "../../tests/fuzz_bodies/foreign.rs"]
mod foreign;

pub use foreign::*;
pub use fuzz_bodies::*;
pub use rows::*;
