// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs over live tables: what a run is, in which state it is, and how fast it may go.
//!
//! Owns the states of a run, its plan as it is stored, and its pace (SPEC 11). Never reads a row or a clock: `amanat-stores` drives
//! runs, and times are passed in.

mod pace;
mod phase;
mod plan;

pub use pace::Pace;
pub use phase::{Lease, Phase, Request, Stage};
pub use plan::{MAX_RUN_PLAN_BYTES, RunId, RunPlan, RunSource, Verb};
