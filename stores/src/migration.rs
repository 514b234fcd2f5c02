// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run takes from elsewhere: columns of an older schema, and values that other tools sealed.
//!
//! Owns which columns these are. Never decides about a row, and never reads a store: adapters ask [`Columns`](crate::columns::Columns).

use std::fmt;
use std::sync::Arc;

use amanat::error::{Error, Result};
use amanat::ident::Name;
use amanat::rotate::RunPlan;
use amanat::schema::{Absence, DroppedColumn, FieldPolicy, MovedField, Schema, SchemaChange, TableSchema};
use amanat_foreign::Opener;

/// What a run does beyond bringing the cells of a schema's own columns to what the schema asks for. Nothing by default.
#[derive(Default)]
pub struct Work {
    change: Option<SchemaChange>,
    /// The table in the store, as openers are told it.
    store_table: String,
    openers: Vec<(Name, Arc<dyn Opener>)>,
}

impl Work {
    /// Brings rows from an older schema to a new one. Values move out of their former columns, and what stands in dropped columns is
    /// taken away: a caller who has not been told to lose it asks `change` first.
    ///
    /// # Errors
    /// As [`SchemaChange::check`].
    pub fn with_change(mut self, change: SchemaChange) -> Result<Self> {
        change.check()?;
        self.change = Some(change);
        Ok(self)
    }

    /// The work of a run that was planned: whoever resumes it does the same. Openers hold keys, so they are no part of a plan and are
    /// named again.
    ///
    /// # Errors
    /// As [`Schema::from_toml`] and [`SchemaChange::check`].
    pub fn of_plan(plan: &RunPlan) -> Result<Self> {
        let Some(former) = &plan.former_schema else { return Ok(Self::default()) };
        let (former, new) = (Schema::from_toml(former)?, Schema::from_toml(&plan.schema)?);
        let table = plan.table.as_str();
        Self::default().with_change(SchemaChange::between(
            former.table(table)?,
            new.table(table)?,
            &plan.remade,
        ))
    }

    /// Has a field's values opened that another tool sealed: everything in its column, or the column that they move from, that is no envelope
    /// under a key of the keyring. `store_table` is the name of the table in the store; some tools bind values to it.
    #[must_use]
    pub fn with_opener(mut self, store_table: &str, field: Name, opener: Arc<dyn Opener>) -> Self {
        store_table.clone_into(&mut self.store_table);
        self.openers.retain(|(known, _)| *known != field);
        self.openers.push((field, opener));
        self
    }

    /// The change of schema, if there is one.
    #[must_use]
    pub const fn change(&self) -> Option<&SchemaChange> {
        self.change.as_ref()
    }

    /// Whether a field's values are those of another tool.
    #[must_use]
    pub fn has_opener(&self, field: &Name) -> bool {
        self.openers.iter().any(|(name, _)| name == field)
    }

    /// The fields whose values are those of another tool, in the order of their names: what a plan says of openers.
    #[must_use]
    pub fn foreign(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self.openers.iter().map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// Refuses to go on with a plan without the openers that it was made with: what they open would be sealed as it stands.
    pub(crate) fn fits(&self, plan: &RunPlan) -> Result<()> {
        if self.foreign() == plan.foreign {
            return Ok(());
        }
        let names: Vec<&str> = plan.foreign.iter().map(Name::as_str).collect();
        Err(Error::misuse(match names.as_slice() {
            [] => "the run was planned without values of other tools; resume it without openers, or cancel it and start a new one".to_owned(),
            names => format!(
                "the run was planned with openers for values of other tools in {}; name the same ones again",
                names.join(", ")
            ),
        }))
    }

    /// Refuses openers of what is no sealed field of the table.
    pub(crate) fn check(&self, table: &TableSchema) -> Result<()> {
        let unknown = self.openers.iter().find(|(field, _)| table.sealed_position(field).is_none());
        unknown.map_or(Ok(()), |(field, _)| {
            Err(Error::schema(
                "it is no sealed field of the table, so nothing of it can be opened and sealed",
            )
            .at_field(field))
        })
    }

    /// The field of the old schema whose values this field takes over.
    pub(crate) fn former(&self, field: &Name) -> Option<&FieldPolicy> {
        let moved = self.change.as_ref().map(SchemaChange::moved).unwrap_or_default();
        moved.iter().find(|moved| moved.field == *field).map(|MovedField { former, .. }| former)
    }

    /// Columns that are emptied because the new schema does not have them.
    pub(crate) fn left_over(&self) -> &[DroppedColumn] {
        self.change.as_ref().map(SchemaChange::dropped).unwrap_or_default()
    }

    /// What opens the values of a field, and the table that it is told.
    pub(crate) fn opener(&self, field: &Name) -> Option<(&str, &dyn Opener)> {
        let found = self.openers.iter().find(|(name, _)| name == field);
        found.map(|(_, opener)| (self.store_table.as_str(), &**opener))
    }

    /// Whether any column holds values of another tool.
    pub(crate) const fn has_openers(&self) -> bool {
        !self.openers.is_empty()
    }

    /// Whether nothing need stand where this field's value belongs, even where only sealed values are taken: it is new, or its former column
    /// showed absence.
    pub(crate) fn expects_absence(&self, field: &Name) -> bool {
        let added = self.change.as_ref().map(SchemaChange::added).unwrap_or_default();
        added.contains(field) || self.former(field).is_some_and(|from| from.absence() == Absence::Visible)
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let openers: Vec<(&str, &str)> =
            self.openers.iter().map(|(field, opener)| (field.as_str(), opener.name())).collect();
        f.debug_struct("Work").field("change", &self.change).field("openers", &openers).finish()
    }
}
