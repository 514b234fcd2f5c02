// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat token vault`: keeps the vault of vaulted tokens under the keyring's primary keys.
//!
//! Never changes a token, never prints a value. SPEC 10.7.

use std::collections::BTreeSet;
use std::path::PathBuf;

use amanat::Error;
use amanat::error::Kind;
use amanat::schema::{Schema, TableSchema, TokenPolicy};
use amanat::token::{Epoch, TokenKind, Vault as _, VaultedTokens};
use amanat_stores::KeyringSession;
use amanat_stores::vault::SqliteVault;
use clap::Subcommand;

use crate::fault::{Outcome, Result};
use crate::find;
use crate::keys::KeyPrefix;
use crate::schema;
use crate::text::count;
use crate::ui::Ui;
use crate::unlock::{self, UnlockArgs, keyring_fault};

/// Messages that a pass begins with at least: more than the entries that a vault changes at once, so that every pass gets on.
const MESSAGES: u64 = 1 << 12;

/// Keep the vault of vaulted tokens.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Renew(RenewArgs),
}

/// Seal and index the vault's entries anew under the primary keys. No token changes.
///
/// Run it after a field or index key was replaced, and before the old one is destroyed. After an index key was compromised, exports of
/// vaulted tokens stop until the vault is renewed. It can be stopped at any time and run again; what is renewed stays so.
///
/// Exit code 0: every entry is under the primary keys; 1: some entries stay as they are; 2: could not run.
#[derive(clap::Args)]
struct RenewArgs {
    #[command(flatten)]
    unlock: UnlockArgs,
    /// The vault, a SQLite file.
    #[arg(long, value_name = "FILE")]
    vault: PathBuf,
    /// The schema file: its vaulted tokens, of their epochs and all older ones, are renewed.
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// Open with this suspended or compromised key too, named by its id or at least 4 of the id's first digits; may be repeated.
    #[arg(long, value_name = "KEYID")]
    break_glass: Vec<KeyPrefix>,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    let Verb::Renew(args) = &args.verb;
    let schema = schema::read(&args.schema)?;
    let mut vault = SqliteVault::open(&args.vault)?;
    let (path, kek) = (args.unlock.path(), args.unlock.kek()?);
    let session = KeyringSession::unlock(&path, &*kek, &unlock::now);
    let session = session.map_err(|error| keyring_fault(error, &path))?;
    let broken = find::broken(&args.break_glass, &session, ui)?;
    let session = session.with_break_glass(broken);
    let scopes = vault.scopes()?.into_iter().collect();
    let mut work = Work { session: &session, scopes, entries: 0, renewed: 0, refused: 0, fault: None };
    let done = work.renew_all(&schema, &mut vault);
    if let Err(error) = session.give_back() {
        ui.warn(format!("messages that were reserved and not sealed stay counted: {error}"));
    }
    done?;
    work.tell(ui)
}

/// A renewal of the whole vault.
struct Work<'a> {
    session: &'a KeyringSession<'a>,
    /// The scopes of the vault that were not met yet.
    scopes: BTreeSet<String>,
    entries: u64,
    renewed: u64,
    refused: u64,
    /// Why the first epoch cannot be resolved: of no account unless the vault has entries of it.
    fault: Option<Error>,
}

impl Work<'_> {
    fn renew_all(&mut self, schema: &Schema, vault: &mut SqliteVault) -> Result<()> {
        let policies = schema.tables().iter().flat_map(TableSchema::tokens);
        for policy in policies.filter(|policy| policy.kind() == TokenKind::Vaulted) {
            for epoch in 1..=policy.epoch().get() {
                self.renew(policy, Epoch::new(epoch.into())?, vault)?;
            }
        }
        Ok(())
    }

    fn renew(&mut self, policy: &TokenPolicy, epoch: Epoch, vault: &mut SqliteVault) -> Result<()> {
        let broken = self.session.break_glass();
        loop {
            let messages = self.session.allowance(MESSAGES)?;
            let tokens = self.session.with_keyring(|keyring| {
                let (audience, form) = (policy.audience(), &policy.of().form);
                VaultedTokens::new(keyring, audience, epoch, form, &messages, &broken)
            });
            let mut tokens = match tokens {
                Ok(tokens) => tokens,
                Err(error) if matches!(error.kind(), Kind::KeyUnusable | Kind::UnknownKey) => {
                    self.fault.get_or_insert(error);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            if !self.scopes.contains(tokens.scope()) {
                return Ok(());
            }
            let before = messages.left();
            let pass = tokens.renew(vault);
            // Each entry that is sealed anew takes one.
            self.renewed += before - messages.left();
            match pass {
                Ok(pass) => {
                    self.scopes.remove(tokens.scope());
                    self.entries += pass.entries;
                    self.refused += pass.refused;
                    return Ok(());
                }
                Err(error) if error.kind() == Kind::Limit && messages.left() == 0 => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn tell(self, ui: &Ui) -> Result<Outcome> {
        ui.note(format!(
            "{} looked at, {} sealed and indexed anew",
            count(self.entries, "token"),
            self.renewed
        ));
        if self.refused > 0 {
            ui.warn(format!(
                "{} of them do not open and stay as they are: name a suspended or compromised field key with --break-glass; what is damaged comes from a backup",
                self.refused
            ));
        }
        match (self.scopes.is_empty(), self.fault) {
            (false, Some(fault)) => return Err(fault.into()),
            (false, None) => ui.warn(format!(
                "{} recipients, purposes, epochs or normal forms of the vault are not in the schema, and their entries stay as they are",
                self.scopes.len()
            )),
            _ => {}
        }
        Ok(if self.refused > 0 || !self.scopes.is_empty() { Outcome::SomeRefused } else { Outcome::Done })
    }
}
