// SPDX-License-Identifier: MIT OR Apache-2.0
//! Trying again what a database could not do at that moment (SPEC 11.5).
//!
//! Owns how often and how soon, and the new connection in place of one that is gone. Never repeats anything itself.

use std::thread;
use std::time::Duration;

use amanat::error::{Error, Result};

use super::driver::{RunObserver, Step};
use super::{Recovery, Sql as _, Store};

/// How often something is tried.
const ATTEMPTS: u32 = 8;
/// How long is waited before the second attempt; twice as long before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Counts the attempts at one thing.
#[derive(Default)]
pub(super) struct Attempts {
    failed: u32,
    /// A connection was replaced, and what was to be committed over it may have been.
    pub(super) reconnected: bool,
}

impl Attempts {
    /// Called after a failed attempt: takes its transaction back, waits, and puts a new connection in place of one that is gone. Gives the
    /// error back if there shall be no further attempt.
    pub(super) fn after<S: Store>(
        &mut self,
        error: Error,
        store: &S,
        lane: &mut S::Lane,
        observer: &dyn RunObserver,
    ) -> Result<()> {
        // The connection may be gone with its transaction.
        drop(lane.rollback());
        if self.wait(error, store, observer)? == Recovery::Reconnect {
            *lane = self.connect(store, observer)?;
            self.reconnected = true;
        }
        Ok(())
    }

    /// Connects as soon as it can be done.
    pub(super) fn connect<S: Store>(&mut self, store: &S, observer: &dyn RunObserver) -> Result<S::Lane> {
        loop {
            match store.connect() {
                Ok(lane) => return Ok(lane),
                Err(error) => self.wait(error, store, observer)?,
            };
        }
    }

    fn wait<S: Store>(&mut self, error: Error, store: &S, observer: &dyn RunObserver) -> Result<Recovery> {
        self.failed += 1;
        let recovery = store.recovery(&error);
        if recovery == Recovery::Stop || self.failed == ATTEMPTS {
            return Err(error);
        }
        observer.step(&Step::Again(&error))?;
        thread::sleep(FIRST_WAIT * 2_u32.pow(self.failed - 1));
        Ok(recovery)
    }
}
