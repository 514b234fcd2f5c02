// SPDX-License-Identifier: MIT OR Apache-2.0
//! Blind indexes through the public interface, and the schema's words for indexes and tokens. Numbers and names are invented.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::HashSet;

use amanat::identifier::Identifier;
use amanat::index::{BlindIndex, IndexBits, IndexSpec, IndexTerm, IndexedField};
use amanat::keys::{DEFAULT_CRYPTOPERIOD_DAYS, KeyFile, KeyringFile, NewSlot, Purpose};
use amanat::normal::{Normal, NormalForm};
use amanat::{Keyring, Kind, Name, Schema, Timestamp, ValueRef};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000).unwrap()
}

fn keyring(registry: &str) -> (Keyring, KeyFile) {
    let kek = KeyFile::generate().unwrap();
    let slot = NewSlot { label: "main", kek: &kek };
    (Keyring::create(name(registry), &slot, now()).unwrap(), kek)
}

fn number(text: &str) -> Normal {
    NormalForm::Identifier(Identifier::Cnic).normalise(ValueRef::Text(text)).unwrap()
}

fn urdu(text: &str) -> Normal {
    NormalForm::UrduName.normalise(ValueRef::Text(text)).unwrap()
}

fn spec(index: &str, fields: &[(&str, NormalForm)], bits: u16) -> IndexSpec {
    let fields = fields.iter().map(|(field, form)| IndexedField { field: name(field), form: form.clone() });
    IndexSpec::new(name(index), fields.collect(), IndexBits::new(bits).unwrap()).unwrap()
}

fn by_number(keyring: &Keyring, bits: u16) -> BlindIndex {
    let spec = spec("by-cnic", &[("cnic", NormalForm::Identifier(Identifier::Cnic))], bits);
    BlindIndex::new(&keyring.index_keys().unwrap(), &name("citizens"), &spec, &[]).unwrap()
}

#[test]
fn every_way_of_writing_a_number_has_one_term_and_every_other_number_another() {
    let (ring, _) = keyring("demo-registry");
    let mut index = by_number(&ring, 64);
    let term = index.term(&[&number("9990112345671")]).unwrap();
    for same in ["99901-1234567-1", "۹۹۹۰۱-۱۲۳۴۵۶۷-۱", " 99901 1234567 1\u{200f}"] {
        assert_eq!(index.term(&[&number(same)]).unwrap(), term, "{same}");
    }
    let others: HashSet<IndexTerm> =
        (0..1_000).map(|n| index.term(&[&number(&format!("99902{n:08}"))]).unwrap()).collect();
    assert!(others.len() == 1_000 && !others.contains(&term));
}

#[test]
fn registry_table_index_field_and_form_are_inputs_of_the_key() {
    let (ring, _) = keyring("demo-registry");
    let (other_ring, _) = keyring("demo-registry");
    let exact = |ring: &Keyring, table: &str, index: &str, field: &str, form: NormalForm| {
        let value = form.normalise(ValueRef::Text("9990112345671")).unwrap();
        let spec = spec(index, &[(field, form)], 128);
        let mut index = BlindIndex::new(&ring.index_keys().unwrap(), &name(table), &spec, &[]).unwrap();
        index.term(&[&value]).unwrap().as_bytes()[1..].to_vec()
    };
    let terms: HashSet<Vec<u8>> = [
        exact(&ring, "citizens", "by-cnic", "cnic", NormalForm::Digits),
        exact(&other_ring, "citizens", "by-cnic", "cnic", NormalForm::Digits),
        exact(&ring, "refugees", "by-cnic", "cnic", NormalForm::Digits),
        exact(&ring, "citizens", "by-number", "cnic", NormalForm::Digits),
        exact(&ring, "citizens", "by-cnic", "number", NormalForm::Digits),
        exact(&ring, "citizens", "by-cnic", "cnic", NormalForm::Identifier(Identifier::Cnic)),
    ]
    .into();
    assert_eq!(terms.len(), 6);
}

#[test]
fn a_shorter_term_is_the_beginning_of_a_longer_one_and_its_spare_bits_are_zero() {
    let (ring, _) = keyring("demo-registry");
    let value = number("9990112345671");
    let longest = by_number(&ring, 128).term(&[&value]).unwrap();
    for bits in 4..=128_u16 {
        let term = by_number(&ring, bits).term(&[&value]).unwrap();
        let (bytes, whole) = (usize::from(bits).div_ceil(8), usize::from(bits) / 8);
        assert_eq!(term.as_bytes().len(), 1 + bytes);
        assert_eq!(term.as_bytes()[..=whole], longest.as_bytes()[..=whole]);
        if bits % 8 != 0 {
            let mask = 0xff_u8 << (8 - bits % 8);
            assert_eq!(term.as_bytes()[bytes], longest.as_bytes()[bytes] & mask);
        }
        assert_eq!(IndexTerm::from_text(&term.to_text()).unwrap(), term);
        assert!(by_number(&ring, bits).is_current(&term));
    }
    for bad in ["", "0a", "0A0b", "0a0", "zz00", &"00".repeat(18)] {
        assert_eq!(IndexTerm::from_text(bad).unwrap_err().kind(), Kind::Malformed, "{bad}");
    }
    assert!([0, 3, 129, 600].iter().all(|bits| IndexBits::new(*bits).is_err()));
}

#[test]
fn rows_of_two_generations_are_searched_at_once_until_the_old_key_is_gone() {
    let (mut ring, _) = keyring("demo-registry");
    let value = number("9990112345671");
    let first = ring.index_keys().unwrap().primary();
    let old = by_number(&ring, 40).term(&[&value]).unwrap();
    let second = ring.add_key(Purpose::Index, DEFAULT_CRYPTOPERIOD_DAYS, now()).unwrap();
    assert_eq!(by_number(&ring, 40).query(&[&value]).unwrap(), [old], "a key that waits finds nothing");
    ring.activate(second, now()).unwrap();
    let mut index = by_number(&ring, 40);
    let new = index.term(&[&value]).unwrap();
    assert_eq!(index.query(&[&value]).unwrap(), [new, old], "the primary's term first");
    assert!(index.is_current(&new) && !index.is_current(&old) && new.tag() != old.tag());
    ring.deactivate(first, now()).unwrap();
    assert_eq!(by_number(&ring, 40).query(&[&value]).unwrap(), [new, old]);
    ring.compromise(first, now()).unwrap();
    assert_eq!(by_number(&ring, 40).query(&[&value]).unwrap(), [new]);
    let spec = by_number(&ring, 40).spec().clone();
    let mut named = BlindIndex::new(&ring.index_keys().unwrap(), &name("citizens"), &spec, &[first]).unwrap();
    assert_eq!(named.query(&[&value]).unwrap(), [new, old], "broken glass searches by the old key too");
    ring.destroy(first, now()).unwrap();
    assert_eq!(by_number(&ring, 40).query(&[&value]).unwrap(), [new]);
}

#[test]
fn a_compound_term_needs_every_value_in_its_place_and_form() {
    let (ring, _) = keyring("demo-registry");
    let date = |text| NormalForm::Date.normalise(ValueRef::Text(text)).unwrap();
    let of = spec("person", &[("name", NormalForm::UrduName), ("birth", NormalForm::Date)], 48);
    let mut index = BlindIndex::new(&ring.index_keys().unwrap(), &name("citizens"), &of, &[]).unwrap();
    let term = index.term(&[&urdu("علی خان"), &date("1990-01-02")]).unwrap();
    assert_eq!(index.term(&[&urdu("علي  خان"), &date("۱۹۹۰-۰۱-۰۲")]).unwrap(), term, "another keyboard");
    assert_ne!(index.term(&[&urdu("علی خان"), &date("1990-01-03")]).unwrap(), term);
    let wrong: [&[&Normal]; 4] = [
        &[&urdu("علی خان")],
        &[&date("1990-01-02"), &urdu("علی خان")],
        &[&urdu("علی خان"), &urdu("علی خان")],
        &[&urdu("علی خان"), &date("1990-01-02"), &date("1990-01-02")],
    ];
    assert!(wrong.iter().all(|values| index.term(values).unwrap_err().kind() == Kind::Misuse));
    let empty = Normal::empty(NormalForm::Date);
    assert_eq!(index.term(&[&urdu("علی خان"), &empty]).unwrap_err().kind(), Kind::Misuse);
    let field = |field: &str| IndexedField { field: name(field), form: NormalForm::Date };
    for fields in
        [vec![], vec![field("birth"), field("birth")], (0..9).map(|n| field(&format!("f{n}"))).collect()]
    {
        let refused = IndexSpec::new(name("x"), fields, IndexBits::new(8).unwrap());
        assert!(matches!(refused.unwrap_err().kind(), Kind::Schema | Kind::Limit));
    }
}

#[test]
fn terms_of_hidden_absences_are_all_different_and_look_like_others() {
    let (ring, _) = keyring("demo-registry");
    let mut index = by_number(&ring, 64);
    let absent: HashSet<IndexTerm> = (0..100).map(|_| index.absent_term().unwrap()).collect();
    let term = index.term(&[&number("9990112345671")]).unwrap();
    assert_eq!(absent.len(), 100);
    assert!(
        absent.iter().all(|other| index.is_current(other) && other.as_bytes().len() == term.as_bytes().len())
    );
}

#[test]
fn index_keys_differ_in_their_first_byte_and_end_at_192() {
    let (mut ring, kek) = keyring("demo-registry");
    for _ in 1..192 {
        ring.add_key(Purpose::Index, DEFAULT_CRYPTOPERIOD_DAYS, now()).unwrap();
    }
    let refused = ring.add_key(Purpose::Index, DEFAULT_CRYPTOPERIOD_DAYS, now()).unwrap_err();
    assert_eq!(
        (refused.kind(), refused.message()),
        (Kind::Limit, "a keyring has at most 192 keys of purpose index")
    );
    let tags: HashSet<u8> = ring.index_keys().unwrap().infos().map(|info| info.id.as_bytes()[0]).collect();
    assert_eq!(tags.len(), 192);
    let bytes = ring.to_bytes(now()).unwrap();
    assert!(KeyringFile::parse(&bytes).unwrap().unlock(&kek, None).is_ok());
}

const SCHEMA: &str = r#"format = "amanat-schema"
version = 1

[[identifier]]
name = "por-card"
pattern = "[A-Z]{2}-[0-9]{9}"
check = "icao-9303"

[[table]]
name = "citizens"
record_id = ["id"]

[[table.field]]
name = "cnic"
mode = "sealed"
identifier = "cnic"

[[table.field]]
name = "name"
mode = "sealed"

[[table.field]]
name = "birth"
mode = "sealed"
type = "date"

[[table.field]]
name = "card"
mode = "sealed"
identifier = "por-card"

[[table.field]]
name = "district"
mode = "clear"

[[table.index]]
name = "by-cnic"
column = "cnic_index"
fields = ["cnic"]
bits = 40

[[table.index]]
name = "person"
fields = ["name", "birth"]
forms = ["urdu-name/v1", "date/v1"]
bits = 24
invalid = "skip"

[[table.index]]
name = "by-card"
fields = ["card"]
bits = 32

[[table.token]]
name = "voter-roll"
kind = "pairwise"
field = "cnic"
recipient = "election-commission"
epoch = 1
column = "ec_token"
reveal = ["district"]
mask = ["name"]
"#;

#[test]
fn the_schema_says_indexes_tokens_and_identifiers_and_writes_what_it_read() {
    let schema = Schema::from_toml(SCHEMA).unwrap();
    let table = schema.table("citizens").unwrap();
    let forms: Vec<String> = table
        .indexes()
        .iter()
        .flat_map(|index| index.spec().fields().iter().map(|field| field.form.name().into_owned()))
        .collect();
    assert_eq!(forms, ["cnic/v1", "urdu-name/v1", "date/v1", "custom/v1:por-card"]);
    let columns: Vec<&str> = table.surrogate_columns().collect();
    assert_eq!(columns, ["cnic_index", "person", "by-card", "ec_token"]);
    let token = &table.tokens()[0];
    assert_eq!((token.audience().purpose().as_str(), token.epoch().get()), ("voter-roll", 1));
    let written = schema.to_toml().unwrap();
    assert_eq!(Schema::from_toml(&written).unwrap(), schema);
    assert_eq!(Schema::from_toml(&written).unwrap().to_toml().unwrap(), written);
}

#[test]
fn a_schema_that_cannot_hold_is_refused_with_its_place() {
    let refused = |old: &str, new: &str, why: &str| {
        let text = SCHEMA.replacen(old, new, 1);
        assert_ne!(text, SCHEMA, "{old}");
        let error = Schema::from_toml(&text).expect_err(why);
        assert!(error.to_string().contains(why), "{old} -> {new}: {error}");
    };
    refused("fields = [\"cnic\"]", "fields = [\"district\"]", "`district` has no normal form");
    refused(
        "forms = [\"urdu-name/v1\", \"date/v1\"]",
        "forms = [\"urdu-name/v1\"]",
        "one normal form for each",
    );
    refused("forms = [\"urdu-name/v1\", \"date/v1\"]", "", "field `name` has no normal form of its own");
    refused("urdu-name/v1", "urdu-name/v9", "person");
    refused("bits = 40", "bits = 3", "4 to 128 bits");
    refused("column = \"cnic_index\"", "column = \"name\"", "column `name` stands twice");
    refused("column = \"cnic_index\"", "column = \"id\"", "column `id` stands twice");
    refused("name = \"person\"", "name = \"by-cnic\"", "index `by-cnic` is declared twice");
    refused("kind = \"pairwise\"", "kind = \"vaulted\"", "leave `column` out");
    refused("kind = \"pairwise\"", "kind = \"hashed\"", "`kind` must be one of");
    refused("recipient = \"election-commission\"", "recipient = \"Election\"", "a-z 0-9");
    refused("epoch = 1", "epoch = 0", "1 to 1024");
    refused("reveal = [\"district\"]", "reveal = [\"nobody\"]", "no field `nobody`");
    refused("mask = [\"name\"]", "mask = [\"district\"]", "field `district` stands twice");
    refused("identifier = \"por-card\"", "identifier = \"poor-card\"", "field card");
    refused(
        "name = \"por-card\"\npattern",
        "name = \"cnic\"\npattern",
        "a built-in identifier has this name",
    );
    refused("pattern = \"[A-Z]{2}-[0-9]{9}\"", "pattern = \"[Z-A]\"", "identifier `por-card`");
    refused("mode = \"clear\"", "mode = \"clear\"\nidentifier = \"cnic\"", "a clear field has no");
    refused("type = \"date\"", "type = \"date\"\nidentifier = \"cnic\"", "only text is an identifier");
    refused("type = \"date\"", "type = \"date\"\nindex = 3", "write a [[table.index]]");
    refused("invalid = \"skip\"", "invalid = \"drop\"", "`invalid` must be one of: refuse, skip");
    refused("urdu-name/v1", "custom/v1:cnic", "no [[identifier]] of this schema");
}

#[test]
fn tokens_that_open_alike_are_made_from_one_form() {
    let schema = |kind: &str, form: &str, purpose: &str| {
        let token = |name, field, form, purpose| {
            format!(
                "{{ name = \"{name}\", kind = \"{kind}\", field = \"{field}\", form = \"{form}\", recipient = \"bank\", purpose = \"{purpose}\", epoch = 1 }}"
            )
        };
        let table = |name, token| {
            format!(
                "[[table]]\nname = \"{name}\"\nrecord_id = [\"id\"]\nfield = [{{ name = \"n\", mode = \"sealed\" }}]\ntoken = [{token}]\n"
            )
        };
        let people = table("people", token("person", "n", "cnic/v1", "loans"));
        let accounts = table("accounts", token("account", "n", form, purpose));
        Schema::from_toml(&format!("format = \"amanat-schema\"\nversion = 1\n{people}{accounts}"))
    };
    for kind in ["reversible", "expiring"] {
        let error = schema(kind, "digits/v1", "loans").expect_err(kind);
        assert!(error.to_string().contains("table `accounts`: token `account`"), "{error}");
        assert!(schema(kind, "digits/v1", "accounts").is_ok() && schema(kind, "cnic/v1", "loans").is_ok());
    }
    // Their forms are in what they are made of.
    assert!(
        schema("pairwise", "digits/v1", "loans").is_ok() && schema("vaulted", "digits/v1", "loans").is_ok()
    );
    let error = schema("preserving", "digits/v1", "other").expect_err("digits");
    assert!(error.to_string().contains("are of identifiers"), "{error}");
}
