// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads a Parquet file in batches, one row group after the other.
//!
//! Owns the faults of files that are damaged or made to do harm. Never passes over a row group that has fewer rows than the footer says.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use amanat::error::{Error, Result};
use amanat::schema::TableSchema;
use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use super::layout::{Layout, readable};
use crate::stream::{self, BATCH_BYTES, BATCH_ROWS};

/// Opens a file, and matches its columns to the table.
pub(super) fn open(file: File, table: &TableSchema) -> Result<(Input, Layout)> {
    let load = || ArrowReaderMetadata::load(&file, ArrowReaderOptions::new());
    let mut metadata = guarded(load, |error| damaged("the footer", error))?;
    check_columns(metadata.metadata())?;
    let layout = Layout::new(table, metadata.schema())?;
    let schema = readable(metadata.schema());
    if schema != *metadata.schema() {
        let options = ArrowReaderOptions::new().with_schema(schema);
        let read = || ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options);
        metadata = guarded(read, |error| damaged("the footer", error))?;
    }
    let batch_rows = batch_rows(metadata.metadata());
    let input = Input { file, metadata, batch_rows, groups: 0, reader: None, left: 0, rows: 0, bytes: 0 };
    Ok((input, layout))
}

/// A Parquet file whose footer was read.
pub(super) struct Input {
    file: File,
    metadata: ArrowReaderMetadata,
    batch_rows: usize,
    /// Row groups that were opened.
    groups: usize,
    reader: Option<ParquetRecordBatchReader>,
    /// Rows that the open row group still must have.
    left: u64,
    /// Rows that were read.
    rows: u64,
    /// Bytes of the row groups that were read to their ends.
    bytes: u64,
}

/// Rows of a Parquet file.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) rows: Option<RecordBatch>,
    /// Number of the first row, from 1.
    pub(super) first_row: u64,
    /// Whether the row group ends with it.
    pub(super) ends_group: bool,
    /// Bytes of the input up to its end, about.
    pub(super) input_bytes: u64,
}

impl Input {
    pub(super) fn metadata(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    /// Reads the next rows; false at the end.
    pub(super) fn fill(&mut self, batch: &mut Batch) -> Result<bool> {
        loop {
            let Some(reader) = self.reader.as_mut() else {
                if self.next_group()? { continue } else { return Ok(false) }
            };
            let group = self.groups;
            let fault = |error: ArrowError| damaged_rows(group, error);
            let rows = guarded(|| reader.next().transpose(), fault)?;
            let Some(rows) = rows.filter(|rows| rows.num_rows() > 0) else {
                self.end_group()?;
                continue;
            };
            let count = u64::try_from(rows.num_rows()).unwrap_or(u64::MAX);
            let more = || malformed(format!("row group {group} has more rows than the footer says"));
            self.left = self.left.checked_sub(count).ok_or_else(more)?;
            (batch.first_row, self.rows) = (self.rows + 1, self.rows + count);
            (batch.rows, batch.ends_group) = (Some(rows), self.left == 0);
            batch.input_bytes = self.bytes_read();
            return Ok(true);
        }
    }

    /// Opens the next row group.
    fn next_group(&mut self) -> Result<bool> {
        let Some(group) = self.metadata().row_groups().get(self.groups) else { return Ok(false) };
        let negative = |_| malformed(format!("row group {} has a negative number of rows", self.groups + 1));
        self.left = u64::try_from(group.num_rows()).map_err(negative)?;
        let file = self.file.try_clone().map_err(stream::cannot_read)?;
        let (metadata, group, batch_rows) = (self.metadata.clone(), self.groups, self.batch_rows);
        let build = || {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
            builder.with_row_groups(vec![group]).with_batch_size(batch_rows).build()
        };
        self.groups += 1;
        self.reader = Some(guarded(build, |error| damaged(&format!("row group {}", group + 1), error))?);
        Ok(true)
    }

    fn end_group(&mut self) -> Result<()> {
        if self.left > 0 {
            return Err(malformed(format!(
                "row group {} has fewer rows than the footer says: {} are missing",
                self.groups, self.left
            )));
        }
        self.bytes += self.group_bytes();
        self.reader = None;
        Ok(())
    }

    /// The row group that is open.
    fn group(&self) -> Option<&RowGroupMetaData> {
        self.groups.checked_sub(1).and_then(|group| self.metadata().row_groups().get(group))
    }

    fn group_bytes(&self) -> u64 {
        let columns = self.group().map_or(&[][..], |group| group.columns());
        columns.iter().filter_map(|column| u64::try_from(column.compressed_size()).ok()).sum()
    }

    fn bytes_read(&self) -> u64 {
        let rows = self.group().map_or(0, |group| u64::try_from(group.num_rows()).unwrap_or_default());
        let part = u128::from(self.group_bytes()) * u128::from(rows.saturating_sub(self.left))
            / u128::from(rows.max(1));
        self.bytes.saturating_add(u64::try_from(part).unwrap_or_default())
    }
}

/// Rows of a batch: fewer if rows are long.
fn batch_rows(metadata: &ParquetMetaData) -> usize {
    let of_group = |group: &RowGroupMetaData| {
        let (bytes, rows) = (group.total_byte_size(), group.num_rows());
        u64::try_from(bytes).unwrap_or_default() / u64::try_from(rows).unwrap_or_default().max(1)
    };
    let longest = metadata.row_groups().iter().map(of_group).max().unwrap_or_default().max(1);
    let rows = u64::try_from(BATCH_BYTES).unwrap_or(u64::MAX) / longest;
    usize::try_from(rows).unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS)
}

/// Refuses columns that cannot be read.
fn check_columns(metadata: &ParquetMetaData) -> Result<()> {
    for column in metadata.row_groups().iter().flat_map(RowGroupMetaData::columns) {
        // The reader would panic.
        let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
        if start < 0 || column.data_page_offset() < 0 || column.compressed_size() < 0 {
            return Err(malformed("the place of a column is negative".to_owned()));
        }
        let codec = match column.compression() {
            Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) => continue,
            Compression::GZIP(_) => "GZIP",
            Compression::BROTLI(_) => "BROTLI",
            Compression::LZO => "LZO",
            Compression::LZ4 | Compression::LZ4_RAW => "LZ4",
        };
        return Err(Error::unsupported(format!(
            "the Parquet file is compressed with {codec}; SNAPPY and ZSTD are read: write the file anew with one of them"
        )));
    }
    Ok(())
}

/// Calls the Parquet reader. It is written for files that are well: some damaged ones make it panic, which here is one more way of its to say that
/// the file is damaged. Nothing is shared with it that a panic could leave half-done: after an error the run ends.
pub(super) fn guarded<T, E>(
    call: impl FnOnce() -> core::result::Result<T, E>,
    fault: impl FnOnce(E) -> Error,
) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(fault),
        Err(_) => Err(malformed("the reader found what it did not expect, and gave up".to_owned())),
    }
}

fn damaged(place: &str, error: ParquetError) -> Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) if error.kind() != io::ErrorKind::UnexpectedEof => stream::cannot_read(*error),
            _ => malformed(format!("{place} ends before its end")),
        },
        error => malformed(format!("{place}: {error}")),
    }
}

fn damaged_rows(group: usize, error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, error) => stream::cannot_read(error),
        error => malformed(format!("row group {group}: {error}")),
    }
}

fn malformed(what: String) -> Error {
    Error::malformed(format!("no Parquet file, or a damaged one: {what}"))
}

/// Names of the columns of a schema.
pub(super) fn names(schema: &SchemaRef) -> Vec<&str> {
    schema.fields().iter().map(|field| field.name().as_str()).collect()
}
