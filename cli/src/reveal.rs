// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat reveal`: opens what is sealed.

use amanat_stores::sqlite::Cleaning;
use amanat_stores::{RevealForm, Task};

use crate::fault::{Outcome, Result};
use crate::file_work::FileWish;
use crate::ui::Ui;
use crate::work::{Wish, WorkArgs};

/// Open the fields of a CSV, JSON Lines, Parquet, SQLite or PostgreSQL table.
///
/// The output is for its owner only. A SQLite file is revealed into a copy of the whole file; a table of a PostgreSQL server into CSV or JSON Lines, with the
/// columns of its record id and of the schema's fields, as it stood at one moment. Rows with a cell that does not open are
/// refused whole and listed in the exceptions file.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    work: WorkArgs,
    /// Open only these fields, named as in the schema; the others stay sealed.
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',')]
    fields: Vec<String>,
    /// Write the masks of the schema in place of the values.
    #[arg(long)]
    masked: bool,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    let form = if args.masked { RevealForm::Masks } else { RevealForm::Values };
    let task = Task::Reveal(&args.fields, form);
    let (cleaning, files) = (Cleaning::Keep, FileWish::PLAIN);
    args.work
        .run(ui, Wish { verb: "reveal", task, cleaning, remake: &[], from: &[], take_over: false, files })
}
