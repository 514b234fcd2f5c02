// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a recipient is given: its tokens, and the fields that its policies name, as CSV in the order of the tokens.
//!
//! Owns SPEC 7, rule 6. Never writes a record id, never lets the order or the number of tokens of another purpose through.

mod column;
mod held_vault;
mod sorted;

use std::fmt;
use std::io::Write;
use std::path::Path;

use amanat::Name;
use amanat::error::{Error, Kind, Result};
use amanat::ident::{KeyId, Timestamp};
use amanat::mask::Mask;
use amanat::schema::{TableSchema, TokenPolicy};
use amanat::token::{Audience, Epoch, TokenKind, Vault};
use amanat::value::ValueRef;
use zeroize::Zeroizing;

use self::column::Column;
use self::held_vault::HeldVault;
use self::sorted::SortedLines;
use crate::csv_file::append_field;
use crate::scan::{ScannedRow, Visitor};
use crate::session::KeyringSession;
use crate::stream::Observer;
use crate::text_value;

/// Rows between two reports of progress.
const STEP: u64 = 1 << 10;

/// What is exported to whom.
#[derive(Clone, Copy)]
pub struct ExportPlan<'a> {
    /// The unlocked keyring.
    pub session: &'a KeyringSession<'a>,
    /// The table's policy.
    pub table: &'a TableSchema,
    /// The recipient.
    pub recipient: &'a str,
    /// The purpose; may be left out if the recipient's tokens in this table are of one.
    pub purpose: Option<&'a str>,
    /// When expiring tokens expire.
    pub expires: Option<Timestamp>,
    /// An older epoch whose tokens stand beside those of today, so that the recipient can replace them.
    pub crosswalk: Option<Epoch>,
    /// Whether tokens are made at all.
    pub effort: ExportEffort,
}

/// How far an export goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportEffort {
    /// Reads and counts; makes no token.
    DryRun,
    /// Makes the tokens and writes the file.
    Write,
}

/// A column of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenColumn {
    /// Name of the policy.
    pub name: Name,
    /// Kind of the tokens.
    pub kind: TokenKind,
    /// Recipient and purpose.
    pub audience: Audience,
    /// Epoch of the tokens.
    pub epoch: Epoch,
    /// The key of the epoch.
    pub key: KeyId,
    /// The field that they stand for.
    pub field: Name,
}

/// Counts of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Rows of the file.
    pub rows: u64,
    /// Rows of the table that the file lacks: they could not be read, or a value has no normal form.
    pub refused: u64,
    /// Rows that are left out because they have no token: the value is absent.
    pub without_token: u64,
    /// Rows whose first token stands in the row before: two rows of one person.
    pub repeated: u64,
    /// Rows that could not be read because they are not authentic.
    pub unauthentic: u64,
}

/// Makes the rows of an export as the [`Visitor`] of a scan, then writes them in the order of their tokens.
pub struct Exporter<'a> {
    plan: ExportPlan<'a>,
    vault: Option<HeldVault<'a>>,
    observer: &'a mut dyn Observer,
    makers: Vec<Column>,
    /// The fields that the scan reads: those of tokens first, then those that are carried.
    fields: Vec<Name>,
    carried: Vec<Carried>,
    sorted: SortedLines,
    line: Zeroizing<Vec<u8>>,
    counts: Exported,
    seen: u64,
}

/// A field that the file carries.
struct Carried {
    name: Name,
    place: usize,
    /// `None` for one that is carried as it is.
    mask: Option<Mask>,
}

impl<'a> Exporter<'a> {
    /// Finds the recipient's policies and derives their keys. `folder` is where parts are sorted that do not fit into memory: in files that
    /// have no name and vanish with the process. `vault` is needed for vaulted tokens alone.
    ///
    /// # Errors
    /// `Schema` if the recipient has no tokens of this table, has tokens of several purposes and none was named, or if fields are to be
    /// revealed and masked at once, or if the crosswalk's epoch is not older than the schema's; `Misuse` if the vault or the expiry is missing; as the makers of tokens.
    pub fn new(
        plan: ExportPlan<'a>,
        folder: &Path,
        vault: Option<&'a mut dyn Vault>,
        observer: &'a mut dyn Observer,
    ) -> Result<Self> {
        let policies = policies(&plan)?;
        let newest = policies.iter().map(|policy| policy.epoch()).max();
        if let (Some(old), Some(newest)) = (plan.crosswalk, newest)
            && old >= newest
        {
            return Err(Error::schema(format!(
                "a crosswalk is from an older epoch than the schema's, which is {newest}; set `epoch` in the schema first"
            )));
        }
        let mut fields: Vec<Name> = Vec::new();
        let mut place = |name: &Name| {
            let known = fields.iter().position(|field| field == name);
            known.unwrap_or_else(|| {
                fields.push(name.clone());
                fields.len() - 1
            })
        };
        let mut makers = Vec::new();
        for policy in &policies {
            let older = plan.crosswalk.filter(|old| *old < policy.epoch());
            for epoch in std::iter::once(policy.epoch()).chain(older) {
                let place = place(&policy.of().field);
                makers.push(Column::new(&plan, policy, epoch, place, vault.is_some())?);
            }
        }
        let carried = carried(plan.table, &policies, &mut place)?;
        Ok(Self {
            plan,
            vault: vault.map(HeldVault::new),
            observer,
            makers,
            fields,
            carried,
            sorted: SortedLines::new(folder),
            line: Zeroizing::default(),
            counts: Exported::default(),
            seen: 0,
        })
    }

    /// The fields to scan, in order.
    #[must_use]
    pub fn fields(&self) -> Vec<Name> {
        self.fields.clone()
    }

    /// The columns of tokens, in the file's order.
    pub fn tokens(&self) -> impl Iterator<Item = &TokenColumn> {
        self.makers.iter().map(|column| &column.about)
    }

    /// Fields that the file carries as they are.
    pub fn revealed(&self) -> impl Iterator<Item = &Name> {
        self.carried.iter().filter(|field| field.mask.is_none()).map(|field| &field.name)
    }

    /// Fields that the file carries masked.
    pub fn masked(&self) -> impl Iterator<Item = &Name> {
        self.carried.iter().filter(|field| field.mask.is_some()).map(|field| &field.name)
    }

    /// Writes the file: a header, then the rows in ascending order of their bytes, which begin with the token.
    ///
    /// The order says nothing of the order in the store, because tokens say nothing of their values.
    ///
    /// # Errors
    /// `Store` if the output or a part cannot be written.
    pub fn finish(mut self, output: Option<&mut dyn Write>) -> Result<Exported> {
        // Whoever has a token can have it resolved: entries are durable before the file is there.
        self.vault.as_mut().map_or(Ok(()), HeldVault::end)?;
        let Some(output) = output else { return Ok(self.counts) };
        let mut header = Vec::new();
        for (column, maker) in self.makers.iter().enumerate() {
            let name = &maker.about.name;
            let first = self.makers.iter().position(|other| other.about.name == *name) == Some(column);
            let name = if first { name.to_string() } else { format!("{name}-epoch-{}", maker.about.epoch) };
            append_cell(name.as_bytes(), &mut header);
        }
        for field in &self.carried {
            append_cell(field.name.as_bytes(), &mut header);
        }
        end_line(&mut header);
        let cannot = |error| Error::store("the output cannot be written", error);
        output.write_all(&header).map_err(cannot)?;
        // Two expiring tokens of one value are not alike, so that nothing can be said of them.
        let compares = self.makers.first().is_some_and(|column| column.about.kind != TokenKind::Expiring);
        let mut before: Vec<u8> = Vec::new();
        let counts = &mut self.counts;
        self.sorted.finish(|line| {
            let token = line.split(|byte| *byte == b',').next().unwrap_or_default();
            if compares && !token.is_empty() && token == before {
                counts.repeated += 1;
            }
            before.clear();
            before.extend_from_slice(token);
            output.write_all(line)
        })?;
        output.flush().map_err(cannot)?;
        Ok(self.counts)
    }

    /// Makes the line of a row; false if it has no token.
    fn make(&mut self, row: &ScannedRow<'_>) -> Result<bool> {
        self.line.clear();
        let mut has_token = false;
        for column in &mut self.makers {
            let start = self.line.len();
            let absent = !column.read(row.value(column.place))?;
            if !absent {
                has_token = true;
                let vault = self.vault.as_mut().map(|vault| vault as &mut dyn Vault);
                column.append(&self.plan, vault, &mut self.line)?;
            }
            let text = self.line.split_off(start);
            append_cell(&text, &mut self.line);
        }
        for field in &self.carried {
            let at = |error: Error| error.at_field(&field.name);
            match (row.value(field.place), &field.mask) {
                (ValueRef::Null, _) => append_cell(b"", &mut self.line),
                (value, Some(mask)) => append_cell(mask.apply(value).as_str().as_bytes(), &mut self.line),
                (value, None) => {
                    let mut text = Zeroizing::new(Vec::new());
                    text_value::append(value, &mut text).map_err(at)?;
                    append_cell(&text, &mut self.line);
                }
            }
        }
        end_line(&mut self.line);
        Ok(has_token)
    }

    fn tell(&mut self) {
        self.seen += 1;
        if self.seen.is_multiple_of(STEP) {
            self.observer.progress(self.seen, 0);
        }
    }
}

impl Visitor for Exporter<'_> {
    fn row(&mut self, row: &ScannedRow<'_>) -> Result<()> {
        self.tell();
        match self.make(row) {
            Ok(true) => {
                self.counts.rows += 1;
                if self.plan.effort == ExportEffort::DryRun { Ok(()) } else { self.sorted.push(&self.line) }
            }
            Ok(false) => {
                self.counts.without_token += 1;
                Ok(())
            }
            Err(error) if is_of_row(&error) => {
                self.counts.refused += 1;
                self.observer.refused(&error.at_row(row.number()))
            }
            Err(error) => Err(error),
        }
    }

    fn refused(&mut self, fault: &Error) -> Result<()> {
        self.tell();
        self.counts.refused += 1;
        self.counts.unauthentic += u64::from(fault.kind() == Kind::Unauthentic);
        self.observer.refused(fault)
    }
}

impl fmt::Debug for Exporter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exporter({}, {} columns of tokens)", self.plan.table.name(), self.makers.len())
    }
}

/// Whether an error is of a row's value, so that further rows may fare better.
fn is_of_row(error: &Error) -> bool {
    error.field().is_some() && matches!(error.kind(), Kind::Schema | Kind::Malformed | Kind::Limit)
}

/// The recipient's policies, all of one purpose.
fn policies<'t>(plan: &ExportPlan<'t>) -> Result<Vec<&'t TokenPolicy>> {
    let of_recipient = |policy: &&TokenPolicy| policy.audience().recipient().as_str() == plan.recipient;
    let all: Vec<&TokenPolicy> = plan.table.tokens().iter().filter(of_recipient).collect();
    let fault = |why: String| Error::schema(format!("table `{}`: {why}", plan.table.name()));
    let mut purposes: Vec<&str> = all.iter().map(|policy| policy.audience().purpose().as_str()).collect();
    purposes.sort_unstable();
    purposes.dedup();
    let wanted = match (plan.purpose, &purposes[..]) {
        (_, []) => return Err(fault("the schema has no tokens for this recipient".to_owned())),
        (Some(purpose), known) if !known.contains(&purpose) => {
            return Err(fault(format!("the recipient's tokens are for: {}", known.join(", "))));
        }
        (Some(purpose), _) => purpose,
        (None, [one]) => *one,
        (None, several) => {
            return Err(fault(format!(
                "the recipient's tokens are for several purposes, which one file would link; name one of: {}",
                several.join(", ")
            )));
        }
    };
    Ok(all.into_iter().filter(|policy| policy.audience().purpose().as_str() == wanted).collect())
}

/// The fields that the policies reveal or mask, in the order of the schema.
fn carried(
    table: &TableSchema,
    policies: &[&TokenPolicy],
    place: &mut impl FnMut(&Name) -> usize,
) -> Result<Vec<Carried>> {
    let mut carried = Vec::new();
    for field in table.fields() {
        let name = field.name();
        let reveal = policies.iter().any(|policy| policy.reveal().contains(name));
        let mask = policies.iter().any(|policy| policy.mask().contains(name));
        if reveal && mask {
            return Err(
                Error::schema("two policies of the recipient reveal and mask this field").at_field(name)
            );
        }
        if reveal || mask {
            // What the store holds of a masked field is a mask already, which masking again leaves as it is.
            let mask = mask.then(|| field.mask());
            carried.push(Carried { name: name.clone(), place: place(name), mask });
        }
    }
    Ok(carried)
}

/// Appends a cell and the comma after it.
fn append_cell(bytes: &[u8], line: &mut Vec<u8>) {
    append_field(bytes, line);
    line.push(b',');
}

/// Puts the end of the line in the place of the last comma.
fn end_line(line: &mut [u8]) {
    if let Some(last) = line.last_mut() {
        *last = b'\n';
    }
}
