// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat keys slots|add-slot|remove-slot|new-key-file`: what unlocks a keyring.

use std::path::PathBuf;

use amanat::keys::{KeyFile, NewSlot};
use amanat_stores::{KeyringPath, secret_file};

use crate::fault::{Fault, Outcome, Result};
use crate::text::Table;
use crate::ui::Ui;
use crate::unlock::{KekArgs, UnlockArgs, keyring_fault, now};

/// List what unlocks a keyring. Needs no key.
#[derive(clap::Args)]
pub(crate) struct SlotsArgs {
    /// The keyring file.
    #[arg(long, value_name = "FILE")]
    keyring: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Add a slot: another passphrase or key file that unlocks the same keyring.
#[derive(clap::Args)]
pub(crate) struct AddSlotArgs {
    #[command(flatten)]
    unlock: UnlockArgs,
    /// What people call the new slot.
    #[arg(long, value_name = "TEXT")]
    label: String,
    /// File with the new slot's passphrase in one line; without either, it is asked for on the terminal.
    #[arg(long, value_name = "FILE", conflicts_with = "slot_key_file")]
    slot_passphrase_file: Option<PathBuf>,
    /// Key file of the new slot; `keys new-key-file` makes one.
    #[arg(long, value_name = "FILE")]
    slot_key_file: Option<PathBuf>,
}

/// Remove a slot from the file.
///
/// Whoever has an older copy of the keyring and what unlocked the slot can still unlock that copy, and with it forge every later one:
/// only `keys renew` ends that.
#[derive(clap::Args)]
pub(crate) struct RemoveSlotArgs {
    #[command(flatten)]
    unlock: UnlockArgs,
    /// The slot's label.
    label: String,
    /// Do it: what unlocked the slot no longer unlocks the keyring.
    #[arg(long)]
    yes: bool,
}

/// Draw a new keyring secret, so that nothing that unlocked an older copy unlocks or forges this keyring.
///
/// Only the slot of the passphrase or key file named here remains; add the others again. Whoever unlocked an older copy knows the keys
/// that were in it: add new keys, activate them and protect every table anew.
#[derive(clap::Args)]
pub(crate) struct RenewArgs {
    #[command(flatten)]
    unlock: UnlockArgs,
    /// What people call the slot that remains.
    #[arg(long, value_name = "TEXT", default_value = "renewed")]
    label: String,
    /// Do it: every other slot is dropped.
    #[arg(long)]
    yes: bool,
}

/// Make a key file that only its owner may read.
#[derive(clap::Args)]
pub(crate) struct NewKeyFileArgs {
    /// The file to make.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(serde::Serialize)]
struct SlotRow {
    label: String,
    provider: String,
    id: String,
    created: String,
}

pub(crate) fn slots(args: &SlotsArgs, ui: &Ui) -> Result<Outcome> {
    let path = KeyringPath::open(&args.keyring);
    let file = path.read().map_err(|error| keyring_fault(error, &path))?;
    let rows: Vec<SlotRow> = file
        .slots()
        .map(|slot| SlotRow {
            label: slot.label.clone(),
            provider: slot.provider.clone(),
            id: slot.id.clone(),
            created: slot.created.to_string(),
        })
        .collect();
    if args.json {
        ui.json(&rows)?;
        return Ok(Outcome::Done);
    }
    let mut table = Table::new(&["LABEL", "UNLOCKED BY", "ID", "CREATED"]);
    for slot in rows {
        let (label, provider) =
            (ui.foreign(&slot.label).into_owned(), ui.foreign(&slot.provider).into_owned());
        table.row(vec![label, provider, slot.id, slot.created]);
    }
    table.lines().iter().try_for_each(|line| ui.line(line))?;
    Ok(Outcome::Done)
}

pub(crate) fn add_slot(args: &AddSlotArgs, ui: &Ui) -> Result<Outcome> {
    let (key_file, passphrase_file) = (args.slot_key_file.clone(), args.slot_passphrase_file.clone());
    // The keyring's own key comes first: the two may both be typed.
    let kek = args.unlock.kek()?;
    let new = KekArgs { passphrase_file, key_file }.for_new_slot()?;
    let (path, now) = (args.unlock.path(), now()?);
    let slot = NewSlot { label: &args.label, kek: &*new };
    path.update(&*kek, now, |keyring| keyring.add_slot(&slot, now))
        .map_err(|error| keyring_fault(error, &path))?;
    ui.note(format!("the keyring has another {} slot; copies made before do not have it", new.provider()));
    Ok(Outcome::Done)
}

pub(crate) fn remove_slot(args: &RemoveSlotArgs, ui: &Ui) -> Result<Outcome> {
    if !args.yes {
        return Err(Fault::new(
            "what unlocks this slot will no longer unlock the keyring; nothing was changed",
        )
        .help("to do it, add --yes"));
    }
    args.unlock.update(|keyring| keyring.remove_slot(&args.label))?;
    ui.note("the slot is gone from this file; whoever kept an older copy and what unlocked it can still forge later ones");
    ui.note("to end that: amanat keys renew, then add and activate new keys, and protect every table anew");
    Ok(Outcome::Done)
}

pub(crate) fn renew(args: &RenewArgs, ui: &Ui) -> Result<Outcome> {
    if !args.yes {
        return Err(Fault::new("every slot but this one would be dropped; nothing was changed")
            .help("to do it, add --yes"));
    }
    let kek = args.unlock.kek()?;
    let (path, now) = (args.unlock.path(), now()?);
    let slot = NewSlot { label: &args.label, kek: &*kek };
    path.update(&*kek, now, |keyring| keyring.renew_secret(&slot, now))
        .map_err(|error| keyring_fault(error, &path))?;
    ui.note(format!("the keyring has a new secret and one slot, {}; add the other slots again", args.label));
    ui.note("whoever unlocked an older copy knows its keys: add new ones, activate them, protect every table anew");
    Ok(Outcome::Done)
}

pub(crate) fn new_key_file(args: &NewKeyFileArgs, ui: &Ui) -> Result<Outcome> {
    secret_file::create_key_file(&args.file, &KeyFile::generate()?)?;
    ui.note(format!(
        "{} made; keep it apart from the keyring, and a copy of it in a second place",
        args.file.display()
    ));
    Ok(Outcome::Done)
}
