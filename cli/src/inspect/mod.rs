// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat inspect`: what is this, and what is wrong with it? Needs no key.
//!
//! Never prints what it looked at.

mod json;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use amanat::inspect::{Census, EnvelopeFacts, Report, TokenCensus, What, inspect};
use amanat::keys::{KeyInfo, Purpose};
use amanat::token::{Audience, Epoch, Receipt, TokenKind};
use amanat::{KeyId, KeyringFile, SecretBytes, Suite, Timestamp};
use amanat_stores::KeyringPath;

use crate::fault::{Fault, Outcome, Result};
use crate::schema;
use crate::text::{count, grouped};
use crate::ui::{Style, Ui};
use crate::unlock::keyring_fault;

/// Longest input that is looked at as a whole.
const MAX_BYTES: u64 = 64 << 20;
/// What is looked at of a longer one, to say what it is.
const HEAD_BYTES: usize = 4_096;

/// Look at envelopes, tokens, receipts, keyrings, pins, schemas and key files without any key: what they are, and what is wrong with them.
///
/// Exit code 0 if all are whole, 1 if something is wrong with one. What was looked at is never printed. Arguments show in the list of processes:
/// an envelope may stand there, plaintext should come from a file or standard input.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// An envelope as text or hex, a file, or `-` for standard input.
    #[arg(value_name = "WHAT", required = true)]
    what: Vec<String>,
    /// A keyring in which to look up the state of the keys; it is not authenticated.
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    let keyring = args.keyring.as_ref().map(|file| {
        let path = KeyringPath::open(file);
        path.read().map_err(|error| keyring_fault(error, &path))
    });
    let keyring = keyring.transpose()?;
    let mut found = Vec::new();
    for (position, what) in args.what.iter().enumerate() {
        found.push(look(what, position + 1, keyring.as_ref())?);
    }
    if args.json {
        ui.json(&found.iter().map(json::Json::new).collect::<Vec<_>>())?;
    } else {
        for (position, look) in found.iter().enumerate() {
            if position > 0 {
                ui.line("")?;
            }
            look.print(ui)?;
        }
    }
    let whole = found.iter().all(|look| look.report.fault.is_none());
    Ok(if whole { Outcome::Done } else { Outcome::SomeRefused })
}

/// What was found, and where.
struct Look<'a> {
    source: String,
    report: Report,
    /// A keyring to look in.
    keyring: Option<&'a KeyringFile>,
    /// Whether it was the argument itself, not a file that it names.
    is_argument: bool,
}

fn look<'a>(what: &str, position: usize, keyring: Option<&'a KeyringFile>) -> Result<Look<'a>> {
    let path = Path::new(what);
    let mut is_argument = false;
    let (source, report) = if what == "-" {
        ("standard input".to_owned(), read(path, io::stdin().lock(), None)?)
    } else if path.is_file() {
        let file = File::open(path).map_err(|error| Fault::file("read", path, &error))?;
        let length = file.metadata().ok().and_then(|data| usize::try_from(data.len()).ok());
        (what.to_owned(), read(path, file, length)?)
    } else if path.is_dir() {
        return Err(Fault::new(format!("{what}: it is a folder")).help("name its files"));
    } else {
        is_argument = true;
        (format!("argument {position}"), inspect(what.as_bytes()))
    };
    Ok(Look { source, report, keyring, is_argument })
}

/// Reads and looks. Of what is very long only the head is looked at, which says what it is.
fn read(path: &Path, mut input: impl Read, size: Option<usize>) -> Result<Report> {
    // Room for every key file, so that no copy of one is left behind by growing.
    let mut bytes = Vec::with_capacity(1 << 13);
    let read = input.by_ref().take(MAX_BYTES + 1).read_to_end(&mut bytes);
    // It may be a key file or plaintext: wiped after the look.
    let bytes = SecretBytes::new(bytes);
    let length = read.map_err(|error| Fault::file("read", path, &error))?;
    if u64::try_from(length).unwrap_or(u64::MAX) <= MAX_BYTES {
        return Ok(inspect(bytes.expose()));
    }
    let head = bytes.expose().get(..HEAD_BYTES).unwrap_or_default();
    let head = match std::str::from_utf8(head) {
        Err(error) if error.error_len().is_none() => head.get(..error.valid_up_to()).unwrap_or_default(),
        _ => head,
    };
    let mut report = inspect(head);
    report.bytes = size.unwrap_or(length);
    match report.what {
        What::Text | What::Other(_) | What::Unknown => Ok(report),
        _ => Err(Fault::new(format!("{}: longer than 64 MiB, more than this verb looks at", path.display()))
            .help("give it a part: head -n 10000 FILE | amanat inspect -")),
    }
}

impl Look<'_> {
    fn print(&self, ui: &Ui) -> Result<()> {
        let Report { what, form, bytes, fault, .. } = &self.report;
        let size = count(u64::try_from(*bytes).unwrap_or(u64::MAX), "byte");
        let title = format!("{}: {what}", ui.foreign(&self.source));
        ui.line(format!("{} ({form}, {size})", ui.paint(Style::Bold, &title)))?;
        match what {
            What::Envelope(facts) => {
                self.envelope_lines(facts).into_iter().try_for_each(|line| line.print(ui))?
            }
            What::Envelopes(census) => {
                self.census_lines(census).into_iter().try_for_each(|line| line.print(ui))?;
            }
            What::Keyring(Some(file)) => {
                keyring_lines(file).into_iter().try_for_each(|line| line.print(ui))?
            }
            What::Receipt(Some(receipt)) => {
                receipt_lines(receipt).into_iter().try_for_each(|line| line.print(ui))?;
            }
            What::Tokens(census) => {
                token_lines(census).into_iter().try_for_each(|line| line.print(ui))?;
            }
            What::Pin(Some(pin)) => Line("generation", pin.generation().to_string()).print(ui)?,
            What::Schema(Some(read)) => {
                read.tables().iter().try_for_each(|table| schema::describe(table, ui))?
            }
            _ => {}
        }
        if let Some(note) = self.note() {
            Line("note", note.to_owned()).print(ui)?;
        }
        match fault {
            Some(fault) => {
                let label = format!("{:<11}", "wrong");
                let fault = fault.to_string();
                ui.line(format!("  {} {}", ui.paint(Style::Red, &label), ui.foreign(&fault)))
            }
            None => ui.line(format!("  {:<11} nothing that can be seen without a key", "wrong")),
        }
    }

    /// What is worth knowing of a thing that has no facts.
    const fn note(&self) -> Option<&'static str> {
        match &self.report.what {
            What::KeyFile => Some("a secret: it unlocks keyrings; keep it apart from them"),
            What::RecipientKey => Some(
                "a secret: it opens the sealed tokens of its recipient; registries get the public key alone",
            ),
            What::Receipt(_) => Some("whether this registry wrote it, tells: amanat token receipt verify"),
            What::Tokens(_) => Some("what each says, and whether it is genuine, tells: amanat token explain"),
            What::Mask => Some("a masked value: more than it shows was never kept"),
            What::Empty => Some("an absent value whose absence is visible is stored so"),
            What::Text if self.is_argument => Some("no file of this name was found either"),
            _ => None,
        }
    }

    fn envelope_lines(&self, facts: &EnvelopeFacts) -> Vec<Line> {
        let unknown = || "not readable".to_owned();
        if facts.bytes == 0 {
            return Vec::new();
        }
        let mut lines = vec![
            Line("version", facts.version.map_or_else(unknown, |version| format!("0x{version:02x}"))),
            Line("suite", facts.suite.map_or_else(unknown, |suite| suite.to_string())),
            Line("key", facts.key.map_or_else(unknown, |key| key.to_string())),
        ];
        if let Some(state) = facts.key.and_then(|key| self.state(key, facts.is_token())) {
            lines.push(Line("state", state));
        }
        let size = count(u64::try_from(facts.bytes).unwrap_or(u64::MAX), "byte");
        lines.push(Line("size", size));
        if let Some(padded) = facts.padded_bytes {
            lines.push(Line(
                "value",
                format!("at most {} bytes; padding hides how many", padded.saturating_sub(2)),
            ));
        }
        if facts.is_token() {
            lines.push(Line(
                "note",
                "a reversible token: equal values have equal tokens; a sealed column refuses it".to_owned(),
            ));
        }
        lines
    }

    fn census_lines(&self, census: &Census) -> Vec<Line> {
        let line = |((suite, key), number): (&(Suite, KeyId), &u64)| {
            let state = self.state(*key, *suite == Suite::Aes256Siv);
            let state = state.map_or_else(String::new, |state| format!(": {state}"));
            Line("sealed", format!("{} under key {key}, suite {suite}{state}", count(*number, "value")))
        };
        let mut lines: Vec<Line> = census.keys.iter().map(line).collect();
        if census.spoiled > 0 {
            lines.push(Line("spoiled", count(census.spoiled, "value")));
        }
        lines.push(Line(
            "note",
            "whether all that should be sealed is, tells: amanat protect --dry-run".to_owned(),
        ));
        lines
    }

    /// The key of that id in the keyring.
    fn key(&self, id: KeyId) -> Option<&KeyInfo> {
        self.keyring?.keys().find(|key| key.id == id)
    }

    /// What the keyring says of a key, if a keyring is there.
    fn state(&self, id: KeyId, is_token: bool) -> Option<String> {
        self.keyring?;
        let Some(key) = self.key(id) else { return Some("the keyring has no such key".to_owned()) };
        let primary = if key.primary { ", primary" } else { "" };
        let wanted = if is_token { Purpose::Token } else { Purpose::Field };
        let other = if key.purpose == wanted {
            String::new()
        } else {
            format!("; such a key cannot have sealed it: its purpose is {}", key.purpose)
        };
        Some(format!("{}{primary} (the keyring is not authenticated){other}", key.state))
    }
}

/// One fact: its name and itself.
struct Line(&'static str, String);

impl Line {
    fn print(&self, ui: &Ui) -> Result<()> {
        ui.line(format!("  {:<11} {}", self.0, ui.foreign(&self.1)))
    }
}

fn receipt_lines(receipt: &Receipt) -> Vec<Line> {
    let facts = receipt.facts();
    vec![
        Line("registry", receipt.registry().to_string()),
        Line("recipient", facts.recipient.to_string()),
        Line("table", facts.table.to_string()),
        Line("created", facts.created.to_string()),
        Line("rows", grouped(facts.rows)),
    ]
}

fn token_lines(census: &TokenCensus) -> Vec<Line> {
    let line = |((kind, audience, epoch), number): (&(TokenKind, Audience, Epoch), &u64)| {
        let (recipient, purpose) = (audience.recipient(), audience.purpose());
        Line(
            "token",
            format!("{}: {kind} for {recipient}, purpose {purpose}, epoch {epoch}", grouped(*number)),
        )
    };
    let mut lines: Vec<Line> = census.tokens.iter().map(line).collect();
    if census.spoiled > 0 {
        lines.push(Line("spoiled", count(census.spoiled, "token")));
    }
    lines
}

fn keyring_lines(file: &KeyringFile) -> Vec<Line> {
    let time = |time: Timestamp| time.to_string();
    let (created, updated) = file.times();
    let mut lines = vec![
        Line("registry", file.registry().to_string()),
        Line("generation", file.generation().to_string()),
        Line("created", time(created)),
        Line("updated", time(updated)),
    ];
    lines.extend(file.slots().map(|slot| Line("slot", format!("{} ({})", slot.label, slot.provider))));
    lines.extend(file.keys().map(|key| {
        let primary = if key.primary { ", primary" } else { "" };
        Line("key", format!("{} {}, {}{primary}", key.id, key.purpose, key.state))
    }));
    lines.push(Line("note", "not authenticated: that needs what unlocks it".to_owned()));
    lines
}
