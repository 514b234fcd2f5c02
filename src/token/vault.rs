// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a store of vaulted tokens holds, and what it must promise.
//!
//! Owns the shape of an entry. Never sees a value or a key. SPEC 10.7.

use core::fmt;

use super::pairwise::BODY_BYTES;
use crate::context::RecordId;
use crate::error::Result;
use crate::index::IndexTerm;

/// What a vault holds of a token. Nothing of it tells the value without the keys; the scope tells for whom the token is.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VaultEntry {
    /// The random part of the token: one entry each.
    pub body: [u8; BODY_BYTES],
    /// Kind, epoch, recipient, purpose and normal form: `amt1:v:1:bank:loans:cnic/v1`.
    pub scope: String,
    /// Blind index of the value, under keys of the scope.
    pub term: IndexTerm,
    /// The sealed value, bound to scope and body.
    pub envelope: Vec<u8>,
}

impl VaultEntry {
    /// An entry as a store has kept it.
    #[must_use]
    pub const fn new(body: [u8; BODY_BYTES], scope: String, term: IndexTerm, envelope: Vec<u8>) -> Self {
        Self { body, scope, term, envelope }
    }

    /// Binds the envelope: an entry whose scope or body was changed does not open.
    pub(super) fn record(&self) -> Result<RecordId<'static>> {
        let body: String = self.body.iter().map(|byte| format!("{byte:02x}")).collect();
        RecordId::composite(&[&self.scope, &body])
    }
}

impl fmt::Debug for VaultEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultEntry({})", self.scope)
    }
}

/// Where the entries of vaulted tokens are kept: a file, a table, a service.
///
/// What it must promise: between [`begin`](Self::begin) and [`commit`](Self::commit) nobody else writes, so that two processes cannot give
/// one value two tokens; after `commit` the entries are durable. It need not be trusted with secrets: it sees none.
pub trait Vault {
    /// Begins a section in which nobody else writes; waits for others to end theirs.
    ///
    /// # Errors
    /// `Store`.
    fn begin(&mut self) -> Result<()>;

    /// Ends the section and makes what it wrote durable.
    ///
    /// # Errors
    /// `Store`; nothing of the section is then kept.
    fn commit(&mut self) -> Result<()>;

    /// Ends the section and takes back what it wrote.
    fn roll_back(&mut self);

    /// The entries that stand under any of these terms.
    ///
    /// # Errors
    /// `Store`.
    fn by_terms(&mut self, terms: &[IndexTerm]) -> Result<Vec<VaultEntry>>;

    /// The entry of a body.
    ///
    /// # Errors
    /// `Store`.
    fn by_body(&mut self, body: &[u8; BODY_BYTES]) -> Result<Option<VaultEntry>>;

    /// The first bytes of all terms, each once: the tags of the index keys that entries are under.
    ///
    /// # Errors
    /// `Store`.
    fn tags(&mut self) -> Result<Vec<u8>>;

    /// Adds an entry.
    ///
    /// # Errors
    /// `Store`, also if the body or the term has an entry.
    fn insert(&mut self, entry: &VaultEntry) -> Result<()>;

    /// Puts `new` where `old` stands unchanged; false if it does not. Both have one body.
    ///
    /// # Errors
    /// `Store`.
    fn replace(&mut self, old: &VaultEntry, new: &VaultEntry) -> Result<bool>;

    /// Removes an entry so that nothing of it can be read any more; false if there is none.
    ///
    /// # Errors
    /// `Store`.
    fn remove(&mut self, body: &[u8; BODY_BYTES]) -> Result<bool>;

    /// Up to `count` entries of a scope with bodies after this one, in order of their bodies.
    ///
    /// # Errors
    /// `Store`.
    fn page(
        &mut self,
        scope: &str,
        after: Option<&[u8; BODY_BYTES]>,
        count: usize,
    ) -> Result<Vec<VaultEntry>>;

    /// Every scope that has an entry.
    ///
    /// # Errors
    /// `Store`.
    fn scopes(&mut self) -> Result<Vec<String>>;
}

/// Works in a section of the vault that is kept whole or not at all.
pub(super) fn exclusively<T>(
    vault: &mut dyn Vault,
    work: impl FnOnce(&mut dyn Vault) -> Result<T>,
) -> Result<T> {
    vault.begin()?;
    let done = work(vault).and_then(|done| vault.commit().map(|()| done));
    if done.is_err() {
        vault.roll_back();
    }
    done
}
