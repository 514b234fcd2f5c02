// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat token explain`: what a token says of itself, what the keyring's readable part adds, and what only its keys prove.
//!
//! Never shows the value of a token, and never the token: it stands on the screen already, or it has no business there.

use std::io::{self, BufRead as _, Read as _};
use std::path::PathBuf;

use amanat::keys::{KeyInfo, Purpose};
use amanat::token::{ExpiringTokens, MAX_TOKEN_CHARACTERS, Token, TokenKind};
use amanat::{Error, Keyring, Timestamp};
use amanat_stores::KeyringPath;
use serde::Serialize;

use super::proof::{Proof, Prover};
use crate::fault::{Fault, Outcome, Result};
use crate::keys::KeyPrefix;
use crate::text::Table;
use crate::ui::{Style, Ui};
use crate::unlock::{KekArgs, keyring_fault, now};

/// What every token begins with, in either case.
const BEGINNING: &str = "amt";
/// Longest line of a list: a token in any dress.
const MAX_LINE_BYTES: u64 = 1 << 16;
/// A list that is no longer than this is looked at as a whole, for one token over several lines.
const MAX_WRAPPED_BYTES: u64 = 1 << 13;

/// Say what a token is: kind, recipient, purpose, epoch, and whether a character is mistyped. Needs no key.
///
/// With --keyring, the key of the token's epoch is named from the readable part of the keyring, which is not verified. With what unlocks the keyring as well,
/// the token is proved: whether this registry made it, under that key. The value is opened for it where the kind needs it, and thrown away.
/// Several tokens are read from standard input, one a line. Capitals, spaces and line breaks inside a token are forgiven, and told.
///
/// Exit code 0: all fine; 1: one is mistyped or no token; 3: one was not made under the key that it names.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Tokens; `-`, or nothing, is standard input.
    #[arg(value_name = "TOKEN")]
    tokens: Vec<String>,
    /// The keyring in which to look up the key of the epoch.
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
    #[command(flatten)]
    kek: KekArgs,
    /// Unlock the keyring and prove the tokens, asking for the passphrase if no file is named.
    #[arg(long, requires = "keyring")]
    authenticate: bool,
    /// Prove with this suspended or compromised key too, named by its id or at least 4 of the id's first digits; may be repeated.
    #[arg(long, value_name = "KEYID", requires = "keyring")]
    break_glass: Vec<KeyPrefix>,
    /// Print JSON, one object a line.
    #[arg(long)]
    json: bool,
}

/// One token, explained.
#[derive(Serialize)]
struct Explained {
    position: u64,
    readable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<usize>,
    #[serde(flatten)]
    facts: Option<Facts>,
    tidied: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<KeyFacts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_proved_because: Option<String>,
}

/// What the text of a token says.
#[derive(Serialize)]
struct Facts {
    kind: &'static str,
    recipient: String,
    purpose: String,
    epoch: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_expiry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_expired: Option<bool>,
}

/// What a keyring says of the key of an epoch.
#[derive(Serialize)]
struct KeyFacts {
    id: Option<String>,
    state: Option<&'static str>,
    activated: Option<String>,
    deactivated: Option<String>,
    compromised: Option<String>,
    verified: bool,
}

/// The token keys of a keyring, in the order of their epochs.
struct TokenKeys {
    infos: Vec<KeyInfo>,
    verified: bool,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    let now = now()?;
    if args.kek.is_given() && args.keyring.is_none() {
        return Err(Fault::new("a key without a keyring proves nothing").help("name it: --keyring FILE"));
    }
    let mut unlocked = None;
    let keys = args.keyring.as_ref().map(|file| args.keys(file, &mut unlocked)).transpose()?;
    let broken = match &unlocked {
        Some(keyring) => args.broken(keyring, ui)?,
        None => Vec::new(),
    };
    let mut prover = unlocked.as_mut().map(|keyring| Prover::new(keyring, now, &broken)).transpose()?;
    let mut outcome = Outcome::Done;
    let mut table = Vec::new();
    let mut explain = |position, text: &str| {
        let explained = Explained::new(position, text, now, keys.as_ref(), prover.as_mut());
        outcome = worse(outcome, explained.outcome());
        if args.json {
            let json = serde_json::to_string(&explained);
            return ui.line(json.map_err(|_| Fault::new("the report cannot be written as JSON"))?);
        }
        table.push(explained);
        // A long list is printed as it comes; its columns are then as wide as those of its part.
        if table.len() < 1_000 { Ok(()) } else { print(std::mem::take(&mut table).as_slice(), ui) }
    };
    each(&args.tokens, &mut explain)?;
    print(&table, ui)?;
    Ok(outcome)
}

impl Args {
    fn keys(&self, file: &PathBuf, unlocked: &mut Option<Keyring>) -> Result<TokenKeys> {
        let path = KeyringPath::open(file);
        let read = path.read().map_err(|error| keyring_fault(error, &path))?;
        let of_tokens = |keys: &mut dyn Iterator<Item = &KeyInfo>| {
            keys.filter(|key| key.purpose == Purpose::Token).cloned().collect()
        };
        if !(self.authenticate || self.kek.is_given()) {
            return Ok(TokenKeys { infos: of_tokens(&mut read.keys()), verified: false });
        }
        let kek = self.kek.existing()?;
        let keyring = path.unlock(&*kek).map_err(|error| keyring_fault(error, &path))?;
        let infos = of_tokens(&mut keyring.keys());
        *unlocked = Some(keyring);
        Ok(TokenKeys { infos, verified: true })
    }

    fn broken(&self, keyring: &Keyring, ui: &Ui) -> Result<Vec<amanat::KeyId>> {
        let mut named = Vec::new();
        for prefix in &self.break_glass {
            let key = prefix.find(keyring.keys().filter(|key| key.purpose == Purpose::Token))?;
            ui.warn(format!(
                "breaking the glass: key {} is {} and proves in this run",
                key.id.short(),
                key.state
            ));
            named.push(key.id);
        }
        Ok(named)
    }
}

/// Gives every token: the arguments, or the lines of standard input.
fn each(tokens: &[String], explain: &mut dyn FnMut(u64, &str) -> Result<()>) -> Result<()> {
    let from_input = tokens.is_empty() || tokens.iter().any(|token| token == "-");
    let mut position = 0;
    for token in tokens.iter().filter(|token| *token != "-") {
        position += 1;
        explain(position, token)?;
    }
    if !from_input {
        return Ok(());
    }
    let mut input = io::stdin().lock();
    let failed = |error: io::Error| Fault::new(format!("standard input cannot be read: {}", error.kind()));
    // One token that was wrapped by a letter or a terminal is one token.
    let mut head = Vec::new();
    input.by_ref().take(MAX_WRAPPED_BYTES).read_to_end(&mut head).map_err(failed)?;
    let text = String::from_utf8_lossy(&head);
    let begins = text.to_ascii_lowercase().matches("amt1:").count();
    let whole = head.len() < usize::try_from(MAX_WRAPPED_BYTES).unwrap_or_default();
    if whole && begins == 1 && text.trim_start().to_ascii_lowercase().starts_with(BEGINNING) {
        return explain(position + 1, text.trim());
    }
    let mut lines = head.chain(input);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line).map_err(failed)?;
        if read == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty() {
            position += 1;
            explain(position, text.trim())?;
        }
    }
}

/// The text of a token without spaces, line breaks and capitals.
fn tidy(text: &str) -> String {
    let kept =
        |c: &char| !(c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{ad}'));
    // What is longer is no token; enough stays to say so.
    text.chars().filter(kept).take(MAX_TOKEN_CHARACTERS + 1).map(|c| c.to_ascii_lowercase()).collect()
}

const fn worse(one: Outcome, other: Outcome) -> Outcome {
    if one.code() > other.code() { one } else { other }
}

impl Explained {
    fn new(
        position: u64,
        text: &str,
        now: Timestamp,
        keys: Option<&TokenKeys>,
        prover: Option<&mut Prover<'_>>,
    ) -> Self {
        let tidy = tidy(text);
        let tidied = tidy != text;
        let token = match Token::parse(&tidy) {
            Ok(token) => token,
            Err(error) => return Self::unreadable(position, &error, tidied),
        };
        let mut explained = Self { readable: true, ..Self::empty(position, tidied) };
        explained.facts = Some(Facts::new(&token, now));
        explained.key = keys.map(|keys| keys.of(&token));
        match prover.map(|prover| prover.prove(&token)) {
            Some(Proof::Unknown(why)) => {
                explained.proof = Some(Proof::Unknown(String::new()).as_str());
                explained.not_proved_because = Some(why);
            }
            proof => explained.proof = proof.map(|proof| proof.as_str()),
        }
        explained
    }

    fn unreadable(position: u64, error: &Error, tidied: bool) -> Self {
        let (wrong, offset) = (Some(error.message().to_owned()), error.offset());
        Self { wrong, offset, ..Self::empty(position, tidied) }
    }

    const fn empty(position: u64, tidied: bool) -> Self {
        Self {
            position,
            readable: false,
            wrong: None,
            offset: None,
            facts: None,
            tidied,
            key: None,
            proof: None,
            not_proved_because: None,
        }
    }

    fn outcome(&self) -> Outcome {
        match (self.readable, self.proof) {
            (_, Some(proof)) if proof == Proof::NotOurs.as_str() => Outcome::Unauthentic,
            (false, _) => Outcome::SomeRefused,
            _ => Outcome::Done,
        }
    }

    /// The facts of one token, each on a line.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let Some(facts) = &self.facts else {
            let place = self.offset.map_or_else(String::new, |offset| format!(" (character {})", offset + 1));
            return vec![("wrong", format!("{}{place}", self.wrong.as_deref().unwrap_or_default()))];
        };
        let mut lines = vec![
            ("kind", facts.kind.to_owned()),
            ("recipient", facts.recipient.clone()),
            ("purpose", facts.purpose.clone()),
            ("epoch", facts.epoch.to_string()),
            ("check", "the check symbols fit: no character is mistyped".to_owned()),
        ];
        if let Some(expiry) = &facts.claimed_expiry {
            let over = if facts.claimed_expired == Some(true) { ", which is over" } else { "" };
            lines.push(("expires", format!("{expiry}{over}; as the token claims")));
        }
        if let Some(key) = &self.key {
            lines.push(("key", key.line()));
        }
        lines.push(("proof", self.proof_line()));
        if self.tidied {
            lines.push((
                "note",
                "capitals, spaces or line breaks were taken out; none belongs there".to_owned(),
            ));
        }
        lines
    }

    fn proof_line(&self) -> String {
        match (self.proof, &self.not_proved_because) {
            (None, _) => "none without a key: anybody can write a token that reads so".to_owned(),
            (Some(_), Some(why)) => format!("none: {why}"),
            (Some(proof), _) if proof == Proof::NotOurs.as_str() => {
                "NOT ours: it was not made under the key that it names".to_owned()
            }
            (Some(proof), _) if proof == Proof::OursExpired.as_str() => {
                "proved: this registry made it under this key; its time is over".to_owned()
            }
            _ => "proved: this registry made it under this key".to_owned(),
        }
    }
}

impl Facts {
    fn new(token: &Token, now: Timestamp) -> Self {
        let header = token.header();
        let expiry =
            ExpiringTokens::claimed_expiry(token).ok().filter(|_| header.kind() == TokenKind::Expiring);
        Self {
            kind: header.kind().as_str(),
            recipient: header.audience().recipient().to_string(),
            purpose: header.audience().purpose().to_string(),
            epoch: header.epoch().get(),
            claimed_expiry: expiry.map(|expiry| expiry.to_string()),
            claimed_expired: expiry.map(|expiry| expiry <= now),
        }
    }
}

impl TokenKeys {
    fn of(&self, token: &Token) -> KeyFacts {
        let key = self.infos.get(usize::from(token.header().epoch().get()) - 1);
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        KeyFacts {
            id: key.map(|key| key.id.to_string()),
            state: key.map(|key| key.state.as_str()),
            activated: key.and_then(|key| time(key.activated)),
            deactivated: key.and_then(|key| time(key.deactivated)),
            compromised: key.and_then(|key| time(key.compromised)),
            verified: self.verified,
        }
    }
}

impl KeyFacts {
    fn line(&self) -> String {
        let verified = if self.verified { "" } else { " (the keyring is not verified)" };
        let (Some(id), Some(state)) = (&self.id, self.state) else {
            return format!("the keyring has no token key of this epoch{verified}");
        };
        let dates = [("activated", &self.activated), ("deactivated", &self.deactivated)];
        let dates = dates.into_iter().chain([("compromised", &self.compromised)]);
        let dates: String =
            dates.filter_map(|(name, date)| Some(format!(", {name} {}", date.as_ref()?))).collect();
        format!("{id}, {state}{dates}{verified}")
    }
}

/// One token on lines of its own; several in a table.
fn print(explained: &[Explained], ui: &Ui) -> Result<()> {
    if let [one] = explained {
        for (name, value) in one.lines() {
            let red = name == "wrong" || value.starts_with("NOT");
            let value = if red { ui.paint(Style::Red, &value).into_owned() } else { value };
            ui.line(format!("{name:<10} {value}"))?;
        }
        return Ok(());
    }
    if explained.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["TOKEN", "KIND", "RECIPIENT", "PURPOSE", "EPOCH", "KEY", "PROOF", "NOTE"]);
    for one in explained {
        table.row(one.cells());
    }
    table.lines().iter().try_for_each(|line| ui.line(line))
}

impl Explained {
    fn cells(&self) -> Vec<String> {
        let none = || "-".to_owned();
        let number = self.position.to_string();
        let Some(facts) = &self.facts else {
            let wrong = self.wrong.clone().unwrap_or_default();
            return vec![number, none(), none(), none(), none(), none(), none(), wrong];
        };
        let key = self.key.as_ref().map_or_else(none, |key| {
            let id: String = key.id.iter().flat_map(|id| id.chars().take(8)).collect();
            key.state.map_or_else(|| "unknown".to_owned(), |state| format!("{id} {state}"))
        });
        let expired = if facts.claimed_expired == Some(true) { "claims to be expired" } else { "" };
        let note = self.not_proved_because.clone().unwrap_or_else(|| expired.to_owned());
        vec![
            number,
            facts.kind.to_owned(),
            facts.recipient.clone(),
            facts.purpose.clone(),
            facts.epoch.to_string(),
            key,
            self.proof.map_or_else(none, str::to_owned),
            note,
        ]
    }
}
