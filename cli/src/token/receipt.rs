// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat token receipt verify`: whether the registry wrote a receipt, and whether a file is the one that it is of.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use amanat::token::{MAX_RECEIPT_BYTES, Receipt, ReceiptFacts};
use clap::Subcommand;
use sha2::{Digest as _, Sha256};

use crate::fault::{Fault, Outcome, Result};
use crate::text::{count, grouped};
use crate::ui::{Style, Ui};
use crate::unlock::UnlockArgs;

/// Work with the receipts that `amanat export` writes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Verify(VerifyArgs),
}

/// Check that this registry wrote a receipt and that nobody changed it; with --file, that a file is the one that it is of.
///
/// Exit code 0: genuine; 2: could not run; 3: changed, or no receipt, or of another registry, or the file is another one.
#[derive(clap::Args)]
struct VerifyArgs {
    /// The receipt.
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,
    #[command(flatten)]
    unlock: UnlockArgs,
    /// The exported file, to compare its size and SHA-256.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print nothing but errors and the verdict's exit code.
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    match &args.verb {
        Verb::Verify(args) => verify(args, ui),
    }
}

fn verify(args: &VerifyArgs, ui: &Ui) -> Result<Outcome> {
    let path = &args.receipt;
    let wrong = |what: &str| {
        ui.fault(&Fault::new(what).about(path.display()));
        Ok(Outcome::Unauthentic)
    };
    // Which member cannot be read says nothing: whoever changed the receipt chose it.
    let receipt = match Receipt::parse(&read(path)?) {
        Ok(receipt) => receipt,
        Err(error) if error.kind() == amanat::Kind::Unsupported => {
            return wrong("the receipt was changed, or a newer amanat wrote it");
        }
        Err(_) => return wrong("the receipt was changed or is none; reformatting it is a change too"),
    };
    let keyring = args.unlock.unlock()?;
    match receipt.verify(&keyring.token_keys()?) {
        Ok(()) => {}
        Err(error) if error.kind() == amanat::Kind::KeyUnusable => {
            return Err(Fault::from(error).about(path.display()));
        }
        Err(error) => return wrong(error.message()),
    }
    let facts = receipt.facts();
    if let Some(file) = &args.file {
        let (bytes, digest) = digest(file)?;
        if (bytes, digest) != (facts.file_bytes, facts.file_sha256) {
            return wrong("genuine, but the file is not the one that it is of");
        }
    }
    if !args.quiet {
        ui.line(ui.paint(Style::Green, &format!("genuine: registry {} wrote it", receipt.registry())))?;
        describe(facts).into_iter().try_for_each(|(name, value)| ui.line(format!("{name:<10} {value}")))?;
    }
    Ok(Outcome::Done)
}

fn describe(facts: &ReceiptFacts) -> Vec<(&'static str, String)> {
    let names = |names: &[amanat::Name]| match names {
        [] => "nothing".to_owned(),
        names => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let mut lines = vec![
        ("recipient", facts.recipient.to_string()),
        ("table", facts.table.to_string()),
        ("made", facts.created.to_string()),
    ];
    for token in &facts.tokens {
        let expires = token.expires.map_or_else(String::new, |time| format!(", expires {time}"));
        lines.push((
            "tokens",
            format!(
                "{} of `{}` for {}, epoch {} (key {}){expires}",
                token.kind,
                token.field,
                token.purpose,
                token.epoch,
                token.key.short()
            ),
        ));
    }
    lines.extend([
        ("revealed", names(&facts.revealed)),
        ("masked", names(&facts.masked)),
        ("rows", format!("{}, {} refused", grouped(facts.rows), grouped(facts.refused))),
        ("file", format!("{}, SHA-256 {}", count(facts.file_bytes, "byte"), hex(&facts.file_sha256))),
        ("schema", format!("SHA-256 {}", hex(&facts.schema_sha256))),
    ]);
    lines
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let limit = u64::try_from(MAX_RECEIPT_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map_err(|error| Fault::file("read", path, &error))?;
    Ok(bytes)
}

/// Size and SHA-256 of a file.
fn digest(path: &Path) -> Result<(u64, [u8; 32])> {
    let failed = |error| Fault::file("read", path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        let part = buffer.get(..read).filter(|part| !part.is_empty());
        let Some(part) = part else { return Ok((bytes, hash.finalize().into())) };
        hash.update(part);
        bytes += u64::try_from(read).unwrap_or_default();
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
