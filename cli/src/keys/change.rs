// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat keys add|activate|retire|suspend|resume|compromise|destroy`: one change of one key, durable before it is told.

use std::str::FromStr;

use amanat::keys::{DEFAULT_CRYPTOPERIOD_DAYS, KeyInfo, Purpose};
use amanat::{Error, KeyId, Keyring};

use super::in_use::TablesArgs;
use crate::fault::{Fault, Outcome, Result};
use crate::ui::Ui;
use crate::unlock::{UnlockArgs, keyring_fault, now};

/// Fewest digits of an id that name a key.
const MIN_PREFIX_DIGITS: usize = 4;

/// Make a key. It waits until it is activated, unless it is the first of its purpose.
#[derive(clap::Args)]
pub(crate) struct AddArgs {
    #[command(flatten)]
    unlock: UnlockArgs,
    /// What the key is for.
    #[arg(long, default_value = "field", value_parser = ["field", "index", "token", "record"])]
    purpose: String,
    /// Days that the key should stay in use, counted from activation.
    #[arg(long, value_name = "DAYS", default_value_t = DEFAULT_CRYPTOPERIOD_DAYS, value_parser = clap::value_parser!(u32).range(1..))]
    cryptoperiod_days: u32,
    /// Activate it at once.
    #[arg(long)]
    activate: bool,
}

/// Let a new key open and be searched by, while the former one goes on sealing.
///
/// For tables that applications use, where machines have copies of the keyring. Each step is complete before the next begins: (1) `keys add`;
/// (2) `keys introduce`; (3) give the keyring to every application, on every machine: the generation that is printed, or a later one; (4) `keys
/// activate`; (5) give every application that seals this generation, and wait until writes that were begun before are over; (6) `amanat rotate`;
/// (7) `keys retire`, later `keys destroy`. Programs that share one keyring file and read it again may go from (1) to (4) at once.
#[derive(clap::Args)]
pub(crate) struct IntroduceArgs {
    #[command(flatten)]
    key: KeyArgs,
}

/// Make a key the one that seals. The former one stays active and opens what it sealed.
///
/// Where applications have copies of the keyring, introduce the key first: `amanat keys introduce --help` has the order of the steps.
#[derive(clap::Args)]
pub(crate) struct KeyArgs {
    #[command(flatten)]
    unlock: UnlockArgs,
    /// The key: its id or at least 4 of the id's first digits.
    key: KeyPrefix,
}

/// Retire a key: it opens what it sealed and never seals again.
///
/// With a schema and its databases, it is refused while any row of any table names the key, and says which. A retired key stays in the keyring
/// until it is destroyed.
#[derive(clap::Args)]
pub(crate) struct RetireArgs {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    tables: TablesArgs,
}

/// Destroy a key: its secret is removed, and what it has sealed is lost for ever. Its id and dates remain.
///
/// Refused while any row of any table of the schema names the key, or a run seals under it. Backups, files and vaults are not looked at: what is
/// sealed under the key there is lost too. Copies of the keyring still have the secret: remove them. Retire the key first, and make sure
/// that no application works with an older keyring.
#[derive(clap::Args)]
pub(crate) struct DestroyArgs {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    tables: TablesArgs,
    /// Destroy it without looking at any table.
    #[arg(long, conflicts_with = "schema")]
    unchecked: bool,
    /// Do it: there is no way back.
    #[arg(long)]
    yes: bool,
}

/// Suspend a key for the time of an inquiry: it neither seals nor opens, except by name.
#[derive(clap::Args)]
pub(crate) struct SuspendArgs {
    #[command(flatten)]
    key: KeyArgs,
}

/// Resume a suspended key: it opens again. To let it seal, activate it.
#[derive(clap::Args)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    key: KeyArgs,
}

/// Mark a key as known or feared to be in other hands. It opens only by name, and there is no way back.
#[derive(clap::Args)]
pub(crate) struct CompromiseArgs {
    #[command(flatten)]
    key: KeyArgs,
    /// Do it: there is no way back.
    #[arg(long)]
    yes: bool,
}

/// The first digits of a key's id.
#[derive(Clone, Debug)]
pub(crate) struct KeyPrefix(String);

impl FromStr for KeyPrefix {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self> {
        let digits = text.to_ascii_lowercase();
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hex && (MIN_PREFIX_DIGITS..=32).contains(&digits.len()) {
            return Ok(Self(digits));
        }
        Err(Fault::new("a key is named by 4 to 32 hex digits: its id or how the id begins"))
    }
}

impl KeyPrefix {
    /// The one key whose id begins so.
    pub(crate) fn find<'a>(&self, keys: impl Iterator<Item = &'a KeyInfo>) -> amanat::Result<&'a KeyInfo> {
        let mut found: Vec<&KeyInfo> = keys.filter(|key| key.id.to_string().starts_with(&self.0)).collect();
        match (found.pop(), found.len()) {
            (Some(key), 0) => Ok(key),
            (Some(_), others) => {
                Err(Error::schema(format!("{} keys begin with these digits; give more of them", others + 1)))
            }
            (None, _) => Err(Error::schema(
                "no key of this keyring begins with these digits; `amanat keys list` shows its keys",
            )),
        }
    }
}

pub(crate) fn add(args: &AddArgs, ui: &Ui) -> Result<Outcome> {
    let (purpose, now) = (args.purpose.parse::<Purpose>()?, now()?);
    let info = args.unlock.update(|keyring| {
        let id = keyring.add_key(purpose, args.cryptoperiod_days, now)?;
        if args.activate {
            keyring.activate(id, now)?;
        }
        info(keyring, id)
    })?;
    ui.line(info.id.to_string())?;
    told(&info, ui);
    if !info.primary {
        let path = args.unlock.keyring.display();
        ui.note(format!(
            "next: back the keyring up, then: amanat keys activate {} --keyring {path}",
            info.id.short()
        ));
    }
    Ok(Outcome::Done)
}

pub(crate) fn activate(args: &KeyArgs, ui: &Ui) -> Result<Outcome> {
    let now = now()?;
    change(args, ui, |keyring, id| keyring.activate(id, now))?;
    if let Some(generation) = generation(&args.unlock) {
        ui.note(format!(
            "next: every application that seals must have generation {generation} of the keyring, or a later one"
        ));
    }
    ui.note(
        "then: protect or rotate the tables, so that their values come under this key; then retire the former one",
    );
    Ok(Outcome::Done)
}

pub(crate) fn introduce(args: &IntroduceArgs, ui: &Ui) -> Result<Outcome> {
    let (args, now) = (&args.key, now()?);
    let id = change(args, ui, |keyring, id| keyring.introduce(id, now))?;
    if let Some(generation) = generation(&args.unlock) {
        ui.note(format!(
            "next: every application, on every machine, must have generation {generation} of the keyring, or a later one"
        ));
    }
    let path = args.unlock.keyring.display();
    ui.note(format!("then: amanat keys activate {} --keyring {path}", id.short()));
    Ok(Outcome::Done)
}

/// The generation of a keyring after a change. Read from the file, for which nobody is asked for a passphrase again; only told to people.
pub(crate) fn generation(unlock: &UnlockArgs) -> Option<u64> {
    unlock.path().read().ok().map(|file| file.generation())
}

pub(crate) fn retire(args: &RetireArgs, ui: &Ui) -> Result<Outcome> {
    let now = now()?;
    checked(&args.key, &args.tables, ui, |keyring, id| keyring.deactivate(id, now))
}

pub(crate) fn destroy(args: &DestroyArgs, ui: &Ui) -> Result<Outcome> {
    if !args.tables.is_given() && !args.unchecked {
        return Err(Fault::new(
            "a key is destroyed only when no row names it, and no table was named; nothing was changed",
        )
        .help("name the tables: --schema FILE --store STORE; or, if there is none: --unchecked"));
    }
    if !args.yes {
        return Err(Fault::new("what a destroyed key has sealed is lost for ever; nothing was changed")
            .help("to do it, add --yes"));
    }
    if args.unchecked {
        ui.warn("no table was looked at: whatever is sealed under this key is lost for ever");
    }
    let now = now()?;
    checked(&args.key, &args.tables, ui, |keyring, id| keyring.destroy(id, now))?;
    ui.note("copies of the keyring still have its secret: make a new backup and remove the old ones");
    Ok(Outcome::Done)
}

/// Changes a key that no row may name.
fn checked(
    args: &KeyArgs,
    tables: &TablesArgs,
    ui: &Ui,
    change: impl FnOnce(&mut Keyring, KeyId) -> amanat::Result<()>,
) -> Result<Outcome> {
    let (path, kek) = (args.unlock.path(), args.unlock.kek()?);
    let fault = |error| keyring_fault(error, &path);
    // Tables are read before the keyring is locked: that may take long, and others reserve messages meanwhile.
    let keyring = path.unlock(&*kek).map_err(fault)?;
    let key = args.key.find(keyring.keys())?;
    if key.primary {
        return Err(Fault::new(format!(
            "{} key {} is primary: it seals; nothing was changed",
            key.purpose,
            key.id.short()
        ))
        .help(format!("make another first: amanat keys add --purpose {} --activate", key.purpose)));
    }
    tables.check(ui, key, &keyring)?;
    let id = key.id;
    let info = path.update(&*kek, now()?, |keyring| {
        change(keyring, id)?;
        info(keyring, id)
    });
    told(&info.map_err(fault)?, ui);
    Ok(Outcome::Done)
}

pub(crate) fn suspend(args: &SuspendArgs, ui: &Ui) -> Result<Outcome> {
    let now = now()?;
    change(&args.key, ui, |keyring, id| keyring.suspend(id, now)).map(|_| Outcome::Done)
}

pub(crate) fn resume(args: &ResumeArgs, ui: &Ui) -> Result<Outcome> {
    change(&args.key, ui, Keyring::resume).map(|_| Outcome::Done)
}

pub(crate) fn compromise(args: &CompromiseArgs, ui: &Ui) -> Result<Outcome> {
    if !args.yes {
        return Err(Fault::new("a compromised key opens only by name, for ever; nothing was changed")
            .help("to do it, add --yes"));
    }
    let now = now()?;
    change(&args.key, ui, |keyring, id| keyring.compromise(id, now)).map(|_| Outcome::Done)
}

fn change(
    args: &KeyArgs,
    ui: &Ui,
    change: impl FnOnce(&mut Keyring, KeyId) -> amanat::Result<()>,
) -> Result<KeyId> {
    let info = args.unlock.update(|keyring| {
        let id = args.key.find(keyring.keys())?.id;
        change(keyring, id)?;
        info(keyring, id)
    })?;
    told(&info, ui);
    Ok(info.id)
}

fn info(keyring: &Keyring, id: KeyId) -> amanat::Result<KeyInfo> {
    let found = keyring.keys().find(|key| key.id == id).cloned();
    found.ok_or_else(|| Error::misuse("a key that was changed is not in its keyring"))
}

fn told(info: &KeyInfo, ui: &Ui) {
    let primary = if info.primary { " and primary: it seals" } else { "" };
    ui.note(format!("{} key {} is {}{primary}", info.purpose, info.id.short(), info.state));
}
