// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program `amanat`: arguments are read, one verb runs, its outcome becomes the exit code.
//!
//! Owns the list of verbs. Never prints what a panic carries: it may be personal data.

mod completions;
mod demo;
mod exceptions;
mod export;
mod fault;
mod file_work;
mod find;
mod foreign;
mod init;
mod inspect;
mod keys;
mod man;
mod migrate;
mod plan;
mod progress;
mod protect;
mod report;
mod reveal;
mod run;
mod sample;
mod schema;
mod stop;
mod store;
mod text;
mod token;
mod ui;
mod unlock;
mod work;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::thread;

use clap::{Parser, Subcommand};

use crate::fault::{COULD_NOT_RUN, Outcome, Result};
use crate::ui::Ui;

/// Protects the identity records of national registries: every sealed value is bound to its row, and keys rotate.
///
/// Data goes to standard output, messages to standard error. Exit code 0: all rows done; 1: some rows refused; 2: could not run;
/// 3: unauthentic rows seen; 130 or 143: stopped by SIGINT or SIGTERM. Secrets come from files or the terminal, never from arguments.
#[derive(Parser)]
#[command(name = "amanat", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Init(init::Args),
    Keys(keys::Args),
    Schema(schema::Args),
    Plan(plan::Args),
    Protect(protect::Args),
    Formats(foreign::Args),
    Reveal(reveal::Args),
    Rotate(run::RotateArgs),
    Status(run::StatusArgs),
    Pause(run::PauseArgs),
    Resume(run::ResumeArgs),
    Cancel(run::CancelArgs),
    Verify(run::VerifyArgs),
    Report(run::ReportArgs),
    Exceptions(run::ExceptionsArgs),
    Migrate(migrate::Args),
    Find(find::Args),
    Export(export::Args),
    Token(token::Args),
    Inspect(inspect::Args),
    Demo(demo::Args),
    Completions(completions::Args),
    Man(man::Args),
}

fn main() -> ExitCode {
    let ui = Ui::detect();
    panic::set_hook(Box::new(move |panic| ui.note(panic_note(panic.location()))));
    let ended = panic::catch_unwind(AssertUnwindSafe(|| Cli::parse().verb.run(&ui)));
    ExitCode::from(exit_code(ended, &ui))
}

/// Tells why a verb could not run, and gives the exit code. What a panic carries is dropped unread.
fn exit_code(ended: thread::Result<Result<Outcome>>, ui: &Ui) -> u8 {
    match ended {
        Ok(Ok(outcome)) => outcome.code(),
        Ok(Err(fault)) if fault.is_closed_pipe() => Outcome::Done.code(),
        Ok(Err(fault)) => {
            ui.fault(&fault);
            fault.code()
        }
        Err(_) => COULD_NOT_RUN,
    }
}

impl Verb {
    fn run(&self, ui: &Ui) -> Result<Outcome> {
        match self {
            Self::Init(args) => init::run(args, ui),
            Self::Keys(args) => keys::run(args, ui),
            Self::Schema(args) => schema::run(args, ui),
            Self::Plan(args) => plan::run(args, ui),
            Self::Protect(args) => protect::run(args, ui),
            Self::Formats(args) => foreign::run(args, ui),
            Self::Reveal(args) => reveal::run(args, ui),
            Self::Rotate(args) => run::rotate(args, ui),
            Self::Status(args) => run::status(args, ui),
            Self::Pause(args) => run::pause(args, ui),
            Self::Resume(args) => run::resume(args, ui),
            Self::Cancel(args) => run::cancel(args, ui),
            Self::Verify(args) => run::verify(args, ui),
            Self::Report(args) => run::report(args, ui),
            Self::Exceptions(args) => run::exceptions(args, ui),
            Self::Migrate(args) => migrate::run(args, ui),
            Self::Find(args) => find::run(args, ui),
            Self::Export(args) => export::run(args, ui),
            Self::Token(args) => token::run(args, ui),
            Self::Inspect(args) => inspect::run(args, ui),
            Self::Demo(args) => demo::run(args, ui),
            Self::Completions(args) => completions::run(args, ui),
            Self::Man(args) => man::run(args, ui),
        }
    }
}

fn panic_note(place: Option<&panic::Location<'_>>) -> String {
    // The file's name alone: the path of a dependency tells where the program was built.
    let name = |place: &panic::Location<'_>| place.file().rsplit(['/', '\\']).next().map(str::to_owned);
    let place =
        place.and_then(|place| Some(format!(" at {}:{}", name(place)?, place.line()))).unwrap_or_default();
    format!(
        "error: a fault in amanat itself{place}; what was being written is not in place\nhelp: report this line; it holds no data"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_without_what_it_carries_and_ends_with_2() {
        let panicked: thread::Result<Result<Outcome>> = Err(Box::new("an invented name"));
        assert_eq!(exit_code(panicked, &Ui::detect()), 2);
        let note = panic_note(Some(panic::Location::caller()));
        assert!(
            note.starts_with("error: ") && note.contains(" at main.rs:") && note.contains("\nhelp: "),
            "{note}"
        );
    }

    #[test]
    fn every_verb_declares_its_arguments_without_contradiction() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
