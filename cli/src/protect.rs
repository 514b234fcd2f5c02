// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat protect`: seals what a schema wants sealed.

use std::path::PathBuf;

use amanat::Name;
use amanat_stores::sqlite::Cleaning;
use amanat_stores::{Effort, Start, Task, file_run};

use crate::fault::{Outcome, Result};
use crate::file_work::FileWish;
use crate::foreign::{ForeignField, SHAPE};
use crate::ui::Ui;
use crate::work::{Wish, WorkArgs};

/// Seal the fields of a CSV, JSON Lines, Parquet or SQLite table.
///
/// What is sealed under the primary key stays as it is; what an older key sealed is sealed anew; a second run changes nothing. CSV and
/// JSON Lines are written to another file or replaced (`--in-place`), SQLite is protected in place. Rows that cannot be protected are
/// refused whole and listed in the exceptions file; once repaired, `--only` protects them alone. A run from file to file that was killed
/// or stopped goes on with `--resume`.
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
    /// The values of this field were sealed by another tool: open them with a key file of its format (fernet, lockbox, pgcrypto, rails, tink or
    /// vault; `amanat formats` tells what each file holds), and seal what they hold. May be repeated; for SQLite and PostgreSQL. Values that
    /// are sealed by amanat already are known by their form, so that a second run is safe.
    #[arg(long, value_name = SHAPE, conflicts_with = "reseal_only")]
    from: Vec<ForeignField>,
    /// Make this sealed field, index or kept token anew in every row, named as in the schema; may be repeated. Needed when `pad` gets smaller,
    /// after a change of its name, fields or normal forms and when an index gets longer, which a stored term does not show; a change of key,
    /// recipient or epoch is seen without it.
    #[arg(long, value_name = "NAME")]
    remake: Vec<Name>,
    /// Do not rebuild a SQLite file afterwards; parts of old plaintext may then remain in its free pages and its write-ahead log. A file
    /// with a table that has no INTEGER PRIMARY KEY is never rebuilt, because that may change rowids; a warning says what to do.
    #[arg(long)]
    no_vacuum: bool,
    /// Take an unfinished run over a SQLite table from a process that is known to be dead, although it gave a sign of life in the last minute.
    #[arg(long, conflicts_with = "dry_run")]
    take_over: bool,
    /// Go on with a run that was killed or stopped, from its last checkpoint; begin one if there is none. Give all other arguments as then.
    #[arg(long, conflicts_with_all = ["dry_run", "restart"])]
    resume: bool,
    /// Throw away what a run that was killed or stopped has done, and begin anew.
    #[arg(long, conflicts_with = "dry_run")]
    restart: bool,
    /// Replace a CSV or JSON Lines file by its protected form, once that is whole and only if no row was refused. Nothing of the old file is
    /// kept under any name; what the disk still holds of it is not wiped.
    #[arg(long, conflicts_with_all = ["output", "dry_run"])]
    in_place: bool,
    /// Keep the plaintext file that `--in-place` replaces under this name.
    #[arg(long, value_name = "FILE", requires = "in_place")]
    keep: Option<PathBuf>,
    /// Protect only the rows that this exceptions file of an earlier run lists: repair them where they stand in the input, so that every row
    /// keeps its number. The output then has exactly the rows that were missing.
    #[arg(long, value_name = "EXCEPTIONS", conflicts_with = "in_place")]
    only: Option<PathBuf>,
    /// Bytes of output between two checkpoints, if a second does not pass before; for tests.
    #[arg(long, value_name = "BYTES", hide = true, default_value_t = file_run::CHECKPOINT_BYTES)]
    checkpoint_bytes: u64,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    let effort = if args.dry_run { Effort::DryRun } else { Effort::Seal };
    let task = if args.reseal_only { Task::Reseal(effort) } else { Task::Protect(effort) };
    let cleaning = if args.no_vacuum { Cleaning::Keep } else { Cleaning::Vacuum };
    let start = match (args.resume, args.restart) {
        (true, _) => Start::Resume,
        (_, true) => Start::Restart,
        _ => Start::Ask,
    };
    let files = FileWish {
        start,
        in_place: args.in_place,
        keep: args.keep.as_deref(),
        only: args.only.as_deref(),
        checkpoint_bytes: args.checkpoint_bytes,
    };
    let wish = Wish {
        verb: "protect",
        task,
        cleaning,
        remake: &args.remake,
        from: &args.from,
        take_over: args.take_over,
        files,
    };
    args.work.run(ui, wish)
}
