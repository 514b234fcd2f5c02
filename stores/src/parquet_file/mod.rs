// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parquet files, read and written row group by row group by way of Arrow.
//!
//! Owns the run over a file. Never changes a value of a column that is neither sealed nor masked, never writes statistics of sealed values.

mod cells;
mod input;
mod layout;
mod make;
mod output;

use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;

use amanat::error::Result;

use crate::find::{FindPlan, FindReport, Finder};
use crate::pipeline;
use crate::scan::{ScanPlan, Scanner, Visitor};
use crate::stream::{End, Observer, Plan, Task};
use crate::tally::Tally;

use cells::ParquetRows;
use input::{Batch, Input};
use layout::Layout;
use make::{Made, Worker};
use output::Output;

/// Protects or reveals a Parquet file. Without an output nothing is written (dry run).
///
/// Shape: the output has the row groups of the input, larger ones split at 128 MiB, without the rows that are refused; clear columns have
/// their Arrow values, types and compression; the file's key-value metadata is kept. Sealed columns are strings, or byte arrays where
/// the schema says `encoding = "binary"`, without dictionary and statistics; the type that a column had before stands in the metadata of its
/// field, and revealing gives it back. Protecting appends the columns of indexes and kept tokens that the file lacks; revealing leaves
/// those columns out. Limits: constant memory, that of a few batches and of one row group as it is written.
///
/// # Errors
/// `Schema` if columns, their types and the schema do not fit, before anything is written; `Malformed` if it is no Parquet file, or a damaged
/// one; `Unsupported` for a compression other than Snappy and Zstandard; `Store` if input or output fail; what the observer fails with; as
/// [`Protector::protect`](crate::Protector::protect).
pub fn run(
    plan: Plan<'_>,
    input: File,
    output: Option<&mut (dyn Write + Send)>,
    observer: &mut dyn Observer,
) -> Result<Tally> {
    let (mut input, layout) = input::open(input, plan.table)?;
    let layout = layout.for_task(plan)?;
    let dry = matches!(plan.task, Task::Protect(effort) | Task::Reseal(effort) if effort.is_dry());
    let output = output.filter(|_| !dry);
    let mut output = output.map(|output| Output::create(&input, &layout, output)).transpose()?;
    let workers = (0..plan.jobs.get()).map(|_| Worker::new(plan)).collect::<Result<Vec<_>>>()?;
    let layout = &layout;
    let workers = workers
        .into_iter()
        .map(|mut worker| move |batch: &Batch, made: &mut Made| worker.work(layout, batch, made));
    let mut total = Tally::default();
    let flow = pipeline::run(
        |batch| input.fill(batch),
        workers.collect(),
        |made: &Made| {
            for fault in &made.faults {
                observer.refused(fault)?;
            }
            if let Some(output) = output.as_mut() {
                output.write(made)?;
            }
            total.add(&made.tally);
            observer.progress(total.rows, made.input_bytes);
            Ok(if observer.stops() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        },
    )?;
    if flow.is_break() {
        return End::Stopped.whole();
    }
    output.map_or(Ok(()), Output::finish)?;
    Ok(total)
}

/// Scans a Parquet file in constant memory, as [`scan_csv`](crate::scan::scan_csv). Values of clear fields are given as text if they are
/// strings, integers, booleans or dates.
///
/// # Errors
/// As [`scan_csv`](crate::scan::scan_csv) and [`run`].
pub fn scan(plan: ScanPlan<'_>, input: File, visitor: &mut dyn Visitor) -> Result<Tally> {
    let mut scanner = Scanner::new(plan)?;
    each_batch(plan.table, input, |rows| scanner.scan(rows, visitor))?;
    Ok(scanner.tally)
}

/// Finds rows in a Parquet file, as [`find_csv`](crate::find::find_csv).
///
/// # Errors
/// As [`find_csv`](crate::find::find_csv) and [`run`].
pub fn find(plan: FindPlan<'_>, values: &[&str], input: File) -> Result<FindReport> {
    let mut finder = Finder::new(plan)?;
    let terms = finder.terms(values)?;
    each_batch(plan.table, input, |rows| finder.sift(rows, &terms))?;
    Ok(finder.into_report())
}

fn each_batch(
    table: &amanat::TableSchema,
    input: File,
    mut take: impl FnMut(&ParquetRows<'_>) -> Result<()>,
) -> Result<()> {
    let (mut input, layout): (Input, Layout) = input::open(input, table)?;
    let mut batch = Batch::default();
    while input.fill(&mut batch)? {
        take(&ParquetRows::all(&layout, &batch))?;
    }
    Ok(())
}
