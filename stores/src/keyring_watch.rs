// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keyring of a program that runs for long, while others add keys to the file.
//!
//! Owns when the file is looked at and read again (SPEC 11.6), and the messages that the threads of the program share. Never goes back to an
//! older keyring than the one it holds.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use amanat::error::{Error, Kind, Result};
use amanat::ident::{KeyId, Timestamp};
use amanat::keys::{Kek, Keyring, KeyringFile, Pin};
use amanat::schema::TableSchema;
use amanat::surrogate::Surrogates;
use amanat::{Allowance, RecordSealer};

use crate::keyring_file::KeyringPath;

/// How often the file is looked at by default: for so long a program may seal under a former primary.
const PERIOD: Duration = Duration::from_secs(1);
/// Records that are reserved at once by default: what a killed program can lose of a key's 2^44 messages, for each sealed field.
const RECORDS_AT_ONCE: u64 = 1 << 16;
/// How often messages are reserved again because another process changed the primary meanwhile.
const ATTEMPTS: u32 = 8;

/// A keyring file that is read again when it changes; shared by the threads of a program.
///
/// Looking costs one `stat`. A change of the file is read without the KEK, unless the keyring secret was renewed. Reading obeys the pin, and
/// an older file than the one that is held is refused as [`Kind::Rollback`].
pub struct KeyringWatch<'a> {
    path: &'a KeyringPath,
    kek: &'a (dyn Kek + Sync),
    clock: &'a (dyn Fn() -> Result<Timestamp> + Sync),
    period: Duration,
    records: u64,
    state: Mutex<State>,
}

struct State {
    keyring: Arc<Keyring>,
    seen: Seen,
    looked: Instant,
    reserved: Vec<Allowance>,
}

impl<'a> KeyringWatch<'a> {
    /// Unlocks the keyring.
    ///
    /// # Errors
    /// As [`KeyringPath::unlock`].
    pub fn open(
        path: &'a KeyringPath,
        kek: &'a (dyn Kek + Sync),
        clock: &'a (dyn Fn() -> Result<Timestamp> + Sync),
    ) -> Result<Self> {
        let (keyring, file) = path.unlock_as(|file, pin| file.unlock(kek, pin))?;
        let seen = Seen::of(file).map_err(|error| path.unread(error))?;
        let state = State { keyring: Arc::new(keyring), seen, looked: Instant::now(), reserved: Vec::new() };
        Ok(Self { path, kek, clock, period: PERIOD, records: RECORDS_AT_ONCE, state: Mutex::new(state) })
    }

    /// Sets how often [`current`](Self::current) looks at the file; a second by default.
    #[must_use]
    pub const fn with_period(mut self, period: Duration) -> Self {
        self.period = period;
        self
    }

    /// Sets for how many records messages are reserved at once; 65,536 by default.
    #[must_use]
    pub const fn with_records_at_once(mut self, records: u64) -> Self {
        self.records = records;
        self
    }

    /// The keyring, at most one period old.
    ///
    /// # Errors
    /// As [`KeyringPath::unlock`], if the file was due to be looked at.
    pub fn current(&self) -> Result<Arc<Keyring>> {
        let mut state = self.lock();
        if state.looked.elapsed() >= self.period {
            self.look(&mut state)?;
        }
        Ok(Arc::clone(&state.keyring))
    }

    /// The keyring as the file has it now.
    ///
    /// # Errors
    /// As [`KeyringPath::unlock`].
    pub fn newest(&self) -> Result<Arc<Keyring>> {
        let mut state = self.lock();
        self.look(&mut state)?;
        Ok(Arc::clone(&state.keyring))
    }

    /// The keyring, and messages for sealing records of a table under its primary: at least `records` of them when it was looked at, shared by
    /// all threads. They are counted in the file before they are given.
    ///
    /// # Errors
    /// As [`current`](Self::current), [`RecordSealer::reserve`] and [`KeyringPath::update`].
    pub fn messages(&self, table: &TableSchema, records: u64) -> Result<(Arc<Keyring>, Vec<Allowance>)> {
        let mut state = self.lock();
        if state.looked.elapsed() >= self.period {
            self.look(&mut state)?;
        }
        // More than any one key needs of them.
        let need = records.saturating_mul(messages_of_record(table));
        for _ in 0..ATTEMPTS {
            if let Some(messages) = state.reserved(table, need)? {
                return Ok((Arc::clone(&state.keyring), messages));
            }
            let (mut keyring, _) = self.read(&state.keyring)?;
            let now = (self.clock)()?;
            let reserved = self.path.update_unlocked(&mut keyring, self.kek, now, |keyring| {
                RecordSealer::reserve(keyring, table, self.records.max(need))
            })?;
            state.reserved.retain(|allowance| allowance.left() > 0);
            state.reserved.extend(reserved);
            // What was reserved is of the primary that the file had under its lock.
            self.look(&mut state)?;
        }
        Err(Error::store(
            "the primary key was changed again and again while messages were reserved; try again",
            io::Error::other("the keyring has changed"),
        ))
    }

    /// Returns what was reserved and not sealed; nothing that was given can seal any more.
    ///
    /// # Errors
    /// As [`KeyringPath::update`]; the messages then stay counted.
    pub fn give_back(&self) -> Result<()> {
        let mut state = self.lock();
        let reserved: Vec<Allowance> =
            state.reserved.drain(..).filter(|allowance| allowance.left() > 0).collect();
        if reserved.is_empty() {
            return Ok(());
        }
        let now = (self.clock)()?;
        self.path.update(self.kek, now, |keyring| {
            reserved.iter().try_for_each(|allowance| keyring.give_back(allowance))
        })
    }

    /// Reads the file again if it is another one than was read last.
    fn look(&self, state: &mut State) -> Result<()> {
        let now = Instant::now();
        if !state.seen.still_is(self.path).map_err(|error| self.path.unread(error))? {
            let (keyring, file) = self.read(&state.keyring)?;
            state.seen = Seen::of(file).map_err(|error| self.path.unread(error))?;
            state.keyring = Arc::new(keyring);
        }
        state.looked = now;
        Ok(())
    }

    fn read(&self, former: &Keyring) -> Result<(Keyring, File)> {
        let unlock = |file: &KeyringFile, pin: Option<&Pin>| {
            // A machine that keeps no pin still has the one of the keyring in memory.
            let newer = |pin: &&Pin| former.pin().is_none_or(|own| pin.generation() >= own.generation());
            let pin = pin.filter(newer).or(former.pin());
            match file.unlock_after(former, pin) {
                Err(error) if error.kind() == Kind::Unauthentic => file.unlock(self.kek, pin),
                done => done,
            }
        };
        self.path.unlock_as(unlock)
    }

    /// A thread that panicked holding the lock has left what was read before.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KeyringWatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyringWatch(generation {})", self.lock().keyring.generation())
    }
}

impl State {
    /// Messages under the keys that a table is sealed with now; `None` if more must be reserved.
    fn reserved(&self, table: &TableSchema, need: u64) -> Result<Option<Vec<Allowance>>> {
        let primary = self.keyring.field_keys()?.primary();
        let of = |key: &KeyId| {
            let of_key = self.reserved.iter().filter(|allowance| allowance.key() == *key);
            of_key.max_by_key(|allowance| allowance.left()).filter(|allowance| allowance.left() >= need)
        };
        let keys: Vec<KeyId> =
            [primary].into_iter().chain(Surrogates::token_keys(&self.keyring, table)?).collect();
        Ok(keys.iter().map(|key| of(key).cloned()).collect())
    }
}

/// Most messages that sealing a record of a table takes of one key.
pub(crate) fn messages_of_record(table: &TableSchema) -> u64 {
    u64::try_from(table.sealed().count() + table.tokens().len()).unwrap_or(u64::MAX)
}

/// A file as it was read. It stays open, so that no other file can have its number on the disk.
struct Seen {
    _file: File,
    stamp: Stamp,
}

#[derive(PartialEq, Eq)]
struct Stamp {
    number: (u64, u64),
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Seen {
    fn of(file: File) -> io::Result<Self> {
        Ok(Self { stamp: Stamp::of(&file.metadata()?), _file: file })
    }

    fn still_is(&self, path: &KeyringPath) -> io::Result<bool> {
        Ok(Stamp::of(&fs::metadata(path.path())?) == self.stamp)
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let number = {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let number = (0, 0);
        Self { number, bytes: metadata.len(), modified: metadata.modified().ok() }
    }
}
