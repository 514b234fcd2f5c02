// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat migrate schema`: brings the rows of a live table from one schema to another.
//!
//! Owns what a person must say before values are lost or columns are added. Never drops a column.

use std::path::PathBuf;
use std::sync::Arc;

use amanat::Name;
use amanat::rotate::{RunSource, Verb};
use amanat::schema::SchemaChange;
use amanat_stores::Work;

use crate::fault::{Fault, Outcome, Result};
use crate::run::{DriveArgs, PlaceArgs, Start, dry_run, read_schema, start};
use crate::store;
use crate::ui::Ui;
use crate::unlock::UnlockArgs;

/// Bring live tables to another schema.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Schema(SchemaArgs),
}

/// Bring the rows of a live table from one schema to another: fields that are added, dropped, renamed (`formerly` in the new schema) or moved to
/// another column, indexes that are new.
///
/// Whether a row is done is told by its columns: a former column that holds something was not moved yet. Applications may go on; each row is
/// readable by one of the two schemas at any moment. The statements that drop columns are printed and never run.
#[derive(clap::Args)]
pub(crate) struct SchemaArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    unlock: UnlockArgs,
    /// The schema file by which the rows are stored.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The schema file by which they shall be stored.
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// Table of the schema; may be left out if it has only one.
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Empty the column of this field, index or kept token, which the new schema does not have: its values are lost. May be repeated.
    #[arg(long, value_name = "NAME")]
    drop: Vec<Name>,
    /// Add the columns that the table lacks. Without it the statements are printed.
    #[arg(long)]
    add_columns: bool,
    /// Make this index or kept token anew in every row although its definition changed, while nobody searches by it; may be repeated.
    #[arg(long, value_name = "NAME")]
    remake: Vec<Name>,
    /// Count what would be done and write nothing. The columns must be there.
    #[arg(long, conflicts_with = "add_columns")]
    dry_run: bool,
    #[command(flatten)]
    drive: DriveArgs,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    let What::Schema(args) = &args.what;
    let (former_text, former) = read_schema(&args.from)?;
    let (_, schema) = read_schema(&args.schema)?;
    let table = store::table(&schema, args.table.as_deref(), &args.schema)?;
    let change = SchemaChange::between(former.table(table.name().as_str())?, table, &args.remake);
    change.check().map_err(|error| Fault::from(error).about(args.schema.display()))?;
    check_dropped(&change, &args.drop)?;
    if !args.drive.quiet {
        told(&change).iter().for_each(|line| ui.note(line));
    }
    // A run that takes plaintext takes it in every field; so only a change that needs it does.
    let source = if change.takes_plaintext().is_empty() { RunSource::Sealed } else { RunSource::Any };
    let work = Arc::new(Work::default().with_change(change)?);
    let place = args.place.place(ui)?.with_work(&work);
    let sql_table = args.place.sql_table.as_deref();
    let statements = place.column_statements(sql_table, table)?;
    if !statements.add.is_empty() {
        if !args.add_columns {
            return Err(Fault::new("the table lacks columns of the new schema").help(format!(
                "add them, or have them added with --add-columns: {}",
                statements.add.join(" ")
            )));
        }
        place.add_columns(sql_table, table)?;
    }
    let what = Start {
        verb: Verb::Migrate,
        source,
        place: &place,
        sql_table,
        unlock: &args.unlock,
        schema: &args.schema,
        former: Some(&former_text),
        table: args.table.as_deref(),
        new_keys: &[],
        remake: &args.remake,
        drive: &args.drive,
    };
    if args.dry_run {
        return dry_run(ui, &what, false);
    }
    let outcome = start(ui, &what)?;
    if !args.drive.quiet && !statements.drop.is_empty() {
        ui.note(format!("once no application names the old columns any more: {}", statements.drop.join(" ")));
    }
    Ok(outcome)
}

/// Every column that would be emptied for good was named, and nothing else was.
fn check_dropped(change: &SchemaChange, named: &[Name]) -> Result<()> {
    let dropped: Vec<&Name> = change.dropped().iter().map(|dropped| &dropped.name).collect();
    if let Some(other) = named.iter().find(|name| !dropped.contains(name)) {
        return Err(Fault::new(format!("--drop {other}: the new schema has it, or the old one has not")));
    }
    let unnamed: Vec<String> =
        dropped.iter().filter(|name| !named.contains(name)).map(|name| format!("--drop {name}")).collect();
    if unnamed.is_empty() {
        return Ok(());
    }
    Err(Fault::new("the new schema lacks what the old one has, and its values would be lost").help(format!(
        "say so: {}; a field that has another name now says `formerly` in the new schema",
        unnamed.join(" ")
    )))
}

fn told(change: &SchemaChange) -> Vec<String> {
    let moved = change.moved().iter().map(|moved| {
        format!(
            "`{}` takes over the values of `{}`, column `{}`",
            moved.field,
            moved.former.name(),
            moved.former.column()
        )
    });
    let added = change.added().iter().map(|name| format!("`{name}` is new"));
    let dropped = change.dropped().iter();
    let dropped =
        dropped.map(|gone| format!("`{}` is dropped: column `{}` is emptied", gone.name, gone.column));
    let plain = change.takes_plaintext().iter().map(|name| format!("`{name}` takes plaintext"));
    moved.chain(added).chain(dropped).chain(plain).collect()
}
