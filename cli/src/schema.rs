// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat schema`: checks a schema file and says in plain words what it does.

use std::fs;
use std::path::PathBuf;

use amanat::Schema;
use clap::Subcommand;

use crate::fault::{Fault, Outcome, Result};
use crate::ui::Ui;

/// Check a schema file.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Check a schema file and say in plain words what is sealed, masked and clear.
    Check {
        /// The schema file (TOML).
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    let Verb::Check { file } = &args.verb;
    let text = fs::read_to_string(file).map_err(|error| Fault::file("read", file, &error))?;
    let schema = Schema::from_toml(&text).map_err(|error| Fault::from(error).about(file.display()))?;
    for table in schema.tables() {
        ui.line(format!("table {}", table.name()))?;
    }
    Ok(Outcome::Done)
}
