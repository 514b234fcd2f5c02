// SPDX-License-Identifier: MIT OR Apache-2.0
//! From nothing to a table of citizens: keys, rows sealed into SQLite, found by number, opened, shown, told by token. Every person is invented.
//!
//! Run it: `cargo run -p amanat-stores --example registry -- FOLDER`

use std::path::{Path, PathBuf};

use amanat::error::{Error, Result};
use amanat::index::IndexTerm;
use amanat::keys::{KeyFile, Keyring, NewSlot};
use amanat::surrogate::TokenText;
use amanat::{
    Engine, Finder, Name, OpenOptions, Record, RecordOpener, RecordSealer, SealedField, SealedRecord,
    ValueRef,
};
use amanat_stores::{KeyringPath, clock, secret_file};
use rusqlite::{Connection, Row, params, params_from_iter};

#[derive(Record)]
#[amanat(table = "citizens")]
struct Citizen {
    #[amanat(record_id)]
    id: String,
    #[amanat(
        sealed,
        identifier = "cnic",
        index(bits = 40, column = "cnic_index"),
        token(
            kind = "pairwise",
            recipient = "election-commission",
            purpose = "voter-roll",
            epoch = 1,
            column = "ec_token"
        )
    )]
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

    // At the start of a service: what sealing takes is counted in the file before the first row is sealed.
    let (key, schema) = (secret_file::read_key_file(&key_path)?, Citizen::schema()?);
    let reserved =
        keyring.update(&key, clock::now()?, |ring| RecordSealer::reserve(ring, &schema, 10_000))?;
    let ring = keyring.unlock(&key)?;
    let mut sealer = RecordSealer::for_keyring(&ring, &schema, Engine::default(), &reserved)?;
    let mut opener = RecordOpener::new(&ring.field_keys()?, &schema, &OpenOptions::default())?;
    let mut by_cnic = Citizen::finder(&ring, "by-cnic")?;
    let table = Connection::open(folder.join("registry.db")).map_err(refused)?;
    table
        .execute_batch(
            "CREATE TABLE citizens
                 (id TEXT PRIMARY KEY, cnic TEXT, name TEXT, district INTEGER, cnic_index TEXT, ec_token TEXT);
             CREATE INDEX by_cnic ON citizens (cnic_index);",
        )
        .map_err(refused)?;

    // For each request.
    let citizen = Citizen {
        id: "r-1".into(),
        cnic: "99901-1234567-1".into(),
        name: "Invented Name".into(),
        district: 7,
    };
    insert(&table, &citizen.seal(&mut sealer)?)?;
    let found = find(&table, &mut by_cnic, "9990112345671", &mut opener)?;
    let [(opened, token)] = found.as_slice() else {
        return Err(Error::misuse("the row that was stored is not the row that is found"));
    };
    if opened.cnic != citizen.cnic || opened.name != citizen.name {
        return Err(Error::misuse("what was opened is not what was sealed"));
    }
    println!("found and opened: the same record");
    println!("shown: {}", opened.masked().cnic);
    println!("for the election commission: {}", token.as_ref().map_or("none", TokenText::as_str));

    // At its end: what was not sealed is given back.
    keyring.update(&key, clock::now()?, |ring| {
        reserved.iter().try_for_each(|allowance| ring.give_back(allowance))
    })
}

fn insert(table: &Connection, row: &SealedCitizen) -> Result<()> {
    let term = row.by_cnic.as_ref().map(IndexTerm::to_text);
    let token = row.voter_roll.as_ref().map(TokenText::as_str);
    let values = params![row.id, row.cnic.to_text(), row.name.to_text(), row.district, term, token];
    let inserted = table.execute("INSERT INTO citizens VALUES (?, ?, ?, ?, ?, ?)", values);
    inserted.map(drop).map_err(refused)
}

/// Rows of a number, opened, each with its token. A term is shared by some other numbers too: rows are compared once they are open.
fn find(
    table: &Connection,
    by_cnic: &mut Finder,
    cnic: &str,
    opener: &mut RecordOpener,
) -> Result<Vec<(Citizen, Option<TokenText>)>> {
    let search = by_cnic.search(&[ValueRef::Text(cnic)])?;
    // One term, and one more while the index is being rotated: both in one statement, because a run moves rows from one to the other.
    let terms: Vec<String> = search.terms().iter().map(IndexTerm::to_text).collect();
    let places = vec!["?"; terms.len()].join(", ");
    let sql = format!("SELECT * FROM citizens WHERE cnic_index IN ({places})");
    let mut query = table.prepare(&sql).map_err(refused)?;
    let mut rows = query.query(params_from_iter(terms)).map_err(refused)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(refused)? {
        let row = read(row)?;
        let citizen = row.open(opener)?;
        if search.found(&citizen)? {
            // A kept token is only as good as the table. `amanat export` makes tokens from the opened values instead.
            found.push((citizen, row.voter_roll));
        }
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<SealedCitizen> {
    let text = |column| row.get::<_, String>(column).map_err(refused);
    let maybe = |column| row.get::<_, Option<String>>(column).map_err(refused);
    Ok(SealedCitizen {
        id: text("id")?,
        cnic: SealedField::from_text(&text("cnic")?)?,
        name: SealedField::from_text(&text("name")?)?,
        district: row.get("district").map_err(refused)?,
        by_cnic: maybe("cnic_index")?.map(|term| IndexTerm::from_text(&term)).transpose()?,
        voter_roll: maybe("ec_token")?.map(|token| TokenText::parse(&token)).transpose()?,
    })
}

fn refused(error: rusqlite::Error) -> Error {
    Error::store("SQLite refused", error)
}
