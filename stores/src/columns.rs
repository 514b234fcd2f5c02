// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which column of a store is which field of the schema.
//!
//! Owns the matching of names, and the list of what does not match. Never guesses about a column that has no policy.

use amanat::error::{Error, Result};
use amanat::mask::Mask;
use amanat::schema::{Mode, TableSchema, ValueType};

/// What a column is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Passed on as it is.
    Clear,
    /// Stored as its mask.
    Masked(Mask),
    /// The sealed field at this position, of this type.
    Sealed(usize, ValueType),
}

/// The columns of a store, matched to a table.
#[derive(Debug)]
pub(crate) struct Columns {
    /// What each column is for, in the store's order.
    pub(crate) roles: Vec<Role>,
    /// Place of each column of the record id, in the schema's order.
    pub(crate) record: Vec<usize>,
    /// Place and type of each sealed field's column, in the schema's order.
    pub(crate) sealed: Vec<(usize, ValueType)>,
}

impl Columns {
    /// Matches names by exact text, else without the spaces around them.
    pub(crate) fn new(table: &TableSchema, names: &[&str]) -> Result<Self> {
        let wanted = wanted(table);
        let exact = |name: &str| wanted.contains(&name);
        let matched: Vec<&str> =
            names.iter().map(|name| if exact(name) { name } else { name.trim_matches(' ') }).collect();
        check(table, &wanted, &matched)?;
        let place = |column: &str| matched.iter().position(|name| *name == column).unwrap_or(usize::MAX);
        let sealed: Vec<_> =
            table.sealed().map(|policy| (place(policy.column()), policy.value_type())).collect();
        let role = |(place, name): (usize, &&str)| {
            if let Some(position) = sealed.iter().position(|(column, _)| *column == place) {
                return Role::Sealed(position, sealed.get(position).map_or(ValueType::Text, |field| field.1));
            }
            match table.by_column(name) {
                Some(policy) if policy.mode() == Mode::Masked => Role::Masked(policy.mask()),
                _ => Role::Clear,
            }
        };
        let roles = matched.iter().enumerate().map(role).collect();
        let record = table.record_id().iter().map(|column| place(column)).collect();
        Ok(Self { roles, record, sealed })
    }
}

/// Columns that the schema names: those of its fields and those of the record id.
pub(crate) fn wanted(table: &TableSchema) -> Vec<&str> {
    let mut wanted: Vec<&str> = table.fields().iter().map(|policy| policy.column()).collect();
    for column in table.record_id() {
        if !wanted.contains(&column.as_str()) {
            wanted.push(column);
        }
    }
    wanted
}

/// Refuses columns that the schema does not name, and the reverse, in one message.
fn check(table: &TableSchema, wanted: &[&str], found: &[&str]) -> Result<()> {
    let fault = |what: &str| Err(Error::schema(format!("table `{}`: {what}", table.name())));
    let list = |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| !found.contains(name)).collect();
    let unknown: Vec<&str> = found.iter().copied().filter(|name| !wanted.contains(name)).collect();
    if missing.len() == wanted.len() {
        // Nothing matches: what stands there may be the first record, so it is not shown.
        return fault(&format!(
            "none of its columns is there; the first line must name them: {}",
            list(missing)
        ));
    }
    let mut faults = Vec::new();
    if !unknown.is_empty() {
        faults.push(format!(
            "the schema does not name {}; add each as a field, `mode = \"clear\"` if it may stay readable",
            list(unknown)
        ));
    }
    if !missing.is_empty() {
        faults.push(format!("{} not found; add it to the data or remove it from the schema", list(missing)));
    }
    let mut seen: Vec<&str> = found.to_vec();
    seen.sort_unstable();
    if let Some([twice, _]) = seen.array_windows::<2>().find(|[left, right]| left == right) {
        faults.push(format!("column `{twice}` stands there twice"));
    }
    if faults.is_empty() { Ok(()) } else { fault(&faults.join("; ")) }
}
