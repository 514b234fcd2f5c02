// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat token translate|receive|new-recipient-key`: tokens of one recipient become those of another, sealed on their way.
//!
//! Never prints a token of the other recipient in the clear on the registry's side, never a value.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use amanat::error::{Error, Kind};
use amanat::ident::Timestamp;
use amanat::schema::{TableSchema, TokenPolicy};
use amanat::token::{
    Audience, Epoch, RecipientPublicKey, RecipientSecretKey, SealedToken, Token, TokenKind, TokenMaker,
    TokenOpener, TokenPlan, Vault,
};
use amanat::{Allowance, Keyring, Name};
use amanat_stores::vault::SqliteVault;
use amanat_stores::{Access, PartFile, secret_file};

use crate::export::duration;
use crate::fault::{Fault, Outcome, Result};
use crate::schema;
use crate::store;
use crate::text::count;
use crate::ui::Ui;
use crate::unlock::{UnlockArgs, keyring_fault, now};

/// Lines that are told each when they cannot be translated.
const TOLD: u64 = 5;

/// Turn tokens of one recipient into tokens of another, sealed to the other's public key.
///
/// Reads tokens from standard input, one a line, and writes a sealed token for each, or an empty line if it cannot be translated, so that
/// lines stay beside each other. Only the registry can do this; neither recipient learns the identifier, and whoever carries the output
/// cannot read it. Pairwise tokens are irreversible and cannot be translated. Both tokens must stand for the same field.
///
/// Exit code 0: all translated; 1: some not; 2: could not run; 3: some are not authentic.
#[derive(clap::Args)]
pub(crate) struct TranslateArgs {
    /// The token of the schema to translate to, by its `name`.
    #[arg(long, value_name = "NAME")]
    to: String,
    /// The recipient's public key, `amk1.…`, or a file with it.
    #[arg(long, value_name = "KEY")]
    recipient_key: String,
    #[command(flatten)]
    unlock: UnlockArgs,
    /// The schema file.
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// Table of the schema; may be left out if it has only one.
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// The vault of vaulted tokens.
    #[arg(long, value_name = "FILE")]
    vault: Option<PathBuf>,
    /// How long expiring tokens are valid: a number and `m`, `h` or `d`, such as 72h.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    valid_for: Option<Duration>,
}

/// Open sealed tokens as their recipient. Needs no keyring.
///
/// Reads sealed tokens from standard input, one a line, and writes the token of each, or an empty line if it does not open. Empty lines,
/// which stand for what the registry did not translate, stay empty. A seal does not say who made it: take sealed tokens only from the
/// registry itself.
///
/// Exit code 0: all opened; 1: some are no sealed tokens; 2: could not run; 3: some do not open.
#[derive(clap::Args)]
pub(crate) struct ReceiveArgs {
    /// The secret key that `new-recipient-key` has made.
    #[arg(long, value_name = "FILE")]
    secret_key: PathBuf,
    /// The registry that sealed them.
    #[arg(long, value_name = "NAME")]
    registry: Name,
    /// The recipient: who you are in the registry's schema.
    #[arg(long, value_name = "NAME")]
    recipient: String,
    /// The purpose of the tokens.
    #[arg(long, value_name = "NAME")]
    purpose: String,
}

/// Make a recipient's key pair: the secret key goes to a file, the public key to standard output, for the registry.
#[derive(clap::Args)]
pub(crate) struct NewKeyArgs {
    /// Where to write the secret key. It is never overwritten.
    #[arg(long, value_name = "FILE")]
    secret_key: PathBuf,
}

pub(crate) fn new_key(args: &NewKeyArgs, ui: &Ui) -> Result<Outcome> {
    let path = &args.secret_key;
    if std::fs::symlink_metadata(path).is_ok() {
        return Err(Fault::new(format!("{}: a secret key is never overwritten", path.display()))
            .help("choose another path"));
    }
    let key = RecipientSecretKey::generate()?;
    let mut part = PartFile::create(path, Access::Owner)?;
    part.write_all(key.to_text().expose()).map_err(|error| Fault::file("write", path, &error))?;
    part.commit()?;
    ui.line(key.public().to_string())?;
    ui.note("next: bring the public key to the registry on a way that nobody else can write to");
    Ok(Outcome::Done)
}

pub(crate) fn receive(args: &ReceiveArgs, ui: &Ui) -> Result<Outcome> {
    let path = &args.secret_key;
    let secret = RecipientSecretKey::parse(&secret_file::read_secret(path)?);
    let secret = secret.map_err(|error| Fault::from(error).about(path.display()))?;
    let audience = Audience::new(&args.recipient, &args.purpose)?;
    let (mut refusals, mut empty) = (Refusals::new(ui), 0);
    for (number, line) in (1..).zip(io::stdin().lock().lines()) {
        let line = line.map_err(|_| Fault::new("standard input is not text in UTF-8"))?;
        if line.trim().is_empty() {
            empty += 1;
            ui.line("")?;
            continue;
        }
        let opened = SealedToken::parse(line.trim())
            .and_then(|sealed| sealed.open(&secret, &args.registry, &audience));
        let text = opened.map(|token| token.to_text());
        ui.line(refusals.take(number, text)?)?;
    }
    if empty > 0 {
        ui.note(format!("{}: not translated by the registry", count(empty, "empty line")));
    }
    Ok(refusals.outcome())
}

pub(crate) fn translate(args: &TranslateArgs, ui: &Ui) -> Result<Outcome> {
    let schema = schema::read(&args.schema)?;
    let table = store::table(&schema, args.table.as_deref(), &args.schema)?;
    let to = table.tokens().iter().find(|policy| policy.name().as_str() == args.to);
    let to = to.ok_or_else(|| Fault::new(format!("table {} has no token of this name", table.name())))?;
    let key = public_key(&args.recipient_key)?;
    let now = now()?;
    let (path, kek) = (args.unlock.path(), args.unlock.kek()?);
    let at = |error| keyring_fault(error, &path);
    // Read first: the messages that the new tokens need are counted before they are made.
    let lines = io::stdin().lock().lines().collect::<io::Result<Vec<String>>>();
    let lines = lines.map_err(|_| Fault::new("standard input is not text in UTF-8"))?;
    let need = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    let keyring = path.unlock(&*kek).map_err(at)?;
    let counted = TokenMaker::key_for_messages(&keyring, to.kind(), to.epoch())?;
    let reserve = |id| path.update(&*kek, now, |keyring| keyring.reserve_under(id, need)).map_err(at);
    let messages = counted.map(reserve).transpose()?;
    let run = Run { args, table, to, key, now, keyring: &keyring, ui };
    let done = run.translate(&lines, messages.as_ref());
    // Also after an error: what was not used is not lost.
    if let Some(unused) = messages.filter(|messages| messages.left() > 0)
        && let Err(error) = path.update(&*kek, now, |keyring| keyring.give_back(&unused))
    {
        ui.warn(format!("messages that were reserved and not used stay counted: {error}"));
    }
    done
}

/// A run, once its messages are reserved.
struct Run<'a> {
    args: &'a TranslateArgs,
    table: &'a TableSchema,
    to: &'a TokenPolicy,
    key: RecipientPublicKey,
    now: Timestamp,
    keyring: &'a Keyring,
    ui: &'a Ui,
}

impl Run<'_> {
    fn translate(&self, lines: &[String], messages: Option<&Allowance>) -> Result<Outcome> {
        let &Self { args, table, to, now, keyring, ui, .. } = self;
        let expires = args.valid_for.map(|time| now.unix_seconds().saturating_add(time.as_secs()));
        let expires = expires.map(Timestamp::from_unix_seconds).transpose()?;
        let (kind, audience, epoch, form) = (to.kind(), to.audience(), to.epoch(), &to.of().form);
        let plan = TokenPlan { kind, audience, epoch, form, expires };
        let maker = TokenMaker::new(keyring, &plan, messages).map_err(|error| match error.kind() {
            Kind::Misuse if expires.is_none() && kind == TokenKind::Expiring => {
                Fault::from(error).help("say how long they are valid: --valid-for 72h")
            }
            _ => Fault::from(error),
        })?;
        let vault = args.vault.as_ref().map(|file| SqliteVault::open(file)).transpose()?;
        let mut work = Work { keyring, table, to, maker, openers: BTreeMap::new(), vault, now };
        let mut refusals = Refusals::new(ui);
        for (number, line) in (1..).zip(lines) {
            let sealed = work
                .translate(line.trim())
                .and_then(|token| SealedToken::seal(&token, &self.key, keyring.registry()))
                .map(|sealed| sealed.to_text());
            ui.line(refusals.take(number, sealed)?)?;
        }
        Ok(refusals.outcome())
    }
}

/// Translates one token after the other.
struct Work<'a> {
    keyring: &'a Keyring,
    table: &'a TableSchema,
    to: &'a TokenPolicy,
    maker: TokenMaker,
    openers: BTreeMap<(TokenKind, Epoch, Audience), TokenOpener>,
    vault: Option<SqliteVault>,
    now: Timestamp,
}

impl Work<'_> {
    fn translate(&mut self, text: &str) -> amanat::Result<Token> {
        let token = Token::parse(text)?;
        let header = token.header();
        let place = (header.kind(), header.epoch(), header.audience().clone());
        if !self.openers.contains_key(&place) {
            let of = |policy: &&TokenPolicy| policy.kind() == place.0 && *policy.audience() == place.2;
            let policy = self.table.tokens().iter().filter(of).find(|policy| policy.of() == self.to.of());
            let policy = policy.ok_or_else(|| {
                Error::schema("the schema has no tokens of this kind, recipient and purpose that stand for the same field")
            })?;
            let opener = TokenOpener::new(self.keyring, header, &policy.of().form, &[])?;
            self.openers.insert(place.clone(), opener);
        }
        let opener = self.openers.get_mut(&place).ok_or_else(|| Error::misuse("no opener"))?;
        let mut vault = self.vault.as_mut().map(|vault| vault as &mut dyn Vault);
        let opened = opener.open(&token, self.now, reborrow(&mut vault))?;
        let value = opened.ok_or_else(|| Error::schema("the vault does not know it any more"))?;
        self.maker.make(&value, vault)
    }
}

/// Lends a vault, if there is one, for one call.
fn reborrow<'v>(vault: &'v mut Option<&mut dyn Vault>) -> Option<&'v mut dyn Vault> {
    match vault {
        Some(vault) => Some(&mut **vault),
        None => None,
    }
}

/// The key itself, or a file's.
fn public_key(text: &str) -> Result<RecipientPublicKey> {
    if text.starts_with("amk") {
        return Ok(text.parse()?);
    }
    let path = Path::new(text);
    let read = std::fs::read_to_string(path).map_err(|error| Fault::file("read", path, &error))?;
    read.trim().parse().map_err(|error: Error| Fault::from(error).about(path.display()))
}

/// Counts and tells what was refused.
struct Refusals<'a> {
    ui: &'a Ui,
    refused: u64,
    unauthentic: bool,
}

impl<'a> Refusals<'a> {
    const fn new(ui: &'a Ui) -> Self {
        Self { ui, refused: 0, unauthentic: false }
    }

    /// The line to write: empty for one that was refused. What further lines would fail with too ends the run.
    fn take(&mut self, line: u64, made: amanat::Result<String>) -> Result<String> {
        match made {
            Ok(text) => Ok(text),
            Err(error) if matches!(error.kind(), Kind::Store | Kind::Entropy | Kind::Misuse) => {
                Err(error.into())
            }
            Err(error) => {
                self.refused += 1;
                self.unauthentic |= error.kind() == Kind::Unauthentic;
                if self.refused <= TOLD {
                    self.ui.warn(format!("line {line}: {error}"));
                }
                Ok(String::new())
            }
        }
    }

    fn outcome(&self) -> Outcome {
        if self.refused > TOLD {
            self.ui.warn(format!("{} more lines were refused", self.refused - TOLD));
        }
        match (self.unauthentic, self.refused) {
            (true, _) => Outcome::Unauthentic,
            (_, 0) => Outcome::Done,
            _ => Outcome::SomeRefused,
        }
    }
}
