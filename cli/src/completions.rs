// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat completions`: a shell's completion script, on standard output.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::Cli;
use crate::fault::{Outcome, Result};
use crate::ui::Ui;

/// Print the completion script of a shell.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "amanat", &mut script);
    ui.bytes(&script)?;
    Ok(Outcome::Done)
}
