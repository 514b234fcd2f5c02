// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat man`: manual pages, one for each verb, made from the same declaration as the arguments.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use amanat_stores::{Access, PartFile};
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::Cli;
use crate::fault::{Fault, Outcome, Result};
use crate::ui::Ui;

/// Write the manual pages to a folder: one for the program and one for each verb.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder to write to; it is made if it does not exist.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    fs::create_dir_all(&args.folder).map_err(|error| Fault::file("make", &args.folder, &error))?;
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let pages = write_page(&root, &args.folder)?;
    ui.note(format!(
        "{pages} pages written to {}; read one with: man -l {0}/amanat.1",
        args.folder.display()
    ));
    Ok(Outcome::Done)
}

/// Writes the page of a command and of everything below it; returns how many.
fn write_page(command: &Command, folder: &Path) -> Result<usize> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let path = folder.join(format!("{name}.1"));
    let mut page = Vec::new();
    let failed = |error| Fault::file("write", &path, &error);
    Man::new(command.clone()).render(&mut page).map_err(failed)?;
    let mut file = PartFile::create(&path, Access::Default)?;
    file.write_all(&page).map_err(failed)?;
    file.commit()?;
    let mut pages = 1;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages += write_page(below, folder)?;
    }
    Ok(pages)
}
