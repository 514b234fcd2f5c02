// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes the Parquet file.
//!
//! Owns compression, row groups and statistics. Never gives sealed columns a dictionary, statistics or a Bloom filter.

use std::io::{self, Write};
use std::sync::Arc;

use amanat::error::{Error, Result};
use arrow_schema::DataType;
use parquet::arrow::{ARROW_SCHEMA_META_KEY, ArrowSchemaConverter, ArrowWriter};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::input::Input;
use super::layout::{From, OutputLayout};
use super::make::Made;
use crate::stream;

/// A row group is written when it has so many bytes: it waits in memory until then.
const MAX_GROUP_BYTES: usize = 1 << 27;

/// The file that is written.
pub(super) struct Output<'a> {
    writer: ArrowWriter<&'a mut (dyn Write + Send)>,
}

impl<'a> Output<'a> {
    pub(super) fn create(
        input: &Input,
        layout: &OutputLayout,
        output: &'a mut (dyn Write + Send),
    ) -> Result<Self> {
        let properties = properties(input.metadata(), layout)?;
        let schema = Arc::clone(&layout.declared);
        let writer = ArrowWriter::try_new(output, schema, Some(properties)).map_err(cannot_write)?;
        Ok(Self { writer })
    }

    /// Encodes a batch, and ends the row group if its rows end one.
    pub(super) fn write(&mut self, made: &Made) -> Result<()> {
        if let Some(rows) = &made.rows {
            self.writer.write(rows).map_err(cannot_write)?;
        }
        if made.ends_group { self.writer.flush().map_err(cannot_write) } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.writer.finish().map_err(cannot_write)?;
        self.writer.inner_mut().flush().map_err(stream::cannot_write)
    }
}

/// How the columns are written.
///
/// Each keeps the compression that it has in the input: who could read that can read the output. Envelopes are random bytes: only
/// Zstandard makes their text shorter, and nothing their bytes.
fn properties(metadata: &ParquetMetaData, layout: &OutputLayout) -> Result<WriterProperties> {
    let entries = metadata.file_metadata().key_value_metadata().cloned().unwrap_or_default();
    let entries: Vec<_> = entries.into_iter().filter(|entry| entry.key != ARROW_SCHEMA_META_KEY).collect();
    let common = common_compression(metadata);
    let mut properties = WriterProperties::builder()
        .set_key_value_metadata(Some(entries).filter(|entries| !entries.is_empty()))
        .set_max_row_group_row_count(None)
        .set_max_row_group_bytes(Some(MAX_GROUP_BYTES))
        .set_compression(common);
    let leaves = ArrowSchemaConverter::new().convert(&layout.declared).map_err(cannot_write)?;
    for leaf in leaves.columns() {
        let path = leaf.path().clone();
        let name = path.parts().first().map_or("", String::as_str);
        let place = layout.declared.index_of(name).map_err(|error| Error::store("no such column", error))?;
        match layout.from.get(place) {
            Some(From::Envelopes(_) | From::Surrogate(..)) => {
                let is_text = layout.written.field(place).data_type() == &DataType::Utf8;
                let shrinks = is_text && matches!(common, Compression::ZSTD(_));
                properties = properties
                    .set_column_compression(
                        path.clone(),
                        if shrinks { common } else { Compression::UNCOMPRESSED },
                    )
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_bloom_filter_enabled(path.clone(), false)
                    .set_column_statistics_enabled(path, EnabledStatistics::None);
            }
            Some(From::Column(_) | From::Masks(..)) => {
                let codec = compression_of(metadata, name);
                properties = properties.set_column_compression(path, codec);
            }
            Some(From::Revealed(..)) | None => {}
        }
    }
    Ok(properties.build())
}

/// The compression of the first column that has one.
fn common_compression(metadata: &ParquetMetaData) -> Compression {
    let columns = metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    let compressed = columns.map(|column| column.compression());
    compressed
        .into_iter()
        .find(|codec| *codec != Compression::UNCOMPRESSED)
        .unwrap_or(Compression::UNCOMPRESSED)
}

/// The compression that a column has in the first row group.
fn compression_of(metadata: &ParquetMetaData, name: &str) -> Compression {
    let columns = metadata.row_groups().first().map_or(&[][..], RowGroupMetaData::columns);
    let found =
        columns.iter().find(|column| column.column_path().parts().first().is_some_and(|part| part == name));
    found.map_or(Compression::UNCOMPRESSED, |column| column.compression())
}

/// An error of the output, with that of the file beneath it.
fn cannot_write(error: ParquetError) -> Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => stream::cannot_write(*error),
            Err(source) => Error::store("the output cannot be written", source),
        },
        error => Error::store("the output cannot be written", error),
    }
}
