// SPDX-License-Identifier: MIT OR Apache-2.0
//! A synthetic registry for tests: a keyring in a folder of its own, a schema, and runs over bytes in memory.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, dead_code, unreachable_pub)]

use std::io::{Read, Write};
use std::num::NonZeroUsize;

use amanat::error::{Error, Kind, Result};
use amanat::ident::{KeyId, Name, Timestamp};
use amanat::keys::{KeyFile, Keyring, NewSlot, Purpose};
use amanat::schema::{Schema, TableSchema};
use amanat_stores::{Effort, KeyringPath, KeyringSession, Observer, Plan, RevealForm, Tally, Task};

pub struct Registry {
    pub folder: tempfile::TempDir,
    pub path: KeyringPath,
    pub kek: KeyFile,
}

pub fn now() -> Result<Timestamp> {
    Timestamp::from_unix_seconds(1_800_000_000)
}

impl Registry {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kek = KeyFile::generate().unwrap();
        let slot = NewSlot { label: "test", kek: &kek };
        let mut keyring = Keyring::create(Name::new("testland").unwrap(), &slot, now().unwrap()).unwrap();
        let path = KeyringPath::open(folder.path().join("keyring.json"));
        path.create(&mut keyring, now().unwrap()).unwrap();
        Self { folder, path, kek }
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut Keyring) -> Result<T>) -> T {
        self.path.update(&self.kek, now().unwrap(), change).unwrap()
    }

    /// Adds a key for fields and makes it the one that seals.
    pub fn rotate(&self) -> KeyId {
        self.change(|keyring| {
            let id = keyring.add_key(Purpose::Field, 365, now()?)?;
            keyring.activate(id, now()?)?;
            Ok(id)
        })
    }

    pub fn messages(&self) -> u64 {
        let keyring = self.path.unlock(&self.kek).unwrap();
        keyring.keys().filter(|key| key.purpose == Purpose::Field).map(|key| key.messages).sum()
    }

    pub fn with_plan<T>(
        &self,
        table: &TableSchema,
        task: Task<'_>,
        jobs: usize,
        run: impl FnOnce(Plan<'_>) -> T,
    ) -> T {
        let session = KeyringSession::unlock(&self.path, &self.kek, &now).unwrap();
        let jobs = NonZeroUsize::new(jobs).unwrap();
        let result = run(Plan { session: &session, table, task, jobs });
        session.give_back().unwrap();
        result
    }
}

pub fn table(toml: &str) -> TableSchema {
    let schema = Schema::from_toml(&format!("format = \"amanat-schema\"\nversion = 1\n{toml}")).unwrap();
    schema.tables().first().unwrap().clone()
}

#[derive(Default, Debug)]
pub struct Seen {
    pub faults: Vec<(u64, String, Kind, String)>,
}

impl Observer for Seen {
    fn refused(&mut self, fault: &Error) -> Result<()> {
        let field = fault.field().map(ToString::to_string).unwrap_or_default();
        self.faults.push((fault.row().unwrap(), field, fault.kind(), fault.message().to_owned()));
        Ok(())
    }

    fn progress(&mut self, _rows: u64, _input_bytes: u64) {}
}

pub type Run =
    fn(Plan<'_>, &mut (dyn Read + Send), Option<&mut dyn Write>, &mut dyn Observer) -> Result<Tally>;

pub struct Done {
    pub bytes: Vec<u8>,
    pub tally: Tally,
    pub faults: Vec<(u64, String, Kind, String)>,
}

impl Registry {
    pub fn run(
        &self,
        run: Run,
        table: &TableSchema,
        task: Task<'_>,
        jobs: usize,
        input: &[u8],
    ) -> Result<Done> {
        let (mut bytes, mut seen) = (Vec::new(), Seen::default());
        let mut input = input;
        let tally =
            self.with_plan(table, task, jobs, |plan| run(plan, &mut input, Some(&mut bytes), &mut seen))?;
        Ok(Done { bytes, tally, faults: seen.faults })
    }

    pub fn protect(&self, run: Run, table: &TableSchema, input: &[u8]) -> Done {
        self.run(run, table, Task::Protect(Effort::Seal), 2, input).unwrap()
    }

    pub fn reveal(&self, run: Run, table: &TableSchema, input: &[u8]) -> Done {
        self.run(run, table, Task::Reveal(&[], RevealForm::Values), 2, input).unwrap()
    }
}
