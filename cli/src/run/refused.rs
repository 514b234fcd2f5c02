// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat exceptions`: the rows that a run refused, and why.
//!
//! Owns the CSV form of the list. Never shows a key of a row unless it is asked to, and then to nobody but the owner of the file.

use std::io::Write;
use std::path::PathBuf;

use amanat_stores::run::journal::{Exception, Journal};
use amanat_stores::{Access, PartFile};

use super::find::{RunArgs, Which};
use crate::fault::{Fault, Outcome, Result};
use crate::text::count;
use crate::ui::Ui;
use crate::work::may_write;

/// List the rows that a run refused: field, kind of fault and reason.
///
/// After repair, `amanat rotate --retry` works on exactly these rows. Needs no key.
#[derive(clap::Args)]
pub(crate) struct ExceptionsArgs {
    #[command(flatten)]
    run: RunArgs,
    /// File to write; standard output without it.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Name each row by its key in the table. **Keys of rows are personal data** in most registries: a file is needed, which only its owner can
    /// read.
    #[arg(long, requires = "output")]
    with_keys: bool,
    /// Overwrite a file that exists.
    #[arg(long)]
    force: bool,
}

pub(crate) fn exceptions(args: &ExceptionsArgs, ui: &Ui) -> Result<Outcome> {
    if let Some(path) = &args.output {
        may_write(path, "file", args.force)?;
    }
    let (place, mut sql) = args.run.open(ui)?;
    let run = args.run.find(&place, &mut *sql, Which::Last)?;
    let mut journal = Journal::new(&mut *sql);
    let mut listed =
        journal.exceptions(&run.plan.id.to_string(), u32::MAX).map_err(|error| place.fault(error))?;
    listed.sort_by(|a, b| {
        (&a.field, &a.kind, a.position.expose()).cmp(&(&b.field, &b.kind, b.position.expose()))
    });
    let faults = u64::try_from(listed.len()).unwrap_or(u64::MAX);
    match &args.output {
        Some(path) => {
            let file = write(PartFile::create(path, Access::Owner)?, &listed, args.with_keys)?;
            file.commit()?;
            ui.note(format!("{} of run {} in {}", count(faults, "fault"), run.plan.id, path.display()));
        }
        None => ui.bytes(&write(Vec::new(), &listed, false)?)?,
    }
    if args.with_keys && faults > 0 {
        ui.warn("the file names rows by their keys: personal data in most registries; delete it when the rows are mended");
    }
    Ok(if listed.is_empty() { Outcome::Done } else { Outcome::SomeRefused })
}

fn write<W: Write>(to: W, listed: &[Exception], with_keys: bool) -> Result<W> {
    let failed = |_| Fault::new("the list cannot be written; is there room on the disk?");
    let mut writer = csv::Writer::from_writer(to);
    let heading = ["field", "kind", "reason"].into_iter().chain(with_keys.then_some("row_key"));
    writer.write_record(heading).map_err(failed)?;
    for exception in listed {
        let field = exception.field.as_deref().unwrap_or_default();
        let cells = [field, &exception.kind, &exception.message];
        let key = with_keys.then(|| exception.position.expose());
        writer.write_record(cells.into_iter().chain(key)).map_err(failed)?;
    }
    writer.into_inner().map_err(|_| Fault::new("the list cannot be written; is there room on the disk?"))
}
