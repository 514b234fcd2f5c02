// SPDX-License-Identifier: MIT OR Apache-2.0
//! Vectors of plans of runs.

use crate::error::{Error, Result};
use crate::rotate::RunPlan;
use crate::tests::vector::Vector;

pub(super) fn plan(v: &Vector) -> Result<()> {
    let text = core::str::from_utf8(&v.file).map_err(|_| Error::malformed("not UTF-8"))?;
    let plan = RunPlan::from_json(text)?;
    v.same_text("id", plan.id);
    v.same_text("primary", plan.primary);
    assert_eq!(plan.to_json(), text, "{}", v.name);
    Ok(())
}
