// SPDX-License-Identifier: MIT OR Apache-2.0
//! `#[derive(Record)]`: identifiers, indexes and tokens. Every person and number here is invented.

#![cfg(feature = "derive")]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use amanat::identifier::Identifier;
use amanat::index::IndexTerm;
use amanat::keys::Purpose;
use amanat::normal::NormalForm;
use amanat::schema::Schema;
use amanat::surrogate::TokenText;
use amanat::token::{Audience, Epoch, PairwiseTokens, ReversibleTokens, Token};
use amanat::{
    Date, Engine, Finder, Keyring, Kind, OpenOptions, Record, RecordOpener, RecordSealer, SealedRecord,
    ValueRef,
};
use serde_json::{Value, json};

mod common;
use common::*;

#[path = "../derive/src/known.rs"]
mod known;

#[derive(Record, Clone, PartialEq)]
#[amanat(table = "citizens", encoding = "binary")]
#[amanat(index(
    name = "name-birth",
    fields = ["name", "dob"],
    forms = ["urdu-name/v1", "date/v1"],
    bits = 24,
    column = "name_birth_index",
))]
struct Citizen {
    #[amanat(record_id)]
    id: String,
    #[amanat(
        sealed,
        identifier = "cnic",
        index(bits = 40, column = "cnic_index"),
        token(kind = "pairwise", recipient = "election-commission", purpose = "voter-roll", epoch = 1, column = "ec_token", reveal = ["district"], mask = ["name"]),
        token(kind = "reversible", name = "loans", recipient = "bank", epoch = 1, column = "bank_token"),
        token(kind = "expiring", name = "visit", recipient = "clinic", purpose = "visits", epoch = 1),
    )]
    cnic: String,
    #[amanat(sealed, pad = 64)]
    name: String,
    #[amanat(sealed, name = "dob")]
    birth_date: Date,
    #[amanat(
        sealed,
        identifier = "phone",
        mask = "identifier",
        absence = "visible",
        index(bits = 20, invalid = "skip"),
        token(
            kind = "pairwise",
            recipient = "mobile-operators",
            purpose = "sim",
            form = "exact/v1",
            epoch = 1,
            column = "sim_token",
            invalid = "skip"
        )
    )]
    phone: Option<String>,
    #[amanat(sealed, identifier = "cnic", mask = "all", index(name = "by.father", bits = 32))]
    father: Option<String>,
    #[amanat(masked, identifier = "nic-before-2001")]
    old_card: String,
    #[amanat(masked = "identifier", identifier = "cnic")]
    guardian: Option<String>,
    #[amanat(clear)]
    district: i64,
}

const TOML: &str = r#"
format = "amanat-schema"
version = 1

[[table]]
name = "citizens"
record_id = ["id"]
encoding = "binary"
field = [
    { name = "cnic", mode = "sealed", identifier = "cnic" },
    { name = "name", mode = "sealed", pad = 64 },
    { name = "dob", mode = "sealed", type = "date" },
    { name = "phone", mode = "sealed", identifier = "phone", mask = "identifier", absence = "visible" },
    { name = "father", mode = "sealed", identifier = "cnic", mask = "all" },
    { name = "old_card", mode = "masked", identifier = "nic-before-2001" },
    { name = "guardian", mode = "masked", mask = "identifier", identifier = "cnic" },
    { name = "district", mode = "clear", type = "integer" },
]
index = [
    { name = "name-birth", fields = ["name", "dob"], forms = ["urdu-name/v1", "date/v1"], bits = 24, column = "name_birth_index" },
    { name = "by-cnic", fields = ["cnic"], bits = 40, column = "cnic_index" },
    { name = "by-phone", fields = ["phone"], bits = 20, invalid = "skip" },
    { name = "by.father", fields = ["father"], bits = 32 },
]
token = [
    { name = "voter-roll", kind = "pairwise", field = "cnic", recipient = "election-commission", epoch = 1, column = "ec_token", reveal = ["district"], mask = ["name"] },
    { name = "loans", kind = "reversible", field = "cnic", recipient = "bank", epoch = 1, column = "bank_token" },
    { name = "visit", kind = "expiring", field = "cnic", recipient = "clinic", purpose = "visits", epoch = 1 },
    { name = "sim", kind = "pairwise", field = "phone", form = "exact/v1", recipient = "mobile-operators", epoch = 1, column = "sim_token", invalid = "skip" },
]
"#;

fn citizen() -> Citizen {
    Citizen {
        id: "r-1".to_owned(),
        cnic: "99901-1234567-3".to_owned(),
        name: "گلبدن فرضی".to_owned(),
        birth_date: Date::new(1984, 2, 0).unwrap(),
        phone: Some("+99000123456".to_owned()),
        father: None,
        old_card: "100-20-300400".to_owned(),
        guardian: Some("9990198765432".to_owned()),
        district: 7,
    }
}

fn sealer_of<R: Record>(ring: &mut Keyring) -> RecordSealer {
    let schema = R::schema().unwrap();
    let allowances = RecordSealer::reserve(ring, &schema, 10).unwrap();
    RecordSealer::for_keyring(ring, &schema, Engine::Ring, &allowances).unwrap()
}

fn opener_of<R: Record>(ring: &Keyring) -> RecordOpener {
    RecordOpener::new(&ring.field_keys().unwrap(), &R::schema().unwrap(), &OpenOptions::default()).unwrap()
}

#[test]
fn the_derived_schema_is_that_of_the_schema_file() {
    let file = Schema::from_toml(TOML).unwrap();
    assert_eq!(&Citizen::schema().unwrap(), file.table("citizens").unwrap());
    let written = Schema::new(vec![Citizen::schema().unwrap()]).unwrap().to_toml().unwrap();
    assert_eq!(Schema::from_toml(&written).unwrap().tables(), [Citizen::schema().unwrap()]);
}

#[test]
fn the_macro_knows_the_identifiers_and_forms_of_the_library() {
    let builtin = Identifier::builtin();
    assert_eq!(known::IDENTIFIERS.len(), builtin.len());
    for (known, identifier) in known::IDENTIFIERS.iter().zip(builtin) {
        assert_eq!((known.name, known.variant), (identifier.name(), &*format!("{identifier:?}")));
        assert_eq!(known.form, NormalForm::Identifier(identifier.clone()).name());
    }
    let plain = [
        NormalForm::Date,
        NormalForm::Digits,
        NormalForm::Exact,
        NormalForm::LatinName,
        NormalForm::UrduName,
    ];
    assert_eq!(known::FORMS.to_vec(), plain.iter().map(NormalForm::name).collect::<Vec<_>>());
    assert_eq!((known::DATE, known::EXACT), ("date/v1", "exact/v1"));
}

#[test]
fn a_sealed_record_holds_terms_and_tokens_and_comes_back_from_its_columns() {
    let mut ring = ring();
    let (mut sealer, mut opener) = (sealer_of::<Citizen>(&mut ring), opener_of::<Citizen>(&ring));
    let citizen = citizen();
    let sealed = citizen.seal(&mut sealer).unwrap();
    let written = serde_json::to_value(&sealed).unwrap();

    // Tag and bits, in lower-case hex.
    let hex_digits = |column: &str| written[column].as_str().unwrap().len();
    assert_eq!(["name_birth_index", "cnic_index", "by-phone", "by.father"].map(hex_digits), [8, 12, 8, 10]);
    assert_eq!(written["cnic_index"], sealed.by_cnic.unwrap().to_text());
    let starts = |column: &str, with: &str| written[column].as_str().unwrap().starts_with(with);
    assert!(starts("ec_token", "amt1:p:1:election-commission:voter-roll:1"));
    assert!(starts("bank_token", "amt1:r:1:bank:loans:1"));
    assert!(starts("sim_token", "amt1:p:1:mobile-operators:sim:1"));
    assert_eq!(written.as_object().unwrap().len(), 9 + 4 + 3, "no column for tokens that are not kept");
    assert!(!written.to_string().contains("1234567"));

    let read: SealedCitizen = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), written);
    let opened = read.open(&mut opener).unwrap();
    assert!(opened.cnic == citizen.cnic && opened.phone == citizen.phone && opened.father.is_none());

    // The same values give the same terms and tokens; a hidden absence gives other bits each time.
    let again = opened.seal(&mut sealer).unwrap();
    assert!(again.by_cnic == sealed.by_cnic && again.name_birth == sealed.name_birth);
    assert!(again.voter_roll == sealed.voter_roll && again.loans == sealed.loans && again.sim == sealed.sim);
    assert_ne!(again.by_father, sealed.by_father);
}

#[test]
fn a_token_of_a_row_is_the_one_that_its_recipient_is_told_and_the_registry_opens() {
    let mut ring = ring();
    let sealed = citizen().seal(&mut sealer_of::<Citizen>(&mut ring)).unwrap();
    let (keys, epoch) = (ring.token_keys().unwrap(), Epoch::new(1).unwrap());
    let cnic = NormalForm::Identifier(Identifier::Cnic).normalise(ValueRef::Text("9990112345673")).unwrap();

    let election = Audience::new("election-commission", "voter-roll").unwrap();
    let mut tokens = PairwiseTokens::new(&keys, &election, epoch, &[]).unwrap();
    let token = Token::parse(sealed.voter_roll.unwrap().as_str()).unwrap();
    assert!(tokens.is_of(&token, &cnic) && tokens.proves(&token));

    let bank = Audience::new("bank", "loans").unwrap();
    let mut tokens = ReversibleTokens::opener(&keys, &bank, epoch, &[]).unwrap();
    let token = Token::parse(sealed.loans.unwrap().as_str()).unwrap();
    assert!(tokens.open_token(&token).unwrap().as_ref() == ValueRef::Text("9990112345673"));
}

#[test]
fn what_is_absent_or_unreadable_has_the_cell_that_the_schema_says() {
    let mut ring = ring();
    let mut sealer = sealer_of::<Citizen>(&mut ring);
    let mut row = citizen();
    row.phone = None;
    let sealed = row.seal(&mut sealer).unwrap();
    assert!(sealed.by_phone.is_none() && sealed.sim.is_none(), "visibly absent");
    assert!(sealed.by_father.is_some(), "hidden");
    let written = serde_json::to_value(&sealed).unwrap();
    assert!(written["by-phone"].is_null() && written["sim_token"].is_null());
    assert!(serde_json::from_value::<SealedCitizen>(written).unwrap().sim.is_none());

    // Skipped: not told from a number that could be read, and never the same twice.
    row.phone = Some("x".repeat(2_000));
    let (one, two) = (row.seal(&mut sealer).unwrap(), row.seal(&mut sealer).unwrap());
    assert!(one.by_phone.is_some() && one.by_phone != two.by_phone && one.sim.is_none());

    row.cnic = "99901-123".to_owned();
    let rows = [citizen(), row];
    let refusal = Citizen::seal_all(&rows, &mut sealer).map(drop);
    refused(refusal, Kind::Malformed, "row 2: field by-cnic: not a `cnic`");
}

#[test]
fn rows_are_found_however_the_value_is_typed_and_candidates_are_compared() {
    let mut ring = ring();
    let (mut sealer, mut opener) = (sealer_of::<Citizen>(&mut ring), opener_of::<Citizen>(&ring));
    let sealed = citizen().seal(&mut sealer).unwrap();
    let opened = sealed.open(&mut opener).unwrap();

    let mut by_cnic = Citizen::finder(&ring, "by-cnic").unwrap();
    assert_eq!(by_cnic.column(), "cnic_index");
    for typed in ["9990112345673", "99901 1234567 3", "۹۹۹۰۱-۱۲۳۴۵۶۷-۳"] {
        let search = by_cnic.search(&[ValueRef::Text(typed)]).unwrap();
        assert_eq!(search.terms(), [sealed.by_cnic.unwrap()], "{typed}");
        assert!(search.found(&opened).unwrap());
    }
    let other = by_cnic.search(&[ValueRef::Text("9990112345674")]).unwrap();
    assert_ne!(other.terms(), [sealed.by_cnic.unwrap()]);
    assert!(!other.found(&opened).unwrap());
    assert!(!other.matches(&[ValueRef::Text("no number")]) && !other.matches(&[]));

    let mut by_name = Citizen::finder(&ring, "name-birth").unwrap();
    let birth = ValueRef::Text("1984-02-00");
    // Arabic yeh instead of the Urdu one.
    let search = by_name.search(&[ValueRef::Text("گلبدن  فرضي"), birth]).unwrap();
    assert_eq!(search.terms(), [sealed.name_birth.unwrap()]);
    assert!(search.found(&opened).unwrap());

    // What was in the index before a rotation is found under both generations.
    let key = ring.add_key(Purpose::Index, 365, time(5)).unwrap();
    ring.activate(key, time(6)).unwrap();
    let mut both = Citizen::finder(&ring, "by-cnic").unwrap();
    let search = both.search(&[ValueRef::Text("9990112345673")]).unwrap();
    assert_eq!(search.terms().len(), 2);
    let newer = citizen().seal(&mut sealer_of::<Citizen>(&mut ring)).unwrap();
    for term in [sealed.by_cnic, newer.by_cnic] {
        assert!(search.terms().contains(&term.unwrap()));
    }

    // Rows under a compromised key are found only by whoever names it.
    let old = ring.index_keys().unwrap().infos().map(|info| info.id).find(|id| *id != key).unwrap();
    ring.compromise(old, time(7)).unwrap();
    let schema = Citizen::schema().unwrap();
    for (named, terms) in [(&[][..], 1), (&[old][..], 2)] {
        let mut finder = Finder::new(&ring, &schema, "by-cnic", named).unwrap();
        let search = finder.search(&[ValueRef::Text("9990112345673")]).unwrap();
        assert_eq!(search.terms().len(), terms);
        assert_eq!(search.terms().contains(&sealed.by_cnic.unwrap()), terms == 2);
    }

    refused(by_cnic.search(&[]).map(drop), Kind::Misuse, "one value for each field of the index");
    let typo = by_cnic.search(&[ValueRef::Text("99901-123")]).map(drop);
    refused(typo, Kind::Malformed, "field cnic: not a `cnic`: expected 13 digits");
    refused(Citizen::finder(&ring, "by-name").map(drop), Kind::Schema, "the table has: name-birth, by-cnic");
    let search = by_cnic.search(&[ValueRef::Text("9990112345673")]).unwrap();
    // Another type of the same table, its fields in another order.
    let visit = Visit { id: "r-1".to_owned(), note: String::new(), cnic: "9990112345673".to_owned() };
    assert!(search.found(&visit).unwrap());
    let mut by_name = Citizen::finder(&ring, "name-birth").unwrap();
    let search = by_name.search(&[ValueRef::Text("گلبدن فرضی"), birth]).unwrap();
    refused(search.found(&visit), Kind::Misuse, "of another table or index than the record");
}

/// Fewer fields of the same table.
#[derive(Record)]
#[amanat(table = "citizens")]
struct Visit {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed)]
    note: String,
    #[amanat(sealed, identifier = "cnic", index(bits = 40))]
    cnic: String,
}

#[test]
fn a_sealer_that_would_leave_columns_empty_or_fill_them_otherwise_is_refused() {
    let mut ring = ring();
    let allowance = reserve(&mut ring, 100);
    let schema = Visit::schema().unwrap();
    let visit = || Visit { id: "r-1".to_owned(), note: String::new(), cnic: "9990112345673".to_owned() };
    let fields_only =
        |schema| RecordSealer::new(&ring.field_keys().unwrap(), schema, Engine::Ring, &allowance).unwrap();
    let bare = visit().seal(&mut fields_only(&schema)).map(drop);
    refused(bare, Kind::Misuse, "makes no index terms and tokens");

    let toml = Schema::new(vec![schema.clone()]).unwrap().to_toml().unwrap();
    for (old, new) in [("bits = 40", "bits = 32"), ("cnic/v1", "digits/v1"), ("\"by-cnic\"", "\"by-number\"")]
    {
        let other = Schema::from_toml(&toml.replacen(old, new, 1)).unwrap();
        let other = other.table("citizens").unwrap();
        assert_ne!(other, &schema, "{old} does not stand in the file");
        let sealer = RecordSealer::for_keyring(&ring, other, Engine::Ring, std::slice::from_ref(&allowance));
        refused(
            visit().seal(&mut sealer.unwrap()).map(drop),
            Kind::Misuse,
            "whose indexes or kept tokens differ",
        );
    }
    // The column is the store's matter.
    let moved = toml.replacen("bits = 40", "bits = 40\ncolumn = \"cnic_index\"", 1);
    let moved = Schema::from_toml(&moved).unwrap();
    let moved = moved.table("citizens").unwrap();
    let sealer = RecordSealer::for_keyring(&ring, moved, Engine::Ring, std::slice::from_ref(&allowance));
    assert!(visit().seal(&mut sealer.unwrap()).is_ok());

    refused(
        RecordSealer::for_keyring(&ring, &schema, Engine::Ring, &[]).map(drop),
        Kind::Misuse,
        "no messages were reserved under the primary field key; call RecordSealer::reserve",
    );
    let citizens = Citizen::schema().unwrap();
    let sealer = RecordSealer::for_keyring(&ring, &citizens, Engine::Ring, &[allowance]);
    refused(sealer.map(drop), Kind::Misuse, "no messages were reserved for an epoch");
}

#[test]
fn what_is_reserved_is_what_the_records_take() {
    let mut ring = ring();
    let schema = Citizen::schema().unwrap();
    let allowances = RecordSealer::reserve(&mut ring, &schema, 2).unwrap();
    // Five sealed fields and one reversible token.
    let left = |allowances: &[amanat::Allowance]| allowances.iter().map(|a| a.left()).collect::<Vec<_>>();
    assert_eq!(left(&allowances), [10, 2]);
    let mut sealer = RecordSealer::for_keyring(&ring, &schema, Engine::Ring, &allowances).unwrap();
    let rows = [citizen(), citizen()];
    Citizen::seal_all(&rows, &mut sealer).unwrap();
    assert_eq!(left(&allowances), [0, 0]);
    refused(citizen().seal(&mut sealer).map(drop), Kind::Limit, "reserve more");
    for allowance in &RecordSealer::reserve(&mut ring, &schema, 5).unwrap() {
        ring.give_back(allowance).unwrap();
    }
    let messages: Vec<u64> = ring.keys().map(|key| key.messages).filter(|messages| *messages > 0).collect();
    assert_eq!(messages, [10, 2]);
}

#[test]
fn columns_of_indexes_and_tokens_take_nothing_else_and_show_no_input() {
    let mut ring = ring();
    let good = serde_json::to_value(citizen().seal(&mut sealer_of::<Citizen>(&mut ring)).unwrap()).unwrap();
    let marker = "marker 9990112345673";
    for (column, value, words) in [
        ("cnic_index", json!(marker), "lower-case hex"),
        ("cnic_index", json!(9_990_112_345_673_i64), "neither an index term nor a token stands here"),
        ("cnic_index", json!(""), "2 to 17 bytes"),
        ("ec_token", json!(marker), "not a token: it must begin with `amt1:`"),
        ("ec_token", json!([marker]), "neither an index term nor a token stands here"),
        ("ec_token", good["cnic_index"].clone(), "not a token"),
        ("old_card", json!("100-20-300400"), "not a mask of its kind"),
        ("guardian", json!("99901-9876543-2"), "not a mask of its kind"),
    ] {
        let mut row = good.clone();
        row[column] = value;
        let text = row.to_string();
        let errors = [
            serde_json::from_value::<SealedCitizen>(row).unwrap_err(),
            serde_json::from_str::<SealedCitizen>(&text).unwrap_err(),
        ];
        for error in errors.map(|error| format!("{error} {error:?}")) {
            assert!(error.contains(words), "{column}: {error}");
            assert!(!error.contains("marker") && !error.contains("99901"), "{column}: {error}");
        }
    }
    for column in good.as_object().unwrap().keys() {
        let mut row = good.clone();
        row.as_object_mut().unwrap().remove(column);
        let error = serde_json::from_value::<SealedCitizen>(row).unwrap_err();
        assert!(error.to_string().contains("missing field"), "{column}: {error}");
    }
    // A row that was stored before its index was.
    let mut row = good;
    (row["cnic_index"], row["ec_token"]) = (Value::Null, Value::Null);
    let read: SealedCitizen = serde_json::from_value(row).unwrap();
    assert!(read.by_cnic.is_none() && read.open(&mut opener_of::<Citizen>(&ring)).is_ok());
}

#[test]
fn masks_of_identifiers_show_neither_locality_nor_sex() {
    let mut ring = ring();
    let mut sealer = sealer_of::<Citizen>(&mut ring);
    let shown = serde_json::to_value(citizen().masked()).unwrap();
    let expected = json!({
        "cnic": "*****-***4567-*", "name": "********", "dob": "********", "phone": "+*******3456", "father": "********",
        "old_card": "*******0400", "guardian": "*****-***6543-*", "district": 7,
    });
    assert_eq!(shown, expected);
    let sealed = serde_json::to_value(citizen().seal(&mut sealer).unwrap()).unwrap();
    assert_eq!(sealed["guardian"], shown["guardian"]);
    // Persons who differ in locality and sex alone look alike.
    let mut other = citizen();
    other.cnic = "99999-1234567-8".to_owned();
    assert_eq!(serde_json::to_value(other.masked()).unwrap(), shown);
}

#[test]
fn printing_a_sealed_record_shows_no_term_and_no_token() {
    let mut ring = ring();
    let sealed = citizen().seal(&mut sealer_of::<Citizen>(&mut ring)).unwrap();
    let printed = format!("{sealed:?}");
    assert!(
        printed.contains("voter_roll: Some(TokenText)")
            && printed.contains("by_cnic: Some(IndexTerm(6 bytes")
    );
    let term = sealed.by_cnic.unwrap().to_text();
    assert!(!printed.contains(&term[2..]) && !printed.contains("amt1"));
    let mut finder = Citizen::finder(&ring, "by-cnic").unwrap();
    let search = format!("{:?}", finder.search(&[ValueRef::Text("9990112345673")]).unwrap());
    assert!(
        search.starts_with("Search(BlindIndex(by-cnic, 40 bits, key ") && search.ends_with("1 terms)"),
        "{search}"
    );
}

#[test]
fn terms_and_tokens_are_those_that_the_untyped_maker_gives() {
    use amanat::surrogate::{Surrogate, Surrogates};
    let mut ring = ring();
    let schema = Citizen::schema().unwrap();
    let allowances = RecordSealer::reserve(&mut ring, &schema, 2).unwrap();
    let mut maker = Surrogates::new(&ring, &schema, &allowances).unwrap();
    let (row, sealed) = (citizen(), citizen().seal(&mut sealer_of::<Citizen>(&mut ring)).unwrap());
    let values = row.sealed_values();
    let made: Vec<Surrogate> = (0..maker.len()).map(|column| maker.make(column, &values).unwrap()).collect();
    let term = |term: Option<IndexTerm>| term.map_or(Surrogate::Absent, Surrogate::Term);
    let token = |token: Option<TokenText>| token.map_or(Surrogate::Absent, Surrogate::Token);
    assert_eq!(made[..3], [term(sealed.name_birth), term(sealed.by_cnic), term(sealed.by_phone)]);
    assert_eq!(made[4..], [token(sealed.voter_roll), token(sealed.loans), token(sealed.sim)]);
    let finder = Finder::new(&ring, &schema, "by-phone", &[]).unwrap();
    assert_eq!(finder.column(), "by-phone");
}
