// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is fuzzed: for each target a function that takes any bytes and panics if the library breaks a promise.
//!
//! `fuzz/` runs them under libFuzzer, `tests/corpus.rs` replays the committed inputs.

#![allow(unreachable_pub, reason = "shared by two crates: exported from one, private to the other")]

mod envelopes;
mod feed;
mod ff1;
mod identifiers;
mod keyrings;
mod keys;
mod looking;
mod normals;
mod runs;
mod schemas;
mod sealing;
mod streams;
mod surrogates;
mod symbols;
mod tokens;
mod vault;

pub use envelopes::{envelope_bytes, envelope_text, plain_base64};
pub use ff1::ff1;
pub use identifiers::identifier;
pub use keyrings::{keyring, keyring_pin};
pub use looking::inspection;
pub use normals::normal_form;
pub use runs::run_plan;
pub use schemas::schema;
pub use sealing::{open_right_key, open_wrong_key};
pub use streams::stream;
pub use surrogates::surrogates;
pub use tokens::token_text;
