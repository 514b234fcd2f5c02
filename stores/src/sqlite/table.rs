// SPDX-License-Identifier: MIT OR Apache-2.0
//! A table of a SQLite file: its columns, its key, and the statements that read and write it.
//!
//! Owns every piece of SQL that names something of the user's; each name is quoted.

use std::fmt::Write as _;

use amanat::error::{Error, Result};
use amanat::ident::Name;
use amanat::schema::{Encoding, TableSchema};
use rusqlite::{Connection, ToSql};

use super::fault::failed;
use super::write::Compare;
use crate::columns::{Columns, Role};
use crate::migration::Work;

/// How SQLite lets the rowid be called, unless a column has the name.
const ROWID_NAMES: [&str; 3] = ["rowid", "_rowid_", "oid"];

/// A table and the columns of it that matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SqlTable {
    /// Quoted name.
    name: String,
    /// Quoted columns in whose order rows are read: the rowid, or the primary key of a table without one.
    pub(super) key: Vec<String>,
    /// The same with the collation of the key. That of a column may be another, by which keys are alike that are not.
    order: Vec<String>,
    /// Quoted columns of the record id.
    pub(super) record: Vec<String>,
    /// Quoted columns that are read and written.
    pub(super) cells: Vec<String>,
    /// What each of `cells` is for.
    pub(super) roles: Vec<Role>,
    pub(super) encoding: Encoding,
    /// Name of the field, index or token of each of `cells`.
    pub(super) names: Vec<Name>,
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
    /// Places among `cells` of those that are masked.
    pub(super) masked: Vec<usize>,
    /// Triggers that see the rows as they are written.
    pub(super) triggers: u64,
    /// Whether anything in the file may change what is written: a trigger of any table, or a foreign key that passes changes on.
    pub(super) watched: bool,
}

impl SqlTable {
    /// Looks at a table and matches its columns to the schema: what is sealed, masked, indexed or tokenised is read and written.
    pub(super) fn read(connection: &Connection, name: &str, schema: &TableSchema) -> Result<Self> {
        Self::of_work(connection, name, schema, &Work::default())
    }

    /// As [`read`](Self::read), with the columns that a run takes values from or empties.
    pub(super) fn of_work(
        connection: &Connection,
        name: &str,
        schema: &TableSchema,
        work: &Work,
    ) -> Result<Self> {
        Self::chosen(connection, name, (schema, work), |columns| {
            let sealed = columns.sealed.iter().map(|(place, _)| *place);
            let masked = columns.roles.iter().enumerate().filter(|(_, role)| matches!(role, Role::Masked(_)));
            let kept = sealed.chain(masked.map(|(place, _)| place));
            let elsewhere = columns.left_over.iter().map(|(place, _)| *place);
            let surrogates = columns.surrogates.iter().chain(&columns.former).copied().flatten();
            kept.chain(surrogates).chain(elsewhere).collect()
        })
    }

    /// As [`read`](Self::read), for a reader of some columns alone.
    pub(super) fn with_cells(
        connection: &Connection,
        name: &str,
        schema: &TableSchema,
        choose: impl FnOnce(&Columns) -> Vec<usize>,
    ) -> Result<Self> {
        Self::chosen(connection, name, (schema, &Work::default()), choose)
    }

    fn chosen(
        connection: &Connection,
        name: &str,
        (schema, work): (&TableSchema, &Work),
        choose: impl FnOnce(&Columns) -> Vec<usize>,
    ) -> Result<Self> {
        let is_table = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        if number(connection, is_table, &[&name])? == 0 {
            return Err(Error::schema("the SQLite file has no table of this name; name it with --sql-table"));
        }
        let found =
            list(connection, "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid", name)?;
        let borrowed: Vec<&str> = found.iter().map(String::as_str).collect();
        let columns = Columns::of_work(schema, work, &borrowed)?;
        let column = |place: &usize| found.get(*place).map(|name| quote(name)).unwrap_or_default();
        let places = choose(&columns);
        let cell = |place: usize| places.iter().position(|chosen| *chosen == place);
        let triggers =
            "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE";
        let (key, order) = key(connection, name, &borrowed)?;
        let watching = "SELECT (SELECT count(*) FROM sqlite_schema WHERE type = 'trigger') + (SELECT count(*)
            FROM sqlite_schema AS t, pragma_foreign_key_list(t.name) AS f WHERE t.type = 'table'
            AND f.\"table\" = ?1 COLLATE NOCASE AND f.on_update NOT IN ('NO ACTION', 'RESTRICT'))";
        let cells: Vec<String> = places.iter().map(column).collect();
        let roles: Vec<Role> = places.iter().filter_map(|place| columns.roles.get(*place).cloned()).collect();
        if cells.iter().zip(&roles).any(|(cell, role)| *role != Role::Clear && key.contains(cell)) {
            // Rows are met in the order of their key: one that changes on the way would be missed or met twice.
            return Err(Error::schema(
                "a column of the table's primary key cannot be sealed, masked, indexed or tokenised; leave it clear",
            ));
        }
        let names = columns.names(schema);
        let sealed: Vec<Option<usize>> = columns.sealed.iter().map(|(place, _)| cell(*place)).collect();
        let part = |field: &Name| sealed.get(schema.sealed_position(field)?).copied().flatten();
        let indexed = schema.indexes().iter().map(|policy| policy.spec().fields());
        let kept = schema.tokens().iter().filter(|policy| policy.column().is_some());
        let parts = indexed.chain(kept.map(|policy| core::slice::from_ref(policy.of())));
        Ok(Self {
            name: quote(name),
            key,
            order,
            record: columns.record.iter().map(column).collect(),
            names: places.iter().filter_map(|place| names.get(*place).cloned().flatten()).collect(),
            fields: columns.fields.iter().map(|place| cell(*place)).collect(),
            parts: parts.map(|fields| fields.iter().filter_map(|of| part(&of.field)).collect()).collect(),
            sealed,
            indexes: schema.indexes().len(),
            surrogates: columns.surrogates.iter().map(|place| place.and_then(cell)).collect(),
            former: columns.former.iter().map(|place| place.and_then(cell)).collect(),
            left_over: columns.left_over.iter().filter_map(|(place, _)| cell(*place)).collect(),
            foreign: columns.foreign,
            masked: (0..)
                .zip(&roles)
                .filter(|(_, role)| matches!(role, Role::Masked(_)))
                .map(|(place, _)| place)
                .collect(),
            cells,
            roles,
            encoding: schema.encoding(),
            triggers: number(connection, triggers, &[&name])?,
            watched: number(connection, watching, &[&name])? > 0,
        })
    }

    /// Whether rows that were read as of one look at the table can be written as of another.
    pub(super) fn fits(&self, other: &Self) -> bool {
        *self == Self { triggers: self.triggers, watched: self.watched, ..other.clone() }
    }

    /// Reads rows in the order of their key: those after a key, and up to a key, if they are bound.
    pub(super) fn select(&self, after: bool, upto: bool) -> String {
        let mut sql = self.select_from();
        let order = self.order.join(", ");
        let columns = self.key.len();
        let ends = [(after, ">"), (upto, "<=")].into_iter().filter(|(bound, _)| *bound);
        for (place, (_, compare)) in ends.enumerate() {
            let holes: Vec<String> =
                (1..=columns).map(|hole| format!("?{}", place * columns + hole)).collect();
            let word = if place == 0 { "WHERE" } else { "AND" };
            let _ = write!(sql, " {word} ({order}) {compare} ({})", holes.join(", "));
        }
        let _ = write!(sql, " ORDER BY {order}");
        sql
    }

    /// Reads the row of a key.
    pub(super) fn select_one(&self) -> String {
        format!("{} WHERE {}", self.select_from(), self.same_key())
    }

    /// Reads the rows whose cell of an index is one of so many terms.
    pub(super) fn select_terms(&self, cell: &str, terms: usize) -> String {
        format!("{} WHERE {cell} IN ({})", self.select_from(), vec!["?"; terms].join(", "))
    }

    /// ` FROM table`, for counts.
    pub(super) fn from(&self) -> String {
        format!(" FROM {}", self.name)
    }

    fn select_from(&self) -> String {
        let columns: Vec<&str> =
            self.key.iter().chain(&self.record).chain(&self.cells).map(String::as_str).collect();
        format!("SELECT {} FROM {}", columns.join(", "), self.name)
    }

    /// Writes some of the cells of a row, if key, record id, the old cells and some further ones are still what they were. Bound are: key,
    /// record id, the old cells, the further ones, the new cells. Where the version of the file is compared, key and new cells alone.
    ///
    /// `OR ABORT` overrides a constraint that would have another row deleted or this one passed over.
    pub(super) fn update(&self, places: &[usize], unchanged: &[usize], compare: Compare) -> String {
        let old = self.record.iter().chain(self.cells_at(places)).chain(self.cells_at(unchanged));
        let old = old.filter(|_| compare == Compare::Cells);
        let mut holes = self.key.len() + 1..;
        let old: Vec<String> = old.zip(holes.by_ref()).map(|(column, hole)| same(column, hole)).collect();
        let set: Vec<String> =
            self.cells_at(places).zip(holes).map(|(cell, hole)| format!("{cell} = ?{hole}")).collect();
        let all: Vec<String> = std::iter::once(self.same_key()).chain(old).collect();
        format!("UPDATE OR ABORT {} SET {} WHERE {}", self.name, set.join(", "), all.join(" AND "))
    }

    /// Counts the row of a key if some of its cells are what was written, as the columns' affinities store it. Bound are: key, cells.
    pub(super) fn holds(&self, places: &[usize]) -> String {
        let cells = self.cells_at(places).zip(self.key.len() + 1..).map(|(cell, hole)| same(cell, hole));
        let all: Vec<String> = std::iter::once(self.same_key()).chain(cells).collect();
        format!("SELECT count(*) FROM {} WHERE {}", self.name, all.join(" AND "))
    }

    fn cells_at(&self, places: &[usize]) -> impl Iterator<Item = &String> {
        places.iter().filter_map(|place| self.cells.get(*place))
    }

    /// Is the row of a key: byte by byte, and by the collation of the key, without which SQLite would read every row.
    fn same_key(&self) -> String {
        let column = |(hole, (key, order)): (usize, (&String, &String))| {
            format!("{order} = ?{hole} AND {}", same(key, hole))
        };
        (1..).zip(self.key.iter().zip(&self.order)).map(column).collect::<Vec<_>>().join(" AND ")
    }

    /// Reads the beginnings of all cells: enough to tell what they name. Numbers give 0.
    pub(super) fn select_beginnings(&self, bytes: usize, characters: usize) -> String {
        let beginning = |cell: &String| {
            format!(
                "CASE typeof({cell}) WHEN 'null' THEN NULL WHEN 'blob' THEN substr({cell}, 1, {bytes}) \
                 WHEN 'text' THEN substr({cell}, 1, {characters}) ELSE 0 END"
            )
        };
        let cells: Vec<String> = self.cells.iter().map(beginning).collect();
        format!("SELECT {} FROM {}", cells.join(", "), self.name)
    }

    /// The statement that makes finding by a column fast.
    pub(super) fn create_index(&self, column: &str, cell: &str) -> String {
        let name = format!("{column}_lookup");
        format!("CREATE INDEX {} ON {} ({cell});", quote(&name), self.name)
    }

    pub(super) fn count(&self) -> String {
        format!("SELECT count(*) FROM {}", self.name)
    }
}

/// Refuses a table without the columns of indexes and kept tokens, or with such that would store something else than is written.
pub(super) fn check_surrogates(
    connection: &Connection,
    name: &str,
    schema: &TableSchema,
    table: &SqlTable,
) -> Result<()> {
    let kind = |position: usize| match schema.encoding() {
        Encoding::Binary if position < schema.indexes().len() => "BLOB",
        _ => "TEXT",
    };
    let strict = "SELECT strict FROM pragma_table_list(?1) WHERE schema = 'main'";
    let strict: bool = connection.query_row(strict, [name], |row| row.get(0)).map_err(failed)?;
    let (mut missing, mut faults) = (Vec::new(), Vec::new());
    for ((position, column), place) in schema.surrogate_columns().enumerate().zip(&table.surrogates) {
        let wanted = kind(position);
        let Some(place) = place else {
            missing.push(format!("ALTER TABLE {} ADD COLUMN {} {wanted};", table.name, quote(column)));
            continue;
        };
        let cell = table.cells.get(*place).map_or("", String::as_str);
        let declared = "SELECT upper(type) FROM pragma_table_xinfo(?1) WHERE '\"' || replace(name, '\"', '\"\"') || '\"' = ?2";
        let declared: String =
            connection.query_row(declared, [name, cell], |row| row.get(0)).map_err(failed)?;
        let fits = match wanted {
            _ if strict => declared == wanted || declared == "ANY",
            "BLOB" => true,
            _ => keeps_text(&declared),
        };
        if !fits {
            faults.push(format!("column `{column}` is declared {declared}; declare it {wanted}"));
        }
    }
    if !missing.is_empty() {
        faults.push(format!("columns of indexes and tokens are missing; add them: {}", missing.join(" ")));
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::schema(format!("table `{}`: {}", schema.name(), faults.join("; "))))
}

/// Whether a column of this declared type, in upper case, keeps every text: the others take one that looks like a number for the number.
/// Rules of affinity: SQLite, "Datatypes In SQLite", section 3.1.
fn keeps_text(declared: &str) -> bool {
    let has = |part: &str| declared.contains(part);
    !has("INT") && (has("CHAR") || has("CLOB") || has("TEXT") || has("BLOB") || declared.is_empty())
}

/// What to tell of blind indexes by which SQLite would have to read every row.
pub(super) fn missing_indexes(
    connection: &Connection,
    table: &SqlTable,
    schema: &TableSchema,
) -> Result<Vec<String>> {
    let mut hints = Vec::new();
    for (policy, place) in schema.indexes().iter().zip(&table.surrogates) {
        let Some(cell) = place.and_then(|place| table.cells.get(place)) else { continue };
        let plan =
            QueryPlan::of(connection, &format!("SELECT 1 FROM {} WHERE {cell} IN (?1, ?2)", table.name))?;
        if !plan.searches {
            hints.push(format!(
                "finding by index `{}` reads every row: {}",
                policy.spec().name(),
                table.create_index(policy.column(), cell)
            ));
        }
    }
    Ok(hints)
}

/// How SQLite would answer a query.
#[derive(Debug)]
pub(super) struct QueryPlan {
    /// Whether it looks rows up instead of reading all.
    pub(super) searches: bool,
}

impl QueryPlan {
    pub(super) fn of(connection: &Connection, sql: &str) -> Result<Self> {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).map_err(failed)?;
        let steps = statement.raw_query().mapped(|row| row.get::<_, String>(3)).collect::<Vec<_>>();
        let steps = steps.into_iter().collect::<rusqlite::Result<Vec<_>>>().map_err(failed)?;
        Ok(Self { searches: steps.iter().any(|step| step.starts_with("SEARCH ")) })
    }
}

/// `a IS ?1`, byte by byte whatever the column's collation, NULL included.
fn same(column: &str, hole: usize) -> String {
    format!("{column} IS ?{hole} COLLATE BINARY")
}

/// The columns of the key, quoted, and what rows are put in order by.
fn key(connection: &Connection, table: &str, columns: &[&str]) -> Result<(Vec<String>, Vec<String>)> {
    let without_rowid = "SELECT wr FROM pragma_table_list(?1) WHERE schema = 'main'";
    let without_rowid: bool =
        connection.query_row(without_rowid, [table], |row| row.get(0)).map_err(failed)?;
    if without_rowid {
        let key = "SELECT c.name FROM pragma_index_list(?1) AS i, pragma_index_xinfo(i.name) AS c
            WHERE i.origin = 'pk' AND c.key ORDER BY c.seqno";
        let collation = "SELECT c.coll FROM pragma_index_list(?1) AS i, pragma_index_xinfo(i.name) AS c
            WHERE i.origin = 'pk' AND c.key ORDER BY c.seqno";
        let columns = list(connection, key, table)?;
        let order = columns.iter().zip(list(connection, collation, table)?).map(|(name, collation)| {
            // Named only where it is another than the column's own: SQLite could else not use the key to find where to go on.
            let own = connection.column_metadata(Some("main"), table, name.as_str()).map_err(failed)?.1;
            let is_own = own.is_some_and(|own| own.to_bytes().eq_ignore_ascii_case(collation.as_bytes()));
            let key = quote(name);
            Ok(if is_own { key } else { format!("{key} COLLATE {}", quote(&collation)) })
        });
        let order = order.collect::<Result<_>>()?;
        return Ok((columns.iter().map(|name| quote(name)).collect(), order));
    }
    let free =
        ROWID_NAMES.into_iter().find(|name| !columns.iter().any(|column| column.eq_ignore_ascii_case(name)));
    let rowid =
        free.ok_or_else(|| Error::schema("the table has columns named rowid, _rowid_ and oid; rename one"))?;
    Ok((vec![rowid.to_owned()], vec![rowid.to_owned()]))
}

/// A count.
pub(super) fn number(connection: &Connection, sql: &str, parameters: &[&dyn ToSql]) -> Result<u64> {
    let count: i64 = connection.query_row(sql, parameters, |row| row.get(0)).map_err(failed)?;
    Ok(u64::try_from(count).unwrap_or_default())
}

fn list(connection: &Connection, sql: &str, table: &str) -> Result<Vec<String>> {
    let mut statement = connection.prepare(sql).map_err(failed)?;
    let names = statement.query_map([table], |row| row.get(0)).map_err(failed)?;
    names.collect::<rusqlite::Result<_>>().map_err(failed)
}

pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
