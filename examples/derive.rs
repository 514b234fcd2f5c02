// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Rust type as a record: sealed for its row, found by its number, shown as masks, opened again. Every person here is invented.
//!
//! Run it: `cargo run --example derive`

use amanat::error::Result;
use amanat::keys::{KeyFile, NewSlot};
use amanat::{
    Date, Engine, Keyring, Name, OpenOptions, Record, RecordOpener, RecordSealer, SealedRecord, Timestamp,
    ValueRef,
};

/// A citizen in memory. There are also a `SealedCitizen`, which is stored, and a `MaskedCitizen`, which is shown.
#[derive(Record)]
#[amanat(table = "citizens")]
struct Citizen {
    #[amanat(record_id)]
    id: String,
    // Found by 40 bits of a keyed hash; known to the election commission by a token that nobody else can compare.
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
    #[amanat(sealed, mask = "last-4", absence = "visible")]
    phone: Option<String>,
    #[amanat(sealed, column = "dob")]
    birth_date: Date,
    #[amanat(masked = "last-4")]
    old_card: String,
    #[amanat(clear)]
    district: i64,
}

pub(crate) fn main() -> Result<()> {
    // A keyring of a registry; programs keep it in a file and read the time from a clock.
    let slot = NewSlot { label: "main", kek: &KeyFile::generate()? };
    let now = Timestamp::from_unix_seconds(1_795_000_000)?;
    let mut keyring = Keyring::create(Name::new("demo-registry")?, &slot, now)?;

    // What sealing 1,000 records takes is counted in the keyring before the first is sealed.
    let schema = Citizen::schema()?;
    let reserved = RecordSealer::reserve(&mut keyring, &schema, 1_000)?;
    let mut sealer = RecordSealer::for_keyring(&keyring, &schema, Engine::default(), &reserved)?;
    let mut opener = RecordOpener::new(&keyring.field_keys()?, &schema, &OpenOptions::default())?;

    let citizens = [citizen("r-1", "9990112345671", 3)?, citizen("r-2", "9990176543219", 4)?];
    println!("printed:  {:?}", citizens.first());

    // One call, one drawing of random bytes for all rows.
    let mut sealed = Citizen::seal_all(&citizens, &mut sealer)?;
    for row in &sealed {
        println!("stored:   {}", json(row)?);
    }
    for citizen in &citizens {
        println!("shown:    {}", json(&citizen.masked())?);
    }

    // Somebody asks for a number, typed in his own way. The store is asked for terms and gives candidates.
    let mut by_cnic = Citizen::finder(&keyring, "by-cnic")?;
    let search = by_cnic.search(&[ValueRef::Text("۹۹۹۰۱ ۱۲۳۴۵۶۷ ۱")])?;
    let candidates =
        sealed.iter().filter(|row| row.by_cnic.is_some_and(|term| search.terms().contains(&term)));
    for row in candidates {
        let opened = row.open(&mut opener)?;
        println!("found:    row {}, the very number: {}", opened.id, search.found(&opened)?);
        // What leaves for the election commission.
        println!("token:    {}", row.voter_roll.as_ref().map_or("none", |token| token.as_str()));
    }

    if let [first, second] = sealed.as_mut_slice() {
        let opened = first.open(&mut opener)?;
        println!("opened:   the name comes back: {}", opened.name == "Invented Name");
        println!("          of the old card only the mask was kept: {}", opened.old_card);

        // An insider copies the CNIC of one row into another.
        second.cnic = first.cnic.clone();
        match second.open(&mut opener) {
            Ok(_) => println!("moved:    opened"),
            Err(error) => println!("moved:    refused: {error}"),
        }
    }
    Ok(())
}

fn citizen(id: &str, cnic: &str, district: i64) -> Result<Citizen> {
    Ok(Citizen {
        id: id.to_owned(),
        cnic: cnic.to_owned(),
        name: "Invented Name".to_owned(),
        phone: None,
        birth_date: Date::new(1984, 2, 0)?,
        old_card: "100-20-300400".to_owned(),
        district,
    })
}

/// JSON, for a row that may be written: a sealed or a masked one. A plain `Citizen` is refused by the compiler.
fn json(row: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(row)
        .map_err(|error| amanat::Error::store("the row cannot be written as JSON", error))
}
