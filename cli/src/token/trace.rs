// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat token trace`: whose tokens leaked, of which epoch, and of which rows of the registry.
//!
//! Owns what is told of a leak and of the rows that match. Never keeps a row; memory grows with the leak alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use amanat::error::Error;
use amanat::index::IndexedField;
use amanat::keys::Purpose;
use amanat::normal::{Normal, NormalForm};
use amanat::schema::{TableSchema, TokenPolicy};
use amanat::token::{Audience, Epoch, TokenKind, TraceGroup, Tracer};
use amanat::{KeyId, Keyring, Name};
use amanat_stores::vault::SqliteVault;
use amanat_stores::{KeyringSession, ScanPlan, ScanSource, ScannedRow, Visitor};
use serde::Serialize;

use super::leak::{Leak, Leaks, Resolver, Suspected, Unreadable};
use crate::fault::{Fault, Outcome, Result};
use crate::keys::KeyPrefix;
use crate::progress::Progress;
use crate::store::{StoreArgs, is_dash};
use crate::text::{Table, count, grouped};
use crate::ui::Ui;
use crate::unlock::{self, UnlockArgs, keyring_fault};

/// Refused rows that are told.
const TOLD: u64 = 5;
/// Unreadable texts that are told; JSON has them all.
const TOLD_UNREADABLE: usize = 20;

/// Trace a leaked list: whose tokens it holds, of which purpose and epoch, whether they are genuine, and of which rows they are.
///
/// Every token is found in whatever the list is: lines of text, CSV, JSON, web addresses. The store is read once, and nothing is written to
/// it. The summary goes to standard error; to standard output goes a CSV line for each token and row that match: line of the leak, kind,
/// recipient, purpose, epoch, row and record id. These are personal data.
///
/// Format-preserving tokens say nothing of themselves: name what they may be with --preserving. Any number of such a shape may be one, so
/// that only more matches than chance gives mean something; how many those are is told. Vaulted tokens need their --vault.
///
/// Exit code 0: every token that was found is of a row; 1: some are of none, or were not compared, or cannot be read; 2: could not run; 3:
/// unauthentic rows met.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    unlock: UnlockArgs,
    /// The leaked list; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// Look for format-preserving tokens too: those of this token of the schema, of its epoch and of older ones; may be repeated.
    #[arg(long, value_name = "NAME")]
    preserving: Vec<String>,
    /// The vault of vaulted tokens.
    #[arg(long, value_name = "FILE")]
    vault: Option<PathBuf>,
    /// Trace and open with this suspended or compromised key too, named by its id or at least 4 of the id's first digits; may be repeated.
    #[arg(long, value_name = "KEYID")]
    break_glass: Vec<KeyPrefix>,
    /// Print JSON, one object a line: groups, unreadable texts, matches, and a total.
    #[arg(long)]
    json: bool,
    /// No progress and no summary; errors only.
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    if is_dash(&args.tokens) && is_dash(&args.store.store) {
        return Err(Fault::new("list and store cannot both come from standard input").help("name a file"));
    }
    let schema = args.store.table.read()?;
    let table = args.store.table.table(&schema)?;
    let store = args.store.open(ui)?;
    let suspects = args.suspects(table)?;
    let (path, kek) = (args.unlock.path(), args.unlock.kek()?);
    let at = |error| keyring_fault(error, &path);
    // The tracer borrows the keys for the whole run, and a session lends them only for a moment: each has its own.
    let keyring = path.unlock(&*kek).map_err(at)?;
    let broken = args.broken(&keyring, ui)?;
    let session = KeyringSession::unlock(&path, &*kek, &unlock::now).map_err(at)?;
    let session = session.with_break_glass(broken.clone());
    let forms = table.tokens().iter().map(|policy| (policy.audience().clone(), policy.of().form.clone()));
    let mut tracer = Tracer::new(keyring.token_keys()?, forms.collect(), &broken)?;
    let mut vault = args.vault.as_ref().map(|file| SqliteVault::open(file)).transpose()?;
    let mut resolver = Resolver { keyring: &keyring, table, broken: &broken, vault: vault.as_mut() };
    let mut leaks = Leaks::default();
    leaks.read(&args.tokens, &mut tracer, &mut resolver, &suspects)?;
    if leaks.found.is_empty() && leaks.unreadable.is_empty() {
        return Err(Fault::new(format!("no token was found in {}", args.tokens.display()))
            .help("tokens begin with `amt1:`; name format-preserving ones with --preserving"));
    }
    args.tell_groups(&tracer, &leaks, ui)?;
    let (parts, fields) = parts(table);
    let progress = Progress::new(ui, "trace", args.quiet, None);
    let normals = parts.iter().map(|(_, of)| Normal::empty(of.form.clone())).collect();
    let mut matcher = Matcher {
        args,
        table,
        keyring: &keyring,
        tracer,
        leaks,
        parts,
        normals,
        progress,
        ui,
        rows: 0,
        matches: 0,
        refused: 0,
        stopped: None,
    };
    matcher.begin()?;
    let mut unauthentic = 0;
    if !matcher.leaks.found.is_empty() {
        let plan = ScanPlan { table, fields: &fields, source: ScanSource::Protected(&session) };
        let scanned = store.scan(plan, &mut matcher);
        matcher.progress.finish();
        unauthentic = match (matcher.stopped.take(), scanned) {
            (Some(fault), _) => return Err(fault),
            (None, scanned) => scanned?.unauthentic,
        };
    }
    let all_matched = matcher.tell_total()?;
    Ok(match (unauthentic, all_matched) {
        (1.., _) => Outcome::Unauthentic,
        (_, false) => Outcome::SomeRefused,
        (_, true) => Outcome::Done,
    })
}

/// The fields that tokens stand for, each with a normal form and its place among the fields to read; and these.
fn parts(table: &TableSchema) -> (Vec<(usize, &IndexedField)>, Vec<Name>) {
    let (mut parts, mut fields): (Vec<(usize, &IndexedField)>, Vec<Name>) = (Vec::new(), Vec::new());
    for of in table.tokens().iter().map(TokenPolicy::of) {
        let known = fields.iter().position(|field| *field == of.field);
        let place = known.unwrap_or_else(|| {
            fields.push(of.field.clone());
            fields.len() - 1
        });
        if !parts.iter().any(|(_, other)| *other == of) {
            parts.push((place, of));
        }
    }
    (parts, fields)
}

/// Whether tokens of an audience may be made from this field: the same number in another one, a father's say, is of another row. An audience
/// that the schema does not have, or has no more, may have had any.
fn is_made_from(table: &TableSchema, audience: &Audience, of: &IndexedField) -> bool {
    let mut policies = table.tokens().iter().filter(|policy| policy.audience() == audience).peekable();
    policies.peek().is_none() || policies.any(|policy| policy.of() == of)
}

impl Args {
    /// The tokens that were named, at their epoch and every older one.
    fn suspects<'t>(&self, table: &'t TableSchema) -> Result<Suspected<'t>> {
        if table.tokens().is_empty() {
            return Err(Fault::new(format!("table {} has no tokens in the schema", table.name())));
        }
        let mut suspects = Vec::new();
        for name in &self.preserving {
            let known = |policy: &&TokenPolicy| {
                policy.kind() == TokenKind::Preserving && policy.name().as_str() == name
            };
            let policy = table.tokens().iter().find(known).ok_or_else(|| {
                Fault::new(format!("table {} has no format-preserving token of this name", table.name()))
                    .help("it is the `name` of a [[table.token]] of kind `preserving`")
            })?;
            for epoch in 1..=policy.epoch().get() {
                suspects.push((policy.audience(), Epoch::new(epoch.into())?, &policy.of().form));
            }
        }
        Ok(suspects)
    }

    fn broken(&self, keyring: &Keyring, ui: &Ui) -> Result<Vec<KeyId>> {
        let mut named = Vec::new();
        for prefix in &self.break_glass {
            let of_use = |key: &&amanat::keys::KeyInfo| {
                matches!(key.purpose, Purpose::Token | Purpose::Field | Purpose::Index)
            };
            let key = prefix.find(keyring.keys().filter(of_use))?;
            ui.warn(format!(
                "breaking the glass: key {} is {} and is used in this run",
                key.id.short(),
                key.state
            ));
            named.push(key.id);
        }
        Ok(named)
    }

    /// Says what the list is, before any row is read.
    fn tell_groups(&self, tracer: &Tracer<'_>, leaks: &Leaks, ui: &Ui) -> Result<()> {
        let groups =
            tracer.groups().iter().enumerate().map(|(place, group)| {
                Group::new(group, leaks.repeated.get(place).copied().unwrap_or_default())
            });
        if self.json {
            groups.into_iter().try_for_each(|group| ui.line(json("group", &group)?))?;
            return leaks.unreadable.iter().try_for_each(|texts| ui.line(json("unreadable", texts)?));
        }
        if self.quiet {
            return Ok(());
        }
        ui.note(format!(
            "{}: {}, {} unreadable",
            self.tokens.display(),
            count(leaks.found.len().try_into().unwrap_or(u64::MAX), "token"),
            grouped(leaks.unreadable_texts())
        ));
        let mut lines =
            Table::new(&["KIND", "RECIPIENT", "PURPOSE", "EPOCH", "TOKENS", "PROVED", "REPEATED", "NOTE"]);
        for group in groups {
            lines.row(vec![
                group.kind.to_owned(),
                group.recipient,
                group.purpose,
                group.epoch.to_string(),
                grouped(group.tokens),
                group.proved.map_or_else(|| "-".to_owned(), grouped),
                grouped(group.repeated),
                group.note.unwrap_or_default(),
            ]);
        }
        lines.lines().iter().for_each(|line| ui.note(line));
        for Unreadable { line, texts, reason } in leaks.unreadable.iter().take(TOLD_UNREADABLE) {
            let times = if *texts > 1 { format!(" ({} times)", grouped(*texts)) } else { String::new() };
            ui.warn(format!("line {line} is unreadable{times}: {reason}"));
        }
        if leaks.unreadable.len() > TOLD_UNREADABLE {
            ui.warn("more texts are unreadable: --json lists them all");
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Group {
    kind: &'static str,
    recipient: String,
    purpose: String,
    epoch: u16,
    tokens: u64,
    proved: Option<u64>,
    repeated: u64,
    note: Option<String>,
}

impl Group {
    fn new(group: &TraceGroup, repeated: u64) -> Self {
        let header = group.header();
        Self {
            kind: header.kind().as_str(),
            recipient: header.audience().recipient().to_string(),
            purpose: header.audience().purpose().to_string(),
            epoch: header.epoch().get(),
            tokens: group.tokens(),
            proved: group.proved(),
            repeated,
            note: group.fault().map(|fault| fault.message().to_owned()),
        }
    }
}

/// Compares the rows.
struct Matcher<'a, 'k> {
    args: &'a Args,
    table: &'a TableSchema,
    keyring: &'a Keyring,
    tracer: Tracer<'k>,
    leaks: Leaks,
    parts: Vec<(usize, &'a IndexedField)>,
    normals: Vec<Normal>,
    progress: Progress<'a>,
    ui: &'a Ui,
    rows: u64,
    matches: u64,
    refused: u64,
    /// Why the output cannot be written.
    stopped: Option<Fault>,
}

#[derive(Serialize)]
struct Match {
    line: u64,
    kind: &'static str,
    recipient: String,
    purpose: String,
    epoch: u16,
    row: u64,
    record: Vec<String>,
}

impl Matcher<'_, '_> {
    fn begin(&self) -> Result<()> {
        if self.args.json {
            return Ok(());
        }
        let mut heading = vec!["line", "kind", "recipient", "purpose", "epoch", "row"];
        heading.extend(self.table.record_id().iter().map(String::as_str));
        self.csv(&heading)
    }

    fn csv(&self, cells: &[&str]) -> Result<()> {
        let failed = || Fault::new("the matches cannot be written as CSV");
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(cells).map_err(|_| failed())?;
        let text = String::from_utf8(writer.into_inner().map_err(|_| failed())?).map_err(|_| failed())?;
        self.ui.line(self.ui.foreign(text.trim_end_matches('\n')))
    }

    fn print(&self, found: &Match) -> Result<()> {
        if self.args.json {
            return self.ui.line(json("match", found)?);
        }
        let (line, epoch, row) = (found.line.to_string(), found.epoch.to_string(), found.row.to_string());
        let mut cells = vec![line.as_str(), found.kind, &found.recipient, &found.purpose, &epoch, &row];
        cells.extend(found.record.iter().map(String::as_str));
        self.csv(&cells)
    }

    /// How many matches of format-preserving tokens there would be if the leaked numbers were any numbers: the fuller a kind of number is, the
    /// more of them are tokens of somebody.
    fn by_chance(&self) -> f64 {
        let of_group = |group: &TraceGroup| {
            let audience = group.header().audience();
            let is_its = |policy: &&TokenPolicy| {
                policy.kind() == TokenKind::Preserving && policy.audience() == audience
            };
            match self.table.tokens().iter().find(is_its).map(|policy| &policy.of().form) {
                Some(NormalForm::Identifier(identifier)) => {
                    group.tokens() as f64 * self.rows as f64 / identifier.domain_bits().exp2()
                }
                _ => 0.0,
            }
        };
        let groups = self.tracer.groups().iter();
        let is_compared =
            |group: &&TraceGroup| group.header().kind() == TokenKind::Preserving && group.fault().is_none();
        groups.filter(is_compared).map(of_group).sum()
    }

    /// Why a token was compared with no row, if it was not.
    fn why_uncompared(&self, leak: &Leak) -> Option<String> {
        let group = self.tracer.groups().get(leak.group)?;
        let Some(fault) = group.fault() else {
            let lacks_vault = group.header().kind() == TokenKind::Vaulted && self.args.vault.is_none();
            return lacks_vault.then(|| "they are in a vault; name it with --vault".to_owned());
        };
        let key = fault.key().and_then(|id| self.keyring.keys().find(|key| key.id == id));
        Some(match key.filter(|key| key.state.opens_by_name()) {
            Some(key) => format!("their key is {}; name it with --break-glass {}", key.state, key.id.short()),
            None => fault.message().to_owned(),
        })
    }

    /// Says what was matched; false if some tokens were not, or could not be read.
    fn tell_total(&self) -> Result<bool> {
        let mut uncompared: BTreeMap<String, u64> = BTreeMap::new();
        let mut unmatched = 0;
        for leak in self.leaks.found.iter().filter(|leak| !leak.matched) {
            match self.why_uncompared(leak) {
                Some(why) => *uncompared.entry(why).or_default() += 1,
                None => unmatched += 1,
            }
        }
        let not_compared: u64 = uncompared.values().sum();
        let tokens = u64::try_from(self.leaks.found.len()).unwrap_or(u64::MAX);
        let unreadable = self.leaks.unreadable_texts();
        if self.args.json {
            let total = serde_json::json!({
                "tokens": tokens, "unreadable": unreadable, "matches": self.matches,
                "not_matched": unmatched, "not_compared": not_compared, "rows": self.rows,
                "rows_refused": self.refused, "matches_by_chance": self.by_chance(),
            });
            self.ui.line(json("total", &total)?)?;
        } else if !self.args.quiet {
            self.ui.note(format!(
                "{} of {} are of a row, {} of none; {} compared, {} refused",
                grouped(tokens - unmatched - not_compared),
                count(tokens, "token"),
                grouped(unmatched),
                count(self.rows, "row"),
                grouped(self.refused)
            ));
            for (why, tokens) in &uncompared {
                self.ui.warn(format!("{} not compared: {why}", grouped(*tokens)));
            }
            let by_chance = self.by_chance();
            if by_chance >= 0.01 {
                self.ui.warn(format!(
                    "format-preserving tokens: about {by_chance:.2} matches are expected of numbers that are no tokens at all"
                ));
            }
        }
        Ok(unmatched + not_compared + unreadable == 0)
    }
}

impl Visitor for Matcher<'_, '_> {
    fn row(&mut self, row: &ScannedRow<'_>) -> amanat::Result<()> {
        self.rows += 1;
        let mut found: Vec<(usize, Match)> = Vec::new();
        for ((place, of), normal) in self.parts.iter().zip(&mut self.normals) {
            // What has no normal form has no token.
            if of.form.normalise_into(row.value(*place), normal).is_err() {
                continue;
            }
            self.tracer.row(normal, |leak, group| {
                let header = group.header();
                if !is_made_from(self.table, header.audience(), of) {
                    return;
                }
                let line = self.leaks.found.get(leak).map_or(0, |leak| leak.line);
                let found_here = Match {
                    line,
                    kind: header.kind().as_str(),
                    recipient: header.audience().recipient().to_string(),
                    purpose: header.audience().purpose().to_string(),
                    epoch: header.epoch().get(),
                    row: row.number(),
                    record: Vec::new(),
                };
                found.push((leak, found_here));
            });
        }
        found.sort_by_key(|(leak, _)| *leak);
        for (leak, mut found) in found {
            found.record = row.record_columns()?.into_iter().map(std::borrow::Cow::into_owned).collect();
            self.leaks.found.get_mut(leak).into_iter().for_each(|leak| leak.matched = true);
            self.matches += 1;
            if let Err(fault) = self.print(&found) {
                self.stopped = Some(fault);
                return Err(Error::misuse("the output cannot be written"));
            }
        }
        if self.rows.is_multiple_of(1 << 12) {
            self.progress.tell(self.rows, 0);
        }
        Ok(())
    }

    fn refused(&mut self, fault: &Error) -> amanat::Result<()> {
        self.refused += 1;
        if !self.args.quiet && self.refused <= TOLD {
            self.progress.finish();
            self.ui.warn(fault.to_string());
        }
        Ok(())
    }
}

fn json(name: &str, value: &impl Serialize) -> Result<String> {
    let failed = |_| Fault::new("the report cannot be written as JSON");
    let value = serde_json::to_value(value).map_err(failed)?;
    Ok(serde_json::json!({ name: value }).to_string())
}
