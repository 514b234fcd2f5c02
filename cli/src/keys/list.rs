// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat keys list|show|states`: keys as people and programs read them.
//!
//! Says whether what it shows was authenticated. Never shows a secret.

use amanat::keys::{KeyInfo, State};
use amanat::suite::MAX_MESSAGES_PER_KEY;
use amanat::{Name, Timestamp};

use super::change::KeyPrefix;
use crate::fault::{Outcome, Result};
use crate::text::{Table, percent};
use crate::ui::{Style, Ui};
use crate::unlock::{UnlockArgs, keyring_fault, now};

/// Days before the end of a cryptoperiod from which on `list` warns.
const WARNING_DAYS: i64 = 30;

/// List the keys of a keyring. Without a passphrase or key file, what is shown is what the file says, not authenticated.
#[derive(clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    look: LookArgs,
}

/// Show everything about one key but its secret.
#[derive(clap::Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    look: LookArgs,
    /// The key: its id or at least 4 of the id's first digits.
    key: KeyPrefix,
}

/// Show what each state allows, and what it may become.
#[derive(clap::Args)]
pub(crate) struct StatesArgs {}

#[derive(clap::Args)]
struct LookArgs {
    #[command(flatten)]
    unlock: UnlockArgs,
    /// Authenticate the keyring, asking for the passphrase if no file is named.
    #[arg(long)]
    authenticate: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What stands in a keyring, and whether it was authenticated.
#[derive(serde::Serialize)]
struct Look {
    registry: String,
    generation: u64,
    authenticated: bool,
    keys: Vec<KeyRow>,
    #[serde(skip)]
    infos: Vec<KeyInfo>,
}

/// A key as programs read it.
#[derive(serde::Serialize)]
struct KeyRow {
    id: String,
    purpose: &'static str,
    state: &'static str,
    primary: bool,
    created: String,
    activated: Option<String>,
    suspended: Option<String>,
    deactivated: Option<String>,
    compromised: Option<String>,
    destroyed: Option<String>,
    cryptoperiod_days: u32,
    days_left: Option<i64>,
    messages: u64,
    messages_limit: u64,
}

impl KeyRow {
    fn new(key: &KeyInfo, now: Timestamp) -> Self {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        Self {
            id: key.id.to_string(),
            purpose: key.purpose.as_str(),
            state: key.state.as_str(),
            primary: key.primary,
            created: key.created.to_string(),
            activated: time(key.activated),
            suspended: time(key.suspended),
            deactivated: time(key.deactivated),
            compromised: time(key.compromised),
            destroyed: time(key.destroyed),
            cryptoperiod_days: key.cryptoperiod_days,
            days_left: key.days_left(now),
            messages: key.messages,
            messages_limit: MAX_MESSAGES_PER_KEY,
        }
    }
}

impl LookArgs {
    fn look(&self, now: Timestamp) -> Result<Look> {
        let new = |registry: &Name, generation, authenticated, infos: Vec<KeyInfo>| Look {
            registry: registry.to_string(),
            generation,
            authenticated,
            keys: infos.iter().map(|key| KeyRow::new(key, now)).collect(),
            infos,
        };
        if self.authenticate || self.unlock.kek.is_given() {
            let keyring = self.unlock.unlock()?;
            return Ok(new(
                keyring.registry(),
                keyring.generation(),
                true,
                keyring.keys().cloned().collect(),
            ));
        }
        let path = self.unlock.path();
        let file = path.read().map_err(|error| keyring_fault(error, &path))?;
        Ok(new(file.registry(), file.generation(), false, file.keys().cloned().collect()))
    }
}

pub(crate) fn list(args: &ListArgs, ui: &Ui) -> Result<Outcome> {
    let now = now()?;
    let look = args.look.look(now)?;
    warn(&look, now, ui);
    if args.look.json {
        ui.json(&look)?;
        return Ok(Outcome::Done);
    }
    ui.line(format!("registry {}, generation {}", look.registry, look.generation))?;
    let mut table = Table::new(&["KEY", "PURPOSE", "STATE", "AGE", "DAYS LEFT", "MESSAGES", "OF LIMIT"]);
    for key in &look.infos {
        let state = if key.primary { format!("{}, primary", key.state) } else { key.state.to_string() };
        let left = key.days_left(now).filter(|_| key.state == State::Active);
        table.row(vec![
            key.id.short(),
            key.purpose.to_string(),
            state,
            format!("{} d", key.created.days_until(now)),
            left.map_or_else(|| "-".to_owned(), |days| days.to_string()),
            key.messages.to_string(),
            percent(key.messages, MAX_MESSAGES_PER_KEY),
        ]);
    }
    table.lines().iter().try_for_each(|line| ui.line(line))?;
    Ok(Outcome::Done)
}

pub(crate) fn show(args: &ShowArgs, ui: &Ui) -> Result<Outcome> {
    let now = now()?;
    let look = args.look.look(now)?;
    let id = args.key.find(look.infos.iter())?.id.to_string();
    warn(&look, now, ui);
    let Some(key) = look.keys.into_iter().find(|key| key.id == id) else { return Ok(Outcome::Done) };
    if args.look.json {
        ui.json(&key)?;
        return Ok(Outcome::Done);
    }
    let mut lines = vec![
        ("id", key.id),
        ("purpose", key.purpose.to_owned()),
        ("state", format!("{}{}", key.state, if key.primary { ", primary" } else { "" })),
        ("created", key.created),
    ];
    let dates = [
        ("activated", key.activated),
        ("suspended", key.suspended),
        ("deactivated", key.deactivated),
        ("compromised", key.compromised),
        ("destroyed", key.destroyed),
    ];
    lines.extend(dates.into_iter().filter_map(|(name, date)| Some((name, date?))));
    let left = key.days_left.map_or_else(String::new, |days| format!(", {days} left"));
    lines.push(("cryptoperiod", format!("{} days{left}", key.cryptoperiod_days)));
    lines.push((
        "messages",
        format!("{} of 2^44 ({})", key.messages, percent(key.messages, key.messages_limit)),
    ));
    lines.into_iter().try_for_each(|(name, value)| ui.line(format!("{name:<13} {value}")))?;
    Ok(Outcome::Done)
}

fn warn(look: &Look, now: Timestamp, ui: &Ui) {
    if !look.authenticated {
        ui.warn(
            "not authenticated: this is what the file says; name --passphrase-file or --key-file to check it",
        );
    }
    for key in look.infos.iter().filter(|key| key.primary) {
        let Some(days) = key.days_left(now).filter(|days| *days < WARNING_DAYS) else { continue };
        let when = if days < 0 { "is over".to_owned() } else { format!("ends in {days} days") };
        ui.warn(format!(
            "the cryptoperiod of the {} key {} {when}; make its successor: amanat keys add --purpose {0} --activate",
            key.purpose,
            key.id.short()
        ));
    }
}

pub(crate) fn states(_: &StatesArgs, ui: &Ui) -> Result<Outcome> {
    let word = |allowed| if allowed { "yes" } else { "no" }.to_owned();
    let mut table = Table::new(&["STATE", "SEAL", "OPEN", "BY NAME", "MAY BECOME"]);
    for state in State::ALL {
        let next: Vec<&str> =
            State::ALL.into_iter().filter(|next| state.may_become(*next)).map(State::as_str).collect();
        let next = if next.is_empty() { "-".to_owned() } else { next.join(", ") };
        let row = |name: String, seals, next| {
            vec![name, word(seals), word(state.opens()), word(state.opens_by_name()), next]
        };
        if state == State::Active {
            table.row(row(format!("{state}, primary"), true, "active, by activating another".to_owned()));
        }
        let next = if state == State::Active { format!("primary, {next}") } else { next };
        table.row(row(state.to_string(), false, next));
    }
    for (position, line) in table.lines().iter().enumerate() {
        ui.line(if position == 0 { ui.paint(Style::Bold, line) } else { line.into() })?;
    }
    ui.note("by name: only for a caller who names the key (break-glass)");
    Ok(Outcome::Done)
}
