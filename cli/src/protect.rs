// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat protect`: seals what a schema wants sealed.

use amanat::Name;
use amanat_stores::sqlite::Cleaning;
use amanat_stores::{Effort, Task};

use crate::fault::{Outcome, Result};
use crate::ui::Ui;
use crate::work::{Wish, WorkArgs};

/// Seal the fields of a CSV, JSON Lines or SQLite table.
///
/// What is sealed under the primary key stays as it is; what an older key sealed is sealed anew; a second run changes nothing. CSV and
/// JSON Lines are written to another file, SQLite is protected in place. Rows that cannot be protected are refused whole and listed
/// in the exceptions file.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    work: WorkArgs,
    /// Count what would be done and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Seal anew what an older key sealed, and refuse rows with plaintext in a sealed column: for rotation. Without it, plaintext that
    /// somebody wrote there becomes a genuine sealed value.
    #[arg(long)]
    reseal_only: bool,
    /// Make this index or kept token anew in every row, named as in the schema; may be repeated. Needed after a change of its name, fields
    /// or normal forms and when an index gets longer, which a stored term does not show; a change of key, recipient or epoch is seen without it.
    #[arg(long, value_name = "NAME")]
    remake: Vec<Name>,
    /// Do not rebuild a SQLite file afterwards; parts of old plaintext may then remain in its free pages and its write-ahead log. A file
    /// with a table that has no INTEGER PRIMARY KEY is never rebuilt, because that may change rowids; a warning says what to do.
    #[arg(long)]
    no_vacuum: bool,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    let effort = if args.dry_run { Effort::DryRun } else { Effort::Seal };
    let task = if args.reseal_only { Task::Reseal(effort) } else { Task::Protect(effort) };
    let cleaning = if args.no_vacuum { Cleaning::Keep } else { Cleaning::Vacuum };
    args.work.run(ui, Wish { verb: "protect", task, cleaning, remake: &args.remake })
}
