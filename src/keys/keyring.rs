// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keyring: locked as a file, unlocked in memory (SPEC chapter 6).

use core::fmt;

use super::file::{
    Form, KeyForm, KeysetForm, MAX_INTEGER, MAX_KEYS, MAX_LABEL_BYTES, MAX_SLOTS, Pin, SlotForm,
};
use super::file::{authenticated_part, decode_exact, parse_key_names, parse_option, parse_time};
use super::kek::{
    Kek, KekErrorKind, KeyringSecret, SlotContext, SlotParams, WrappedSecret, unwrap_secret, wrap_secret,
};
use super::{Allowance, Field, Index, Key, KeyInfo, Keyset, Purpose, State, Token, key_id};
use crate::crypto::{kdf, random};
use crate::error::{Error, Result};
use crate::ident::{KeyId, Name, Timestamp, decode_hex};
use crate::secret::{Secret, ct_eq};
use crate::suite::MAX_MESSAGES_PER_KEY;
use crate::wire::{base64, decode_base64};

/// Cryptoperiod of a new key in days: two years, the most that SP 800-57 Part 1 Revision 5 Table 1 advises for data encryption.
pub const DEFAULT_CRYPTOPERIOD_DAYS: u32 = 730;

/// Most index keys: they are told apart by one byte.
const MAX_INDEX_KEYS: usize = 192;

/// A keyring as it stands in a file: read and checked as far as that goes without a key.
pub struct KeyringFile {
    authenticated: Vec<u8>,
    mac: [u8; 32],
    registry: Name,
    generation: u64,
    created: Timestamp,
    updated: Timestamp,
    slots: Vec<Slot>,
    keys: Vec<LockedKey>,
}

struct LockedKey {
    info: KeyInfo,
    wrapped: Option<Vec<u8>>,
}

struct Slot {
    info: SlotInfo,
    wrapped: WrappedSecret,
}

/// What is public about a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotInfo {
    /// 16 hex digits.
    pub id: String,
    /// What people call it.
    pub label: String,
    /// Name of the provider.
    pub provider: String,
    /// When it was made.
    pub created: Timestamp,
}

impl KeyringFile {
    /// Reads a keyring file without unlocking it.
    ///
    /// # Errors
    /// `Malformed` for a file that is truncated, edited or not canonical, `Unsupported` for another version, `Limit` for one too large.
    /// Each says which.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let form = Form::parse(bytes)?;
        let file = Self {
            authenticated: authenticated_part(bytes).to_vec(),
            mac: form.mac()?,
            registry: Name::new(&form.registry).map_err(|e| Error::malformed(e.message().to_owned()))?,
            generation: form.generation,
            created: parse_time(&form.created)?,
            updated: parse_time(&form.updated)?,
            slots: form.slots.into_iter().map(Slot::read).collect::<Result<_>>()?,
            keys: read_keysets(form.keysets)?,
        };
        file.check()?;
        Ok(file)
    }

    /// What must hold of a keyring whoever wrote it.
    fn check(&self) -> Result<()> {
        if !(1..=MAX_INTEGER).contains(&self.generation) {
            return Err(Error::malformed("the keyring's generation is not 1 to 2^53-1"));
        }
        if self.slots.is_empty() {
            return Err(Error::malformed("the keyring has no slot: nothing could ever unlock it"));
        }
        let mut slots: Vec<&str> = self.slots.iter().map(|slot| slot.info.id.as_str()).collect();
        let mut ids: Vec<KeyId> = self.keys.iter().map(|key| key.info.id).collect();
        slots.sort_unstable();
        ids.sort_unstable();
        if slots.windows(2).any(|pair| pair.first() == pair.last())
            || ids.windows(2).any(|pair| pair.first() == pair.last())
        {
            return Err(Error::malformed("two slots or two keys of the keyring have the same id"));
        }
        let of_index = self.keys.iter().map(|key| &key.info).filter(|key| key.purpose == Purpose::Index);
        let mut tags: Vec<u8> = of_index.map(|key| key.id.tag()).collect();
        if tags.len() > MAX_INDEX_KEYS {
            return Err(Error::limit("a keyring has at most 192 keys of purpose index"));
        }
        tags.sort_unstable();
        if tags.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(Error::malformed(
                "two index keys begin with the same byte; an index term could mean either",
            ));
        }
        for purpose in Purpose::ALL {
            let mut keyset =
                self.keys.iter().map(|key| &key.info).filter(|key| key.purpose == purpose).peekable();
            if keyset.peek().is_none() {
                continue;
            }
            let primaries: Vec<&KeyInfo> = keyset.filter(|key| key.primary).collect();
            match primaries.as_slice() {
                [key] if key.state == State::Active => {}
                [key] => return Err(Error::malformed("the primary key is not active").at_key(key.id)),
                _ => {
                    return Err(Error::malformed(format!(
                        "the keyset {purpose} has {} primary keys; it must have one",
                        primaries.len()
                    )));
                }
            }
        }
        Ok(())
    }

    /// The registry.
    #[must_use]
    pub const fn registry(&self) -> &Name {
        &self.registry
    }

    /// How often the keyring was written.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// When it was made and when it was last written.
    #[must_use]
    pub const fn times(&self) -> (Timestamp, Timestamp) {
        (self.created, self.updated)
    }

    /// Its slots. Not authentic until the keyring was unlocked.
    pub fn slots(&self) -> impl Iterator<Item = &SlotInfo> {
        self.slots.iter().map(|slot| &slot.info)
    }

    /// Its keys. Not authentic until the keyring was unlocked.
    pub fn keys(&self) -> impl Iterator<Item = &KeyInfo> {
        self.keys.iter().map(|key| &key.info)
    }

    /// What to remember of this keyring once it was unlocked.
    fn pin(&self) -> Pin {
        Pin { registry: self.registry.clone(), generation: self.generation, mac: self.mac }
    }

    /// Unlocks the keyring: unwraps and checks every key, the MAC over the whole file, and the pin if there is one.
    ///
    /// # Errors
    /// `Unsupported` if no slot is of the KEK's provider; `Unauthentic` if the KEK is wrong, a key's metadata or the file was altered
    /// (the message says which); `Rollback` if the pin knows a newer keyring; `Limit` if a slot asks for too much; `Store` if a key
    /// service failed, with its [`KekError`](super::KekError) as source.
    pub fn unlock(&self, kek: &dyn Kek, pin: Option<&Pin>) -> Result<Keyring> {
        self.unlock_with(self.unwrap_secret(kek)?, pin)
    }

    /// Unlocks a newer file of a keyring that is unlocked already, without its KEK: what a service does that runs while keys are added.
    ///
    /// # Errors
    /// As [`unlock`](Self::unlock); `Unauthentic` also if the keyring secret was renewed since, which only the KEK can follow.
    pub fn unlock_after(&self, former: &Keyring, pin: Option<&Pin>) -> Result<Keyring> {
        let secret = Secret::copy_from(former.secret.expose());
        self.unlock_with(secret.ok_or_else(|| Error::misuse("a keyring secret has 32 bytes"))?, pin)
    }

    fn unlock_with(&self, secret: KeyringSecret, pin: Option<&Pin>) -> Result<Keyring> {
        let wrap = wrapping_key(&secret, &self.registry);
        let keys = self.keys.iter().map(|key| key.unwrap(&wrap, &self.registry)).collect::<Result<_>>()?;
        if !ct_eq(&file_mac(&secret, &self.registry, &self.authenticated), &self.mac) {
            return Err(Error::altered(
                "every key of the keyring is genuine and the file is not: a slot, key, date or generation was removed, added or changed; restore it from a backup",
            ));
        }
        if let Some(pin) = pin {
            pin.check(&self.registry, self.generation, &self.mac)?;
        }
        Ok(Keyring {
            registry: self.registry.clone(),
            generation: self.generation,
            created: self.created,
            updated: self.updated,
            slots: self.slots.iter().map(Slot::copy).collect(),
            keys,
            secret,
            pin: Some(self.pin()),
        })
    }

    fn unwrap_secret(&self, kek: &dyn Kek) -> Result<KeyringSecret> {
        let mut refused = None;
        for slot in self.slots.iter().filter(|slot| slot.info.provider == kek.provider()) {
            if !kek.matches(&slot.wrapped.params) {
                continue;
            }
            match kek.unwrap(&slot.context(&self.registry), &slot.wrapped) {
                Ok(secret) => return Ok(secret),
                Err(error) if error.kind() == KekErrorKind::Refused => refused = Some(error),
                Err(error) => return Err(error.into_error()),
            }
        }
        let provider = kek.provider();
        Err(match refused {
            Some(error) => error.into_error(),
            None if self.slots.iter().any(|slot| slot.info.provider == provider) => {
                Error::altered(format!("no slot of this keyring belongs to this {provider}"))
            }
            None => Error::unsupported(format!("the keyring has no {provider} slot")),
        })
    }
}

impl fmt::Debug for KeyringFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyringFile({}, generation {})", self.registry, self.generation)
    }
}

/// An unlocked keyring. Secrets are wiped when it is dropped.
///
/// Every change stands in memory only until [`to_bytes`](Self::to_bytes) was written to disk; a new key or a reserved
/// [`Allowance`] must not be used before (`amanat-stores` does both in the right order).
pub struct Keyring {
    registry: Name,
    generation: u64,
    created: Timestamp,
    updated: Timestamp,
    slots: Vec<Slot>,
    keys: Vec<Key>,
    secret: KeyringSecret,
    pin: Option<Pin>,
}

/// A slot to be made.
pub struct NewSlot<'a> {
    /// What people will call it: 1 to [`MAX_LABEL_BYTES`] bytes without control characters.
    pub label: &'a str,
    /// The key-encrypting key.
    pub kek: &'a dyn Kek,
}

impl fmt::Debug for NewSlot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewSlot({:?}, {})", self.label, self.kek.provider())
    }
}

impl Keyring {
    /// Makes a keyring with one slot and an active primary key for fields, indexes, tokens and records.
    ///
    /// # Errors
    /// `Entropy`; `Limit` or `Store` of the KEK; `Schema` for a label that does not fit.
    pub fn create(registry: Name, slot: &NewSlot<'_>, now: Timestamp) -> Result<Self> {
        let mut keyring = Self {
            registry,
            generation: 0,
            created: now,
            updated: now,
            slots: Vec::new(),
            keys: Vec::new(),
            secret: random::secret()?,
            pin: None,
        };
        keyring.add_slot(slot, now)?;
        for purpose in [Purpose::Field, Purpose::Index, Purpose::Token, Purpose::Record] {
            keyring.add_key(purpose, DEFAULT_CRYPTOPERIOD_DAYS, now)?;
        }
        Ok(keyring)
    }

    /// The registry.
    #[must_use]
    pub const fn registry(&self) -> &Name {
        &self.registry
    }

    /// Generation of the file that this keyring was read from or last written to.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Its slots.
    pub fn slots(&self) -> impl Iterator<Item = &SlotInfo> {
        self.slots.iter().map(|slot| &slot.info)
    }

    /// Its keys, in the order in which they were made.
    pub fn keys(&self) -> impl Iterator<Item = &KeyInfo> {
        self.keys.iter().map(|key| &key.info)
    }

    /// The keys that seal and open fields.
    ///
    /// # Errors
    /// `Schema` if there are none.
    pub fn field_keys(&self) -> Result<Keyset<'_, Field>> {
        Keyset::new(&self.registry, &self.keys)
    }

    /// The keys that make blind indexes.
    ///
    /// # Errors
    /// `Schema` if there are none.
    pub fn index_keys(&self) -> Result<Keyset<'_, Index>> {
        Keyset::new(&self.registry, &self.keys)
    }

    /// The keys that make tokens.
    ///
    /// # Errors
    /// `Schema` if there are none.
    pub fn token_keys(&self) -> Result<Keyset<'_, Token>> {
        Keyset::new(&self.registry, &self.keys)
    }

    /// A keyring of given keys, for the vectors.
    #[cfg(test)]
    pub(crate) fn of_keys(registry: Name, keys: Vec<Key>) -> Self {
        let time = Timestamp::from_unix_seconds(0).expect("a time");
        let (slots, secret) = (Vec::new(), Secret::copy_from(&[0; 32]).expect("32 bytes"));
        Self { registry, generation: 1, created: time, updated: time, slots, keys, secret, pin: None }
    }

    /// What to remember of the file that this keyring was read from or last written to.
    #[must_use]
    pub const fn pin(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }

    /// Adds a slot, so that another KEK unlocks the same keyring.
    ///
    /// # Errors
    /// `Schema` for a label that does not fit or is taken; `Limit` for too many slots; what the KEK fails with.
    pub fn add_slot(&mut self, slot: &NewSlot<'_>, now: Timestamp) -> Result<()> {
        check_label(slot.label)?;
        if self.slots.iter().any(|other| other.info.label == slot.label) {
            return Err(Error::schema("another slot has this label"));
        }
        if self.slots.len() >= MAX_SLOTS {
            return Err(Error::limit("a keyring has at most 32 slots"));
        }
        let id: String = random::bytes::<8>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let provider = slot.kek.provider();
        let context = SlotContext { registry: &self.registry, slot_id: &id, provider };
        let wrapped = slot.kek.wrap(&context, &self.secret).map_err(super::KekError::into_error)?;
        let info = SlotInfo { id, label: slot.label.to_owned(), provider: provider.to_owned(), created: now };
        self.slots.push(Slot { info, wrapped });
        Ok(())
    }

    /// Removes a slot from the file.
    ///
    /// It takes nothing from whoever kept an older copy and what unlocks it: that copy gives the keyring secret, which opens, and signs,
    /// every later file too. [`renew_secret`](Self::renew_secret) ends that.
    ///
    /// # Errors
    /// `Schema` if there is no such slot, or if it is the last one.
    pub fn remove_slot(&mut self, label: &str) -> Result<()> {
        let found = self.slots.iter().position(|slot| slot.info.label == label);
        let position = found
            .ok_or_else(|| Error::schema("no slot has this label; `amanat inspect KEYRING` lists them"))?;
        if self.slots.len() == 1 {
            return Err(Error::schema("this is the last slot; nothing could unlock the keyring without it"));
        }
        self.slots.remove(position);
        Ok(())
    }

    /// Draws a new keyring secret and keeps one slot, made anew: every other slot is gone and must be added again.
    ///
    /// After it, nothing that unlocked an older file unlocks or forges this one. The keys are the same: whoever unlocked an older file
    /// knows them, so add new ones, activate them and re-seal.
    ///
    /// # Errors
    /// `Entropy`; `Schema` for a label that does not fit; what the KEK fails with. The keyring is then unchanged.
    pub fn renew_secret(&mut self, slot: &NewSlot<'_>, now: Timestamp) -> Result<()> {
        let secret = core::mem::replace(&mut self.secret, random::secret()?);
        let slots = core::mem::take(&mut self.slots);
        self.add_slot(slot, now).inspect_err(|_| {
            self.secret = secret;
            self.slots = slots;
        })
    }

    /// Makes a key. The first one of a purpose is active and primary at once; any other waits for [`activate`](Self::activate).
    ///
    /// # Errors
    /// `Entropy`; `Limit` for too many keys.
    pub fn add_key(&mut self, purpose: Purpose, cryptoperiod_days: u32, now: Timestamp) -> Result<KeyId> {
        let siblings = self.keys.iter().filter(|key| key.info.purpose == purpose).count();
        if siblings >= MAX_KEYS {
            return Err(Error::limit("a keyset has at most 1024 keys"));
        }
        let (secret, id) = self.draw(purpose)?;
        let first = siblings == 0;
        let info = KeyInfo {
            id,
            purpose,
            state: if first { State::Active } else { State::PreActivation },
            primary: first,
            created: now,
            activated: first.then_some(now),
            suspended: None,
            deactivated: None,
            compromised: None,
            destroyed: None,
            cryptoperiod_days,
            messages: 0,
        };
        self.keys.push(Key { info, secret: Some(secret) });
        Ok(id)
    }

    /// Draws the secret of a new key. An index term names its key by the first byte of the id, so index keys must differ in it.
    fn draw(&self, purpose: Purpose) -> Result<(Secret<32>, KeyId)> {
        let siblings = self.keys.iter().map(|key| &key.info).filter(|key| key.purpose == purpose);
        let tags: Vec<u8> = siblings.map(|key| key.id.tag()).collect();
        if purpose == Purpose::Index && tags.len() >= MAX_INDEX_KEYS {
            return Err(Error::limit("a keyring has at most 192 keys of purpose index"));
        }
        loop {
            let secret = random::secret()?;
            let id = key_id(&secret, purpose);
            if purpose != Purpose::Index || !tags.contains(&id.tag()) {
                return Ok((secret, id));
            }
        }
    }

    /// Lets a new key open and be searched by, while the primary goes on sealing: for as long as programs still have the keyring without it.
    ///
    /// # Errors
    /// `UnknownKey`; `KeyUnusable` if it is not pre-activation.
    pub fn introduce(&mut self, id: KeyId, now: Timestamp) -> Result<()> {
        let key = self.key_mut(id)?;
        if key.state != State::PreActivation {
            let why = format!("key {} is {}; only a new key is introduced", id.short(), key.state);
            return Err(Error::key_unusable(id, why));
        }
        key.change_to(State::Active)?;
        key.activated.get_or_insert(now);
        Ok(())
    }

    /// Makes a key the one that seals. The former primary stays active and opens.
    ///
    /// # Errors
    /// `UnknownKey`; `KeyUnusable` if its state does not allow it: a suspended key must be [resumed](Self::resume) first.
    pub fn activate(&mut self, id: KeyId, now: Timestamp) -> Result<()> {
        let key = self.key_mut(id)?;
        if key.state == State::Suspended {
            let why = format!("key {} is suspended; resume it before it may seal again", id.short());
            return Err(Error::key_unusable(id, why));
        }
        if key.state != State::Active {
            key.change_to(State::Active)?;
        }
        key.activated.get_or_insert(now);
        let purpose = key.purpose;
        for key in self.keys.iter_mut().map(|key| &mut key.info).filter(|key| key.purpose == purpose) {
            key.primary = key.id == id;
        }
        Ok(())
    }

    /// Stops a key for the time being: it neither seals nor opens, except by name.
    ///
    /// # Errors
    /// `UnknownKey`; `KeyUnusable` if its state does not allow it, or if it is the primary.
    pub fn suspend(&mut self, id: KeyId, now: Timestamp) -> Result<()> {
        let key = self.key_mut(id)?;
        key.change_to(State::Suspended)?;
        key.suspended = Some(now);
        Ok(())
    }

    /// Ends a suspension: the key opens again, and does not seal.
    ///
    /// # Errors
    /// `UnknownKey`; `KeyUnusable` if it is not suspended.
    pub fn resume(&mut self, id: KeyId) -> Result<()> {
        let key = self.key_mut(id)?;
        if key.state != State::Suspended {
            let why = format!("key {} is {} and not suspended", id.short(), key.state);
            return Err(Error::key_unusable(id, why));
        }
        key.change_to(State::Active)?;
        key.suspended = None;
        Ok(())
    }

    /// Retires a key: it opens what it sealed and seals no more.
    ///
    /// # Errors
    /// `UnknownKey`; `KeyUnusable` if its state does not allow it, or if it is the primary.
    pub fn deactivate(&mut self, id: KeyId, now: Timestamp) -> Result<()> {
        let key = self.key_mut(id)?;
        key.change_to(State::Deactivated)?;
        key.suspended = None;
        key.deactivated = Some(now);
        Ok(())
    }

    /// Marks a key as known or feared to be in other hands: it opens only by name.
    ///
    /// # Errors
    /// `UnknownKey`; `KeyUnusable` if its state does not allow it, or if it is the primary.
    pub fn compromise(&mut self, id: KeyId, now: Timestamp) -> Result<()> {
        let key = self.key_mut(id)?;
        key.change_to(State::Compromised)?;
        key.suspended = None;
        key.compromised = Some(now);
        Ok(())
    }

    /// Destroys a key's secret. Whatever is still sealed under it is lost; id and dates remain.
    ///
    /// # Errors
    /// `UnknownKey`; `KeyUnusable` if its state does not allow it, or if it is the primary.
    pub fn destroy(&mut self, id: KeyId, now: Timestamp) -> Result<()> {
        let key = self.key_mut(id)?;
        key.change_to(State::Destroyed)?;
        key.destroyed = Some(now);
        for key in self.keys.iter_mut().filter(|key| key.info.id == id) {
            key.secret = None;
        }
        Ok(())
    }

    /// Reserves messages under the primary key of a purpose. Write the keyring before the first of them is sealed.
    ///
    /// # Errors
    /// `Limit` if the key would exceed [`MAX_MESSAGES_PER_KEY`]; `Schema` if the purpose has no key.
    pub fn reserve(&mut self, purpose: Purpose, messages: u64) -> Result<Allowance> {
        let mut infos = self.keys.iter_mut().map(|key| &mut key.info);
        let key = infos.find(|key| key.purpose == purpose && key.primary);
        let key = key.ok_or_else(|| Error::schema(format!("the keyring has no key of purpose {purpose}")))?;
        key.reserve(messages)
    }

    /// Reserves messages under a key that need not be the primary: a recipient's tokens stay at its epoch. None may be asked for in any
    /// state, for makers that only open. Write the keyring before the first of them is sealed.
    ///
    /// # Errors
    /// `UnknownKey`; `KeyUnusable` if the key is not active; `Limit` as [`reserve`](Self::reserve).
    pub fn reserve_under(&mut self, id: KeyId, messages: u64) -> Result<Allowance> {
        let key = self.key_mut(id)?;
        if messages > 0 && key.state != State::Active {
            return Err(Error::key_unusable(
                id,
                format!("key {} is {} and seals nothing", id.short(), key.state),
            ));
        }
        key.reserve(messages)
    }

    /// Returns what is left of an allowance, once no sealer uses it any more.
    ///
    /// # Errors
    /// `UnknownKey` if the allowance belongs to another keyring.
    pub fn give_back(&mut self, allowance: &Allowance) -> Result<()> {
        let key = self.key_mut(allowance.key())?;
        key.messages = key.messages.saturating_sub(allowance.drain());
        Ok(())
    }

    /// The file to write: one generation higher, every key wrapped anew.
    ///
    /// # Errors
    /// `Entropy`; `Limit` if it would exceed [`MAX_KEYRING_BYTES`](super::MAX_KEYRING_BYTES).
    pub fn to_bytes(&mut self, now: Timestamp) -> Result<Vec<u8>> {
        let generation = self.generation.checked_add(1).filter(|next| *next <= MAX_INTEGER);
        let generation = generation.ok_or_else(|| Error::limit("the generation number is used up"))?;
        let wrap = wrapping_key(&self.secret, &self.registry);
        let mut keysets = Vec::new();
        for purpose in Purpose::ALL {
            let keys = self.keys.iter().filter(|key| key.info.purpose == purpose);
            let keys: Vec<KeyForm> =
                keys.map(|key| key.wrap(&wrap, &self.registry)).collect::<Result<_>>()?;
            if !keys.is_empty() {
                keysets.push(KeysetForm { purpose: purpose.as_str().to_owned(), keys });
            }
        }
        let slots = self.slots.iter().map(Slot::form).collect();
        let form = Form::new(&self.registry, generation, (self.created, now), slots, keysets);
        let bytes = form.seal(|body| file_mac(&self.secret, &self.registry, body))?;
        self.pin = Some(KeyringFile::parse(&bytes)?.pin());
        (self.generation, self.updated) = (generation, now);
        Ok(bytes)
    }

    /// Whether `bytes` are a genuine file of this very keyring: what a writer checks after it has read back what it wrote.
    ///
    /// # Errors
    /// What parsing and unlocking fail with.
    pub fn verify(&self, bytes: &[u8]) -> Result<()> {
        let file = KeyringFile::parse(bytes)?;
        let wrap = wrapping_key(&self.secret, &file.registry);
        let genuine = file_mac(&self.secret, &file.registry, &file.authenticated);
        if !ct_eq(&genuine, &file.mac) || Some(&file.pin()) != self.pin.as_ref() {
            return Err(Error::altered("the keyring that was read back is not the one that was written"));
        }
        file.keys.iter().try_for_each(|key| key.unwrap(&wrap, &file.registry).map(|_| ()))
    }

    fn key_mut(&mut self, id: KeyId) -> Result<&mut KeyInfo> {
        let key = self.keys.iter_mut().map(|key| &mut key.info).find(|key| key.id == id);
        key.ok_or_else(|| Error::unknown_key(id))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({}, generation {}, {} keys)", self.registry, self.generation, self.keys.len())
    }
}

impl KeyInfo {
    fn reserve(&mut self, messages: u64) -> Result<Allowance> {
        let total = self.messages.checked_add(messages).filter(|total| *total <= MAX_MESSAGES_PER_KEY);
        self.messages = total.ok_or_else(|| {
            Error::limit(format!(
                "key {} would exceed its limit of 2^44 messages; add a key and activate it: amanat keys add",
                self.id.short()
            ))
            .at_key(self.id)
        })?;
        Ok(Allowance::new(self.id, messages))
    }

    fn change_to(&mut self, next: State) -> Result<()> {
        let short = self.id.short();
        if self.primary {
            let why =
                format!("key {short} is the primary of purpose {}; activate another key first", self.purpose);
            return Err(Error::key_unusable(self.id, why));
        }
        if !self.state.may_become(next) {
            let why = format!("key {short} is {}; it cannot become {next} (SPEC 4.3)", self.state);
            return Err(Error::key_unusable(self.id, why));
        }
        self.state = next;
        Ok(())
    }

    /// Associated data of the wrapped secret: every member of the file's entry, as text.
    fn associated_data(&self, registry: &Name) -> Vec<u8> {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
        let texts = [
            registry.to_string(),
            self.purpose.to_string(),
            self.id.to_string(),
            self.state.to_string(),
            self.primary.to_string(),
            self.created.to_string(),
            time(self.activated),
            time(self.suspended),
            time(self.deactivated),
            time(self.compromised),
            time(self.destroyed),
            self.cryptoperiod_days.to_string(),
            self.messages.to_string(),
        ];
        let mut parts = vec![kdf::WRAPPED_KEY];
        parts.extend(texts.iter().map(|text| text.as_bytes()));
        crate::wire::pae(&parts)
    }
}

impl Key {
    fn wrap(&self, wrap: &Secret<32>, registry: &Name) -> Result<KeyForm> {
        let ad = self.info.associated_data(registry);
        let wrapped = self.secret.as_ref().map(|secret| wrap_secret(wrap, &ad, secret)).transpose()?;
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let info = &self.info;
        Ok(KeyForm {
            id: info.id.to_string(),
            state: info.state.to_string(),
            primary: info.primary,
            created: info.created.to_string(),
            activated: time(info.activated),
            suspended: time(info.suspended),
            deactivated: time(info.deactivated),
            compromised: time(info.compromised),
            destroyed: time(info.destroyed),
            cryptoperiod_days: info.cryptoperiod_days,
            messages: info.messages,
            wrapped: wrapped.map(|wrapped| base64(&wrapped)),
        })
    }
}

impl LockedKey {
    fn read(purpose: &str, form: &KeyForm) -> Result<Self> {
        let (id, purpose, state) = parse_key_names(&form.id, purpose, &form.state)?;
        if form.messages > MAX_MESSAGES_PER_KEY {
            return Err(Error::limit("more messages are counted than one key may seal (2^44)").at_key(id));
        }
        let wrapped = form.wrapped.as_ref().map(|text| decode_exact::<72>(text).map(Vec::from)).transpose();
        let wrapped = wrapped.map_err(|error| error.at_key(id))?;
        if wrapped.is_none() != (state == State::Destroyed) {
            return Err(Error::malformed(
                "a destroyed key has no wrapped secret, and every other key has one",
            )
            .at_key(id));
        }
        let info = KeyInfo {
            id,
            purpose,
            state,
            primary: form.primary,
            created: parse_time(&form.created)?,
            activated: parse_option(form.activated.as_ref())?,
            suspended: parse_option(form.suspended.as_ref())?,
            deactivated: parse_option(form.deactivated.as_ref())?,
            compromised: parse_option(form.compromised.as_ref())?,
            destroyed: parse_option(form.destroyed.as_ref())?,
            cryptoperiod_days: form.cryptoperiod_days,
            messages: form.messages,
        };
        Ok(Self { info, wrapped })
    }

    fn unwrap(&self, wrap: &Secret<32>, registry: &Name) -> Result<Key> {
        let id = self.info.id;
        let Some(wrapped) = &self.wrapped else {
            return Ok(Key { info: self.info.clone(), secret: None });
        };
        let secret = unwrap_secret(wrap, &self.info.associated_data(registry), wrapped).ok_or_else(|| {
            Error::altered(format!(
                "key {}: its state, a date, its message count or its wrapped secret was changed; restore the keyring from a backup",
                id.short()
            ))
            .at_key(id)
        })?;
        if key_id(&secret, self.info.purpose) != id {
            return Err(Error::altered(format!("key {}: its id does not commit to its secret", id.short()))
                .at_key(id));
        }
        Ok(Key { info: self.info.clone(), secret: Some(secret) })
    }
}

impl Slot {
    fn read(form: SlotForm) -> Result<Self> {
        check_label(&form.label).map_err(|error| Error::malformed(error.message().to_owned()))?;
        decode_hex(&form.id, &mut [0; 8])
            .ok_or_else(|| Error::malformed("a slot id is 16 lower-case hex digits"))?;
        let params = &form.params;
        let named = params.keys().chain([&form.provider]).all(|name| Name::new(name).is_ok());
        if !named || params.values().any(|value| value.chars().any(char::is_control)) {
            return Err(Error::malformed(
                "the provider and parameters of a slot have names of A-Z a-z 0-9 _ - . and texts without control characters",
            ));
        }
        let mut wrapped = Vec::new();
        decode_base64(&form.wrapped, &mut wrapped)?;
        let created = parse_time(&form.created)?;
        let info = SlotInfo { id: form.id, label: form.label, provider: form.provider, created };
        Ok(Self { info, wrapped: WrappedSecret { params: form.params, wrapped } })
    }

    fn form(&self) -> SlotForm {
        let params: SlotParams = self.wrapped.params.clone();
        SlotForm {
            id: self.info.id.clone(),
            label: self.info.label.clone(),
            provider: self.info.provider.clone(),
            created: self.info.created.to_string(),
            params,
            wrapped: base64(&self.wrapped.wrapped),
        }
    }

    fn copy(&self) -> Self {
        Self { info: self.info.clone(), wrapped: self.wrapped.clone() }
    }

    fn context<'a>(&'a self, registry: &'a Name) -> SlotContext<'a> {
        SlotContext { registry, slot_id: &self.info.id, provider: &self.info.provider }
    }
}

fn read_keysets(forms: Vec<KeysetForm>) -> Result<Vec<LockedKey>> {
    let mut keys = Vec::new();
    let mut last = None;
    for form in forms {
        let purpose: Purpose = form.purpose.parse()?;
        if form.keys.is_empty() || last >= Some(purpose) {
            return Err(Error::malformed("the keyring's keysets are empty, repeated or out of order"));
        }
        last = Some(purpose);
        for key in &form.keys {
            keys.push(LockedKey::read(&form.purpose, key)?);
        }
    }
    Ok(keys)
}

fn check_label(label: &str) -> Result<()> {
    if (1..=MAX_LABEL_BYTES).contains(&label.len()) && !label.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::schema("a slot's label has 1 to 64 bytes and no control characters"))
}

fn wrapping_key(secret: &KeyringSecret, registry: &Name) -> Secret<32> {
    kdf::derive(secret, &[kdf::WRAP, registry.as_bytes()])
}

fn file_mac(secret: &KeyringSecret, registry: &Name, authenticated: &[u8]) -> [u8; 32] {
    let key: Secret<32> = kdf::derive(secret, &[kdf::KEYRING_MAC, registry.as_bytes()]);
    kdf::hmac_sha256(key.expose(), &[authenticated])
}
