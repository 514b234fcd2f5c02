// SPDX-License-Identifier: MIT OR Apache-2.0
//! An unlocked keyring that the threads of a run share, with the messages they may seal.
//!
//! Owns the reserving of messages in the keyring file. Never hands out a message that is not durably counted (SPEC 6.5).

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use amanat::error::{Error, Result};
use amanat::ident::{KeyId, Name, Timestamp};
use amanat::index::{BlindIndex, IndexSpec};
use amanat::keys::{Field, Kek, KeyInfo, Keyring, Keyset, Purpose, State as KeyState};
use amanat::schema::TableSchema;
use amanat::surrogate::Surrogates;
use amanat::{Allowance, OpenOptions};

use crate::keyring_file::KeyringPath;
use crate::migration::Work;

/// Messages of the first reservation. Each further one is twice as large, so that a long run writes the keyring seldom.
const FIRST_STEP: u64 = 1 << 20;
/// Messages of the largest reservation: what a killed run can lose of a key's 2^44.
const LARGEST_STEP: u64 = 1 << 26;

/// A keyring in use by one run.
pub struct KeyringSession<'a> {
    path: &'a KeyringPath,
    kek: &'a (dyn Kek + Sync),
    clock: &'a (dyn Fn() -> Result<Timestamp> + Sync),
    primary: KeyId,
    /// Keys whose state lets them open only if a person names them.
    break_glass: Vec<KeyId>,
    /// Those of indexes and tokens: rows are searched by them, and tokens resolved.
    break_glass_other: Vec<KeyId>,
    /// Sealed fields, indexes and kept tokens that are made anew whatever their header says.
    remade: Vec<Name>,
    /// What the run takes from elsewhere.
    work: Arc<Work>,
    state: Mutex<State>,
}

struct State {
    keyring: Keyring,
    current: Option<Allowance>,
    /// Messages of the epochs of reversible tokens.
    tokens: Vec<Allowance>,
    reserved: Vec<Allowance>,
    step: u64,
}

impl<'a> KeyringSession<'a> {
    /// Unlocks the keyring. Nothing is reserved before something is sealed.
    ///
    /// # Errors
    /// As [`KeyringPath::unlock`]; `Schema` if the keyring has no key for fields.
    pub fn unlock(
        path: &'a KeyringPath,
        kek: &'a (dyn Kek + Sync),
        clock: &'a (dyn Fn() -> Result<Timestamp> + Sync),
    ) -> Result<Self> {
        let keyring = path.unlock(kek)?;
        let primary = keyring.field_keys()?.primary();
        let state =
            State { keyring, current: None, tokens: Vec::new(), reserved: Vec::new(), step: FIRST_STEP };
        Ok(Self {
            path,
            kek,
            clock,
            primary,
            break_glass: Vec::new(),
            break_glass_other: Vec::new(),
            remade: Vec::new(),
            work: Arc::default(),
            state: Mutex::new(state),
        })
    }

    /// Names keys that are suspended or compromised and shall open nevertheless. Log every use: this is breaking the glass.
    #[must_use]
    pub fn with_break_glass(mut self, keys: Vec<KeyId>) -> Self {
        let mut named = keys;
        let of =
            |id: &KeyId, state: &State| state.keyring.keys().find(|key| key.id == *id).map(|key| key.purpose);
        // An opener of fields refuses a key that is none of its own, so the others are kept apart.
        let is_other =
            |id: &KeyId, state: &State| matches!(of(id, state), Some(Purpose::Index | Purpose::Token));
        self.break_glass_other = named.extract_if(.., |id| is_other(id, &self.lock())).collect();
        self.break_glass = named;
        self
    }

    /// Names what is made anew in every row: indexes and kept tokens whose fields or normal forms changed, which no stored term shows, and
    /// sealed fields whose padding got smaller, which no length shows. A check finds none of it undone.
    #[must_use]
    pub fn with_remade(mut self, names: Vec<Name>) -> Self {
        self.remade = names;
        self
    }

    /// Says what the run takes from elsewhere: columns of an older schema, values of other tools. Its store must be told too.
    #[must_use]
    pub fn with_work(mut self, work: impl Into<Arc<Work>>) -> Self {
        self.work = work.into();
        self
    }

    /// What the run takes from elsewhere, to be shared with its store.
    #[must_use]
    pub const fn work(&self) -> &Arc<Work> {
        &self.work
    }

    /// Whether a sealed field, index or token of this name is made anew.
    pub(crate) fn remakes(&self, name: &Name) -> bool {
        self.remade.contains(name)
    }

    #[cfg(feature = "sqlite")]
    /// The time, by the clock that was passed in.
    pub(crate) fn now(&self) -> Result<Timestamp> {
        (self.clock)()
    }

    /// All keys that were named with [`with_break_glass`](Self::with_break_glass).
    #[must_use]
    pub fn break_glass(&self) -> Vec<KeyId> {
        [self.break_glass.as_slice(), &self.break_glass_other].concat()
    }

    /// How the values of a run are opened.
    pub(crate) fn open_options(&self) -> OpenOptions {
        OpenOptions { break_glass: self.break_glass.clone(), ..OpenOptions::default() }
    }

    /// Id of the key that seals fields.
    #[must_use]
    pub const fn primary(&self) -> KeyId {
        self.primary
    }

    /// What is known of the keys of fields, the oldest first.
    #[must_use]
    pub fn field_keys(&self) -> Vec<KeyInfo> {
        self.lock().keyring.keys().filter(|key| key.purpose == Purpose::Field).cloned().collect()
    }

    /// Works with the keys of fields.
    ///
    /// # Errors
    /// What `work` fails with.
    pub fn with_keys<T>(&self, work: impl FnOnce(&Keyset<'_, Field>) -> Result<T>) -> Result<T> {
        work(&self.lock().keyring.field_keys()?)
    }

    /// An allowance with at least `need` messages left when it was looked at; reserves more in the keyring file if there is none.
    ///
    /// # Errors
    /// As [`KeyringPath::update`]; `Limit` if the key has no messages left; `Store` if another process changed the primary key.
    pub fn allowance(&self, need: u64) -> Result<Allowance> {
        let mut state = self.lock();
        if let Some(current) = state.current.as_ref().filter(|current| current.left() >= need) {
            return Ok(current.clone());
        }
        let messages = state.step.max(need);
        state.step = state.step.saturating_mul(2).min(LARGEST_STEP);
        let now = (self.clock)()?;
        let reserve = |keyring: &mut Keyring| keyring.reserve(Purpose::Field, messages);
        let allowance = self.path.update_unlocked(&mut state.keyring, self.kek, now, reserve)?;
        state.reserved.push(allowance.clone());
        if allowance.key() != self.primary {
            return Err(Error::store(
                "another process changed the key that seals while this run was going on; run again",
                io::Error::other("the keyring has changed"),
            ));
        }
        state.current = Some(allowance.clone());
        Ok(allowance)
    }

    /// Makes what makes the surrogates of a table. Each epoch of reversible tokens has at least `need` messages left when it was looked at;
    /// for a rehearsal, whose tokens nobody keeps, they are not counted in the keyring file.
    pub(crate) fn surrogates(
        &self,
        table: &TableSchema,
        need: u64,
        rehearsal: bool,
    ) -> Result<(Surrogates, Vec<Allowance>)> {
        let mut state = self.lock();
        let mut allowances = Vec::new();
        for id in Surrogates::token_keys(&state.keyring, table)? {
            let known = state.tokens.iter().find(|known| known.key() == id && known.left() >= need);
            // A key that makes no tokens any more needs no messages: that its epoch is asked for one is told when that happens.
            let makes = state.keyring.keys().any(|key| key.id == id && key.state == KeyState::Active);
            let allowance = match known.cloned() {
                Some(known) => known,
                None if need == 0 || !makes => state.keyring.reserve_under(id, 0)?,
                None if rehearsal => self.rehearse(&mut state, id)?,
                None => self.reserve_under(&mut state, id, need)?,
            };
            allowances.push(allowance);
        }
        Ok((Surrogates::new(&state.keyring, table, &allowances)?, allowances))
    }

    /// Messages of a token key for tokens that are given away: at least `need` left when it was looked at, none if none are needed.
    pub(crate) fn token_messages(&self, id: KeyId, need: u64) -> Result<Allowance> {
        let mut state = self.lock();
        let known = state.tokens.iter().find(|known| known.key() == id && known.left() >= need.max(1));
        match known.cloned() {
            Some(known) => Ok(known),
            None if need == 0 => state.keyring.reserve_under(id, 0),
            None => self.reserve_under(&mut state, id, need),
        }
    }

    fn reserve_under(&self, state: &mut State, id: KeyId, need: u64) -> Result<Allowance> {
        let messages = state.step.max(need);
        state.step = state.step.saturating_mul(2).min(LARGEST_STEP);
        let now = (self.clock)()?;
        let reserve = |keyring: &mut Keyring| keyring.reserve_under(id, messages);
        let allowance = self.path.update_unlocked(&mut state.keyring, self.kek, now, reserve)?;
        state.reserved.push(allowance.clone());
        state.tokens.retain(|known| known.key() != id);
        state.tokens.push(allowance.clone());
        Ok(allowance)
    }

    /// Makes the terms of an index, with every key that opens and those that are named to break the glass.
    pub(crate) fn blind_index(&self, table: &Name, spec: &IndexSpec) -> Result<BlindIndex> {
        BlindIndex::new(&self.lock().keyring.index_keys()?, table, spec, &self.break_glass_other)
    }

    /// Messages that are counted nowhere but in a copy of the keyring that is thrown away.
    fn rehearse(&self, state: &mut State, id: KeyId) -> Result<Allowance> {
        let allowance = self.path.unlock(self.kek)?.reserve_under(id, LARGEST_STEP)?;
        state.tokens.retain(|known| known.key() != id);
        state.tokens.push(allowance.clone());
        Ok(allowance)
    }

    /// Works with the whole keyring: for indexes and tokens, whose makers need keys of several purposes.
    ///
    /// # Errors
    /// What `work` fails with.
    pub fn with_keyring<T>(&self, work: impl FnOnce(&Keyring) -> Result<T>) -> Result<T> {
        work(&self.lock().keyring)
    }

    /// Returns what was reserved and not sealed. To be called when no thread seals any more.
    ///
    /// # Errors
    /// As [`KeyringPath::update`]; the messages then stay counted.
    pub fn give_back(&self) -> Result<()> {
        let mut state = self.lock();
        (state.current, state.tokens) = (None, Vec::new());
        let reserved: Vec<Allowance> =
            state.reserved.drain(..).filter(|allowance| allowance.left() > 0).collect();
        if reserved.is_empty() {
            return Ok(());
        }
        let now = (self.clock)()?;
        self.path.update_unlocked(&mut state.keyring, self.kek, now, |keyring| {
            reserved.iter().try_for_each(|allowance| keyring.give_back(allowance))
        })
    }

    /// A thread that panicked holding the lock has changed nothing that the file does not repair.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KeyringSession<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyringSession(key {})", self.primary.short())
    }
}
