// SPDX-License-Identifier: MIT OR Apache-2.0
//! The project's own commands: `cargo xtask help`.
//!
//! Owns how tests, fuzzing, benchmarks and vectors are run. Never skips a step silently. See CONTRIBUTING.md.

mod command;
mod fuzz;
mod python;
mod steps;
mod tools;
mod torture;

use std::process::ExitCode;

use command::{Failure, Place};

const HELP: &str = "\
Usage: cargo xtask COMMAND

Commands:
  test [STEP]...                   run every test, or only the named steps
  fuzz [--seconds N] [TARGET]...   fuzz every target, or the named ones, N seconds each (60 unless told)
  torture [--kills N]              kill runs over live tables N times (1,000 unless told), then the long concurrency proof
  bench [ARGUMENT]...              run the benchmarks; arguments go to `cargo bench`
  vectors                          make tests/vectors anew and say whether anything changed
  help                             show this

Missing tools (cargo-deny, cargo-fuzz, Python packages) are installed below the target folder, and each installation is announced.
As root, missing Debian packages (postgresql, postgresql-contrib, python3, python3-venv, g++) are installed with apt-get.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (verb, rest) = match arguments.split_first() {
        Some((verb, rest)) => (verb.as_str(), rest),
        None => ("help", &[][..]),
    };
    match Place::find().and_then(|place| run(&place, verb, rest)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(place: &Place, verb: &str, rest: &[String]) -> Result<(), Failure> {
    match verb {
        "test" => steps::run(place, rest),
        "fuzz" => fuzz::run(place, &fuzz::Options::read(rest)?),
        "torture" => torture::run(place, torture::kills(rest)?),
        "bench" => place.cargo(["bench", "--locked", "--bench", "*"]).args(rest).run(),
        "vectors" => python::remake_vectors(place),
        "help" | "--help" | "-h" => {
            print!("{HELP}\nSteps of `test`, in order:\n{}", steps::list());
            Ok(())
        }
        other => Err(Failure::new(format!("no command `{other}`; see `cargo xtask help`"))),
    }
}
