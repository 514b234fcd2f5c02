// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat keys`: looks at the keys of a keyring, and changes them.

mod change;
mod list;
mod slots;

use clap::Subcommand;

use crate::fault::{Outcome, Result};
use crate::ui::Ui;

pub(crate) use change::KeyPrefix;

/// Look at the keys and slots of a keyring, and change them.
///
/// A key is made (`add`), becomes the one that seals (`activate`), and later only opens (`retire`). `keys states` shows what each
/// state allows. A key is named by its id or by at least 4 of the id's first digits.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    List(list::ListArgs),
    Show(list::ShowArgs),
    States(list::StatesArgs),
    Add(change::AddArgs),
    Activate(change::KeyArgs),
    Retire(change::RetireArgs),
    Suspend(change::SuspendArgs),
    Resume(change::ResumeArgs),
    Compromise(change::CompromiseArgs),
    Slots(slots::SlotsArgs),
    AddSlot(slots::AddSlotArgs),
    RemoveSlot(slots::RemoveSlotArgs),
    Renew(slots::RenewArgs),
    NewKeyFile(slots::NewKeyFileArgs),
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    match &args.verb {
        Verb::List(args) => list::list(args, ui),
        Verb::Show(args) => list::show(args, ui),
        Verb::States(args) => list::states(args, ui),
        Verb::Add(args) => change::add(args, ui),
        Verb::Activate(args) => change::activate(args, ui),
        Verb::Retire(args) => change::retire(args, ui),
        Verb::Suspend(args) => change::suspend(args, ui),
        Verb::Resume(args) => change::resume(args, ui),
        Verb::Compromise(args) => change::compromise(args, ui),
        Verb::Slots(args) => slots::slots(args, ui),
        Verb::AddSlot(args) => slots::add_slot(args, ui),
        Verb::RemoveSlot(args) => slots::remove_slot(args, ui),
        Verb::Renew(args) => slots::renew(args, ui),
        Verb::NewKeyFile(args) => slots::new_key_file(args, ui),
    }
}
