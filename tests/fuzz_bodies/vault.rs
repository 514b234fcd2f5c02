// SPDX-License-Identifier: MIT OR Apache-2.0
//! A vault in memory, for the few entries of one input.

use amanat::Result;
use amanat::index::IndexTerm;
use amanat::token::{Vault, VaultEntry};

#[derive(Default)]
pub(super) struct SmallVault(Vec<VaultEntry>);

/// Of one thread, which does not renew: a section need not be kept apart.
impl Vault for SmallVault {
    fn begin(&mut self) -> Result<()> {
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        Ok(())
    }

    fn roll_back(&mut self) {}

    fn by_terms(&mut self, terms: &[IndexTerm]) -> Result<Vec<VaultEntry>> {
        Ok(self.0.iter().filter(|entry| terms.contains(&entry.term)).cloned().collect())
    }

    fn by_body(&mut self, body: &[u8; 16]) -> Result<Option<VaultEntry>> {
        Ok(self.0.iter().find(|entry| entry.body == *body).cloned())
    }

    fn tags(&mut self) -> Result<Vec<u8>> {
        Ok(self.0.iter().map(|entry| entry.term.tag()).collect())
    }

    fn insert(&mut self, entry: &VaultEntry) -> Result<()> {
        self.0.push(entry.clone());
        Ok(())
    }

    fn replace(&mut self, old: &VaultEntry, new: &VaultEntry) -> Result<bool> {
        let found = self.0.iter_mut().find(|entry| *entry == old);
        Ok(found.map(|entry| *entry = new.clone()).is_some())
    }

    fn remove(&mut self, body: &[u8; 16]) -> Result<bool> {
        let before = self.0.len();
        self.0.retain(|entry| entry.body != *body);
        Ok(self.0.len() < before)
    }

    fn page(&mut self, scope: &str, after: Option<&[u8; 16]>, count: usize) -> Result<Vec<VaultEntry>> {
        self.0.sort_by_key(|entry| entry.body);
        let later = self.0.iter().filter(|entry| after.is_none_or(|after| entry.body > *after));
        Ok(later.filter(|entry| entry.scope == scope).take(count).cloned().collect())
    }

    fn scopes(&mut self) -> Result<Vec<String>> {
        let mut scopes: Vec<String> = self.0.iter().map(|entry| entry.scope.clone()).collect();
        scopes.sort();
        scopes.dedup();
        Ok(scopes)
    }
}
