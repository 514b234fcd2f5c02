// SPDX-License-Identifier: MIT OR Apache-2.0
//! `#[derive(Record)]`: the schema it says, sealing and opening, refusals. Every person here is invented.

#![cfg(feature = "derive")]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use amanat::record::Cbor;
use amanat::schema::Schema;
use amanat::{
    Allowance, Date, Engine, Keyring, Kind, OpenOptions, Record, RecordOpener, RecordSealer, SealedField,
    SealedRecord, TableSchema, ValueRef,
};

mod common;
use common::*;

#[path = "../examples/derive.rs"]
mod example;

/// Every word and every type.
#[derive(Record, Clone, PartialEq)]
#[amanat(table = "citizens", encoding = "binary")]
struct Citizen {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed)]
    cnic: String,
    #[amanat(sealed, pad = 64, mask = "last-4")]
    name: String,
    #[amanat(sealed, absence = "visible", mask = "last-4")]
    phone: Option<String>,
    #[amanat(sealed, family = "chacha", column = "dob")]
    birth_date: Date,
    #[amanat(sealed, migration = "mixed", name = "home.address")]
    address: String,
    #[amanat(clear)]
    district: i64,
    #[amanat(masked = "last-4")]
    old_card: String,
    #[amanat(masked)]
    old_phone: Option<String>,
    #[amanat(sealed)]
    photo: Vec<u8>,
    #[amanat(sealed, absence = "hidden", family = "aes", migration = "done", pad = 16, mask = "all")]
    children: Option<i64>,
    #[amanat(sealed)]
    alive: bool,
    #[amanat(sealed, column = "more (cbor)")]
    more: Cbor,
    #[amanat(clear, column = "Enrolled On")]
    enrolled: Date,
    #[amanat(clear)]
    r#type: Option<String>,
}

const TOML: &str = r#"
format = "amanat-schema"
version = 1

[[table]]
name = "citizens"
record_id = ["id"]
encoding = "binary"
field = [
    { name = "cnic", mode = "sealed" },
    { name = "name", mode = "sealed", pad = 64, mask = "last-4" },
    { name = "phone", mode = "sealed", absence = "visible", mask = "last-4" },
    { name = "birth_date", mode = "sealed", type = "date", family = "chacha", column = "dob" },
    { name = "home.address", mode = "sealed", migration = "mixed" },
    { name = "district", mode = "clear", type = "integer" },
    { name = "old_card", mode = "masked", mask = "last-4" },
    { name = "old_phone", mode = "masked" },
    { name = "photo", mode = "sealed", type = "bytes" },
    { name = "children", mode = "sealed", type = "integer", mask = "all" },
    { name = "alive", mode = "sealed", type = "boolean" },
    { name = "more", mode = "sealed", type = "cbor", column = "more (cbor)" },
    { name = "enrolled", mode = "clear", type = "date", column = "Enrolled On" },
    { name = "type", mode = "clear" },
]

[[table]]
name = "visits"
record_id = ["office", "Serial No"]
field = [{ name = "reason", mode = "sealed" }]

[[table]]
name = "numbered"
record_id = ["n"]
field = [{ name = "note", mode = "sealed" }]
"#;

/// A composite record id of text and number.
#[derive(Record, Clone)]
#[amanat(table = "visits")]
struct Visit {
    #[amanat(record_id)]
    office: String,
    #[amanat(sealed)]
    reason: String,
    #[amanat(record_id, column = "Serial No")]
    serial: i64,
}

/// A number as record id.
#[derive(Record)]
#[amanat(table = "numbered")]
struct Numbered {
    #[amanat(record_id)]
    n: i64,
    #[amanat(sealed)]
    note: String,
}

fn citizen(id: &str) -> Citizen {
    Citizen {
        id: id.to_owned(),
        cnic: "9990112345671".to_owned(),
        name: "Invented Name گلبدن".to_owned(),
        phone: None,
        birth_date: Date::new(1984, 2, 0).unwrap(),
        address: "1 Invented Street".to_owned(),
        district: 7,
        old_card: "100-20-300400".to_owned(),
        old_phone: None,
        photo: vec![0xff; 300],
        children: None,
        alive: true,
        more: Cbor::new(vec![0x82, 0x01, 0x02].into()),
        enrolled: Date::new(2020, 1, 31).unwrap(),
        r#type: Some("b".to_owned()),
    }
}

fn sealer_of(ring: &Keyring, schema: &TableSchema, allowance: &Allowance) -> RecordSealer {
    RecordSealer::new(&ring.field_keys().unwrap(), schema, Engine::Ring, allowance).unwrap()
}

fn opener_of(ring: &Keyring, schema: &TableSchema) -> RecordOpener {
    RecordOpener::new(&ring.field_keys().unwrap(), schema, &OpenOptions::default()).unwrap()
}

fn both<R: Record>() -> (RecordSealer, RecordOpener) {
    let mut ring = ring();
    let allowance = reserve(&mut ring, 1 << 20);
    let schema = R::schema().unwrap();
    (sealer_of(&ring, &schema, &allowance), opener_of(&ring, &schema))
}

#[test]
fn the_derived_schema_is_that_of_the_schema_file() {
    let file = Schema::from_toml(TOML).unwrap();
    assert_eq!(&Citizen::schema().unwrap(), file.table("citizens").unwrap());
    assert_eq!(&Visit::schema().unwrap(), file.table("visits").unwrap());
    assert_eq!(&Numbered::schema().unwrap(), file.table("numbered").unwrap());
    // And the file that is written of it says the same.
    let written = Schema::new(vec![Citizen::schema().unwrap()]).unwrap().to_toml().unwrap();
    assert_eq!(Schema::from_toml(&written).unwrap().tables(), [Citizen::schema().unwrap()]);
}

#[test]
fn a_record_comes_back_but_for_what_only_its_mask_was_kept_of() {
    let (mut sealer, mut opener) = both::<Citizen>();
    for (phone, children) in [(None, Some(4)), (Some("+990001234567".to_owned()), None)] {
        let mut citizen = citizen("r-1");
        (citizen.phone, citizen.children) = (phone, children);
        let sealed = citizen.seal(&mut sealer).unwrap();
        assert_eq!(sealed.phone.is_some(), citizen.phone.is_some());
        let opened = sealed.open(&mut opener).unwrap();
        citizen.old_card = "***-**-**0400".to_owned();
        assert!(opened == citizen);
        // Sealing what was opened changes nothing that can be seen of it.
        let again = opened.seal(&mut sealer).unwrap();
        assert_eq!(again.old_card, sealed.old_card);
        assert_ne!(again.cnic, sealed.cnic);
    }
}

#[test]
fn records_are_bound_to_their_whole_id() {
    let (mut sealer, mut opener) = both::<Visit>();
    let visit = Visit { office: "a".to_owned(), reason: "lost card".to_owned(), serial: -7 };
    let sealed = visit.seal(&mut sealer).unwrap();
    let composite = amanat::RecordId::composite(&["a", "-7"]).unwrap();
    assert!(sealed.record_id().unwrap() == composite && visit.record_id().unwrap() == composite);
    assert_eq!(sealed.open(&mut opener).unwrap().reason, "lost card");
    for (office, serial) in [("b", -7), ("a", 7)] {
        let moved = SealedVisit { office: office.to_owned(), serial, ..sealed.clone() };
        refused(moved.open(&mut opener).map(drop), Kind::Unauthentic, "field reason: does not open");
    }
    let number = Numbered { n: 12, note: String::new() };
    assert!(number.record_id().unwrap() == record("12"));
}

#[test]
fn a_batch_seals_as_single_calls_do_and_says_the_row_that_fails() {
    let (mut sealer, mut opener) = both::<Visit>();
    let visits: Vec<Visit> = (0..500)
        .map(|serial| Visit { office: "a".to_owned(), reason: format!("reason {serial}"), serial })
        .collect();
    let sealed = Visit::seal_all(&visits, &mut sealer).unwrap();
    assert_eq!(sealed.len(), visits.len());
    for (sealed, visit) in sealed.iter().zip(&visits) {
        assert_eq!(sealed.open(&mut opener).unwrap().reason, visit.reason);
    }
    let distinct: std::collections::BTreeSet<&[u8]> =
        sealed.iter().map(|row| row.reason.as_bytes()).collect();
    assert_eq!(distinct.len(), visits.len());
    assert!(Visit::seal_all(&[], &mut sealer).unwrap().is_empty());

    let (mut sealer, _) = both::<Citizen>();
    let rows = [citizen("r-1"), citizen("")];
    refused(Citizen::seal_all(&rows, &mut sealer).map(drop), Kind::Limit, "row 2: the record id is empty");
    let mut broken = citizen("r-3");
    broken.more = Cbor::new(vec![0xff].into());
    let failed = Citizen::seal_all(&[citizen("r-1"), citizen("r-2"), broken], &mut sealer);
    refused(failed.map(drop), Kind::Malformed, "row 3: field more: ");
}

#[test]
fn a_sealer_or_opener_of_another_table_or_policy_is_refused() {
    let (mut visits, mut open_visits) = both::<Visit>();
    let (mut citizens, _) = both::<Citizen>();
    refused(citizen("r-1").seal(&mut visits).map(drop), Kind::Misuse, "made for table `visits`, used for");
    let sealed = citizen("r-1").seal(&mut citizens).unwrap();
    refused(sealed.open(&mut open_visits).map(drop), Kind::Misuse, "used for a record of table `citizens`");

    let mut ring = ring();
    let allowance = reserve(&mut ring, 100);
    let file = |text: &str| Schema::from_toml(text).unwrap();
    let same = file(TOML);
    assert!(citizen("r-1").seal(&mut sealer_of(&ring, same.table("citizens").unwrap(), &allowance)).is_ok());
    for (old, new, field) in [
        ("mode = \"sealed\", pad = 64", "mode = \"sealed\", pad = 32", "name"),
        ("family = \"chacha\", ", "", "birth_date"),
        ("mode = \"sealed\", absence = \"visible\"", "mode = \"sealed\"", "phone"),
        ("type = \"bytes\"", "type = \"text\"", "photo"),
        ("{ name = \"cnic\", mode = \"sealed\" },", "", "name"),
        ("{ name = \"alive\", mode = \"sealed\", type = \"boolean\" },", "", "more"),
    ] {
        let other = file(&TOML.replacen(old, new, 1));
        assert_ne!(other, same, "{old} does not stand in the file");
        let other = other.table("citizens").unwrap();
        let words = format!("field {field}: made from a schema whose sealed fields differ");
        refused(
            citizen("r-1").seal(&mut sealer_of(&ring, other, &allowance)).map(drop),
            Kind::Misuse,
            &words,
        );
        refused(sealed.open(&mut opener_of(&ring, other)).map(drop), Kind::Misuse, &words);
    }
    let shorter = file(&TOML.replacen(
        "{ name = \"more\", mode = \"sealed\", type = \"cbor\", column = \"more (cbor)\" },",
        "",
        1,
    ));
    let mut shorter = sealer_of(&ring, shorter.table("citizens").unwrap(), &allowance);
    refused(citizen("r-1").seal(&mut shorter).map(drop), Kind::Misuse, "whose sealed fields differ");
}

#[test]
fn a_value_of_another_type_than_the_field_is_said_by_name() {
    let (mut sealer, mut opener) = both::<Citizen>();
    let sealed = citizen("r-1").seal(&mut sealer).unwrap();
    // Both envelopes are authentic only in their own fields, so a value of another type needs a sealer by hand.
    let mut batch = amanat::EnvelopeBatch::new();
    let null = ValueRef::Null;
    let values = [
        null,
        null,
        null,
        null,
        ValueRef::Integer(1),
        ValueRef::Bytes(b""),
        null,
        ValueRef::Boolean(true),
        null,
    ];
    sealer.seal(&record("r-1"), &values, &mut batch).unwrap();
    let at = |position| SealedField::from_bytes(batch.get(position).unwrap().to_vec()).unwrap();
    let cnic = SealedCitizen { cnic: at(0), ..sealed.clone() };
    refused(
        cnic.open(&mut opener).map(drop),
        Kind::Schema,
        "field cnic: the sealed value is null, and the record's",
    );
    let address = SealedCitizen { address: amanat::Mixed::Sealed(at(4)), ..sealed };
    refused(
        address.open(&mut opener).map(drop),
        Kind::Schema,
        "field home.address: the sealed value is integer",
    );
}

#[test]
fn printing_a_record_shows_neither_its_values_nor_its_id() {
    let (mut sealer, _) = both::<Citizen>();
    let citizen = citizen("r-marker");
    assert_eq!(format!("{citizen:?}"), "Citizen { .. }");
    let sealed = format!("{:?}", citizen.seal(&mut sealer).unwrap());
    assert!(sealed.starts_with("SealedCitizen { cnic: Envelope(0x01 XAES-256-GCM, key "), "{sealed}");
    let masked = format!("{:?}", citizen.masked());
    assert!(masked.contains("old_card: Masked(\"***-**-**0400\")"), "{masked}");
    for text in [sealed, masked] {
        assert!(!text.contains("marker") && !text.contains("2020") && !text.contains("district"), "{text}");
    }
}

#[test]
fn the_example_runs() {
    example::main().unwrap();
}

#[test]
fn what_must_not_compile_does_not() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
