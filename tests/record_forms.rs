// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the columns of a record may hold: serde forms, plain and sealed side by side, masks. Every person here is invented.

#![cfg(feature = "derive")]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use amanat::record::{Cbor, Cell};
use amanat::schema::{Absence, FieldPolicy, Migration, Mode};
use amanat::{
    Date, Engine, Kind, Mixed, OpenOptions, Record, RecordOpener, RecordSealer, SealedField, SealedRecord,
};
use serde_json::{Value, json};

mod common;
use common::*;

#[derive(Record)]
#[amanat(table = "citizens")]
struct Citizen {
    #[amanat(record_id, column = "Citizen No")]
    id: i64,
    #[amanat(sealed, mask = "last-4")]
    cnic: String,
    #[amanat(sealed, absence = "visible", column = "Phone (mobile)")]
    phone: Option<String>,
    #[amanat(masked = "last-4")]
    old_card: Option<String>,
    #[amanat(clear)]
    district: i64,
    #[amanat(clear)]
    enrolled: Date,
    #[amanat(clear)]
    office: Option<String>,
    #[amanat(clear)]
    badge: Vec<u8>,
    #[amanat(clear)]
    extra: Cbor,
    #[amanat(clear)]
    alive: bool,
}

/// Columns in the middle of a migration, one of each type that has a plain form of its own.
#[derive(Record)]
#[amanat(table = "old")]
struct Old {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed, migration = "mixed")]
    name: String,
    #[amanat(sealed, migration = "mixed")]
    born: Option<Date>,
    #[amanat(sealed, migration = "mixed")]
    children: i64,
    #[amanat(sealed, migration = "mixed")]
    alive: bool,
    #[amanat(sealed, migration = "mixed", absence = "visible")]
    photo: Option<Vec<u8>>,
}

fn both<R: Record>() -> (RecordSealer, RecordOpener) {
    let mut ring = ring();
    let allowance = reserve(&mut ring, 1_000);
    let (keys, schema) = (ring.field_keys().unwrap(), R::schema().unwrap());
    let sealer = RecordSealer::new(&keys, &schema, Engine::Ring, &allowance).unwrap();
    (sealer, RecordOpener::new(&keys, &schema, &OpenOptions::default()).unwrap())
}

fn citizen() -> Citizen {
    Citizen {
        id: -41,
        cnic: "9990112345671".to_owned(),
        phone: None,
        old_card: Some("100-20-300400".to_owned()),
        district: 7,
        enrolled: Date::new(2020, 1, 0).unwrap(),
        office: None,
        badge: vec![0xfb, 0xff],
        extra: Cbor::new(vec![0xf6].into()),
        alive: true,
    }
}

#[test]
fn a_sealed_record_is_written_by_column_and_read_back() {
    let (mut sealer, mut opener) = both::<Citizen>();
    let sealed = citizen().seal(&mut sealer).unwrap();
    let written = serde_json::to_value(&sealed).unwrap();
    let envelope = sealed.cnic.to_text();
    let expected = json!({
        "Citizen No": -41, "cnic": envelope, "Phone (mobile)": null, "old_card": "***-**-**0400", "district": 7,
        "enrolled": "2020-01-00", "office": null, "badge": "-_8", "extra": "9g", "alive": true,
    });
    assert_eq!(written, expected);
    let read: SealedCitizen = serde_json::from_value(written).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), expected);
    let opened = read.open(&mut opener).unwrap();
    assert_eq!((opened.id, opened.cnic.as_str(), opened.district), (-41, "9990112345671", 7));
    assert!(opened.extra == citizen().extra && opened.badge == citizen().badge && opened.office.is_none());

    let mut with_phone = citizen();
    with_phone.phone = Some("+990001234567".to_owned());
    let sealed = serde_json::to_string(&with_phone.seal(&mut sealer).unwrap()).unwrap();
    let opened = serde_json::from_str::<SealedCitizen>(&sealed).unwrap().open(&mut opener).unwrap();
    assert_eq!(opened.phone, with_phone.phone);
}

#[test]
fn a_masked_record_shows_masks_and_clear_columns_and_no_record_id() {
    let shown = serde_json::to_value(citizen().masked()).unwrap();
    let expected = json!({
        "cnic": "*********5671", "Phone (mobile)": null, "old_card": "***-**-**0400", "district": 7,
        "enrolled": "2020-01-00", "office": null, "badge": "-_8", "extra": "9g", "alive": true,
    });
    assert_eq!(shown, expected);
    let mut with_phone = citizen();
    with_phone.phone = Some("+990001234567".to_owned());
    assert_eq!(serde_json::to_value(with_phone.masked()).unwrap()["Phone (mobile)"], "********");
}

#[test]
fn reading_a_sealed_record_refuses_what_its_schema_does_not_say_and_shows_no_input() {
    let (mut sealer, _) = both::<Citizen>();
    let good = serde_json::to_value(citizen().seal(&mut sealer).unwrap()).unwrap();
    let marker = "marker 3520212345671";
    for (column, value, words) in [
        ("cnic", json!(marker), "does not start with `amn1.`"),
        ("cnic", json!(3_520_212_345_671_i64), "no text form of an envelope stands here"),
        ("cnic", Value::Null, "no text form of an envelope stands here"),
        ("cnic", json!("amn2.AAAA"), "this version of the text form is not known here"),
        ("cnic", json!("amn1.AQE"), "truncated"),
        ("Phone (mobile)", json!(3_520_212_345_671_i64), "no text form of an envelope stands here"),
        ("Phone (mobile)", json!(""), "does not start with `amn1.`"),
        ("old_card", json!("100-20-3520212"), "a masked field is not a mask of its kind"),
        ("old_card", json!(3_520_212_345_671_i64), "a masked field is not a mask of its kind"),
        ("district", json!(marker), "a clear field is not of type integer"),
        ("enrolled", json!(marker), "a clear field is not of type date"),
        ("badge", json!("_-9"), "a clear field is not of type bytes"),
        ("office", json!(35_202), "a clear field is not of type text"),
        ("alive", json!(marker), "a clear field is not of type boolean"),
        ("Citizen No", json!(marker), "a clear field is not of type integer"),
        ("Citizen No", Value::Null, "a clear field is not of type integer"),
        ("new column", json!(1), "unknown field"),
    ] {
        let mut row = good.clone();
        row[column] = value;
        let text = row.to_string();
        for error in [
            serde_json::from_value::<SealedCitizen>(row).unwrap_err(),
            serde_json::from_str::<SealedCitizen>(&text).unwrap_err(),
        ] {
            let error = format!("{error} {error:?}");
            assert!(error.contains(words), "{column}: {error}");
            assert!(!error.contains("marker") && !error.contains("3520212"), "{column}: {error}");
        }
    }
    // A column that is missing is not one that is absent.
    for column in good.as_object().unwrap().keys() {
        let mut row = good.clone();
        row.as_object_mut().unwrap().remove(column);
        let error = serde_json::from_value::<SealedCitizen>(row).unwrap_err();
        assert!(error.to_string().contains("missing field"), "{column}: {error}");
    }
}

#[test]
fn a_mixed_column_holds_plain_sealed_or_unknown_and_writes_sealed_only() {
    let (mut sealer, mut opener) = both::<Old>();
    let row = json!({
        "id": "r-1", "name": "Invented Name", "born": "1957-00-00", "children": 3, "alive": true, "photo": "_w",
    });
    let plain: SealedOld = serde_json::from_str(&row.to_string()).unwrap();
    assert!(matches!((&plain.name, &plain.born), (Mixed::Plain(_), Mixed::Plain(_))));
    assert!(matches!((&plain.alive, &plain.photo), (Mixed::Plain(_), Some(Mixed::Plain(_)))));
    let printed = format!("{plain:?}");
    let parts = "name: Plain, born: Plain, children: Plain, alive: Plain, photo: Some(Plain), ..";
    assert!(printed.contains(parts), "{printed}");
    let error = serde_json::to_string(&plain).unwrap_err().to_string();
    assert!(error.contains("not sealed yet; seal the record before it is written"), "{error}");

    // The way of a row through a migration: read, open, seal, write.
    let opened = plain.open(&mut opener).unwrap();
    assert_eq!((opened.name.as_str(), opened.children, opened.alive), ("Invented Name", 3, true));
    assert!(opened.born == Some(Date::new(1957, 0, 0).unwrap()) && opened.photo == Some(vec![0xff]));
    let sealed = serde_json::to_string(&opened.seal(&mut sealer).unwrap()).unwrap();
    let again: SealedOld = serde_json::from_str(&sealed).unwrap();
    assert!(matches!((&again.name, &again.children), (Mixed::Sealed(_), Mixed::Sealed(_))));
    assert!(again.open(&mut opener).unwrap().born == opened.born);

    // Half a row.
    let mut half: Value = serde_json::from_str(&sealed).unwrap();
    (half["children"], half["born"], half["photo"]) = (json!(4), Value::Null, Value::Null);
    let opened = serde_json::from_value::<SealedOld>(half).unwrap().open(&mut opener).unwrap();
    assert!(opened.children == 4 && opened.born.is_none() && opened.photo.is_none());
}

#[test]
fn what_is_neither_plain_nor_sealed_is_unknown_and_does_not_open() {
    let (_, mut opener) = both::<Old>();
    let row = json!({ "id": "r-1", "name": "n", "born": null, "children": 3, "alive": true, "photo": null });
    for (column, value) in [
        ("name", "amn1.AQE"),
        ("name", " \"amn1.AQE\""),
        ("name", "amn2.AAAA"),
        ("born", "in spring"),
        ("children", "three"),
        ("alive", "yes"),
        ("photo", "not base64url!"),
    ] {
        let mut row = row.clone();
        row[column] = json!(value);
        let read: SealedOld = serde_json::from_str(&row.to_string()).unwrap();
        let printed = format!("{read:?}");
        assert!(printed.contains("Unknown") && !printed.contains(value), "{printed}");
        assert!(serde_json::to_string(&read).is_err());
        let words = format!("field {column}: neither an envelope nor a plain value");
        refused(read.open(&mut opener).map(drop), Kind::Malformed, &words);
        if let ("name", Mixed::Unknown(text)) = (column, &read.name) {
            assert_eq!(text.expose(), value);
        }
    }
    // Names that only resemble an envelope are names.
    for name in ["amna", "amn.", "amn1", "amn1234.x", "amnx.x"] {
        let mut row = row.clone();
        row["name"] = json!(name);
        let read: SealedOld = serde_json::from_value(row).unwrap();
        assert!(matches!(&read.name, Mixed::Plain(plain) if plain.expose() == name));
    }
    for (column, value) in [("name", json!(3_520_212)), ("children", json!(u64::MAX)), ("alive", Value::Null)]
    {
        let mut row = row.clone();
        row[column] = value;
        let error = serde_json::from_value::<SealedOld>(row).unwrap_err().to_string();
        assert!(error.contains("neither an envelope nor a plain"), "{error}");
        assert!(!error.contains("3520212") && !error.contains("18446"), "{error}");
    }
}

#[test]
fn a_binary_cell_is_plain_or_unknown_only_while_its_schema_says_mixed() {
    let (mut sealer, _) = both::<Citizen>();
    let sealed: SealedField = citizen().seal(&mut sealer).unwrap().cnic;
    let (envelope, truncated) = (sealed.as_bytes(), &sealed.as_bytes()[..40]);
    let field = || FieldPolicy::new(name("cnic"), Mode::Sealed);
    let (done, mixed) = (field(), field().with_migration(Migration::Mixed));
    let visible = field().with_absence(Absence::Visible);

    for policy in [&done, &mixed, &visible] {
        assert!(matches!(Cell::read(policy, envelope), Ok(Cell::Sealed(_))));
    }
    assert!(matches!(Cell::read(&visible, b""), Ok(Cell::Absent)));
    assert!(
        matches!(Cell::read(&mixed, b"9990112345671"), Ok(Cell::Plain(plain)) if plain.expose() == b"9990112345671")
    );
    for unknown in [truncated, &[1, 1], b"amn1.AQE", sealed.to_text().as_bytes()] {
        assert!(matches!(Cell::read(&mixed, unknown), Ok(Cell::Unknown(_))));
    }
    for refused_cell in [truncated, b"", b"9990112345671", b"amn1.AQE"] {
        let error = Cell::read(&done, refused_cell).unwrap_err();
        assert!(error.field() == Some(&name("cnic")) && error.kind() != Kind::Unauthentic, "{error}");
    }
}
