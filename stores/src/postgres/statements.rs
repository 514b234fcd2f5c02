// SPDX-License-Identifier: MIT OR Apache-2.0
//! The statements that read and write the rows of a table.
//!
//! Owns every piece of SQL that names a column of the user's; each name is quoted. Never puts a value into a statement: keys travel as the text
//! of their parts and are cast to their types by the server, so that every type works.

use std::fmt::Write as _;

use super::table::{Form, PgColumn, PgTable};

/// Where in an answer the parts of a row stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub(super) key: Vec<usize>,
    pub(super) record: Vec<usize>,
    pub(super) cells: Vec<usize>,
}

/// Which ends a range has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) after: bool,
    pub(super) upto: bool,
}

impl PgTable {
    /// What is selected, and where it stands: a column that is wanted twice is sent once.
    pub(super) fn selection(&self) -> (Vec<String>, Layout) {
        let mut list: Vec<String> = Vec::new();
        let mut place = |column: &PgColumn| {
            let type_name = if column.form == Form::Bytes { "bytea" } else { "text" };
            let wanted = format!("t.{}::{type_name}", column.name);
            list.iter().position(|had| *had == wanted).unwrap_or_else(|| {
                list.push(wanted);
                list.len() - 1
            })
        };
        // Key and record id are texts, whatever they are.
        let text = |column: &PgColumn| PgColumn { form: Form::Other, ..column.clone() };
        let key = self.key.iter().map(|column| place(&text(column))).collect();
        let record = self.record.iter().map(|column| place(&text(column))).collect();
        let cells = self.cells.iter().map(place).collect();
        (list, Layout { key, record, cells })
    }

    /// Reads rows in the order of their key. Parameters: the parts of the key after which they stand, then of that up to which.
    pub(super) fn select(&self, ends: Ends, rows: usize) -> String {
        let mut sql = format!("SELECT {} FROM {} AS t", self.selection().0.join(", "), self.name);
        let key = self.key_list("t.");
        let mut next = 1;
        let mut bound = |sql: &mut String, operator: &str| {
            let word = if next == 1 { "WHERE" } else { "AND" };
            let parts: Vec<String> = (next..)
                .zip(&self.key)
                .map(|(number, column)| cast(&format!("${number}::text"), column))
                .collect();
            next += parts.len();
            let _ = write!(sql, " {word} ({key}) {operator} ({})", parts.join(", "));
        };
        if ends.after {
            bound(&mut sql, ">");
        }
        if ends.upto {
            bound(&mut sql, "<=");
        }
        let _ = write!(sql, " ORDER BY {key} LIMIT {rows}");
        sql
    }

    /// Reads the rows whose cell of an index is one of the terms of an array.
    pub(super) fn select_terms(&self, cell: &PgColumn) -> String {
        let (list, type_name) = (self.selection().0.join(", "), type_of(cell));
        format!("SELECT {list} FROM {} AS t WHERE t.{} = ANY ($1::{type_name}[])", self.name, cell.name)
    }

    /// Reads rows by their keys and keeps others from changing them. Parameters: an array for each part of the key.
    pub(super) fn select_locked(&self) -> String {
        let holes: Vec<String> = (1..=self.key.len()).map(|number| format!("${number}::text[]")).collect();
        let names: Vec<String> = (0..self.key.len()).map(|part| format!("k{part}")).collect();
        format!(
            "SELECT {} FROM unnest({}) AS u({}) JOIN {} AS t ON {} FOR NO KEY UPDATE OF t",
            self.selection().0.join(", "),
            holes.join(", "),
            names.join(", "),
            self.name,
            self.same_key()
        )
    }

    /// Writes cells of rows, if record id, the old cells and some further ones are still what they were, byte by byte and whatever the
    /// columns' collations.
    ///
    /// Parameters, arrays all: the parts of the key; those of the record id if the key does not hold it; old and new of each cell; old of each
    /// further one. Gives the place of each row that was written, from 1, and whether it holds what was written when its triggers have run.
    pub(super) fn update(&self, places: &[usize], unchanged: &[usize]) -> String {
        let written = self.columns(places);
        let new = |place: &usize, column: &PgColumn| match column.form {
            Form::Bytes | Form::Text => format!("u.n{place}"),
            // Only a column that is emptied is of another type.
            Form::Canonical | Form::Other => cast(&format!("u.n{place}"), column),
        };
        let set: Vec<String> = written
            .iter()
            .map(|(place, column)| format!("{} = {}", column.name, new(place, column)))
            .collect();
        let mut conditions = vec![self.same_key()];
        if !self.key_holds_record() {
            conditions.extend(self.record.iter().enumerate().map(|(part, column)| {
                format!("(t.{}::text COLLATE \"C\") IS NOT DISTINCT FROM u.r{part}", column.name)
            }));
        }
        let old = |(place, column): &(usize, &PgColumn)| is(column, &format!("u.o{place}"));
        conditions.extend(written.iter().map(old));
        conditions.extend(self.columns(unchanged).iter().map(old));
        let held: Vec<String> =
            written.iter().map(|(place, column)| is(column, &format!("u.n{place}"))).collect();
        format!(
            "UPDATE {} AS t SET {} FROM {} WHERE {} RETURNING u.place, {}",
            self.name,
            set.join(", "),
            self.rows(places, unchanged),
            conditions.join(" AND "),
            held.join(" AND ")
        )
    }

    /// Compares rows with what was written to them; parameters as [`update`](Self::update). Gives the place of each row that is there, and
    /// for each cell whether it holds what was written.
    pub(super) fn holds(&self, places: &[usize], unchanged: &[usize]) -> String {
        let written = self.columns(places);
        let held: Vec<String> =
            written.iter().map(|(place, column)| is(column, &format!("u.n{place}"))).collect();
        format!(
            "SELECT u.place, {} FROM {} JOIN {} AS t ON {}",
            held.join(", "),
            self.rows(places, unchanged),
            self.name,
            self.same_key()
        )
    }

    /// The rows to write, from arrays.
    fn rows(&self, places: &[usize], unchanged: &[usize]) -> String {
        let (mut arrays, mut names) = (Vec::new(), Vec::new());
        let mut array = |type_name: &str, name: String| {
            arrays.push(format!("${}::{type_name}[]", arrays.len() + 1));
            names.push(name);
        };
        (0..self.key.len()).for_each(|part| array("text", format!("k{part}")));
        if !self.key_holds_record() {
            (0..self.record.len()).for_each(|part| array("text", format!("r{part}")));
        }
        for (place, column) in self.columns(places) {
            array(type_of(column), format!("o{place}"));
            array(type_of(column), format!("n{place}"));
        }
        for (place, column) in self.columns(unchanged) {
            array(type_of(column), format!("o{place}"));
        }
        format!("unnest({}) WITH ORDINALITY AS u({}, place)", arrays.join(", "), names.join(", "))
    }

    fn columns(&self, places: &[usize]) -> Vec<(usize, &PgColumn)> {
        places.iter().filter_map(|place| Some((*place, self.cells.get(*place)?))).collect()
    }

    fn same_key(&self) -> String {
        let part = |(part, column): (usize, &PgColumn)| {
            format!("t.{} = {}", column.name, cast(&format!("u.k{part}"), column))
        };
        self.key.iter().enumerate().map(part).collect::<Vec<_>>().join(" AND ")
    }

    /// The columns of the key with something before each.
    pub(super) fn key_list(&self, before: &str) -> String {
        self.key.iter().map(|column| format!("{before}{}", column.name)).collect::<Vec<_>>().join(", ")
    }

    /// The statement that makes finding by a column fast.
    pub(super) fn create_index(&self, column: &PgColumn) -> String {
        format!("CREATE INDEX CONCURRENTLY ON {} ({});", self.name, column.name)
    }
}

/// A text as the type of a column.
fn cast(text: &str, column: &PgColumn) -> String {
    format!("{text}::{}", column.type_name)
}

fn type_of(column: &PgColumn) -> &'static str {
    if column.form == Form::Bytes { "bytea" } else { "text" }
}

/// Whether a cell is something, NULL included, byte by byte.
fn is(column: &PgColumn, what: &str) -> String {
    match column.form {
        Form::Bytes => format!("t.{}::bytea IS NOT DISTINCT FROM {what}", column.name),
        _ => format!("(t.{}::text COLLATE \"C\") IS NOT DISTINCT FROM {what}", column.name),
    }
}
