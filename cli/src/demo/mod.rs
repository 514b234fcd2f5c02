// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat demo`: the main job on invented people, in a folder of its own. Every command is printed as a reader would type it.
//!
//! Never touches a folder that no demonstration made.

mod citizens;
mod stage;
mod words;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use amanat::keys::Purpose;
use amanat_stores::KeyringPath;

use self::citizens::{Citizen, make_registry};
use self::stage::{Ran, Stage};
use crate::fault::{Fault, Outcome, Result};
use crate::text::grouped;
use crate::ui::Ui;

/// What a demonstration leaves in its folder, so that a later one knows it.
const MARKER: &str = ".amanat-demo";
/// What a demonstration makes, and `--force` removes.
const FILES: [&str; 15] = [
    MARKER,
    "citizens.toml",
    "commission.csv",
    "commission.csv.receipt.json",
    "refused.csv",
    "registry.db",
    "registry.db-journal",
    "registry.db-shm",
    "registry.db-wal",
    "registry.key",
    "registry.keyring",
    "registry.keyring.lock",
    "registry.keyring.pin",
    "revenue.csv",
    "revenue.csv.receipt.json",
];
const SCHEMA: &str = include_str!("citizens.toml");
/// What every command after `init` needs.
const UNLOCK: &str = "--keyring registry.keyring --key-file registry.key";
/// The citizen whose row is shown, and the one whose envelope is taken.
const SHOWN: u32 = 7;
const OTHER: u32 = 8;
const MIN_ROWS: u32 = 100;
/// The fields that are revealed; the photo stays sealed.
const FIELDS: &str = "name,name_urdu,cnic,phone,birth_date,address";

/// Show the main job on invented people: protect a registry, look at it as a thief would, reveal, catch a moved value, change the key.
///
/// Makes a folder with a SQLite registry of synthetic citizens and runs this program's own verbs on it. It prints every command, so that
/// you can repeat it by hand in that folder. The people are put together from word lists; none of them exists.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder to make.
    #[arg(long, value_name = "DIR", default_value = "amanat-demo")]
    folder: PathBuf,
    /// Replace what a former demonstration left in the folder.
    #[arg(long)]
    force: bool,
    /// Number of citizens.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(i64::from(MIN_ROWS)..=1_000_000))]
    rows: u32,
}

/// What the closing scene tells.
struct Measured {
    plain_bytes: u64,
    sealed_bytes: u64,
    protect: Ran,
    again: Ran,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    let started = Instant::now();
    make_folder(&args.folder, args.force)?;
    let stage = Stage::new(ui, &args.folder)?;
    let plain_bytes = registry(&stage, args.rows)?;
    keyring(&stage)?;
    let protect = protect(&stage)?;
    let sealed_bytes = stage.database_bytes()?;
    reveal(&stage)?;
    find(&stage)?;
    tokens(&stage)?;
    moved(&stage)?;
    let again = new_key(&stage)?;
    closing(&stage, args.rows, &Measured { plain_bytes, sealed_bytes, protect, again }, started)?;
    Ok(Outcome::Done)
}

/// Makes the folder, or empties one that a former demonstration made.
fn make_folder(folder: &Path, force: bool) -> Result<()> {
    let marker = folder.join(MARKER);
    if fs::symlink_metadata(folder).is_ok() {
        let ours = marker.is_file();
        let fault = Fault::new(format!("{} is there already", folder.display()));
        match (ours, force) {
            (true, true) => {}
            (true, false) => {
                return Err(fault.help("a former demonstration made it; to replace it, add --force"));
            }
            (false, _) => {
                return Err(
                    fault.help("name another with --folder: only what a demonstration made is ever replaced")
                );
            }
        }
        for name in FILES.iter().rev() {
            match fs::remove_file(folder.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Fault::file("remove", &folder.join(name), &error));
                }
                _ => {}
            }
        }
    }
    fs::create_dir_all(folder).map_err(|error| Fault::file("make", folder, &error))?;
    fs::write(&marker, "made by `amanat demo`\n").map_err(|error| Fault::file("write", &marker, &error))
}

/// Makes the registry and shows a row of it.
fn registry(stage: &Stage<'_>, rows: u32) -> Result<u64> {
    stage.scene(1, "A registry of people who do not exist")?;
    let file = stage.database();
    make_registry(&file, rows).map_err(|_| Fault::new(format!("{} cannot be made", file.display())))?;
    stage.say(&format!(
        "{} synthetic citizens are in registry.db; one of them as a thief of the file sees it:",
        grouped(rows.into())
    ))?;
    stage.sql(&show_row())?;
    stage.search(&Citizen::new(SHOWN).phone)?;
    stage.database_bytes()
}

fn show_row() -> String {
    format!(
        "SELECT name, name_urdu, cnic, phone, birth_date, address, district, photo FROM citizens WHERE id = {SHOWN}"
    )
}

fn keyring(stage: &Stage<'_>) -> Result<()> {
    stage.scene(2, "Keys, and a schema that says what is sealed")?;
    stage.amanat(&format!("init --registry pk-demo {UNLOCK} --new-key-file"), 0)?;
    let schema = stage.folder.join("citizens.toml");
    fs::write(&schema, SCHEMA).map_err(|error| Fault::file("write", &schema, &error))?;
    stage.amanat("schema check citizens.toml", 0)?;
    Ok(())
}

fn protect(stage: &Stage<'_>) -> Result<Ran> {
    stage.scene(3, "Protect it, and look again")?;
    let ran = stage.amanat(&format!("protect registry.db --schema citizens.toml {UNLOCK}"), 0)?;
    stage.say("\nThe same row, and the same search through the bytes of the file:")?;
    stage.sql(&show_row())?;
    stage.search(&Citizen::new(SHOWN).phone)?;
    let cell = stage.query(&format!("SELECT cnic FROM citizens WHERE id = {SHOWN}"))?;
    stage.say("\nWhat an envelope tells without a key:")?;
    stage.amanat(&format!("inspect {} --keyring registry.keyring", cell.concat()), 0)?;
    Ok(ran)
}

fn reveal(stage: &Stage<'_>) -> Result<()> {
    stage.scene(4, "Reveal one row: to somebody who may, and masked for a screen")?;
    stage.pipe(
        &one_row(),
        &format!("reveal - --format csv --fields {FIELDS} --schema citizens.toml {UNLOCK}"),
        0,
    )?;
    stage.pipe(
        &one_row(),
        &format!("reveal - --format csv --masked --fields {FIELDS} --schema citizens.toml {UNLOCK}"),
        0,
    )?;
    Ok(())
}

fn one_row() -> String {
    format!("SELECT * FROM citizens WHERE id = {SHOWN}")
}

fn find(stage: &Stage<'_>) -> Result<()> {
    stage.scene(5, "Find one person, by an index that nobody without the key can read or try out")?;
    let (find, citizen) = (format!("registry.db --schema citizens.toml {UNLOCK}"), Citizen::new(SHOWN));
    stage.type_in(&[&citizen.cnic], &format!("find --field cnic --show cnic,district {find}"), 0)?;
    stage.say("\nBy the name, as an Arabic keyboard types it, and the date of birth:")?;
    let arabic = citizen.name_urdu.replace('ی', "ي").replace('ک', "ك").replace('ہ', "ه");
    let find = format!("find --field name_urdu --field birth_date --show name,cnic,district {find}");
    stage.type_in(&[&arabic, &citizen.birth_date], &find, 0)?;
    Ok(())
}

fn tokens(stage: &Stage<'_>) -> Result<()> {
    stage.scene(6, "The same person for two recipients, who cannot join what they were given")?;
    let mut token = String::new();
    for (recipient, file) in [("revenue-board", "revenue.csv"), ("election-commission", "commission.csv")] {
        let export = format!(
            "export - --format csv --recipient {recipient} -o {file} --schema citizens.toml {UNLOCK}"
        );
        stage.pipe(&one_row(), &export, 0)?;
        let lines = stage.cat(file)?;
        token = lines.last().and_then(|line| line.split(',').next()).unwrap_or_default().to_owned();
    }
    stage.say(
        "\nA token that turns up somewhere says by itself whose it was; with the key, whether it is genuine:",
    )?;
    stage.amanat(&format!("token explain {token} {UNLOCK}"), 0)?;
    Ok(())
}

fn moved(stage: &Stage<'_>) -> Result<()> {
    stage.scene(7, "Somebody with write access gives one person another's number")?;
    stage.sql(&format!("CREATE TABLE aside AS SELECT phone FROM citizens WHERE id = {SHOWN}"))?;
    stage.sql(&format!(
        "UPDATE citizens SET phone = (SELECT phone FROM citizens WHERE id = {OTHER}) WHERE id = {SHOWN}"
    ))?;
    stage.say("\nThe envelope is genuine and its key is known. It stands in the wrong row, so it does not open; the exit code is 3:")?;
    let reveal = format!(
        "reveal - --format csv --fields phone --schema citizens.toml {UNLOCK} --exceptions refused.csv"
    );
    stage.pipe(&one_row(), &reveal, 3)?;
    stage.say("\nWithout the move everything is as it was:")?;
    stage.sql(&format!("UPDATE citizens SET phone = (SELECT phone FROM aside) WHERE id = {SHOWN}"))?;
    stage.sql("DROP TABLE aside")
}

fn new_key(stage: &Stage<'_>) -> Result<Ran> {
    stage.scene(8, "A new key, and everything under it")?;
    let old = primary(stage)?;
    let new = stage.amanat(&format!("keys add {UNLOCK}"), 0)?.out;
    let new = new.trim();
    stage.amanat(&format!("keys activate {new} {UNLOCK}"), 0)?;
    let ran = stage.amanat(&format!("protect registry.db --schema citizens.toml {UNLOCK}"), 0)?;
    stage.amanat(&format!("keys retire {old} {UNLOCK}"), 0)?;
    stage.say(
        "\nEvery envelope of a key begins alike, so an ordinary query tells what is sealed under which:",
    )?;
    stage.sql("SELECT substr(cnic, 1, 29) AS begins, count(*) AS people FROM citizens GROUP BY 1")?;
    stage.amanat(&format!("protect registry.db --schema citizens.toml {UNLOCK}"), 0)?;
    stage.amanat(&format!("keys list {UNLOCK}"), 0)?;
    Ok(ran)
}

/// Id of the key that seals fields.
fn primary(stage: &Stage<'_>) -> Result<String> {
    let path = KeyringPath::open(stage.folder.join("registry.keyring"));
    let file = path.read()?;
    let key = file.keys().find(|key| key.purpose == Purpose::Field && key.primary);
    Ok(key.map(|key| key.id.short()).unwrap_or_default())
}

fn closing(stage: &Stage<'_>, rows: u32, measured: &Measured, started: Instant) -> Result<()> {
    stage.scene(9, "Sizes and rates, on this machine")?;
    let megabytes = |bytes: u64| format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10);
    let people = u64::from(rows);
    let rate = |ran: &Ran| {
        let per_second = u128::from(people) * 1_000 / ran.time.as_millis().max(1);
        let per_second = grouped(u64::try_from(per_second).unwrap_or(u64::MAX));
        format!(
            "{:.1} s, {per_second} people a second, each value opened again before it replaced another",
            ran.time.as_secs_f64()
        )
    };
    let number = stage.query(&format!("SELECT length(cnic) FROM citizens WHERE id = {SHOWN}"))?;
    let lines = [
        ("people", grouped(people)),
        ("sealed values", grouped(people * 7)),
        (
            "a 13-digit number",
            format!("{} characters sealed; key id, nonce, padding and tag included", number.concat()),
        ),
        ("database, plain", megabytes(measured.plain_bytes)),
        (
            "database, sealed",
            format!(
                "{}; as text, mostly photos; binary columns take a quarter less",
                megabytes(measured.sealed_bytes)
            ),
        ),
        ("protect", rate(&measured.protect)),
        ("protect under a new key", rate(&measured.again)),
        ("all of this", format!("{:.1} s", started.elapsed().as_secs_f64())),
    ];
    for (name, value) in lines {
        stage.say(&format!("    {name:<24} {value}"))?;
    }
    stage.say(&format!("\nEverything is in {}. To repeat a command by hand:", stage.folder.display()))?;
    stage.say(&format!("    cd {}; alias amanat={}", stage.folder.display(), stage.program.display()))
}
