// SPDX-License-Identifier: MIT OR Apache-2.0
//! Vaulted tokens: random, with a vault that knows what each stands for.
//!
//! Owns SPEC 10.7. Never lets one value have two tokens, never gives the vault a value or a key.

use core::fmt;

use super::epoch_keys::{EpochKey, check_makes};
use super::pairwise::{BODY_BYTES, proves, with_proof};
use super::reversible::{check_value, to_normal};
use super::text::{Audience, Epoch, Token, TokenHeader, TokenKind};
use super::vault::{Vault, VaultEntry, exclusively};
use crate::context::FieldContext;
use crate::crypto::prf::ProofKey;
use crate::crypto::random;
use crate::envelope::Envelope;
use crate::error::{Error, Kind, Result};
use crate::field::{FieldOpener, FieldSealer, OpenOptions, SealOptions};
use crate::ident::{KeyId, Name};
use crate::index::{BlindIndex, IndexBits, IndexSpec, IndexedField, MAX_INDEX_BITS};
use crate::keys::{Allowance, Field, Keyring, Keyset, State};
use crate::normal::{Normal, NormalForm};
use crate::secret::ct_eq;
use crate::value::Value;

/// The table that keys of a vault are derived for.
pub(crate) const TABLE: &str = "amanat-vault";
/// Its one sealed field.
const FIELD: &str = "value";
/// Entries that are renewed together.
const PAGE: usize = 1_000;

/// What a renewal has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Renewal {
    /// Entries looked at.
    pub entries: u64,
    /// Entries that are now under the primary keys and were not.
    pub renewed: u64,
    /// Entries that do not open; they stay as they are.
    pub refused: u64,
}

/// Makes and resolves the vaulted tokens of one normal form, recipient, purpose and epoch.
///
/// Shape: 128 random bits and 32 bits of proof, in the text of SPEC 10.2. Protects the value: nothing in a token depends on it. Leaks
/// equality to its recipient, and to whoever reads the vault how many tokens each recipient has.
pub struct VaultedTokens {
    header: TokenHeader,
    key: KeyId,
    state: State,
    proof: ProofKey,
    form: NormalForm,
    scope: String,
    index: BlindIndex,
    /// All of the keyring, to name the one that may not be searched by.
    index_keys: Vec<KeyId>,
    sealer: FieldSealer,
    reader: VaultReader,
}

impl VaultedTokens {
    /// Derives the keys of an audience, epoch and form. New entries are sealed from `messages`, reserved under the primary field key; none
    /// are needed to resolve. `break_glass` names keys of any purpose that are suspended or compromised and shall resolve nevertheless.
    ///
    /// # Errors
    /// `UnknownKey` if the keyring has no such epoch; `KeyUnusable` if its state forbids resolving; `Misuse` if the messages are of another key.
    pub fn new(
        keyring: &Keyring,
        audience: &Audience,
        epoch: Epoch,
        form: &NormalForm,
        messages: &Allowance,
        break_glass: &[KeyId],
    ) -> Result<Self> {
        let (fields, indexes) = (keyring.field_keys()?, keyring.index_keys()?);
        let key =
            EpochKey::<32>::derive(&keyring.token_keys()?, TokenKind::Vaulted, audience, epoch, break_glass)?;
        let header = TokenHeader::new(TokenKind::Vaulted, epoch, audience.clone());
        let context = vault_context(&fields)?;
        let name = Name::new(&format!("{}.{epoch}", audience.recipient()))?;
        let of = IndexedField { field: audience.purpose().clone(), form: form.clone() };
        let spec = IndexSpec::new(name, vec![of], IndexBits::new(MAX_INDEX_BITS)?)?;
        Ok(Self {
            key: key.id,
            state: key.state(),
            proof: ProofKey::new(key.secret.expose()),
            form: form.clone(),
            scope: scope(&header, form),
            index_keys: indexes.infos().map(|info| info.id).collect(),
            index: BlindIndex::new(&indexes, context.table(), &spec, break_glass)?,
            sealer: FieldSealer::new(&fields, &context, SealOptions::default(), messages)?,
            reader: VaultReader::new(&fields, break_glass)?,
            header,
        })
    }

    /// What every token of this maker says of itself.
    #[must_use]
    pub const fn header(&self) -> &TokenHeader {
        &self.header
    }

    /// The scope of this maker's entries in a vault.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// Gives the token of a value: the one that it has, or a new one, which is durable in the vault when this returns.
    ///
    /// # Errors
    /// `KeyUnusable` if the epoch's key is not active, or if the vault has entries under an index key that may not be searched by, `UnknownKey`
    /// if under one that the keyring does not have; `Misuse` for a value in another form; `Limit` if the value is too long or the messages are used up; `Unauthentic` if the vault was altered;
    /// `Entropy`; `Store`.
    pub fn make(&mut self, vault: &mut dyn Vault, value: &Normal) -> Result<Token> {
        check_makes(self.key, self.header.epoch(), self.state)?;
        if let Some(body) = self.find(vault, value)? {
            return Ok(self.token(&body));
        }
        let body = exclusively(vault, |vault| self.find_or_insert(vault, value))?;
        Ok(self.token(&body))
    }

    /// Gives the token that a value has, and makes none: for a crosswalk from an epoch whose key makes no tokens any more.
    ///
    /// # Errors
    /// As [`make`](Self::make), but whatever the state of the epoch's key.
    pub fn token_of(&mut self, vault: &mut dyn Vault, value: &Normal) -> Result<Option<Token>> {
        let found = self.find(vault, value)?;
        if found.is_none() {
            self.check_searched(vault)?;
        }
        Ok(found.map(|body| self.token(&body)))
    }

    /// Gives the tokens of many values, in order, all in one section of the vault: either every new one is kept, or none.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn make_batch<'v>(
        &mut self,
        vault: &mut dyn Vault,
        values: impl IntoIterator<Item = &'v Normal>,
    ) -> Result<Vec<Token>> {
        check_makes(self.key, self.header.epoch(), self.state)?;
        let bodies: Vec<_> = exclusively(vault, |vault| {
            values.into_iter().map(|value| self.find_or_insert(vault, value)).collect::<Result<_>>()
        })?;
        Ok(bodies.iter().map(|body| self.token(body)).collect())
    }

    /// Looks up what a token stands for; `None` if it was forgotten, or made with another vault.
    ///
    /// # Errors
    /// `Misuse` for a token of another kind, audience, epoch or form; `Unauthentic` if the token was not made under this key or the vault was
    /// altered; `UnknownKey` or `KeyUnusable` for the key of an entry; `Store`.
    pub fn open(&mut self, vault: &mut dyn Vault, token: &Token) -> Result<Option<Value>> {
        let body = self.proved_body(token)?;
        let Some(entry) = vault.by_body(&body)? else { return Ok(None) };
        self.check_scope(&entry)?;
        self.reader.open(&self.header, &entry).map(Some)
    }

    /// Removes what a token stands for from the vault: nobody can resolve it any more, and the value gets another token if it comes again.
    /// False if there was nothing.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn forget(&mut self, vault: &mut dyn Vault, token: &Token) -> Result<bool> {
        let body = self.proved_body(token)?;
        exclusively(vault, |vault| {
            let Some(entry) = vault.by_body(&body)? else { return Ok(false) };
            self.check_scope(&entry)?;
            vault.remove(&body)
        })
    }

    /// Whether a token was made under this very key. Needs no vault, and is wrong for one invented token in 2^32.
    #[must_use]
    pub fn proves(&self, token: &Token) -> bool {
        *token.header() == self.header && proves(&self.proof, token.data())
    }

    /// Seals and indexes anew every entry that is not under the primary field and index keys. No token changes. What others change
    /// meanwhile stays as they leave it; run again until nothing is renewed.
    ///
    /// # Errors
    /// `Limit` if the messages are used up; `Entropy`; `Store`. What was renewed before stays renewed.
    pub fn renew(&mut self, vault: &mut dyn Vault) -> Result<Renewal> {
        let (mut done, mut after) = (Renewal::default(), None);
        loop {
            let page = vault.page(&self.scope, after.as_ref(), PAGE)?;
            let Some(last) = page.last() else { return Ok(done) };
            after = Some(last.body);
            done.entries += u64::try_from(page.len()).unwrap_or_default();
            let mut changes = Vec::new();
            for old in page {
                match self.renewed(&old) {
                    Ok(new) => changes.extend(new.map(|new| (old, new))),
                    Err(error) if matches!(error.kind(), Kind::Limit | Kind::Entropy) => return Err(error),
                    Err(_) => done.refused += 1,
                }
            }
            if !changes.is_empty() {
                done.renewed += exclusively(vault, |vault| {
                    let mut renewed = 0;
                    for (old, new) in &changes {
                        renewed += u64::from(vault.replace(old, new)?);
                    }
                    Ok(renewed)
                })?;
            }
        }
    }

    /// An entry under the primary keys; `None` if it is.
    fn renewed(&mut self, old: &VaultEntry) -> Result<Option<VaultEntry>> {
        let sealed_by = Envelope::parse(&old.envelope)?.key();
        if sealed_by == self.sealer.key() && self.index.is_current(&old.term) {
            return Ok(None);
        }
        let value = self.reader.open(&self.header, old)?;
        let normal = to_normal(&self.form, value.as_ref())?;
        self.entry(&normal, old.body).map(Some)
    }

    /// The body of the value's token, if it has one.
    fn find(&mut self, vault: &mut dyn Vault, value: &Normal) -> Result<Option<[u8; BODY_BYTES]>> {
        check_value(value)?;
        let terms = self.index.query(&[value])?;
        let Some(entry) = vault.by_terms(&terms)?.into_iter().next() else { return Ok(None) };
        // 128 bits under a key of this scope: nothing else has the term by chance.
        let found = self.reader.open(&self.header, &entry)?;
        let same = found.as_ref().with_parts(|_, content| ct_eq(content, value.as_bytes()));
        if same && entry.scope == self.scope { Ok(Some(entry.body)) } else { Err(altered()) }
    }

    /// Only in a section in which nobody else writes.
    fn find_or_insert(&mut self, vault: &mut dyn Vault, value: &Normal) -> Result<[u8; BODY_BYTES]> {
        if let Some(body) = self.find(vault, value)? {
            return Ok(body);
        }
        self.check_searched(vault)?;
        let entry = self.entry(value, random::bytes()?)?;
        vault.insert(&entry)?;
        Ok(entry.body)
    }

    /// An entry under a key that is not searched by may be the value's: a second token would be worse than none.
    fn check_searched(&self, vault: &mut dyn Vault) -> Result<()> {
        let unsearched = |tag: &u8| !self.index.tags().any(|known| known == *tag);
        vault.tags()?.into_iter().find(unsearched).map_or(Ok(()), |tag| Err(self.not_searched(tag)))
    }

    fn entry(&mut self, value: &Normal, body: [u8; BODY_BYTES]) -> Result<VaultEntry> {
        let term = self.index.term(&[value])?;
        let mut entry = VaultEntry { body, scope: self.scope.clone(), term, envelope: Vec::new() };
        entry.envelope = self.sealer.seal(&entry.record()?, check_value(value)?)?;
        Ok(entry)
    }

    fn token(&self, body: &[u8; BODY_BYTES]) -> Token {
        Token::new(self.header.clone(), with_proof(&self.proof, body).to_vec())
    }

    fn proved_body(&self, token: &Token) -> Result<[u8; BODY_BYTES]> {
        if *token.header() != self.header {
            return Err(Error::misuse(
                "the token is of another kind, recipient, purpose or epoch than its opener",
            ));
        }
        let body = token.data().first_chunk().filter(|_| self.proves(token));
        body.copied().ok_or_else(Error::unauthentic)
    }

    #[cold]
    fn not_searched(&self, tag: u8) -> Error {
        match self.index_keys.iter().find(|id| id.tag() == tag) {
            Some(id) => {
                let why = format!(
                    "the vault has entries under index key {}, which may not be searched by: the value may have a token; name the key (break-glass), or renew the vault: amanat token vault renew",
                    id.short()
                );
                Error::key_unusable(*id, why)
            }
            None => Error::no_such_epoch(
                "the vault has entries under an index key that this keyring does not have: the value may have a token; use the newest keyring",
            ),
        }
    }

    fn check_scope(&self, entry: &VaultEntry) -> Result<()> {
        if entry.scope == self.scope {
            return Ok(());
        }
        Err(Error::misuse("the token stands for a value in another normal form than its opener's"))
    }
}

impl fmt::Debug for VaultedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultedTokens({}, key {})", self.header.audience().recipient(), self.key.short())
    }
}

/// Opens the entries of a vault, of any scope.
pub(super) struct VaultReader(FieldOpener);

impl VaultReader {
    pub(super) fn new(fields: &Keyset<'_, Field>, break_glass: &[KeyId]) -> Result<Self> {
        // The list names keys of every purpose; an opener takes those of its own.
        let own = fields.infos().map(|info| info.id).filter(|id| break_glass.contains(id));
        let options = OpenOptions { break_glass: own.collect(), ..OpenOptions::default() };
        FieldOpener::new(fields, &vault_context(fields)?, &options).map(Self)
    }

    /// Opens the entry of a token with this header.
    pub(super) fn open(&mut self, header: &TokenHeader, entry: &VaultEntry) -> Result<Value> {
        if !entry.scope.as_bytes().starts_with(header.as_bytes()) {
            return Err(Error::unauthentic());
        }
        self.0.open_value(&entry.record()?, &entry.envelope)
    }
}

/// A token's header and its form, with the pattern if it is the schema's own.
fn scope(header: &TokenHeader, form: &NormalForm) -> String {
    let mut scope = String::from_utf8_lossy(header.as_bytes()).into_owned();
    scope.push_str(&form.identity());
    scope
}

fn vault_context(fields: &Keyset<'_, Field>) -> Result<FieldContext> {
    Ok(FieldContext::new(fields.registry().clone(), Name::new(TABLE)?, Name::new(FIELD)?))
}

fn altered() -> Error {
    Error::altered(
        "an entry of the vault stands under the index term of another value: the vault was altered; restore it from a backup",
    )
}
