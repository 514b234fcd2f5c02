// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plans of runs.

use amanat::rotate::RunPlan;

/// A plan that is accepted is written again as it was, and whatever is not is refused.
pub fn run_plan(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(plan) = RunPlan::from_json(text) else { return };
    assert_eq!(plan.to_json(), text, "a plan has one form");
}
