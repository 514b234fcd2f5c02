// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tokens of a leaked list, whatever form it has.
//!
//! Owns the finding of what may be a token. Keeps the lines of what it found, never its text.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher as _;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use amanat::error::Error;
use amanat::ident::Timestamp;
use amanat::normal::{Normal, NormalForm};
use amanat::schema::{TableSchema, TokenPolicy};
use amanat::token::{
    Audience, Epoch, MAX_TOKEN_CHARACTERS, Suspect, Token, TokenKind, TokenOpener, TraceGroup, Tracer, Vault,
};
use amanat::{KeyId, Keyring};
use amanat_stores::vault::SqliteVault;
use serde::Serialize;

use crate::fault::{Fault, Result};
use crate::store::is_dash;

/// What a token begins with; a colon follows.
const BEGINNING: &str = "amt1";
/// A colon in an address.
const ENCODED_COLON: &str = "%3a";
/// Colons of a token.
const COLONS: usize = 5;
/// Longest line of a leak; a longer one is looked at in parts.
const MAX_LINE_BYTES: u64 = 1 << 24;
/// Longest text that may be a format-preserving token.
const MAX_BARE_BYTES: usize = 64;

/// A leaked token.
pub(super) struct Leak {
    pub(super) line: u64,
    /// Place of its group; of a bare one the first that is compared.
    pub(super) group: usize,
    pub(super) matched: bool,
}

/// Texts of a line that begin like a token and are none: mistyped, cut off. What they are is not kept.
#[derive(Serialize)]
pub(super) struct Unreadable {
    pub(super) line: u64,
    pub(super) texts: u64,
    pub(super) reason: String,
}

/// What was found in the list.
#[derive(Default)]
pub(super) struct Leaks {
    pub(super) found: Vec<Leak>,
    pub(super) unreadable: Vec<Unreadable>,
    /// Tokens of each group that stand in the list before.
    pub(super) repeated: Vec<u64>,
    seen: HashSet<u64>,
    hasher: RandomState,
}

/// What bare texts may be tokens of.
pub(super) type Suspected<'a> = Vec<(&'a Audience, Epoch, &'a NormalForm)>;

/// Looks vaulted tokens up, and which audiences the schema has.
pub(super) struct Resolver<'a> {
    pub(super) keyring: &'a Keyring,
    pub(super) table: &'a TableSchema,
    pub(super) broken: &'a [KeyId],
    pub(super) vault: Option<&'a mut SqliteVault>,
}

impl Resolver<'_> {
    /// Whether format-preserving tokens are made for an audience: any other costs every row an encryption, and anybody can invent it.
    fn has_preserving(&self, audience: &Audience) -> bool {
        let of =
            |policy: &TokenPolicy| policy.kind() == TokenKind::Preserving && policy.audience() == audience;
        self.table.tokens().iter().any(of)
    }

    /// What a vaulted token stands for. Every form that the schema has for its audience is tried by its entry's own scope, never by its value.
    fn resolve(&mut self, token: &Token) -> Option<Normal> {
        let vault = self.vault.as_mut()?;
        let audience = token.header().audience();
        let forms = self
            .table
            .tokens()
            .iter()
            .filter(|policy| policy.kind() == TokenKind::Vaulted && policy.audience() == audience);
        let start = Timestamp::from_unix_seconds(0).ok()?;
        forms.map(|policy| &policy.of().form).find_map(|form| {
            let mut opener = TokenOpener::new(self.keyring, token.header(), form, self.broken).ok()?;
            opener.open(token, start, Some(&mut **vault as &mut dyn Vault)).ok().flatten()
        })
    }
}

impl Leaks {
    pub(super) fn read(
        &mut self,
        path: &Path,
        tracer: &mut Tracer<'_>,
        resolver: &mut Resolver<'_>,
        suspects: &Suspected<'_>,
    ) -> Result<()> {
        let failed = |error| Fault::file("read", path, &error);
        let mut input: Box<dyn BufRead> = if is_dash(path) {
            Box::new(io::stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(path).map_err(failed)?))
        };
        let (mut line, mut number, mut begins) = (Vec::new(), 0, true);
        loop {
            line.clear();
            let read = input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line).map_err(failed)?;
            if read == 0 {
                return Ok(());
            }
            number += u64::from(begins);
            begins = line.ends_with(b"\n");
            let text = String::from_utf8_lossy(&line);
            self.find(&text.to_ascii_lowercase(), number, tracer, resolver);
            if !suspects.is_empty() {
                self.find_bare(&text, number, tracer, suspects);
            }
        }
    }

    /// Every token in a line.
    fn find(&mut self, text: &str, line: u64, tracer: &mut Tracer<'_>, resolver: &mut Resolver<'_>) {
        let has_colon = |after: &str| after.starts_with(':') || after.starts_with(ENCODED_COLON);
        let begins = |start: &usize| text.get(start + BEGINNING.len()..).is_some_and(has_colon);
        let mut starts = text.match_indices(BEGINNING).map(|(start, _)| start).filter(begins).peekable();
        while let Some(start) = starts.next() {
            // Two tokens that were run together are two.
            let end = starts.peek().copied().unwrap_or(text.len());
            let candidate = candidate(text.get(start..end).unwrap_or_default());
            let token = match Token::parse(&candidate) {
                Ok(token) => token,
                Err(error) => {
                    let reason =
                        if candidate == BEGINNING { "it ends where it begins" } else { error.message() };
                    self.take_unreadable(line, reason);
                    continue;
                }
            };
            match token.header().kind() {
                TokenKind::Vaulted => tracer.leak_opened(&token, resolver.resolve(&token).as_ref()),
                TokenKind::Preserving if !resolver.has_preserving(token.header().audience()) => {
                    let why = "the schema has no format-preserving token for this recipient and purpose";
                    tracer.leak_uncompared(&token, Error::schema(why));
                }
                _ => tracer.leak(&token),
            }
            let group = tracer.group_of(token.header());
            self.take(line, group.unwrap_or_default(), &candidate);
        }
    }

    /// Every cell of a line that may be an identifier's format-preserving token.
    fn find_bare(&mut self, text: &str, line: u64, tracer: &mut Tracer<'_>, suspects: &Suspected<'_>) {
        let of_cells = |c: char| {
            c.is_whitespace() || matches!(c, ',' | ';' | '|' | '"' | '\'' | '{' | '}' | '[' | ']' | ':' | '=')
        };
        for cell in text.split(of_cells).filter(|cell| (1..=MAX_BARE_BYTES).contains(&cell.len())) {
            let may_be: Vec<Suspect<'_>> = suspects
                .iter()
                .filter_map(|(audience, epoch, form)| match form {
                    NormalForm::Identifier(identifier) => {
                        Some(Suspect { audience, epoch: *epoch, identifier })
                    }
                    _ => None,
                })
                .filter(|suspect| suspect.identifier.append_normal(cell, &mut Vec::new()).is_ok())
                .collect();
            if !may_be.is_empty() && tracer.leak_bare(cell, &may_be) {
                let is_suspected = |group: &TraceGroup| {
                    let (kind, epoch, audience) =
                        (group.header().kind(), group.header().epoch(), group.header().audience());
                    let is_its =
                        |suspect: &Suspect<'_>| suspect.audience == audience && suspect.epoch == epoch;
                    kind == TokenKind::Preserving && may_be.iter().any(is_its)
                };
                let groups = tracer.groups().iter().enumerate().filter(|(_, group)| is_suspected(group));
                let first = groups.min_by_key(|(_, group)| group.fault().is_some());
                self.take(line, first.map_or(0, |(place, _)| place), cell);
            }
        }
    }

    fn take(&mut self, line: u64, group: usize, text: &str) {
        self.found.push(Leak { line, group, matched: false });
        if self.repeated.len() <= group {
            self.repeated.resize(group + 1, 0);
        }
        let is_new = self.seen.insert(self.hasher.hash_one(text));
        if let Some(repeated) = self.repeated.get_mut(group).filter(|_| !is_new) {
            *repeated += 1;
        }
    }

    fn take_unreadable(&mut self, line: u64, reason: &str) {
        match self.unreadable.last_mut() {
            Some(last) if last.line == line && last.reason == reason => last.texts += 1,
            _ => self.unreadable.push(Unreadable { line, texts: 1, reason: reason.to_owned() }),
        }
    }

    pub(super) fn unreadable_texts(&self) -> u64 {
        self.unreadable.iter().map(|unreadable| unreadable.texts).sum()
    }
}

/// The longest text at the beginning that could be a token: what follows it in a sentence, a file or an address is not taken.
fn candidate(text: &str) -> String {
    let belongs =
        |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, ':' | '_' | '-' | '.');
    let (mut out, mut rest, mut colons) = (String::new(), text, 0);
    // No further than a token reaches.
    while out.len() <= MAX_TOKEN_CHARACTERS {
        let encoded = rest.strip_prefix(ENCODED_COLON).map(|after| (':', after));
        let next = encoded.or_else(|| {
            let next = rest.chars().next().filter(belongs)?;
            Some((next, rest.get(next.len_utf8()..)?))
        });
        let Some((next, after)) = next else { break };
        colons += usize::from(next == ':');
        if colons > COLONS {
            break;
        }
        out.push(next);
        rest = after;
    }
    out.truncate(out.trim_end_matches([':', '_', '-', '.']).len());
    out
}
