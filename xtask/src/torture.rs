// SPDX-License-Identifier: MIT OR Apache-2.0
//! The long form of the proofs of runs: a thousand kills, and two hundred thousand rows that change while they are rotated.

use crate::command::{Failure, Place, Run};
use crate::tools;

const HEAD: &str =
    "store                       kills   runs  resumes  rows read  writes  lost  unreadable  counted wrongly";

/// How many times something is killed.
pub(crate) fn kills(arguments: &[String]) -> Result<u32, Failure> {
    match arguments {
        [] => Ok(1_000),
        [option, number] if option == "--kills" => {
            let number = number.parse().ok().filter(|number| *number > 0);
            number.ok_or_else(|| Failure::new("--kills needs a number above 0"))
        }
        _ => Err(Failure::new("torture takes --kills N and nothing else; see `cargo xtask help`")),
    }
}

/// Kills, then prints what was lost; a loss is a failure. Then the concurrency proof.
pub(crate) fn run(place: &Place, kills: u32) -> Result<(), Failure> {
    tools::postgres(place)?;
    let summary = place.folder("torture")?.join("summary.txt");
    // What an earlier run left must not pass for what this one does.
    if summary.exists() {
        std::fs::remove_file(&summary)
            .map_err(|e| Failure::new(format!("cannot remove {}: {e}", summary.display())))?;
    }
    let killed = proof(place, "torture")
        .env("AMANAT_TORTURE_KILLS", kills.to_string())
        .env("AMANAT_TORTURE_SUMMARY", &summary)
        .run();
    println!("\n{HEAD}\n{}", std::fs::read_to_string(&summary).unwrap_or_default());
    killed?;
    proof(place, "concurrency").env("AMANAT_LONG", "1").run()
}

/// A test of the stores, optimised; across crates that would triple the time to build.
fn proof(place: &Place, test: &str) -> Run {
    place
        .cargo(["test", "--package", "amanat-stores", "--release", "--locked", "--test", test])
        .args(["--", "--nocapture"])
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
}
