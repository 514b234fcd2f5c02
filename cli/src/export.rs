// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat export`: a recipient's tokens and the fields it may have, out of a protected store, with a receipt.
//!
//! Owns the order in which files get their names: exceptions, receipt, export. Never writes a record id.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use amanat::ident::Timestamp;
use amanat::schema::TableSchema;
use amanat::token::{Epoch, Receipt, ReceiptFacts, ReceiptToken, TokenKind, Vault};
use amanat::{Error, Name};
use amanat_stores::export::{ExportEffort, ExportPlan, Exported, Exporter, TokenColumn};
use amanat_stores::vault::SqliteVault;
use amanat_stores::{Access, KeyringSession, PartFile, ScanPlan, ScanSource};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::exceptions;
use crate::fault::{Fault, Outcome, Result};
use crate::find;
use crate::keys::KeyPrefix;
use crate::progress::Progress;
use crate::schema;
use crate::store::{Reading, StoreArgs};
use crate::text::count;
use crate::ui::Ui;
use crate::unlock::{self, UnlockArgs, keyring_fault};
use crate::work::{Watcher, is_no_source, is_same, may_write};

/// Ending of the name of an export's receipt.
const RECEIPT_ENDING: &str = ".receipt.json";

/// Write what a recipient may have of a protected store: its tokens, and the fields that its tokens name in `reveal` and `mask`. No record
/// id, and nothing else.
///
/// The rows are in the order of their tokens, which tells nothing of the order in the store: whoever has the store's order, or the
/// export of another recipient, cannot lay one beside the other. Rows without a value have no token and are left out. A receipt is written beside the file; it
/// says what was given to whom and when, with a digest of the file and a MAC under the registry's key: `amanat token receipt verify`.
///
/// Moving a recipient to a new epoch of the token key: (1) `amanat keys add --purpose token --activate`; (2) set the new `epoch` in the
/// recipient's tokens in the schema, and protect the table again if they are kept in it; (3) export with --crosswalk-from OLD, which
/// puts the old token beside the new one; (4) the recipient replaces its tokens and says so; (5) `amanat keys retire` the old key, which
/// from then on only recognises tokens. Other recipients stay at their epoch. An old key that is compromised already is named for (3) with
/// --break-glass.
///
/// Exit code 0: all rows written; 1: some rows refused; 2: could not run; 3: unauthentic rows seen.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    unlock: UnlockArgs,
    /// The recipient, named as in the schema's tokens.
    #[arg(long, value_name = "NAME")]
    recipient: String,
    /// The purpose; may be left out if the recipient's tokens of this table are of one. One file is of one purpose, so that it links no two.
    #[arg(long, value_name = "NAME")]
    purpose: Option<String>,
    /// The CSV file to write, which appears whole or not at all. Only its owner may read it.
    #[arg(short, long, value_name = "FILE", required_unless_present = "dry_run")]
    output: Option<PathBuf>,
    /// The receipt; beside the output if not given.
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// How long expiring tokens are valid: a number and `m`, `h` or `d`, such as 72h.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    valid_for: Option<Duration>,
    /// The vault of vaulted tokens, a SQLite file; made if it is not there.
    #[arg(long, value_name = "FILE")]
    vault: Option<PathBuf>,
    /// Put the tokens of this older epoch beside those of today.
    #[arg(long, value_name = "EPOCH", value_parser = epoch)]
    crosswalk_from: Option<Epoch>,
    /// Read, search the vault and look up old tokens with this suspended or compromised key too, named by its id or at least 4 of the id's
    /// first digits; may be repeated.
    #[arg(long, value_name = "KEYID")]
    break_glass: Vec<KeyPrefix>,
    /// File for rows that are refused: row number, field and reason, never a value. Made only if there are some.
    #[arg(long, value_name = "FILE")]
    exceptions: Option<PathBuf>,
    /// Read and count, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Overwrite an output, receipt or exceptions file that exists.
    #[arg(long)]
    force: bool,
    /// Report as JSON on standard output.
    #[arg(long)]
    json: bool,
    /// No progress and no summary; errors only.
    #[arg(short, long)]
    quiet: bool,
}

/// Where everything goes.
struct Targets {
    output: PathBuf,
    receipt: PathBuf,
}

#[derive(Serialize)]
struct Report<'a> {
    table: &'a str,
    recipient: &'a str,
    purpose: String,
    dry_run: bool,
    rows: u64,
    rows_refused: u64,
    rows_without_token: u64,
    rows_repeating_a_token: u64,
    output: Option<String>,
    receipt: Option<String>,
    exceptions: Option<String>,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    let now = unlock::now()?;
    let schema_bytes = schema::read_bytes(&args.store.table.schema)?;
    let schema_sha256 = Sha256::digest(&schema_bytes).into();
    let schema = schema::parse(&args.store.table.schema, schema_bytes)?;
    let table = args.store.table.table(&schema)?;
    let store = args.store.open(ui)?;
    let targets = args.targets()?;
    let exceptions_path = args.exceptions_path(targets.as_ref())?;
    let (path, kek) = (args.unlock.path(), args.unlock.kek()?);
    let session = KeyringSession::unlock(&path, &*kek, &unlock::now);
    let session = session.map_err(|error| keyring_fault(error, &path))?;
    let broken = find::broken(&args.break_glass, &session, ui)?;
    let session = session.with_break_glass(broken);
    let plan = args.plan(&session, table, now)?;
    let mut vault = args.vault(plan)?;
    let progress = Progress::new(ui, "export", args.quiet, None);
    let mut watcher = Watcher::new(ui, progress, exceptions_path, args.quiet);
    let made = make(&store, plan, vault.as_mut(), targets.as_ref(), &mut watcher);
    watcher.progress.finish();
    // Whatever came of the run, nothing is made any more, and what was refused is worth knowing.
    if let Err(error) = session.give_back() {
        ui.warn(format!("messages that were reserved and not used stay counted: {error}"));
    }
    let listed = watcher.exceptions.finish();
    let (made, exceptions) = (made?, listed?);
    if let (Some(targets), Some(file)) = (&targets, made.file) {
        let facts = ReceiptFacts {
            recipient: Name::new(&args.recipient)?,
            table: table.name().clone(),
            created: now,
            schema_sha256,
            tokens: made.tokens.iter().map(|column| receipt_token(column, plan)).collect(),
            revealed: made.revealed,
            masked: made.masked,
            rows: made.counts.rows,
            refused: made.counts.refused,
            file_bytes: file.bytes,
            file_sha256: file.hash.finalize().into(),
        };
        let receipt = session.with_keyring(|keyring| Receipt::new(&keyring.token_keys()?, facts))?;
        let mut written = PartFile::create(&targets.receipt, Access::Default)?;
        let failed = |error| Fault::file("write", &targets.receipt, &error);
        written.write_all(receipt.to_json().as_bytes()).map_err(failed)?;
        // The receipt first: nothing that was given lacks one.
        written.commit()?;
        file.part.commit()?;
    }
    let purpose = made.tokens.first().map(|column| column.audience.purpose().to_string()).unwrap_or_default();
    let shown = |path: &Path| path.display().to_string();
    let counts = made.counts;
    let report = Report {
        table: table.name().as_str(),
        recipient: &args.recipient,
        purpose,
        dry_run: args.dry_run,
        rows: counts.rows,
        rows_refused: counts.refused,
        rows_without_token: counts.without_token,
        rows_repeating_a_token: counts.repeated,
        output: targets.as_ref().map(|targets| shown(&targets.output)),
        receipt: targets.as_ref().map(|targets| shown(&targets.receipt)),
        exceptions: exceptions.as_deref().map(shown),
    };
    if args.json {
        ui.json(&report)?;
    } else if !args.quiet {
        report.lines().iter().for_each(|line| ui.note(line));
    }
    Ok(match (counts.unauthentic, counts.refused) {
        (1.., _) => Outcome::Unauthentic,
        (_, 1..) => Outcome::SomeRefused,
        _ => Outcome::Done,
    })
}

/// What the scan and the sorting gave.
struct Made {
    counts: Exported,
    tokens: Vec<TokenColumn>,
    revealed: Vec<Name>,
    masked: Vec<Name>,
    file: Option<HashedFile>,
}

fn make(
    store: &Reading<'_>,
    plan: ExportPlan<'_>,
    vault: Option<&mut SqliteVault>,
    targets: Option<&Targets>,
    watcher: &mut Watcher<'_>,
) -> Result<Made> {
    let mut file = targets.map(|targets| HashedFile::create(&targets.output)).transpose()?;
    let folder = targets.and_then(|targets| targets.output.parent());
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let vault = vault.map(|vault| vault as &mut dyn Vault);
    let mut exporter = Exporter::new(plan, folder, vault, watcher)?;
    let (fields, tokens) = (exporter.fields(), exporter.tokens().cloned().collect());
    let (revealed, masked) = (exporter.revealed().cloned().collect(), exporter.masked().cloned().collect());
    let source = ScanSource::Protected(plan.session);
    store.scan(ScanPlan { table: plan.table, fields: &fields, source }, &mut exporter)?;
    let counts = exporter.finish(file.as_mut().map(|file| file as &mut dyn Write))?;
    Ok(Made { counts, tokens, revealed, masked, file })
}

fn receipt_token(column: &TokenColumn, plan: ExportPlan<'_>) -> ReceiptToken {
    ReceiptToken {
        name: column.name.clone(),
        kind: column.kind,
        purpose: column.audience.purpose().clone(),
        epoch: column.epoch,
        key: column.key,
        field: column.field.clone(),
        expires: plan.expires.filter(|_| column.kind == TokenKind::Expiring),
    }
}

impl Args {
    fn plan<'a>(
        &'a self,
        session: &'a KeyringSession<'a>,
        table: &'a TableSchema,
        now: Timestamp,
    ) -> Result<ExportPlan<'a>> {
        let expires = self
            .valid_for
            .map(|time| Timestamp::from_unix_seconds(now.unix_seconds().saturating_add(time.as_secs())));
        let plan = ExportPlan {
            session,
            table,
            recipient: &self.recipient,
            purpose: self.purpose.as_deref(),
            expires: expires.transpose()?,
            crosswalk: self.crosswalk_from,
            effort: if self.dry_run { ExportEffort::DryRun } else { ExportEffort::Write },
        };
        if self.valid_for.is_none() && self.has(plan, TokenKind::Expiring) {
            return Err(Fault::new("the recipient's tokens expire, and nothing says when")
                .help("say how long they are valid: --valid-for 72h"));
        }
        Ok(plan)
    }

    /// Whether the recipient's tokens in this table are of a kind.
    fn has(&self, plan: ExportPlan<'_>, kind: TokenKind) -> bool {
        plan.table.tokens().iter().any(|policy| {
            let purpose = policy.audience().purpose().as_str();
            policy.kind() == kind
                && policy.audience().recipient().as_str() == self.recipient
                && plan.purpose.is_none_or(|wanted| wanted == purpose)
        })
    }

    fn vault(&self, plan: ExportPlan<'_>) -> Result<Option<SqliteVault>> {
        if self.dry_run || !self.has(plan, TokenKind::Vaulted) {
            return Ok(None);
        }
        match &self.vault {
            Some(file) => Ok(Some(SqliteVault::open_or_create(file)?)),
            None => Err(Fault::new("the recipient's tokens are in a vault, and none is named")
                .help("name the file: --vault FILE; it is made if it is not there")),
        }
    }

    fn targets(&self) -> Result<Option<Targets>> {
        let Some(output) = self.output.clone().filter(|_| !self.dry_run) else { return Ok(None) };
        if crate::store::is_dash(&output) {
            return Err(Fault::new("an export is a file, so that its receipt is of something")
                .help("name it: --output FILE"));
        }
        let receipt = self.receipt.clone().unwrap_or_else(|| {
            let mut name = output.as_os_str().to_owned();
            name.push(RECEIPT_ENDING);
            name.into()
        });
        for (path, role) in [(&output, "output"), (&receipt, "receipt")] {
            self.is_no_source(path, role)?;
            may_write(path, role, self.force)?;
        }
        if is_same(&output, &receipt) {
            return Err(crate::work::at_once(&output, "output", "receipt"));
        }
        Ok(Some(Targets { output, receipt }))
    }

    fn exceptions_path(&self, targets: Option<&Targets>) -> Result<Option<PathBuf>> {
        let path = match (&self.exceptions, targets) {
            (Some(path), _) => path.clone(),
            (None, Some(targets)) => exceptions::default_path(Some(&targets.output)),
            (None, None) => return Ok(None),
        };
        self.is_no_source(&path, "exceptions file")?;
        if self.exceptions.is_some() {
            may_write(&path, "exceptions file", self.force)?;
        }
        let taken = targets.is_some_and(|t| is_same(&t.output, &path) || is_same(&t.receipt, &path));
        if taken {
            return Err(crate::work::at_once(&path, "output or receipt", "exceptions file"));
        }
        Ok(Some(path))
    }

    fn is_no_source(&self, path: &Path, role: &str) -> Result<()> {
        let keyring = self.unlock.sources();
        let mut sources =
            vec![("store", self.store.store.as_path()), ("schema", self.store.table.schema.as_path())];
        sources.extend(self.vault.iter().map(|vault| ("vault", vault.as_path())));
        sources.extend(keyring.iter().map(|(role, path)| (*role, path.as_path())));
        is_no_source(path, role, &sources)
    }
}

impl Report<'_> {
    fn lines(&self) -> Vec<String> {
        let would = if self.dry_run { "dry run, nothing written: would export" } else { "exported" };
        let mut lines = vec![format!(
            "{would} {} of {} to {} for {}",
            count(self.rows, "row"),
            self.table,
            self.recipient,
            self.purpose
        )];
        if self.rows_without_token > 0 {
            lines.push(format!("{} left out: no value, no token", count(self.rows_without_token, "row")));
        }
        if self.rows_repeating_a_token > 0 {
            lines.push(format!(
                "{} repeat the token of another: rows of one person",
                count(self.rows_repeating_a_token, "row")
            ));
        }
        if self.rows_refused > 0 {
            let see = self.exceptions.as_ref().map_or_else(String::new, |path| format!("; see {path}"));
            lines.push(format!("{} refused and not exported{see}", count(self.rows_refused, "row")));
        }
        lines.extend(self.receipt.iter().map(|path| format!("receipt in {path}")));
        lines
    }
}

/// A file that is being written, with the digest of what was written.
struct HashedFile {
    part: PartFile,
    hash: Sha256,
    bytes: u64,
    buffer: Vec<u8>,
}

/// Bytes that are written together.
const BUFFER_BYTES: usize = 1 << 16;

impl HashedFile {
    fn create(path: &Path) -> Result<Self> {
        let part = PartFile::create(path, Access::Owner)?;
        Ok(Self { part, hash: Sha256::new(), bytes: 0, buffer: Vec::with_capacity(BUFFER_BYTES) })
    }
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.part.write_all(&self.buffer)?;
        self.hash.update(&self.buffer);
        self.bytes += u64::try_from(self.buffer.len()).unwrap_or_default();
        self.buffer.clear();
        self.part.flush()
    }
}

/// The number of an epoch.
fn epoch(text: &str) -> amanat::Result<Epoch> {
    let wrong = |_| Error::malformed("an epoch is 1 to 1024");
    text.parse().map_err(|_| ()).and_then(|number| Epoch::new(number).map_err(|_| ())).map_err(wrong)
}

/// `72h`, `90m`, `30d`.
pub(crate) fn duration(text: &str) -> amanat::Result<Duration> {
    let wrong = || Error::malformed("a time is a number and `m`, `h` or `d`: 90m, 72h, 30d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}
