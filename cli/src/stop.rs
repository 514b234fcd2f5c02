// SPDX-License-Identifier: MIT OR Apache-2.0
//! SIGINT and SIGTERM of a run that ends at a batch.
//!
//! Owns the two signals. Never makes a run deaf: the second signal ends it at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::fault::{Fault, Result};

/// Whether somebody wants a run to end.
pub(crate) struct Stop {
    asked: Arc<AtomicBool>,
    by_term: Arc<AtomicUsize>,
}

impl Stop {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self> {
        let stop = Self { asked: Arc::default(), by_term: Arc::default() };
        stop.register().map_err(|_| Fault::new("the system lets this program handle no signals"))?;
        Ok(stop)
    }

    fn register(&self) -> io::Result<()> {
        for (signal, by_term) in [(SIGINT, 0), (SIGTERM, 1)] {
            // In this order, so that only a second signal finds the flag set.
            flag::register_conditional_default(signal, Arc::clone(&self.asked))?;
            flag::register_usize(signal, Arc::clone(&self.by_term), by_term)?;
            flag::register(signal, Arc::clone(&self.asked))?;
        }
        Ok(())
    }

    /// Whether a signal came.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// The flag that the first signal sets.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.asked
    }

    /// A run that a signal has ended, with the exit code that shells give for it.
    pub(crate) fn fault(&self, message: &str) -> Fault {
        let by_term = self.by_term.load(Ordering::SeqCst) == 1;
        let (name, code) = if by_term { ("SIGTERM", 143) } else { ("SIGINT", 130) };
        Fault::new(format!("stopped by {name}: {message}")).ends_with(code)
    }
}
