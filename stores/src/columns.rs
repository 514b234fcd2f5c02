// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which column of a store is which field of the schema.
//!
//! Owns the matching of names, and the list of what does not match. Never guesses about a column that has no policy.

use amanat::error::{Error, Result};
use amanat::ident::Name;
use amanat::mask::Mask;
use amanat::schema::{FieldPolicy, Mode, TableSchema, TokenPolicy, ValueType};

use crate::migration::Work;

/// What a column is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Passed on as it is.
    Clear,
    /// Stored as its mask.
    Masked(Mask),
    /// The sealed field at this position, of this type.
    Sealed(usize, ValueType),
    /// The index or kept token at this position of [`TableSchema::surrogate_columns`].
    Surrogate(usize),
    /// What held the sealed field at this position, of this type, under an older schema: its values move from here.
    Former(usize, ValueType),
    /// A column that the new schema does not have: it is emptied.
    LeftOver,
}

/// The columns of a store, matched to a table.
#[derive(Debug)]
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    expect(dead_code, reason = "only tables move values")
)]
pub(crate) struct Columns {
    /// What each column is for, in the store's order.
    pub(crate) roles: Vec<Role>,
    /// Place of each column of the record id, in the schema's order.
    pub(crate) record: Vec<usize>,
    /// Place and type of each sealed field's column, in the schema's order.
    pub(crate) sealed: Vec<(usize, ValueType)>,
    /// Place of each field's column, in the schema's order.
    pub(crate) fields: Vec<usize>,
    /// Place of each column of [`TableSchema::surrogate_columns`] that the store has: one that is not protected yet has none.
    pub(crate) surrogates: Vec<Option<usize>>,
    /// Place of the column that each sealed field's values move from, if there is one. Only for runs that move them.
    pub(crate) former: Vec<Option<usize>>,
    /// Whether the values of each sealed field are those of another tool.
    pub(crate) foreign: Vec<bool>,
    /// Places of columns that the new schema does not have, and what they held: they are emptied.
    pub(crate) left_over: Vec<(usize, Name)>,
    /// Names of the fields whose values move, at the places of their former columns.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    moved: Vec<(usize, Name)>,
}

impl Columns {
    /// Matches names by exact text, else without the spaces around them.
    pub(crate) fn new(table: &TableSchema, names: &[&str]) -> Result<Self> {
        Self::of_work(table, &Work::default(), names)
    }

    /// As [`new`](Self::new), with the columns that a run takes values from or empties.
    pub(crate) fn of_work(table: &TableSchema, work: &Work, names: &[&str]) -> Result<Self> {
        let wanted = wanted(table);
        let former = |policy: &FieldPolicy| work.former(policy.name()).map(FieldPolicy::column);
        let former: Vec<Option<&str>> = table.sealed().map(former).collect();
        let left_over: Vec<&str> = work.left_over().iter().map(|dropped| dropped.column.as_str()).collect();
        let mut surrogates: Vec<&str> = table.surrogate_columns().collect();
        let own = surrogates.len();
        surrogates.extend(former.iter().flatten().chain(&left_over));
        let exact = |name: &str| wanted.contains(&name) || surrogates.contains(&name);
        let matched: Vec<&str> =
            names.iter().map(|name| if exact(name) { name } else { name.trim_matches(' ') }).collect();
        check(table, (&wanted, &surrogates), &matched)?;
        surrogates.truncate(own);
        let found = |column: &str| matched.iter().position(|name| *name == column);
        let place = |column: &str| found(column).unwrap_or(usize::MAX);
        let sealed: Vec<_> =
            table.sealed().map(|policy| (place(policy.column()), policy.value_type())).collect();
        let role = |(place, name): (usize, &&str)| {
            if let Some(position) = sealed.iter().position(|(column, _)| *column == place) {
                return Role::Sealed(position, sealed.get(position).map_or(ValueType::Text, |field| field.1));
            }
            if let Some(position) = surrogates.iter().position(|column| column == name) {
                return Role::Surrogate(position);
            }
            if let Some(position) = former.iter().position(|column| column.as_ref() == Some(name)) {
                return Role::Former(position, sealed.get(position).map_or(ValueType::Text, |field| field.1));
            }
            if left_over.contains(name) {
                return Role::LeftOver;
            }
            match table.by_column(name) {
                Some(policy) if policy.mode() == Mode::Masked => Role::Masked(policy.mask()),
                _ => Role::Clear,
            }
        };
        Ok(Self {
            roles: matched.iter().enumerate().map(role).collect(),
            record: table.record_id().iter().map(|column| place(column)).collect(),
            fields: table.fields().iter().map(|policy| place(policy.column())).collect(),
            surrogates: surrogates.iter().map(|column| found(column)).collect(),
            former: former.iter().map(|column| column.and_then(found)).collect(),
            foreign: table.sealed().map(|policy| work.has_opener(policy.name())).collect(),
            left_over: work
                .left_over()
                .iter()
                .filter_map(|dropped| Some((found(&dropped.column)?, dropped.name.clone())))
                .collect(),
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            moved: table
                .sealed()
                .filter_map(|policy| work.former(policy.name()))
                .filter_map(|from| Some((found(from.column())?, from.name().clone())))
                .collect(),
            sealed,
        })
    }
}

impl Columns {
    /// Name of the field, index or token of each column, in the store's order; the former one of what the run empties.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn names(&self, table: &TableSchema) -> Vec<Option<Name>> {
        let mut names = vec![None; self.roles.len()];
        let fields =
            table.fields().iter().map(|policy| policy.name()).zip(self.fields.iter().copied().map(Some));
        let surrogates = surrogate_names(table).zip(self.surrogates.iter().copied());
        let others = self.left_over.iter().chain(&self.moved).map(|(place, name)| (name, Some(*place)));
        for (name, place) in fields.chain(surrogates).chain(others) {
            let entry = place.and_then(|place| names.get_mut(place));
            entry.into_iter().for_each(|entry| *entry = Some(name.clone()));
        }
        names
    }
}

/// Columns that a store must have: those of the schema's fields, in order, and those of the record id.
pub(crate) fn wanted(table: &TableSchema) -> Vec<&str> {
    let mut wanted: Vec<&str> = table.fields().iter().map(|policy| policy.column()).collect();
    for column in table.record_id() {
        if !wanted.contains(&column.as_str()) {
            wanted.push(column);
        }
    }
    wanted
}

/// Names of the indexes and kept tokens whose columns are those of [`TableSchema::surrogate_columns`].
pub(crate) fn surrogate_names(table: &TableSchema) -> impl Iterator<Item = &Name> {
    let tokens = table.tokens().iter().filter(|policy| policy.column().is_some()).map(TokenPolicy::name);
    table.indexes().iter().map(|policy| policy.spec().name()).chain(tokens)
}

/// Refuses columns that the schema does not name, and the reverse, in one message.
fn check(table: &TableSchema, (wanted, may): (&[&str], &[&str]), found: &[&str]) -> Result<()> {
    let fault = |what: &str| Err(Error::schema(format!("table `{}`: {what}", table.name())));
    let list = |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| !found.contains(name)).collect();
    let unknown: Vec<&str> =
        found.iter().copied().filter(|name| !wanted.contains(name) && !may.contains(name)).collect();
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
