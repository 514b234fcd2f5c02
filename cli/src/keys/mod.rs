// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat keys`: looks at the keys of a keyring, and changes them.

mod change;
mod in_use;
mod list;
mod slots;

use amanat_stores::KeyringSession;
use clap::Subcommand;

use crate::fault::{Outcome, Result};
use crate::ui::Ui;

pub(crate) use change::{KeyPrefix, generation};

/// Look at the keys and slots of a keyring, and change them.
///
/// A key is made (`add`), opens while another seals (`introduce`), becomes the one that seals (`activate`), and later only opens (`retire`). `keys states` shows what each
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
    Introduce(change::IntroduceArgs),
    Activate(change::KeyArgs),
    Retire(change::RetireArgs),
    Suspend(change::SuspendArgs),
    Resume(change::ResumeArgs),
    Compromise(change::CompromiseArgs),
    Destroy(change::DestroyArgs),
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
        Verb::Introduce(args) => change::introduce(args, ui),
        Verb::Activate(args) => change::activate(args, ui),
        Verb::Retire(args) => change::retire(args, ui),
        Verb::Suspend(args) => change::suspend(args, ui),
        Verb::Resume(args) => change::resume(args, ui),
        Verb::Compromise(args) => change::compromise(args, ui),
        Verb::Destroy(args) => change::destroy(args, ui),
        Verb::Slots(args) => slots::slots(args, ui),
        Verb::AddSlot(args) => slots::add_slot(args, ui),
        Verb::RemoveSlot(args) => slots::remove_slot(args, ui),
        Verb::Renew(args) => slots::renew(args, ui),
        Verb::NewKeyFile(args) => slots::new_key_file(args, ui),
    }
}

/// Lets the keys open that were named for it. Whoever reads the messages learns of each, `--quiet` or not.
pub(crate) fn break_glass<'a>(
    ui: &Ui,
    session: KeyringSession<'a>,
    prefixes: &[KeyPrefix],
) -> Result<KeyringSession<'a>> {
    let infos = session.with_keyring(|keyring| Ok(keyring.keys().cloned().collect::<Vec<_>>()))?;
    let mut named = Vec::new();
    for prefix in prefixes {
        let key = prefix.find(infos.iter())?;
        ui.warn(format!(
            "breaking the glass: {} key {} is {} and opens in this run",
            key.purpose,
            key.id.short(),
            key.state
        ));
        named.push(key.id);
    }
    Ok(session.with_break_glass(named))
}
