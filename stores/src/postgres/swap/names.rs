// SPDX-License-Identifier: MIT OR Apache-2.0
//! The names of what a swap makes beside the table.
//!
//! Owns their forms, all with the run's id in them. Never takes a name that is the user's.

use crate::postgres::table::quote;

/// Longest name that the server takes, in bytes.
const MAX_NAME_BYTES: usize = 63;
/// What stands behind the name of the table of before.
const OLD: &str = "_amanat_old";

/// Names of one swap.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Quoted schema.
    pub(super) namespace: String,
    /// The table, not quoted.
    pub(super) table: String,
    /// A part of the run's id.
    id: String,
}

impl Names {
    pub(super) fn new(namespace: &str, table: &str, run: &str) -> Self {
        let id = run.chars().take(16).collect();
        Self { namespace: namespace.to_owned(), table: table.to_owned(), id }
    }

    /// With its schema, quoted.
    pub(super) fn qualified(&self, name: &str) -> String {
        format!("{}.{}", self.namespace, quote(name))
    }

    /// The table that is worked on.
    pub(super) fn live(&self) -> String {
        self.qualified(&self.table)
    }

    /// The copy, before it takes the table's name.
    pub(super) fn copy(&self) -> String {
        format!("amanat_copy_{}", self.id)
    }

    /// The table of before, after the swap.
    pub(super) fn old(&self) -> String {
        let mut end = self.table.len().min(MAX_NAME_BYTES - OLD.len());
        while !self.table.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}{OLD}", self.table.get(..end).unwrap_or_default())
    }

    /// Keys that the application has changed.
    pub(super) fn changes(&self) -> String {
        format!("amanat_changes_{}", self.id)
    }

    /// The trigger that notes them, and its function.
    pub(super) fn note(&self) -> String {
        format!("amanat_note_{}", self.id)
    }

    /// The function that goes back.
    pub(super) fn back(&self) -> String {
        format!("amanat_go_back_{}", self.id)
    }

    /// An index, sequence or statistics object of the copy, before the swap.
    pub(super) fn part_of_copy(&self, kind: char, number: usize) -> String {
        format!("amanat_copy_{}_{kind}{number}", self.id)
    }

    /// One of the table of before, after the swap.
    pub(super) fn part_of_old(&self, kind: char, number: usize) -> String {
        format!("amanat_old_{}_{kind}{number}", self.id)
    }
}
