// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps of `cargo xtask test`: what must pass before a change is taken.

use std::time::Instant;

use crate::command::{Failure, Place};
use crate::{fuzz, python, tools};

struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Place) -> Result<(), Failure>,
}

/// Cheap steps first, so that a mistake shows early.
const STEPS: &[Step] = &[
    Step {
        name: "lock-files",
        about: "both Cargo.lock files fit their manifests; everything is downloaded",
        run: |place| {
            place.cargo(["fetch", "--locked"]).run()?;
            // cargo-fuzz has no --locked, and would mend a stale lock file silently.
            place.cargo(["fetch", "--locked", "--manifest-path", "fuzz/Cargo.toml"]).run().map_err(
                |failure| {
                    let mend = "cargo fetch --manifest-path fuzz/Cargo.toml";
                    Failure::new(format!(
                        "{failure}\nIf a dependency was changed, mend the lock file with:\n  {mend}"
                    ))
                },
            )
        },
    },
    Step {
        name: "format",
        about: "the sources are formatted",
        run: |place| {
            tools::component(place, "rustfmt", "fmt")?;
            place.cargo(["fmt", "--all", "--check"]).run()?;
            place.cargo(["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]).run()
        },
    },
    Step {
        name: "clippy",
        about: "no lint in any crate, test, example or benchmark",
        run: |place| {
            tools::component(place, "clippy", "clippy")?;
            place.cargo(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]).run()
        },
    },
    Step {
        name: "test",
        about: "every test of every crate, with overflow checks",
        run: |place| {
            tools::postgres(place)?;
            // The program turns on every format of amanat-foreign, so that their tests are among these.
            place.cargo(["test", "--workspace", "--locked"]).run()
        },
    },
    Step {
        name: "test-release",
        about: "the library's tests, optimised and without overflow checks",
        run: |place| {
            // Optimising across crates would triple the time, and finds nothing that these tests could see.
            place
                .cargo(["test", "--package", "amanat", "--lib", "--tests", "--release", "--locked"])
                .env("CARGO_PROFILE_RELEASE_LTO", "off")
                .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
                .run()
        },
    },
    Step {
        name: "no-features",
        about: "the library without its optional features",
        run: |place| place.cargo(["build", "--package", "amanat", "--no-default-features", "--locked"]).run(),
    },
    Step {
        name: "doc",
        about: "the documentation builds without a warning",
        run: |place| {
            place
                .cargo(["doc", "--workspace", "--no-deps", "--locked"])
                .env("RUSTDOCFLAGS", "-D warnings")
                .run()
        },
    },
    Step {
        name: "dependencies",
        about: "licences, sources and duplicates of every dependency",
        run: |place| {
            let deny = tools::cargo_deny(place)?;
            place
                .program(deny)
                .args(["--workspace", "--locked", "check", "bans", "licenses", "sources"])
                .run()
        },
    },
    Step { name: "python", about: "the reference program and the vectors", run: python::test },
    Step { name: "foreign", about: "values that other tools seal today are opened", run: python::foreign },
    Step {
        name: "crosscheck",
        about: "what Rust seals today, the reference program opens",
        run: python::crosscheck,
    },
    Step {
        name: "demo",
        about: "the demonstration runs from end to end",
        run: |place| {
            let folder = place.target.join("demo");
            place
                .cargo(["run", "--release", "--locked", "--package", "amanat-cli", "--"])
                .args(["demo", "--force", "--folder"])
                .args([folder])
                .run()
        },
    },
    Step { name: "fuzz", about: "every fuzz target for a few seconds", run: fuzz::smoke },
];

/// The steps for `cargo xtask help`.
pub(crate) fn list() -> String {
    STEPS.iter().map(|step| format!("  {:<14}{}\n", step.name, step.about)).collect()
}

/// Runs every step, or the named ones in their own order, up to the first that fails.
pub(crate) fn run(place: &Place, names: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        return Err(Failure::new(format!("no step `{unknown}`; the steps are:\n{}", list())));
    }
    let chosen = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.name);
    let steps: Vec<&Step> = STEPS.iter().filter(chosen).collect();
    let mut table = format!("\n{:<14}{:>8}  result\n", "step", "seconds");
    let mut outcome = Ok(());
    for (number, step) in (1..).zip(&steps) {
        println!("\n== {number} of {}: {}: {}", steps.len(), step.name, step.about);
        let start = Instant::now();
        outcome = (step.run)(place);
        let result = if outcome.is_ok() { "passed" } else { "FAILED" };
        table.push_str(&format!("{:<14}{:>8.1}  {result}\n", step.name, start.elapsed().as_secs_f64()));
        if let Err(failure) = outcome {
            outcome = Err(Failure::new(format!("step `{}` failed: {failure}", step.name)));
            let left = steps.len() - number;
            if left > 0 {
                table.push_str(&format!("{left} more did not run\n"));
            }
            break;
        }
    }
    println!("{table}");
    outcome
}
