// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real servers for the tests of this repository.
//!
//! Owns a server from its first folder to its last. Never touches a server that it did not start.
//! It serves tests alone, so what fails ends the test with a panic that says what to do.
#![allow(clippy::panic, clippy::missing_panics_doc)]

pub mod postgres;
