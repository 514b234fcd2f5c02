// SPDX-License-Identifier: MIT OR Apache-2.0
//! The process that is killed: it plans or resumes one rotation, and may kill itself after a step.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use amanat::SecretBytes;
use amanat::error::Result;
use amanat::keys::KeyFile;
use amanat::rotate::{RunId, Verb};
use amanat_stores::KeyringPath;
use amanat_stores::run::{Ended, RunObserver, Step};
use rustix::process::{Signal, getpid, kill_process};

use super::town::{Drive, Place, Town};

const TARGET: &str = "AMANAT_TORTURE_TARGET";
const FOLDER: &str = "AMANAT_TORTURE_FOLDER";
const RUN: &str = "AMANAT_TORTURE_RUN";
const LANES: &str = "AMANAT_TORTURE_LANES";
const STEPS: &str = "AMANAT_TORTURE_STEPS";
const BATCH_ROWS: usize = 50;

/// The process, as the one that started it sees it.
pub(crate) struct Worker {
    child: Child,
    errors: std::path::PathBuf,
}

impl Worker {
    /// Starts a process; it kills itself after so many steps.
    pub(crate) fn start(town: &Town, run: RunId, lanes: usize, steps: Option<i64>) -> Self {
        let folder = town.registry.folder.path();
        std::fs::write(folder.join("kek"), town.registry.kek.to_text().expose()).unwrap();
        let errors = folder.join("worker-errors");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "worker", "--ignored", "--nocapture"]);
        command.env(TARGET, &town.target).env(FOLDER, folder).env(RUN, run.to_string());
        command.env(LANES, lanes.to_string()).env(STEPS, steps.unwrap_or(i64::MAX).to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(&errors).unwrap());
        Self { child: command.spawn().unwrap(), errors }
    }

    /// Waits for its end; false if it gave up before the run was its own, because the server did not answer.
    pub(crate) fn gets_on(&mut self) -> bool {
        let ended = self.child.wait().unwrap();
        let errors = self.errors();
        assert!(ended.success() || errors.contains("not begun") && is_told(&errors), "{ended}: {errors}");
        ended.success()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end; false if it was killed. Any other end is a mistake.
    pub(crate) fn gets_through(&mut self) -> bool {
        let ended = self.child.wait().unwrap();
        assert!(ended.success() || ended.signal() == Some(9), "{ended}: {}", self.errors());
        ended.success()
    }

    /// SIGKILL; false if it got through before.
    pub(crate) fn kill(&mut self) -> bool {
        drop(self.child.kill());
        !self.gets_through()
    }

    pub(crate) fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap()
    }
}

/// What the process does.
pub(crate) fn work() {
    let told =
        |name| std::env::var(name).unwrap_or_else(|_| panic!("started by the other tests alone: no {name}"));
    let folder = told(FOLDER);
    let folder = Path::new(&folder);
    let kek = KeyFile::parse(&SecretBytes::new(std::fs::read(folder.join("kek")).unwrap())).unwrap();
    let path = KeyringPath::open(folder.join("keyring.json"));
    let drive = Drive {
        place: &Place::of(&told(TARGET)),
        path: &path,
        kek: &kek,
        run: told(RUN).parse().unwrap(),
        verb: Verb::Rotate,
        lanes: told(LANES).parse().unwrap(),
        batch_rows: BATCH_ROWS,
    };
    let mortal = Mortal { steps: AtomicI64::new(told(STEPS).parse().unwrap()), owns: AtomicBool::new(false) };
    match drive.go(&mortal) {
        Ok(Ended::Done(_)) => {}
        Err(error) if !mortal.owns.load(Ordering::SeqCst) => panic!("not begun: {error}"),
        other => panic!("{other:?}"),
    }
}

/// Whether an error says what to do when a server does not answer.
fn is_told(errors: &str) -> bool {
    ["is it running", "run again when"].iter().any(|remedy| errors.contains(remedy))
}

/// Kills its own process after so many steps.
struct Mortal {
    steps: AtomicI64,
    /// The run is this process's.
    owns: AtomicBool,
}

impl RunObserver for Mortal {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        self.owns.fetch_or(matches!(step, Step::Claimed(_)), Ordering::SeqCst);
        if self.steps.fetch_sub(1, Ordering::SeqCst) <= 1 {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
        Ok(())
    }
}
