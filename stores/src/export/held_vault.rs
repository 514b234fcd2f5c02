// SPDX-License-Identifier: MIT OR Apache-2.0
//! A vault in which many tokens are made at the cost of few writes to disk.

use amanat::error::{Error, Result};
use amanat::index::IndexTerm;
use amanat::token::{Vault, VaultEntry};

/// Tokens of one section of a vault: others wait for it to end.
const SECTION_TOKENS: u32 = 1_000;

/// A vault whose sections are held open over many tokens: each would cost a write to disk. What a section fails with ends the export.
pub(super) struct HeldVault<'a> {
    vault: &'a mut dyn Vault,
    /// Tokens made in the section that is open.
    made: Option<u32>,
    is_broken: bool,
}

impl<'a> HeldVault<'a> {
    pub(super) fn new(vault: &'a mut dyn Vault) -> Self {
        Self { vault, made: None, is_broken: false }
    }

    pub(super) fn end(&mut self) -> Result<()> {
        if self.made.take().is_some() { self.vault.commit() } else { Ok(()) }
    }
}

impl Vault for HeldVault<'_> {
    fn begin(&mut self) -> Result<()> {
        if self.is_broken {
            return Err(Error::misuse("the vault was rolled back; begin the export anew"));
        }
        if self.made.is_none() {
            self.vault.begin()?;
            self.made = Some(0);
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.made = self.made.map(|made| made + 1);
        if self.made >= Some(SECTION_TOKENS) { self.end() } else { Ok(()) }
    }

    fn roll_back(&mut self) {
        (self.made, self.is_broken) = (None, true);
        self.vault.roll_back();
    }

    fn by_terms(&mut self, terms: &[IndexTerm]) -> Result<Vec<VaultEntry>> {
        self.vault.by_terms(terms)
    }

    fn by_body(&mut self, body: &[u8; 16]) -> Result<Option<VaultEntry>> {
        self.vault.by_body(body)
    }

    fn tags(&mut self) -> Result<Vec<u8>> {
        self.vault.tags()
    }

    fn insert(&mut self, entry: &VaultEntry) -> Result<()> {
        self.vault.insert(entry)
    }

    fn replace(&mut self, old: &VaultEntry, new: &VaultEntry) -> Result<bool> {
        self.vault.replace(old, new)
    }

    fn remove(&mut self, body: &[u8; 16]) -> Result<bool> {
        self.vault.remove(body)
    }

    fn page(&mut self, scope: &str, after: Option<&[u8; 16]>, count: usize) -> Result<Vec<VaultEntry>> {
        self.vault.page(scope, after, count)
    }

    fn scopes(&mut self) -> Result<Vec<String>> {
        self.vault.scopes()
    }
}

impl Drop for HeldVault<'_> {
    fn drop(&mut self) {
        if self.made.is_some() {
            self.vault.roll_back();
        }
    }
}
