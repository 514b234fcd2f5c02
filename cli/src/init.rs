// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat init`: makes a registry's keyring.
//!
//! Never overwrites a keyring or a key file.

use std::path::PathBuf;

use amanat::keys::{KeyFile, NewSlot};
use amanat::{Keyring, Name};
use amanat_stores::{KeyringPath, secret_file};

use crate::fault::{Fault, Outcome, Result};
use crate::text::Table;
use crate::ui::Ui;
use crate::unlock::{KekArgs, keyring_fault, now};

/// Make the keyring of a registry: keys for fields, indexes, tokens and records, and one slot that unlocks them.
///
/// Whoever loses everything that unlocks the keyring loses every value sealed under its keys; nobody can recover them.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name of the registry. It is an input of every key and can never change.
    #[arg(long, value_name = "NAME")]
    registry: Name,
    /// Where to write the keyring. Its lock and its pin are written beside it.
    #[arg(long, value_name = "FILE")]
    keyring: PathBuf,
    #[command(flatten)]
    kek: KekArgs,
    /// Make the key file first.
    #[arg(long, requires = "key_file")]
    new_key_file: bool,
    /// What people call the slot; by default the kind of its key.
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    let path = KeyringPath::open(&args.keyring);
    if args.keyring.exists() {
        return Err(Fault::new(format!(
            "{}: there is a keyring already, and it is never overwritten",
            args.keyring.display()
        ))
        .help("choose another path; to add keys to the one that exists: amanat keys add"));
    }
    let made = args.kek.key_file.as_ref().filter(|_| args.new_key_file);
    if let Some(file) = made {
        secret_file::create_key_file(file, &KeyFile::generate()?)?;
    }
    let kek = args.kek.for_new_slot()?;
    let label = args.label.as_deref().unwrap_or(kek.provider());
    let slot = NewSlot { label, kek: &*kek };
    let now = now()?;
    let keyring = Keyring::create(args.registry.clone(), &slot, now).and_then(|mut keyring| {
        path.create(&mut keyring, now)?;
        Ok(keyring)
    });
    let keyring = keyring.map_err(|error| {
        let fault = keyring_fault(error, &path);
        match made {
            Some(file) => {
                fault.help(format!("{} was made; run again without --new-key-file", file.display()))
            }
            None => fault,
        }
    })?;
    report(args, &keyring, ui)
}

fn report(args: &Args, keyring: &Keyring, ui: &Ui) -> Result<Outcome> {
    let path = args.keyring.display();
    ui.line(format!("registry {}, generation {}, in {path}", keyring.registry(), keyring.generation()))?;
    let mut table = Table::new(&["KEY", "PURPOSE", "STATE"]);
    for key in keyring.keys() {
        table.row(vec![key.id.to_string(), key.purpose.to_string(), format!("{}, primary", key.state)]);
    }
    table.lines().iter().try_for_each(|line| ui.line(line))?;
    if args.new_key_file
        && let Some(file) = &args.kek.key_file
    {
        ui.line(format!("key file {}", file.display()))?;
    }
    ui.warn("whoever loses everything that unlocks this keyring loses all data sealed under it; nobody can recover it");
    ui.note(format!("next: copy {path} to a second place, and keep what unlocks it elsewhere"));
    ui.note(format!("      add a second slot: amanat keys add-slot --keyring {path} --label recovery"));
    Ok(Outcome::Done)
}
