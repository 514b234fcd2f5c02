// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fuzzing: every target of `fuzz/`, for seconds in the tests or for as long as wanted.

use crate::command::{Failure, Place, Run};
use crate::tools;

/// Runs of each target in `cargo xtask test`, from a fixed seed: what passes once passes again. Finding more is for `cargo xtask fuzz`.
const SMOKE_RUNS: u64 = 20_000;
/// Seconds after which a target ends in any case, there.
const SMOKE_SECONDS: u64 = 30;

/// What to fuzz and for how long.
pub(crate) struct Options {
    seconds: u64,
    /// Runs from a fixed seed; as many as the seconds give if not set.
    runs: Option<u64>,
    targets: Vec<String>,
}

impl Options {
    pub(crate) fn read(arguments: &[String]) -> Result<Self, Failure> {
        let mut options = Self { seconds: 60, runs: None, targets: Vec::new() };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--seconds" => {
                    let seconds = rest.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                    options.seconds =
                        seconds.ok_or_else(|| Failure::new("--seconds needs a number above 0"))?;
                }
                option if option.starts_with('-') => {
                    return Err(Failure::new(format!("no option `{option}`; see `cargo xtask help`")));
                }
                target => options.targets.push(target.to_owned()),
            }
        }
        Ok(options)
    }
}

/// Every target for a few seconds, the same way each time.
pub(crate) fn smoke(place: &Place) -> Result<(), Failure> {
    run(place, &Options { seconds: SMOKE_SECONDS, runs: Some(SMOKE_RUNS), targets: Vec::new() })
}

/// Builds the targets once, then runs each.
pub(crate) fn run(place: &Place, options: &Options) -> Result<(), Failure> {
    let known = targets(place)?;
    if let Some(unknown) = options.targets.iter().find(|target| !known.contains(target)) {
        return Err(Failure::new(format!("no fuzz target `{unknown}`; there are: {}", known.join(", "))));
    }
    let chosen = if options.targets.is_empty() { &known } else { &options.targets };
    let fuzzer = Fuzzer::prepare(place)?;
    fuzzer.command("build").run()?;
    for target in chosen {
        let found = place
            .folder(&format!("fuzz-corpus{}/{target}", if options.runs.is_some() { "-smoke" } else { "" }))?;
        // libFuzzer writes what it finds to the first folder; the committed corpus after it is only read.
        fuzzer
            .command("run")
            .args([target])
            .args([found, place.root.join("fuzz/corpus").join(target)])
            .args(["--".to_owned(), format!("-max_total_time={}", options.seconds)])
            .args(["-timeout=10", "-max_len=4096", "-verbosity=0", "-print_final_stats=1"])
            .args(options.runs.iter().flat_map(|runs| ["-seed=1".to_owned(), format!("-runs={runs}")]))
            // Threads that are about to end look like leaks.
            .args(["-detect_leaks=0"])
            .run()?;
    }
    println!("{} targets, at most {} s each, no finding", chosen.len(), options.seconds);
    Ok(())
}

/// Names of the targets: the files of `fuzz/fuzz_targets`.
fn targets(place: &Place) -> Result<Vec<String>, Failure> {
    let folder = place.root.join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&folder);
    let entries = entries.map_err(|e| Failure::new(format!("cannot read {}: {e}", folder.display())))?;
    let stem = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.ok()?.path();
        path.extension().filter(|extension| *extension == "rs")?;
        Some(path.file_stem()?.to_string_lossy().into_owned())
    };
    let mut names: Vec<String> = entries.filter_map(stem).collect();
    names.sort_unstable();
    Ok(names)
}

/// How cargo-fuzz runs here.
struct Fuzzer<'a> {
    place: &'a Place,
    program: std::path::PathBuf,
    /// Whether rustup has a nightly toolchain.
    nightly: bool,
}

impl<'a> Fuzzer<'a> {
    fn prepare(place: &'a Place) -> Result<Self, Failure> {
        if place.program("c++").args(["--version"]).output().is_none() {
            tools::debian_packages(place, &["g++"], "a C++ compiler, for libFuzzer,")?;
        }
        let toolchains = place.program("rustup").args(["toolchain", "list"]).output().unwrap_or_default();
        let nightly = toolchains.lines().any(|line| line.starts_with("nightly"));
        let how = if nightly {
            "the nightly toolchain"
        } else {
            "the stable toolchain with RUSTC_BOOTSTRAP=1: there is no nightly"
        };
        println!("fuzzing with {how}");
        Ok(Self { place, program: tools::cargo_fuzz(place)?, nightly })
    }

    /// `cargo-fuzz fuzz VERB`, with the toolchain that can do it.
    fn command(&self, verb: &str) -> Run {
        let command = self.place.program(&self.program).args(["fuzz", verb]);
        let command = command.env("CARGO_TARGET_DIR", self.place.target.join("fuzz"));
        match self.nightly {
            true => command.env("RUSTUP_TOOLCHAIN", "nightly"),
            false => command.env("RUSTC_BOOTSTRAP", "1"),
        }
    }
}
