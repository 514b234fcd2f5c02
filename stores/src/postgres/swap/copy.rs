// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows on their way from the table through the engine into the copy.
//!
//! Owns the pipeline: one thread reads, some seal, one writes. Fields that nothing is done with pass as the bytes that they came as. Never leaves
//! a row out: one that is refused is copied as it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use amanat::error::{Error, Result};
use postgres::Client;

use super::raw::{HEADER, RawRows, RowReader, TRAILER, broken};
use crate::columns::Role;
use crate::engine::{Protector, Rows as _};
use crate::postgres::catalog;
use crate::postgres::error::failed;
use crate::postgres::rows::{PgBatch, Source};
use crate::postgres::statements::{Ends, Layout};
use crate::postgres::table::{Form, PgColumn, PgTable, quote};
use crate::postgres::write::{New, new_cell};
use crate::run::{Batch as _, KeyRange, Position, SealedBatch};
use crate::tally::Tally;

/// A batch is full when it holds about this many bytes.
const BATCH_BYTES: usize = 1 << 22;
/// Batches that wait between two threads.
const WAITING: usize = 1;

/// The columns that are copied.
pub(super) struct Columns {
    /// Quoted names, in the order in which they are copied. Those that the server computes are not among them.
    names: Vec<String>,
    /// Place among the table's cells of each.
    cells: Vec<Option<usize>>,
    /// What is selected: the columns, then texts of key and record id where their bytes are not their text.
    select: String,
    width: usize,
    source: Arc<Source>,
}

/// What became of rows that were copied.
#[derive(Default)]
pub(super) struct Copied {
    pub(super) tally: Tally,
    pub(super) refused: Vec<Refused>,
}

/// A row that was copied as it is, and why.
pub(super) struct Refused {
    pub(super) position: Position,
    pub(super) faults: Vec<Error>,
}

/// Rows in the form of a binary COPY, ready to be sent.
struct Encoded {
    bytes: Vec<u8>,
    rows: usize,
    copied: Copied,
}

impl Columns {
    pub(super) fn of(client: &mut Client, table: PgTable) -> Result<Self> {
        let found = catalog::columns(client, table.oid)?;
        let written: Vec<_> = found.iter().filter(|column| !column.is_generated).collect();
        let names: Vec<String> = written.iter().map(|column| quote(&column.name)).collect();
        let mut select: Vec<String> = names.iter().map(|name| format!("t.{name}")).collect();
        let mut place = |column: &PgColumn| {
            let as_is = matches!(column.form, Form::Bytes | Form::Text);
            if let Some(place) = names.iter().position(|name| as_is && *name == column.name) {
                return place;
            }
            let wanted = format!("t.{}::text", column.name);
            select.iter().position(|had| *had == wanted).unwrap_or_else(|| {
                select.push(wanted);
                select.len() - 1
            })
        };
        let layout = Layout {
            key: table.key.iter().map(&mut place).collect(),
            record: table.record.iter().map(&mut place).collect(),
            cells: table.cells.iter().map(&mut place).collect(),
        };
        let cells = names.iter().map(|name| table.cells.iter().position(|cell| cell.name == *name)).collect();
        let (width, select) = (select.len(), select.join(", "));
        Ok(Self { names, cells, select, width, source: Arc::new(Source { table, layout }) })
    }

    pub(super) fn table(&self) -> &PgTable {
        &self.source.table
    }

    /// Quoted names of the columns that no run changes.
    pub(super) fn untouched(&self) -> Vec<String> {
        let kept = self.names.iter().zip(&self.cells).filter(|(_, cell)| cell.is_none());
        kept.map(|(name, _)| name.clone()).collect()
    }

    /// Reads rows; `from` is what stands behind the columns of a SELECT.
    pub(super) fn copy_out(&self, from: &str) -> String {
        format!("COPY (SELECT {}{from}) TO STDOUT (FORMAT binary)", self.select)
    }

    /// Writes rows.
    pub(super) fn copy_in(&self, copy: &str) -> String {
        format!("COPY {copy} ({}) FROM STDIN (FORMAT binary)", self.names.join(", "))
    }

    /// The rows of a range, as what stands behind the columns of a SELECT. A COPY takes no parameters and a statement shall hold no key: its ends
    /// are settings of the session.
    pub(super) fn range(&self, client: &mut Client, range: &KeyRange) -> Result<String> {
        let table = self.table();
        let ends = Ends { after: range.after.is_some(), upto: range.upto.is_some() };
        let mut next = 0;
        let mut conditions = Vec::new();
        for (end, operator) in [(&range.after, ">"), (&range.upto, "<=")] {
            let Some(end) = end else { continue };
            let parts: Vec<String> = serde_json::from_str(&end.0).unwrap_or_default();
            if parts.len() != table.key.len() {
                return Err(Error::malformed(
                    "the journal holds a position that is none of this table; cancel the run and start a new one",
                ));
            }
            let mut values = Vec::new();
            for (part, column) in parts.iter().zip(&table.key) {
                let setting = format!("amanat.end{next}");
                next += 1;
                client.execute("SELECT set_config($1, $2, false)", &[&setting, part]).map_err(failed)?;
                values.push(format!("current_setting('{setting}')::{}", column.type_name));
            }
            conditions.push(format!("({}) {operator} ({})", table.key_list("t."), values.join(", ")));
        }
        let word = if ends.after || ends.upto { " WHERE " } else { "" };
        Ok(format!(" FROM {} AS t{word}{}", table.name, conditions.join(" AND ")))
    }

    /// Puts rows into the form of a COPY, with what is new in them.
    fn encode(&self, batch: &PgBatch, sealed: SealedBatch) -> Result<Encoded> {
        let rows = batch.as_copied().ok_or_else(|| Error::misuse("the rows were not copied"))?;
        let mut copied = Copied { tally: sealed.tally(), refused: Vec::new() };
        // Envelopes are longer than what they hold.
        let mut out = Vec::with_capacity(rows.bytes() * 2);
        let count =
            i16::try_from(self.names.len()).map_err(|_| Error::limit("a table has too many columns"))?;
        let table = self.table();
        for row in 0..rows.count() {
            out.extend_from_slice(&count.to_be_bytes());
            let is_refused = sealed.is_refused(row);
            for (place, cell) in self.cells.iter().enumerate() {
                let role = cell.and_then(|cell| Some((cell, table.roles.get(cell)?))).filter(|_| !is_refused);
                let new = role.map(|role| new_cell(batch, &sealed, row, role)).transpose()?.flatten();
                match &new {
                    None => out.extend_from_slice(rows.raw(row, place)?),
                    Some(New::Null) => out.extend_from_slice(&(-1_i32).to_be_bytes()),
                    Some(New::Bytes(bytes)) => append(bytes, &mut out)?,
                    Some(New::Text(text)) => append(text.as_bytes(), &mut out)?,
                }
                copied.tally.masked += u64::from(matches!(role, Some((_, Role::Masked(_)))) && new.is_some());
            }
        }
        copied.refused = refused(batch, sealed);
        Ok(Encoded { bytes: out, rows: rows.count(), copied })
    }

    /// Seals and encodes one batch.
    fn work(&self, rows: RawRows, number: u64, protectors: &mut [Protector<'_>]) -> Result<Encoded> {
        let batch = PgBatch::copied(&self.source, rows, number);
        let mut sealed = SealedBatch::default();
        sealed.protect(&batch, protectors)?;
        self.encode(&batch, sealed)
    }

    /// Copies rows from one connection to another, in the transactions that are open there. `told` is told how many rows were written, and may stop it.
    pub(super) fn pump(
        &self,
        (out, from): (&mut Client, &str),
        (into, copy): (&mut Client, &str),
        (protectors, rows): (&mut [Protector<'_>], usize),
        told: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Copied> {
        let (read, sealing) = sync_channel(WAITING);
        let (sealed, writing) = sync_channel(WAITING);
        let mut writer = into.copy_in(&self.copy_in(copy)).map_err(failed)?;
        let sql = self.copy_out(from);
        let mut total = Copied::default();
        let mut write =
            |writer: &mut postgres::CopyInWriter<'_>, writing: &Receiver<Encoded>| -> Result<()> {
                send(writer, &HEADER)?;
                for Encoded { bytes, rows, copied } in writing {
                    send(writer, &bytes)?;
                    total.tally.add(&copied.tally);
                    total.refused.extend(copied.refused);
                    told(rows)?;
                }
                Ok(())
            };
        thread::scope(|scope| {
            let reader = scope.spawn(move || self.read(out, &sql, rows, &read));
            let sealer = scope.spawn(move || self.seal(&sealing, &sealed, protectors));
            // Whoever fails lets go of its channel, and the others end.
            let written = write(&mut writer, &writing);
            drop(writing);
            let panicked = || Err(Error::misuse("a thread of the copy has panicked"));
            let sealed = sealer.join().unwrap_or_else(|_| panicked());
            let read = reader.join().unwrap_or_else(|_| panicked());
            written.and(sealed).and(read)
        })?;
        send(&mut writer, &TRAILER)?;
        writer.finish().map_err(failed)?;
        Ok(total)
    }

    /// Copies few rows over the connection that they are written by.
    pub(super) fn carry(
        &self,
        client: &mut Client,
        (from, copy): (&str, &str),
        protectors: &mut [Protector<'_>],
    ) -> Result<Copied> {
        let mut read = Vec::new();
        {
            let input = client.copy_out(&self.copy_out(from)).map_err(failed)?;
            let mut reader = RowReader::new(input, self.width);
            while let Some(rows) = reader.next(usize::MAX, BATCH_BYTES)? {
                read.push(rows);
            }
        }
        let mut total = Copied::default();
        let mut writer = client.copy_in(&self.copy_in(copy)).map_err(failed)?;
        send(&mut writer, &HEADER)?;
        for rows in read {
            let Encoded { bytes, copied, .. } = self.work(rows, total.tally.rows + 1, protectors)?;
            send(&mut writer, &bytes)?;
            total.tally.add(&copied.tally);
            total.refused.extend(copied.refused);
        }
        send(&mut writer, &TRAILER)?;
        writer.finish().map_err(failed)?;
        Ok(total)
    }

    fn read(&self, client: &mut Client, sql: &str, rows: usize, read: &SyncSender<RawRows>) -> Result<()> {
        let input = client.copy_out(sql).map_err(failed)?;
        let mut reader = RowReader::new(input, self.width);
        while let Some(rows) = reader.next(rows, BATCH_BYTES)? {
            if read.send(rows).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn seal(
        &self,
        sealing: &Receiver<RawRows>,
        sealed: &SyncSender<Encoded>,
        protectors: &mut [Protector<'_>],
    ) -> Result<()> {
        let mut number = 1;
        for rows in sealing {
            let count = u64::try_from(rows.count()).unwrap_or_default();
            if sealed.send(self.work(rows, number, protectors)?).is_err() {
                break;
            }
            number += count;
        }
        Ok(())
    }
}

/// The rows of a batch that were refused.
pub(super) fn refused(batch: &PgBatch, sealed: SealedBatch) -> Vec<Refused> {
    let rows: Vec<usize> = (0..batch.count()).filter(|row| sealed.is_refused(*row)).collect();
    let refused = |row: &usize| {
        let position = batch.position(*row)?;
        Some((batch.number(*row), Refused { position, faults: Vec::new() }))
    };
    let mut found: BTreeMap<u64, Refused> = rows.iter().filter_map(refused).collect();
    for fault in sealed.into_faults() {
        let row = fault.row().and_then(|number| found.get_mut(&number));
        if let Some(row) = row {
            row.faults.push(fault);
        }
    }
    found.into_values().collect()
}

fn send(writer: &mut postgres::CopyInWriter<'_>, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    writer
        .write_all(bytes)
        .and_then(|()| if bytes.len() > HEADER.len() { writer.flush() } else { Ok(()) })
        .map_err(broken)
}

fn append(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let length =
        i32::try_from(bytes.len()).map_err(|_| Error::limit("a cell is too long for the database"))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}
