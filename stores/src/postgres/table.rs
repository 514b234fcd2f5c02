// SPDX-License-Identifier: MIT OR Apache-2.0
//! A table of a PostgreSQL database as it stands in the catalogs: its columns, its key, its triggers.
//!
//! Owns the matching of columns to the schema. Never guesses: what cannot be worked on safely is refused with its reason.

use amanat::error::{Error, Result};
use amanat::ident::Name;
use amanat::schema::{Encoding, TableSchema};
use postgres::Client;

use super::catalog::{self, CatalogColumn, Triggers};
use super::fit;
use crate::columns::{Columns, Role};
use crate::migration::Work;

/// A table and the columns of it that matter.
#[derive(Clone, Debug)]
pub(super) struct PgTable {
    /// Object id, which a renamed table keeps.
    pub(super) oid: u32,
    /// Quoted schema of the database.
    pub(super) namespace: String,
    /// Quoted name with its schema.
    pub(super) name: String,
    /// Name with its schema, quoted where it must be, for people and the journal.
    pub(super) told: String,
    /// Columns in whose order rows are read: the primary key, or a unique index without NULL.
    pub(super) key: Vec<PgColumn>,
    /// Columns of the record id.
    pub(super) record: Vec<PgColumn>,
    /// Columns that are read and written.
    pub(super) cells: Vec<PgColumn>,
    /// What each of `cells` is for.
    pub(super) roles: Vec<Role>,
    pub(super) encoding: Encoding,
    /// Name of the field, index or token of each of `cells`.
    pub(super) names: Vec<Option<Name>>,
    /// Place among `cells` of each field of the schema.
    pub(super) fields: Vec<Option<usize>>,
    /// Place among `cells` of each sealed field.
    pub(super) sealed: Vec<Option<usize>>,
    /// Place among `cells` of each index or kept token.
    pub(super) surrogates: Vec<Option<usize>>,
    /// How many of them are indexes: they come first.
    pub(super) indexes: usize,
    /// Places among `cells` of the sealed fields that each index or kept token is made from.
    pub(super) parts: Vec<Vec<usize>>,
    /// Place among `cells` of the column that each sealed field's values move from.
    pub(super) former: Vec<Option<usize>>,
    /// Whether the values of each sealed field are those of another tool.
    pub(super) foreign: Vec<bool>,
    /// Places among `cells` of those that are emptied.
    pub(super) left_over: Vec<usize>,
    pub(super) triggers: Triggers,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PgColumn {
    /// Quoted name.
    pub(super) name: String,
    /// Its type as SQL writes it, with its modifier: what a key's text is cast to.
    pub(super) type_name: String,
    pub(super) form: Form,
}

/// How values of a column pass between server and client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `bytea`.
    Bytes,
    /// A whole number or uuid: its text is canonical, and equality is that of the text.
    Canonical,
    /// Anything else, by its text.
    Other,
    /// `text`, `varchar`.
    Text,
}

impl PgTable {
    /// Looks at a table and matches its columns to the schema: what is sealed, masked, indexed or tokenised is read and written.
    ///
    /// `name` is as SQL writes it: `registry."Citizens"`; without a schema it is looked for in the `search_path`.
    ///
    /// With the columns that a run takes values from or empties.
    pub(super) fn read(client: &mut Client, name: &str, schema: &TableSchema, work: &Work) -> Result<Self> {
        let table = Self::chosen(client, name, (schema, work), |columns| {
            let sealed = columns.sealed.iter().map(|(place, _)| *place);
            let masked = columns.roles.iter().enumerate().filter(|(_, role)| matches!(role, Role::Masked(_)));
            let kept = sealed.chain(masked.map(|(place, _)| place));
            let elsewhere = columns.left_over.iter().map(|(place, _)| *place);
            let surrogates = columns.surrogates.iter().chain(&columns.former).copied().flatten();
            kept.chain(surrogates).chain(elsewhere).collect()
        })?;
        fit::check_surrogates(&table, schema)?;
        Ok(table)
    }

    /// As [`read`](Self::read), for a reader of some columns alone.
    pub(super) fn with_cells(
        client: &mut Client,
        name: &str,
        schema: &TableSchema,
        choose: impl FnOnce(&Columns) -> Vec<usize>,
    ) -> Result<Self> {
        Self::chosen(client, name, (schema, &Work::default()), choose)
    }

    fn chosen(
        client: &mut Client,
        name: &str,
        (schema, work): (&TableSchema, &Work),
        choose: impl FnOnce(&Columns) -> Vec<usize>,
    ) -> Result<Self> {
        let relation = catalog::relation(client, name)?;
        let found = catalog::columns(client, relation.oid)?;
        let borrowed: Vec<&str> = found.iter().map(|column| column.name.as_str()).collect();
        let columns = Columns::of_work(schema, work, &borrowed)?;
        fit::check_columns(&relation.name, &found, &columns, schema)?;
        let column = |place: &usize| found.get(*place).map(PgColumn::new);
        let places = choose(&columns);
        let cell = |place: usize| places.iter().position(|chosen| *chosen == place);
        let key = key(client, relation.oid, &found)?;
        check_key(&key, &columns)?;
        let names = columns.names(schema);
        let sealed: Vec<Option<usize>> = columns.sealed.iter().map(|(place, _)| cell(*place)).collect();
        let part = |field: &Name| sealed.get(schema.sealed_position(field)?).copied().flatten();
        let indexed = schema.indexes().iter().map(|policy| policy.spec().fields());
        let kept = schema.tokens().iter().filter(|policy| policy.column().is_some());
        let parts = indexed.chain(kept.map(|policy| core::slice::from_ref(policy.of())));
        Ok(Self {
            oid: relation.oid,
            namespace: relation.namespace,
            name: relation.name,
            told: relation.told,
            key: key.iter().filter_map(column).collect(),
            record: columns.record.iter().filter_map(column).collect(),
            names: places.iter().map(|place| names.get(*place).cloned().flatten()).collect(),
            fields: columns.fields.iter().map(|place| cell(*place)).collect(),
            parts: parts.map(|fields| fields.iter().filter_map(|of| part(&of.field)).collect()).collect(),
            sealed,
            indexes: schema.indexes().len(),
            surrogates: columns.surrogates.iter().map(|place| place.and_then(cell)).collect(),
            former: columns.former.iter().map(|place| place.and_then(cell)).collect(),
            left_over: columns.left_over.iter().filter_map(|(place, _)| cell(*place)).collect(),
            cells: places.iter().filter_map(column).collect(),
            roles: places.iter().filter_map(|place| columns.roles.get(*place).cloned()).collect(),
            encoding: schema.encoding(),
            foreign: columns.foreign,
            triggers: catalog::triggers(client, relation.oid)?,
        })
    }

    /// Whether the columns of the record id are among those of the key whose equality is that of the text: a row that has the key then has the
    /// record id too.
    pub(super) fn key_holds_record(&self) -> bool {
        self.record.iter().all(|column| column.form == Form::Canonical && self.key.contains(column))
    }
}

impl PgColumn {
    fn new(column: &CatalogColumn) -> Self {
        Self { name: quote(&column.name), type_name: column.type_name.clone(), form: column.form() }
    }
}

/// Places among the columns of those of the key.
fn key(client: &mut Client, oid: u32, found: &[CatalogColumn]) -> Result<Vec<usize>> {
    let numbers = catalog::key(client, oid)?;
    let numbers = numbers.ok_or_else(|| {
        Error::schema(
            "the table has neither a primary key nor a unique index of columns that are NOT NULL, so its rows cannot be told apart; add one: \
             ALTER TABLE … ADD PRIMARY KEY (…)",
        )
    })?;
    Ok(numbers.iter().filter_map(|number| found.iter().position(|column| column.number == *number)).collect())
}

/// Rows are met in the order of their key: one that changes on the way would be missed or met twice.
fn check_key(key: &[usize], columns: &Columns) -> Result<()> {
    let stays = |place: &usize| columns.roles.get(*place).is_none_or(|role| *role == Role::Clear);
    if key.iter().all(stays) {
        return Ok(());
    }
    Err(Error::schema(
        "a column of the table's primary key cannot be sealed, masked, indexed or tokenised; leave it clear",
    ))
}

pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
