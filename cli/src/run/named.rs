// SPDX-License-Identifier: MIT OR Apache-2.0
//! What stored cells name, in words: plain, a key and its state, the key of an index or of an epoch.
//!
//! Owns the way from a cell's beginning to a key of the keyring. Never opens a cell.

use amanat::keys::{KeyInfo, Purpose};
use amanat::token::Epoch;
use amanat::{KeyId, Keyring};
use amanat_stores::run::{KeyCount, Named};
use serde::Serialize;

use crate::fault::Result;
use crate::text::{Table, grouped};

/// Cells of a column that name the same.
#[derive(Clone, Serialize)]
pub(crate) struct Cells {
    pub(crate) column: String,
    /// `plain`, `key`, `tag` or `epoch`.
    pub(crate) by: &'static str,
    /// What stands in the cells: a key's id, a tag or an epoch.
    pub(crate) named: Option<String>,
    /// The key of the keyring that this is; several may have one tag.
    pub(crate) keys: Vec<String>,
    pub(crate) state: Option<&'static str>,
    pub(crate) cells: u64,
}

impl Cells {
    /// What a count means with this keyring.
    pub(crate) fn new(count: &KeyCount, keyring: &Keyring) -> Self {
        let keys: Vec<&KeyInfo> = keyring.keys().filter(|key| names(count.named, key, keyring)).collect();
        let (by, named) = match count.named {
            None => ("plain", None),
            Some(Named::Key(id)) => ("key", Some(id.to_string())),
            Some(Named::Tag(tag)) => ("tag", Some(format!("{tag:02x}"))),
            Some(Named::Epoch(epoch)) => ("epoch", Some(epoch.to_string())),
            Some(_) => ("other", None),
        };
        Self {
            column: count.column.to_string(),
            by,
            named,
            state: keys.first().map(|key| key.state.as_str()),
            keys: keys.iter().map(|key| key.id.to_string()).collect(),
            cells: count.cells,
        }
    }

    fn words(&self) -> String {
        let short: Vec<&str> = self.keys.iter().map(|id| id.get(..8).unwrap_or(id)).collect();
        let key = match (short.as_slice(), self.state) {
            ([], _) => "not in this keyring".to_owned(),
            (keys, Some(state)) => format!("key {}, {state}", keys.join(" or ")),
            (keys, None) => format!("key {}", keys.join(" or ")),
        };
        let named = self.named.as_deref().unwrap_or_default();
        match self.by {
            "plain" => "plain".to_owned(),
            "key" if self.keys.is_empty() => format!("key {}, {key}", named.get(..8).unwrap_or(named)),
            "key" => key,
            by => format!("{by} {named}: {key}"),
        }
    }
}

/// Whether cells that begin so name a key.
pub(crate) fn names(named: Option<Named>, key: &KeyInfo, keyring: &Keyring) -> bool {
    match named {
        Some(Named::Key(id)) => key.id == id,
        Some(Named::Tag(tag)) => key.purpose == Purpose::Index && key.id.as_bytes().first() == Some(&tag),
        Some(Named::Epoch(epoch)) => {
            key.purpose == Purpose::Token && key_of_epoch(epoch, keyring) == Some(key.id)
        }
        _ => false,
    }
}

fn key_of_epoch(epoch: u32, keyring: &Keyring) -> Option<KeyId> {
    let epoch = Epoch::new(u64::from(epoch)).ok()?;
    keyring.token_keys().ok()?.key_of_epoch(epoch).ok()
}

/// Counts of a table in the order of its columns, as a table for people.
pub(crate) fn lines(cells: &[Cells]) -> Vec<String> {
    let mut table = Table::new(&["COLUMN", "NAMES", "CELLS"]);
    for cells in cells {
        table.row(vec![cells.column.clone(), cells.words(), grouped(cells.cells)]);
    }
    table.lines()
}

/// What the columns of a table name.
pub(crate) fn cells(counts: &[KeyCount], session: &amanat_stores::KeyringSession<'_>) -> Result<Vec<Cells>> {
    let cells =
        session.with_keyring(|keyring| Ok(counts.iter().map(|count| Cells::new(count, keyring)).collect()));
    Ok(cells?)
}
