// SPDX-License-Identifier: MIT OR Apache-2.0
//! An application that goes on writing while the runs are killed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use amanat::error::Result;
use amanat_stores::KeyringWatch;

use super::harness::random_below;
use super::town::{Town, id, name};
use crate::common::now;
use crate::database::Database;
use crate::service::Service;

/// What the application and those who look at its rows share.
pub(crate) struct Writer {
    pub(crate) names: Mutex<Vec<u64>>,
    pub(crate) over: AtomicBool,
    pub(crate) writes: AtomicU64,
}

impl Writer {
    pub(crate) fn new(town: &Town) -> Self {
        let (names, over) = (Mutex::new(town.names.clone()), AtomicBool::new(false));
        Self { names, over, writes: AtomicU64::new(0) }
    }

    /// Changes random rows through the library, a few hundred a second.
    pub(crate) fn work(&self, town: &Town) -> Result<()> {
        let watch = KeyringWatch::open(&town.registry.path, &town.registry.kek, &now)?;
        let mut service = Service::new(&watch, Database::open(&town.target)?)?;
        while !self.over.load(Ordering::SeqCst) {
            let row = usize::try_from(random_below(u64::try_from(town.names.len()).unwrap())).unwrap();
            if !town.broken.contains(&row) {
                let mut names = self.names.lock().unwrap();
                let stored = service.row(&id(row))?.expect("no row is deleted");
                assert!(service.citizens.open(&stored)?.name == name(row, names[row]), "lost update");
                assert!(service.rename(&id(row), &name(row, names[row] + 1))?);
                names[row] += 1;
                self.writes.fetch_add(1, Ordering::SeqCst);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}
