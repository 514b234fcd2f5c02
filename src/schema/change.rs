// SPDX-License-Identifier: MIT OR Apache-2.0
//! What becomes of a table when its schema changes.
//!
//! Owns the comparison of two schemas of one table, and the reasons against a change. SPEC chapter 7. Never looks at a stored value.

use super::TableSchema;
use super::field::{FieldPolicy, Migration, Mode};
use crate::error::{Error, Result};
use crate::ident::Name;
use crate::index::IndexSpec;

/// How a table gets from one schema to another.
///
/// A field is the same if it has the same name, or if the new schema says `formerly`. Everything that stays needs nothing here: what a stored
/// cell needs (another key, suite or padding) its own header tells.
#[derive(Debug)]
pub struct SchemaChange {
    moved: Vec<MovedField>,
    added: Vec<Name>,
    dropped: Vec<DroppedColumn>,
    takes_plaintext: Vec<Name>,
    refused: Vec<Error>,
}

/// A sealed field that takes over the values of another column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedField {
    /// The field of the old schema.
    pub former: FieldPolicy,
    /// The field of the new schema.
    pub field: Name,
}

/// A column of the old schema that the new one no longer names; what stands in it is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedColumn {
    /// The field, index or kept token.
    pub name: Name,
    /// Its column.
    pub column: String,
}

impl SchemaChange {
    /// Compares two schemas of a table. `remade` names the indexes and kept tokens that are made anew in every row, while nobody searches by
    /// them.
    ///
    /// What cannot be done is in [`refused`](Self::refused), each fault with its remedy.
    #[must_use]
    pub fn between(former: &TableSchema, new: &TableSchema, remade: &[Name]) -> Self {
        let mut change = Self {
            moved: Vec::new(),
            added: Vec::new(),
            dropped: Vec::new(),
            takes_plaintext: Vec::new(),
            refused: Vec::new(),
        };
        change.compare_table(former, new);
        new.fields.iter().for_each(|field| change.compare_field(former, new, field));
        change.compare_indexes(former, new, remade);
        change.compare_tokens(former, new, remade);
        change.find_dropped(former, new);
        change
    }

    /// Fields whose values move to another column.
    #[must_use]
    pub fn moved(&self) -> &[MovedField] {
        &self.moved
    }

    /// Fields, indexes and kept tokens that the old schema does not have.
    #[must_use]
    pub fn added(&self) -> &[Name] {
        &self.added
    }

    /// Columns that the new schema does not have.
    #[must_use]
    pub fn dropped(&self) -> &[DroppedColumn] {
        &self.dropped
    }

    /// Sealed fields whose values the old schema has, or may have, as plaintext.
    #[must_use]
    pub fn takes_plaintext(&self) -> &[Name] {
        &self.takes_plaintext
    }

    /// Why the change cannot be made: every reason.
    #[must_use]
    pub fn refused(&self) -> &[Error] {
        &self.refused
    }

    /// Whether the change can be made.
    ///
    /// # Errors
    /// `Schema` with all of [`refused`](Self::refused) in one message.
    pub fn check(&self) -> Result<()> {
        if self.refused.is_empty() {
            return Ok(());
        }
        let of = |error: &Error| match error.field() {
            Some(field) => format!("`{field}`: {}", error.message()),
            None => error.message().to_owned(),
        };
        Err(Error::schema(self.refused.iter().map(of).collect::<Vec<_>>().join("; ")))
    }

    fn refuse(&mut self, field: &Name, why: impl Into<String>) {
        self.refused.push(Error::schema(why.into()).at_field(field));
    }

    fn compare_table(&mut self, former: &TableSchema, new: &TableSchema) {
        let faults = [
            (
                former.name != new.name,
                "the table's name is an input of every field key; keep it in the schema, the table in the database may be called otherwise",
            ),
            (
                former.record_id != new.record_id,
                "the record id is in the seal of every value; its columns cannot change",
            ),
            (
                former.encoding != new.encoding,
                "`encoding` is how every column is stored; give the fields columns of their own under a new table, reveal and protect again",
            ),
        ];
        let found = faults.into_iter().filter(|(differs, _)| *differs);
        self.refused.extend(found.map(|(_, why)| Error::schema(format!("table `{}`: {why}", new.name))));
    }

    fn compare_field(&mut self, former: &TableSchema, new: &TableSchema, field: &FieldPolicy) {
        let old = former.field(field.name());
        match field.formerly() {
            Some(name) if name != field.name() => match (former.field(name), old) {
                (Some(from), None) => self.move_field(former, from, field),
                (None, Some(old)) => self.keep_field(old, field),
                (None, None) => self.refuse(
                    field.name(),
                    format!("it is `formerly = \"{name}\"`, and the old schema has no such field"),
                ),
                (Some(_), Some(_)) => self.refuse(
                    field.name(),
                    format!("the old schema has both it and `{name}`; two fields cannot become one"),
                ),
            },
            Some(_) if old.is_some_and(|old| old.column != field.column) => {
                old.into_iter().for_each(|old| self.move_field(former, old, field));
            }
            _ => match old {
                Some(old) => self.keep_field(old, field),
                None => self.add_field(former, new, field),
            },
        }
    }

    /// A field that takes its values from another column.
    fn move_field(&mut self, former: &TableSchema, from: &FieldPolicy, field: &FieldPolicy) {
        let name = field.name();
        if from.column == field.column {
            return self.refuse(
                name,
                format!("it has the column of `{}`, and an envelope does not show for which field name it was sealed; give it a column of its own", from.name),
            );
        }
        if former.names_column(&field.column) {
            return self.refuse(
                name,
                format!(
                    "its column `{}` holds something else in the old schema; give it a column of its own",
                    field.column
                ),
            );
        }
        if former.record_id.contains(&from.column) {
            return self.refuse(
                name,
                format!("`{}` is part of the record id, whose columns cannot change", from.name),
            );
        }
        match from.mode {
            Mode::Masked => {
                return self.refuse(
                    name,
                    format!("`{}` is masked: its values are gone and cannot be sealed", from.name),
                );
            }
            Mode::Sealed if from.value_type != field.value_type => {
                return self.refuse(name, other_type(from, field));
            }
            Mode::Sealed | Mode::Clear => {}
        }
        if from.mode == Mode::Clear || from.migration == Migration::Mixed {
            self.takes_plaintext.push(name.clone());
        }
        self.moved.push(MovedField { former: from.clone(), field: name.clone() });
    }

    /// A field that both schemas have under one name.
    fn keep_field(&mut self, old: &FieldPolicy, field: &FieldPolicy) {
        let name = field.name();
        if old.column != field.column {
            return self.refuse(
                name,
                "its column is another: rename the column in the database and change both schemas, or say `formerly` with the field's own name to have its values moved",
            );
        }
        match (old.mode, field.mode) {
            (Mode::Sealed, Mode::Sealed) if old.value_type != field.value_type => self.refuse(name, other_type(old, field)),
            (Mode::Sealed, Mode::Sealed) => {
                if old.migration == Migration::Mixed {
                    self.takes_plaintext.push(name.clone());
                }
            }
            (Mode::Sealed, _) => self.refuse(
                name,
                "it is sealed and would stay readable; that is no change of a schema: reveal its values, and say who may read them",
            ),
            (Mode::Masked, Mode::Sealed) => {
                self.refuse(name, "it is masked: its values are gone, and sealing the masks would make values of them");
            }
            (Mode::Clear, Mode::Sealed) => self.takes_plaintext.push(name.clone()),
            (Mode::Clear | Mode::Masked, _) => {}
        }
    }

    /// A field that the old schema has under no name.
    fn add_field(&mut self, former: &TableSchema, new: &TableSchema, field: &FieldPolicy) {
        let name = field.name();
        let Some(old) = former.by_column(&field.column) else {
            if former.surrogate_columns().any(|column| column == field.column) {
                return self.refuse(name, format!("its column `{}` holds terms or tokens in the old schema; give it a column of its own", field.column));
            }
            return self.added.push(name.clone());
        };
        let goes_on = |other: &&FieldPolicy| other.formerly().unwrap_or(other.name()) == old.name();
        if new.fields.iter().any(|other| goes_on(&other)) {
            return self.refuse(
                name,
                format!(
                    "its column `{}` is that of `{}` in the old schema; give it a column of its own",
                    field.column, old.name
                ),
            );
        }
        match (old.mode, field.mode) {
            (Mode::Clear, Mode::Sealed) => self.takes_plaintext.push(name.clone()),
            (Mode::Clear, _) | (Mode::Masked, Mode::Clear | Mode::Masked) => {}
            (Mode::Masked, Mode::Sealed) => {
                self.refuse(name, format!("`{}` is masked: its values are gone and cannot be sealed", old.name));
            }
            (Mode::Sealed, _) => self.refuse(
                name,
                format!(
                    "it has the column of `{}`, and an envelope does not show for which field name it was sealed; give it a column of its own and say `formerly = \"{}\"`",
                    old.name, old.name
                ),
            ),
        }
    }

    fn compare_indexes(&mut self, former: &TableSchema, new: &TableSchema, remade: &[Name]) {
        for policy in new.indexes() {
            let name = policy.spec().name();
            let Some(old) = former.indexes().iter().find(|old| old.spec().name() == name) else {
                self.add_column(former, name, policy.column());
                continue;
            };
            let same = self.same_spec(old.spec(), policy.spec());
            self.compare_kept(name, (old.column(), policy.column()), same || remade.contains(name));
        }
    }

    fn compare_tokens(&mut self, former: &TableSchema, new: &TableSchema, remade: &[Name]) {
        for policy in new.tokens() {
            let (name, Some(column)) = (policy.name(), policy.column()) else { continue };
            let old = former.tokens().iter().find(|old| old.name() == name);
            let Some((old, old_column)) = old.and_then(|old| Some((old, old.column()?))) else {
                self.add_column(former, name, column);
                continue;
            };
            // Kind, recipient, purpose and epoch stand in the token itself.
            let same = old.of().form == policy.of().form && self.is_now(&old.of().field, &policy.of().field);
            self.compare_kept(name, (old_column, column), same || remade.contains(name));
        }
    }

    fn add_column(&mut self, former: &TableSchema, name: &Name, column: &str) {
        if former.names_column(column) {
            return self.refuse(name, format!("its column `{column}` holds something else in the old schema; give it a column of its own"));
        }
        self.added.push(name.clone());
    }

    fn compare_kept(&mut self, name: &Name, columns: (&str, &str), may_stay: bool) {
        if columns.0 != columns.1 {
            self.refuse(name, "its column is another: rename the column in the database and change both schemas, or give it a new name too");
        } else if !may_stay {
            self.refuse(
                name,
                "it is defined otherwise, which nothing stored shows: add it under a new name with a column of its own, so that rows are found by both while it is filled, and drop this one later; or have it made anew with --remake while nobody searches by it",
            );
        }
    }

    /// Whether an index is the same, but for fields that are renamed: a row's term is made anew when the row's values move.
    fn same_spec(&self, old: &IndexSpec, new: &IndexSpec) -> bool {
        let (was, is) = (old.fields(), new.fields());
        let same = was.len() == is.len()
            && was.iter().zip(is).all(|(was, is)| was.form == is.form && self.is_now(&was.field, &is.field));
        // A shorter term is the beginning of the longer one, and its length shows.
        same && new.bits() <= old.bits()
    }

    /// Whether a field of the new schema is that of the old one.
    fn is_now(&self, old: &Name, new: &Name) -> bool {
        let moved = self.moved.iter().find(|moved| moved.field == *new);
        moved.map_or(old == new, |moved| *moved.former.name() == *old)
    }

    fn find_dropped(&mut self, former: &TableSchema, new: &TableSchema) {
        let moved: Vec<Name> = self.moved.iter().map(|moved| moved.former.name().clone()).collect();
        let fields = former.fields.iter().filter(|old| !moved.contains(old.name()));
        let fields = fields.map(|old| (old.name(), old.column()));
        let indexes = former.indexes().iter().map(|old| (old.spec().name(), old.column()));
        let tokens = former.tokens().iter().filter_map(|old| Some((old.name(), old.column()?)));
        let all = fields.chain(indexes).chain(tokens);
        // A column that the new schema names still was compared there.
        let gone = all.filter(|(_, column)| !new.names_column(column));
        self.dropped = gone
            .map(|(name, column)| DroppedColumn { name: name.clone(), column: column.to_owned() })
            .collect();
    }
}

impl TableSchema {
    /// The field of that name.
    #[must_use]
    pub fn field(&self, name: &Name) -> Option<&FieldPolicy> {
        self.fields.iter().find(|field| field.name() == name)
    }

    /// Whether the schema says anything of a column.
    fn names_column(&self, column: &str) -> bool {
        self.by_column(column).is_some()
            || self.record_id.iter().any(|id| id == column)
            || self.surrogate_columns().any(|other| other == column)
    }
}

fn other_type(old: &FieldPolicy, new: &FieldPolicy) -> String {
    format!(
        "its values are {}, and would have to be {}: only an application knows how to convert them; add a field of the new type under a new name",
        old.value_type, new.value_type
    )
}
