// SPDX-License-Identifier: MIT OR Apache-2.0
//! From nothing to stored records: a key file, a keyring file, citizens sealed, written as JSON, read and opened. Every person is invented.
//!
//! Run it: `cargo run -p amanat-stores --example registry -- FOLDER`

use std::path::{Path, PathBuf};

use amanat::error::{Error, Result};
use amanat::keys::{KeyFile, Keyring, NewSlot, Purpose};
use amanat::{Engine, Name, OpenOptions, Record, RecordOpener, RecordSealer, SealedRecord};
use amanat_stores::{KeyringPath, clock, secret_file};

#[derive(Record)]
#[amanat(table = "citizens")]
struct Citizen {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed)]
    cnic: String,
    #[amanat(sealed, pad = 64)]
    name: String,
    #[amanat(clear)]
    district: i64,
}

fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or_else(|| Error::misuse("name a new folder"))?);
    std::fs::create_dir(&folder).map_err(|error| Error::store("the folder cannot be made", error))?;
    run(&folder)
}

pub(crate) fn run(folder: &Path) -> Result<()> {
    let (key_path, keyring) =
        (folder.join("registry.key"), KeyringPath::open(folder.join("registry.keyring")));

    // Once: what unlocks the keyring, and the keyring. Keep the two apart, and a copy of each.
    let key = KeyFile::generate()?;
    secret_file::create_key_file(&key_path, &key)?;
    let now = clock::now()?;
    let slot = NewSlot { label: "service", kek: &key };
    keyring.create(&mut Keyring::create(Name::new("demo-registry")?, &slot, now)?, now)?;

    // At the start of a service: messages are counted in the file before the first is sealed.
    let key = secret_file::read_key_file(&key_path)?;
    let allowance = keyring.update(&key, clock::now()?, |ring| ring.reserve(Purpose::Field, 100_000))?;
    let ring = keyring.unlock(&key)?;
    let (keys, schema) = (ring.field_keys()?, Citizen::schema()?);
    let mut sealer = RecordSealer::new(&keys, &schema, Engine::default(), &allowance)?;
    let mut opener = RecordOpener::new(&keys, &schema, &OpenOptions::default())?;

    // For each request.
    let citizen =
        Citizen { id: "r-1".into(), cnic: "0000012345678".into(), name: "Invented Name".into(), district: 7 };
    let json = serde_json::to_string_pretty(&citizen.seal(&mut sealer)?).map_err(unreadable)?;
    println!("{json}");
    let read: SealedCitizen = serde_json::from_str(&json).map_err(unreadable)?;
    let opened = read.open(&mut opener)?;
    if opened.cnic != citizen.cnic || opened.name != citizen.name {
        return Err(Error::misuse("what was opened is not what was sealed"));
    }
    println!("opened: the same record");

    // At its end: what was not sealed is given back.
    keyring.update(&key, clock::now()?, |ring| ring.give_back(&allowance))
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::store("the row is not JSON", error)
}
