// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints everything that holds a secret or a personal value, and every error that can be provoked with one, and searches for it.

#![cfg(feature = "derive")]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use amanat::blob::STREAM_PREFIX_BYTES;
use amanat::envelope::append_from_text;
use amanat::identifier::{CheckDigit, Identifier, Pattern, Strictness};
use amanat::index::{BlindIndex, IndexTerm};
use amanat::inspect::inspect;
use amanat::keys::{KekError, KekErrorKind, KeyFile, NewSlot, Passphrase, Pin, Purpose};
use amanat::normal::{Normal, NormalForm};
use amanat::record::{Cbor, Cell, Plain};
use amanat::schema::{FieldPolicy, Migration, Mode, Schema};
use amanat::surrogate::{Surrogate, Surrogates, TokenText};
use amanat::token::{
    Audience, ExpiringTokens, PairwiseTokens, PreservingTokens, RecipientPublicKey, RecipientSecretKey,
    ReversibleTokens, SealedToken, Token, TokenKind, TokenMaker, TokenOpener, TokenPlan, Tracer, Translator,
    VaultEntry, VaultedTokens,
};
use amanat::{
    Allowance, Date, Engine, Envelope, EnvelopeBatch, FieldOpener, KeyId, Keyring, KeyringFile, Kind, Mixed,
    Name, OpenOptions, Record, RecordId, RecordOpener, RecordSealer, SealOptions, SealedField, SealedRecord,
    Secret, SecretBytes, Timestamp, ValueRef,
};
use base64_turbo::URL_SAFE_NO_PAD;

mod common;
use common::*;
#[path = "common/prints.rs"]
mod prints;
use prints::{Away, MARKER, NUMBER, Prints, Spy, born, hex};

/// Public types that print what they hold, because all of it is public: names, ids, states, sizes, settings, masks.
const PUBLIC: &str = "\
    Absence Allowance Argon2Cost Audience Bucket BucketFigures Census CheckDigit Column DroppedColumn \
    Encoding Engine EnvelopeFacts Epoch Exposure Family Field FieldContext FieldLayout FieldPolicy \
    Form Identifier Index IndexBits IndexBudget IndexLayout IndexPolicy IndexSpec IndexedField \
    Invalid KekErrorKind KeyId KeyInfo Kind Layout LeakageReport Lease Lengths Mask Masked Migration \
    Mode MovedField Multiplicity Name NormalForm OpenOptions Other Pace Pattern Phase Pin Place Plan \
    Planner Purpose Reason Receipt ReceiptFacts ReceiptToken RecipientPublicKey Renewal Request RunId \
    RunPlan RunSource Schema SchemaChange SealOptions SlotContext SlotInfo Stage State Strictness \
    Suite Suspect TableSchema Timestamp TokenCensus TokenHeader TokenKind TokenLayout TokenPlan \
    TokenPolicy TraceGroup ValueType Verb Verdict Warning WrappedSecret";

/// Public types that hold something secret or personal, or are made from it; each is printed below.
const PRINTED: &str = "\
    BlindIndex Cbor Cell Checked Date Envelope EnvelopeBatch Error ExpiringTokens FieldOpener \
    FieldSealer Finder IndexTerm KekError Keyring KeyringFile Keyset Mixed NewSlot Normal OpenCall \
    Opened PairwiseTokens Plain PlainBytes PreservingTokens RecipientSecretKey RecordId RecordOpener \
    RecordSealer Report ReversibleTokens SealCall SealedField SealedToken Search Secret SecretBytes \
    StreamOpener StreamSealer Surrogate Surrogates Token TokenMaker TokenOpener TokenText Tracer \
    Translator Value ValueRef VaultEntry VaultedTokens What";

#[derive(Record)]
#[amanat(table = "citizens")]
struct Citizen {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed)]
    name: String,
    #[amanat(sealed)]
    number: i64,
    #[amanat(sealed)]
    born: Date,
    #[amanat(sealed, migration = "mixed")]
    address: String,
    #[amanat(sealed)]
    photo: Option<Vec<u8>>,
    #[amanat(sealed)]
    more: Cbor,
    #[amanat(masked)]
    old: String,
    #[amanat(clear)]
    village: String,
}

fn citizen() -> Citizen {
    Citizen {
        id: MARKER.to_owned(),
        name: MARKER.to_owned(),
        number: NUMBER,
        born: born(),
        address: MARKER.to_owned(),
        photo: Some(MARKER.into()),
        more: cbor(),
        old: MARKER.to_owned(),
        village: MARKER.to_owned(),
    }
}

fn cbor() -> Cbor {
    Cbor::new([&[0x60 + u8::try_from(MARKER.len()).unwrap()], MARKER.as_bytes()].concat().into())
}

#[test]
fn this_search_finds_a_careless_print() {
    for text in [
        format!("invalid type: string {MARKER:?}"),
        format!("{:?}", MARKER.as_bytes()),
        format!("{:#?}", [MARKER.as_bytes()]),
        format!("{:#?}", MARKER.as_bytes()),
        format!("{:02X?}", MARKER.as_bytes()).replace(", ", ""),
        URL_SAFE_NO_PAD.encode(MARKER.as_bytes()),
        format!("{NUMBER} is not a name"),
        hex(&NUMBER.to_be_bytes()),
        format!("born {}", born()),
    ] {
        let mut prints = Prints::new();
        prints.text(&"Secret<32>");
        assert_eq!(prints.leak(), None);
        prints.text(&text);
        assert_eq!(prints.leak(), Some(&text));
    }
}

fn marked_ring(prints: &mut Prints) -> Keyring {
    let spy = Spy(KeyFile::generate().unwrap(), RefCell::default());
    let slot = NewSlot { label: "main", kek: &spy };
    prints.debug("NewSlot", &slot);
    let ring = Keyring::create(name("demo-registry"), &slot, time(0)).unwrap();
    let text = String::from_utf8(spy.0.to_text().expose().to_vec()).unwrap();
    let (_, encoded) = text.trim_end().split_once(':').unwrap();
    prints.secrets.push(URL_SAFE_NO_PAD.decode(encoded).unwrap());
    prints.secrets.push(spy.1.into_inner());
    assert!(prints.secrets.iter().rev().take(2).all(|secret| secret.len() == 32));
    ring
}

#[test]
fn nothing_that_holds_a_secret_prints_it() {
    let mut prints = Prints::new();
    let mut ring = marked_ring(&mut prints);
    let allowance = reserve(&mut ring, 1_000);
    let tokens_allowance = ring.reserve(Purpose::Token, 10).unwrap();
    let file = write(&mut ring);
    prints.debug("Keyring", &ring);
    prints.debug("KeyringFile", &KeyringFile::parse(&file).unwrap());
    let report = inspect(&file);
    prints.debug("Report", &report);
    prints.debug("What", &inspect(MARKER.as_bytes()).what);
    prints.debug("Report", &inspect(format!("{MARKER},{NUMBER},1919-08-07\n").as_bytes()));
    let keys = ring.field_keys().unwrap();
    prints.debug("Keyset", &keys);

    let secret = Secret::<19>::copy_from(MARKER.as_bytes()).unwrap();
    prints.debug("Secret", &secret);
    prints.debug("SecretBytes", &SecretBytes::new(MARKER.into()));
    let number = Pattern::new(&name("number"), "[0-9]{15}", CheckDigit::None).unwrap();
    let checked = Identifier::from(number).check(&NUMBER.to_string(), Strictness::Strict).unwrap();
    prints.debug("Checked", &checked);
    let id = record(MARKER);
    prints.debug("RecordId", &id);
    prints.debug("RecordId", &RecordId::integer(NUMBER));
    prints.debug("RecordId", &RecordId::composite(&[MARKER, MARKER]).unwrap());
    prints.debug("Date", &born());
    prints.debug("Cbor", &cbor());
    prints.debug("Plain", &Plain::new(MARKER.to_owned()));
    let more = cbor();
    for value in [
        ValueRef::Text(MARKER),
        ValueRef::Bytes(MARKER.as_bytes()),
        ValueRef::Integer(NUMBER),
        ValueRef::Date(born()),
        ValueRef::Cbor(more.expose()),
    ] {
        prints.debug("ValueRef", &value);
        prints.debug("Value", &value.to_value());
        prints.debug("Normal", &NormalForm::Exact.normalise(value).unwrap());
        let mut sealer =
            amanat::FieldSealer::new(&keys, &context(), SealOptions::default(), &allowance).unwrap();
        let mut opener = FieldOpener::new(&keys, &context(), &OpenOptions::default()).unwrap();
        let envelope = sealer.seal(&id, value).unwrap();
        assert!(opener.open(&id, &envelope).unwrap() == value);
        prints.debug("FieldSealer", &sealer);
        prints.debug("FieldOpener", &opener);
        prints.debug("Envelope", &Envelope::parse(&envelope).unwrap());
        prints.debug("Report", &inspect(&envelope));
        let token_keys = ring.token_keys().unwrap();
        let (bank, epoch) = (Audience::new("bank", "loans").unwrap(), token_keys.primary_epoch().unwrap());
        let mut tokens = ReversibleTokens::new(&token_keys, &bank, epoch, &tokens_allowance).unwrap();
        tokens.seal(value).unwrap();
        prints.debug("ReversibleTokens", &tokens);
    }

    let mut sealer = amanat::FieldSealer::new(&keys, &context(), SealOptions::default(), &allowance).unwrap();
    let mut opener = FieldOpener::new(&keys, &context(), &OpenOptions::default()).unwrap();
    let mut envelope = Vec::new();
    let mut stream = sealer.seal_stream(&id, &mut envelope).unwrap();
    stream.update(MARKER.as_bytes(), &mut envelope).unwrap();
    prints.debug("StreamSealer", &stream);
    stream.finish(&mut envelope).unwrap();
    let (prefix, rest) = envelope.split_first_chunk::<STREAM_PREFIX_BYTES>().unwrap();
    let mut stream = opener.open_stream(&id, prefix).unwrap();
    let mut plain = Vec::new();
    stream.update(rest, &mut plain).unwrap();
    prints.debug("StreamOpener", &stream);
    stream.finish(&mut plain).unwrap();
    assert_eq!(plain, MARKER.as_bytes());

    records(&mut prints, &ring, &allowance);
    surrogates(&mut prints, &mut ring);
    let printed: BTreeSet<&str> = prints.types.iter().copied().collect();
    // Errors are printed by the other test; calls live inside the library's own functions and print their name.
    let elsewhere = ["Error", "KekError", "OpenCall", "Opened", "SealCall"];
    let missing: Vec<_> =
        PRINTED.split(' ').filter(|name| !printed.contains(name) && !elsewhere.contains(name)).collect();
    assert!(missing.is_empty(), "not printed: {missing:?}");
    prints.check();
}

/// A record that is found by its name and told by tokens.
#[derive(Record)]
#[amanat(table = "citizens", index(name = "by-both", fields = ["name", "born"], forms = ["exact/v1", "date/v1"], bits = 128))]
struct Found {
    #[amanat(record_id)]
    id: String,
    #[amanat(
        sealed,
        index(bits = 128, form = "exact/v1"),
        token(
            kind = "pairwise",
            recipient = "bank",
            purpose = "loans",
            form = "exact/v1",
            epoch = 1,
            column = "bank"
        ),
        token(
            kind = "reversible",
            recipient = "court",
            purpose = "trials",
            form = "exact/v1",
            epoch = 1,
            column = "court"
        )
    )]
    name: String,
    #[amanat(sealed)]
    born: Date,
}

/// Index terms, tokens, and what makes and finds them.
fn surrogates(prints: &mut Prints, ring: &mut Keyring) {
    let schema = Found::schema().unwrap();
    let reserved = RecordSealer::reserve(ring, &schema, 10).unwrap();
    let mut sealer = RecordSealer::for_keyring(ring, &schema, Engine::Ring, &reserved).unwrap();
    let found = Found { id: MARKER.to_owned(), name: MARKER.to_owned(), born: born() };
    let sealed = found.seal(&mut sealer).unwrap();
    let (term, both) = (sealed.by_name.unwrap(), sealed.by_both.unwrap());
    let texts = [sealed.loans.clone().unwrap(), sealed.trials.clone().unwrap()];
    // A term but for its tag and a token but for its header stand for the value.
    for term in [term, both] {
        prints.secrets.push(term.as_bytes()[1..].to_vec());
    }
    for text in &texts {
        prints.secrets.push(text.as_str().rsplit_once(':').unwrap().1.into());
        prints.debug("TokenText", text);
        prints.debug("Token", &Token::parse(text.as_str()).unwrap());
        prints.debug("Surrogate", &Surrogate::Token(text.clone()));
    }
    prints.debug("IndexTerm", &term);
    prints.debug("Surrogate", &Surrogate::Term(term));
    prints.debug("SealedFound", &sealed);
    prints.debug("RecordSealer", &sealer);
    let mut finder = Found::finder(ring, "by-name").unwrap();
    let search = finder.search(&[ValueRef::Text(MARKER)]).unwrap();
    assert!(search.terms() == [term] && search.found(&found).unwrap());
    prints.debug("Search", &search);
    prints.debug("Finder", &finder);
    let mut maker = Surrogates::new(ring, &schema, &reserved).unwrap();
    maker.make(0, &found.sealed_values()).unwrap();
    prints.debug("Surrogates", &maker);
    let mut index =
        BlindIndex::new(&ring.index_keys().unwrap(), schema.name(), schema.indexes()[1].spec(), &[]).unwrap();
    let value = NormalForm::Exact.normalise(ValueRef::Text(MARKER)).unwrap();
    assert_eq!(index.term(&[&value]).unwrap(), term);
    prints.debug("BlindIndex", &index);
    // What names a column says what is wrong, not with which value.
    let long = MARKER.repeat(60);
    prints.error(Found { id: MARKER.to_owned(), name: long.clone(), born: born() }.seal(&mut sealer));
    prints.error(finder.search(&[ValueRef::Text(&long)]).map(drop));
    let row = serde_json::json!({ "by-name": MARKER, "by-both": null, "id": MARKER, "name": null });
    prints.text(&serde_json::from_value::<SealedFound>(row).unwrap_err());
    prints.error(TokenText::parse(MARKER));
    prints.error(IndexTerm::from_text(MARKER));

    let (keys, tokens_reserved) = (ring.token_keys().unwrap(), &reserved[1]);
    let (bank, epoch) = (Audience::new("bank", "loans").unwrap(), keys.primary_epoch().unwrap());
    let mut pairwise = PairwiseTokens::new(&keys, &bank, epoch, &[]).unwrap();
    prints.debug("Token", &pairwise.make(&value).unwrap());
    prints.debug("PairwiseTokens", &pairwise);
    let mut expiring = ExpiringTokens::new(&keys, &bank, epoch, tokens_reserved).unwrap();
    prints.debug("Token", &expiring.make(&value, time(9)).unwrap());
    prints.debug("ExpiringTokens", &expiring);
    let number = "9990198765432";
    prints.secrets.push(number.into());
    let cnic = NormalForm::Identifier(Identifier::Cnic).normalise(ValueRef::Text(number)).unwrap();
    let preserving = PreservingTokens::new(&keys, &Identifier::Cnic, &bank, epoch, &[]).unwrap();
    prints.secrets.push(preserving.make(&cnic).unwrap().as_bytes().to_vec());
    prints.debug("PreservingTokens", &preserving);
    prints.debug("Token", &preserving.labelled(&cnic).unwrap());
    let vaulted = VaultedTokens::new(ring, &bank, epoch, &NormalForm::Exact, &reserved[0], &[]).unwrap();
    prints.debug("VaultedTokens", &vaulted);
    let (scope, envelope) = (vaulted.scope().to_owned(), sealed.name.as_bytes().to_vec());
    let entry = VaultEntry::new(*b"Marker-Gulbadan-", scope, term, envelope);
    prints.debug("VaultEntry", &entry);
    translation(prints, ring, &reserved[1], &value);
    let mut tracer = Tracer::new(ring.token_keys().unwrap(), Vec::new(), &[]).unwrap();
    tracer.leak(&Token::parse(texts[0].as_str()).unwrap());
    tracer.row(&value, |_, _| {});
    prints.debug("Tracer", &tracer);
}

/// A token on its way from one recipient to another.
fn translation(prints: &mut Prints, ring: &Keyring, reserved: &Allowance, value: &Normal) {
    let (epoch, form) = (ring.token_keys().unwrap().primary_epoch().unwrap(), &NormalForm::Exact);
    let audiences = [("court", "trials"), ("bank", "loans")];
    let [court, bank] = audiences.map(|(recipient, purpose)| Audience::new(recipient, purpose).unwrap());
    let plan = |audience, kind| TokenPlan { kind, audience, epoch, form, expires: None };
    let mut theirs = TokenMaker::new(ring, &plan(&court, TokenKind::Reversible), Some(reserved)).unwrap();
    let token = theirs.make(value, None).unwrap();
    prints.debug("TokenMaker", &theirs);
    let opener = TokenOpener::new(ring, token.header(), form, &[]).unwrap();
    prints.debug("TokenOpener", &opener);
    let ours = TokenMaker::new(ring, &plan(&bank, TokenKind::Pairwise), None).unwrap();
    let mut translator = Translator::new(opener, ours);
    let translated = translator.translate(&token, time(9), None).unwrap().unwrap();
    prints.debug("Translator", &translator);
    prints.secrets.push(translated.to_text().rsplit_once(':').unwrap().1.into());
    let key = RecipientSecretKey::generate().unwrap();
    let line = String::from_utf8(key.to_text().expose().to_vec()).unwrap();
    let (_, encoded) = line.trim_end().split_once(':').unwrap();
    prints.secrets.push(URL_SAFE_NO_PAD.decode(encoded).unwrap());
    prints.debug("RecipientSecretKey", &key);
    let registry = name("demo-registry");
    let sealed = SealedToken::seal(&translated, &key.public(), &registry).unwrap();
    prints.debug("SealedToken", &sealed);
    prints.debug("Token", &sealed.open(&key, &registry, &bank).unwrap());
    prints.error(sealed.open(&RecipientSecretKey::generate().unwrap(), &registry, &bank));
    prints.error(SealedToken::parse(MARKER));
    prints.error(MARKER.parse::<RecipientPublicKey>());
    prints.error(RecipientSecretKey::parse(&SecretBytes::new(MARKER.into())));
}

fn records(prints: &mut Prints, ring: &Keyring, allowance: &Allowance) {
    let (keys, schema) = (ring.field_keys().unwrap(), Citizen::schema().unwrap());
    let mut sealer = RecordSealer::new(&keys, &schema, Engine::Ring, allowance).unwrap();
    let mut opener = RecordOpener::new(&keys, &schema, &OpenOptions::default()).unwrap();
    let citizen = citizen();
    let sealed = citizen.seal(&mut sealer).unwrap();
    let opened = sealed.open(&mut opener).unwrap();
    prints.debug("Citizen", &citizen);
    prints.debug("Citizen", &opened);
    prints.debug("SealedCitizen", &sealed);
    prints.debug("MaskedCitizen", &citizen.masked());
    prints.debug("SealedField", &sealed.name);
    prints.debug("RecordSealer", &sealer);
    prints.debug("RecordOpener", &opener);
    let mut batch = EnvelopeBatch::new();
    let number = ValueRef::Integer(NUMBER);
    sealer.seal(&record(MARKER), &[number; 6], &mut batch).unwrap();
    prints.debug("EnvelopeBatch", &batch);

    // What serialises of a sealed record is envelopes, masks, and the columns that are said to be clear.
    let mut written = serde_json::to_value(&sealed).unwrap();
    assert_eq!(written["village"], MARKER);
    (written["village"], written["id"]) = (serde_json::Value::Null, serde_json::Value::Null);
    prints.text(&written);
    let mut shown = serde_json::to_value(citizen.masked()).unwrap();
    shown["village"] = serde_json::Value::Null;
    assert!(shown.get("id").is_none());
    prints.text(&shown);

    let mut row = serde_json::to_value(&sealed).unwrap();
    row["address"] = MARKER.into();
    let mixed: SealedCitizen = serde_json::from_value(row.clone()).unwrap();
    prints.debug("Mixed", &mixed.address);
    prints.debug("SealedCitizen", &mixed);
    prints.text(&serde_json::to_string(&mixed).unwrap_err());
    row["address"] = format!("amn1.{MARKER}").into();
    let unknown: SealedCitizen = serde_json::from_value(row.clone()).unwrap();
    assert!(matches!(unknown.address, Mixed::Unknown(_)));
    prints.debug("Mixed", &unknown.address);
    for (column, value) in
        [("name", MARKER.into()), ("number", NUMBER.into()), ("old", serde_json::Value::from(MARKER))]
    {
        let mut row = row.clone();
        row[column] = value;
        prints.text(&serde_json::from_value::<SealedCitizen>(row).unwrap_err());
    }
    let mixed_policy = FieldPolicy::new(name("address"), Mode::Sealed).with_migration(Migration::Mixed);
    for stored in [MARKER.as_bytes(), &[&[1, 1][..], MARKER.as_bytes()].concat()] {
        let cell = Cell::read(&mixed_policy, stored).unwrap();
        prints.debug("Cell", &cell);
        if let Cell::Plain(plain) | Cell::Unknown(plain) = cell {
            prints.debug("PlainBytes", &plain);
        }
    }
}

#[test]
fn no_error_repeats_what_it_was_caused_by() {
    let mut prints = Prints::new();
    let mut ring = marked_ring(&mut prints);
    let (allowance, none) = (reserve(&mut ring, 100), reserve(&mut ring, 0));
    texts(&mut prints);
    files(&mut prints, &mut ring);
    let keys = ring.field_keys().unwrap();
    let id = record(MARKER);
    let mut opener = FieldOpener::new(&keys, &context(), &OpenOptions::default()).unwrap();
    let mut sealer = amanat::FieldSealer::new(&keys, &context(), SealOptions::default(), &allowance).unwrap();
    let envelope = sealer.seal(&id, ValueRef::Text(MARKER)).unwrap();
    prints.error(sealer.seal(&id, ValueRef::Cbor(MARKER.as_bytes())));
    let mut empty = amanat::FieldSealer::new(&keys, &context(), SealOptions::default(), &none).unwrap();
    prints.error(empty.seal(&id, ValueRef::Text(MARKER)));
    prints.error(opener.open(&record("another row"), &envelope).map(drop));
    let mut altered = envelope.clone();
    altered[60] ^= 1;
    prints.error(opener.open(&id, &altered).map(drop));
    prints.error(opener.open(&id, MARKER.as_bytes()).map(drop));
    let other = new_ring("demo-registry");
    let other_keys = other.field_keys().unwrap();
    let mut stranger = FieldOpener::new(&other_keys, &context(), &OpenOptions::default()).unwrap();
    prints.error(stranger.open_value(&id, &envelope));
    let token_keys = ring.token_keys().unwrap();
    let (bank, epoch) = (Audience::new("bank", "loans").unwrap(), token_keys.primary_epoch().unwrap());
    prints.error(ReversibleTokens::new(&token_keys, &bank, epoch, &allowance));

    let schema = Citizen::schema().unwrap();
    let mut records = RecordSealer::new(&keys, &schema, Engine::Ring, &allowance).unwrap();
    let mut open_records = RecordOpener::new(&keys, &schema, &OpenOptions::default()).unwrap();
    let mut batch = EnvelopeBatch::new();
    prints.error(records.seal(&id, &[ValueRef::Text(MARKER)], &mut batch));
    prints.error(open_records.open(9, &id, &envelope).map(drop));
    let mut broken = citizen();
    broken.more = Cbor::new(MARKER.as_bytes().to_vec().into());
    prints.error(Citizen::seal_all(&[broken], &mut records));
    let mut sealed = citizen().seal(&mut records).unwrap();
    (sealed.address, sealed.old) = (Mixed::Unknown(Plain::new(MARKER.to_owned())), citizen().masked().old);
    prints.error(sealed.open(&mut open_records));
    sealed.name = SealedField::from_bytes(envelope).unwrap();
    prints.error(sealed.open(&mut open_records));
    // The integer's envelope says text to a record whose field is an integer.
    let text = ValueRef::Text(MARKER);
    records.seal(&id, &[text, text, text, text, text, ValueRef::Null], &mut batch).unwrap();
    let mut other_type = citizen().seal(&mut records).unwrap();
    other_type.number = SealedField::from_bytes(batch.get(1).unwrap().to_vec()).unwrap();
    prints.error(other_type.open(&mut open_records));

    let kinds: Vec<&str> = prints.kinds.iter().map(String::as_str).collect();
    let all_but_entropy = [
        Kind::KeyUnusable,
        Kind::Limit,
        Kind::Malformed,
        Kind::Misuse,
        Kind::Rollback,
        Kind::Schema,
        Kind::Store,
        Kind::Unauthentic,
        Kind::UnknownKey,
        Kind::Unsupported,
    ];
    assert_eq!(kinds, all_but_entropy.map(|kind| format!("{kind:?}")), "one error of each kind");
    prints.check();
}

/// Everything that reads a text or bytes.
fn texts(prints: &mut Prints) {
    let long = MARKER.repeat(100);
    prints.error(RecordId::text(&long));
    prints.error(RecordId::composite(&[MARKER]));
    prints.error(RecordId::composite(&[&long, MARKER]));
    prints.error(format!("{MARKER} {NUMBER}").parse::<Name>());
    prints.error(MARKER.parse::<KeyId>());
    prints.error(MARKER.parse::<Timestamp>());
    prints.error(MARKER.parse::<Date>());
    prints.error("1919-08-77".parse::<Date>());
    prints.error(NormalForm::from_name(MARKER));
    for form in [NormalForm::Date, NormalForm::Digits] {
        prints.error(form.normalise(ValueRef::Text(MARKER)));
        prints.error(form.normalise(ValueRef::Integer(NUMBER)));
    }
    for form in [NormalForm::Exact, NormalForm::LatinName, NormalForm::UrduName] {
        prints.error(form.normalise(ValueRef::Text(&MARKER.repeat(60))));
    }
    prints.error(amanat::mask::Mask::LastFour.read(MARKER));
    for identifier in Identifier::builtin() {
        prints.error(identifier.check(MARKER, Strictness::Lenient));
        prints.error(identifier.display(&NUMBER.to_string()));
        prints.error(amanat::mask::Mask::Identifier(identifier.clone()).read(&NUMBER.to_string()));
    }
    prints.error(Envelope::parse(MARKER.as_bytes()));
    for prefix in ["", "amn1.", "amn2.", "amn1. "] {
        let text = format!("{prefix}{MARKER}");
        prints.error(append_from_text(&text, &mut Vec::new()));
        prints.error(SealedField::from_text(&text));
    }
    for start in [&[][..], &[1], &[1, 1], &[1, 9], &[2]] {
        let stored = [start, MARKER.as_bytes(), MARKER.as_bytes()].concat();
        prints.error(Envelope::parse(&stored));
        prints.error(SealedField::from_bytes(stored.clone()));
        prints.error(Cell::read(&FieldPolicy::new(name("cnic"), Mode::Sealed), &stored));
    }
    for stored in
        [format!("{MARKER},{NUMBER},1919-08-07\n"), format!("{{\"name\":\"{MARKER}\"}}"), MARKER.to_owned()]
    {
        prints.error(Schema::from_toml(&stored));
        prints.error(KeyringFile::parse(stored.as_bytes()));
        prints.error(Pin::parse(stored.as_bytes()));
        prints.error(KeyFile::parse(&SecretBytes::new(stored.clone().into())));
        prints.debug("Report", &inspect(stored.as_bytes()));
    }
    // In the place of every kind of value.
    for (of, instead) in [
        ("\"amanat-schema\"", "{}"),
        ("1\n\n", "{}\n\n"),
        ("[\"id\"]", "{}"),
        ("64", "{}"),
        ("\"text\"", "{}"),
        ("\"sealed\"", "{}"),
        ("name = \"cnic\"", "{}"),
    ] {
        let schema = "format = \"amanat-schema\"\nversion = 1\n\n[[table]]\nname = \"citizens\"\nrecord_id = [\"id\"]\n\
            encoding = \"text\"\nfield = [{ name = \"cnic\", mode = \"sealed\", pad = 64 }]\n";
        assert!(Schema::from_toml(schema).is_ok() && schema.contains(of));
        let value = instead.replace("{}", &format!("\"{MARKER}\""));
        prints.error(Schema::from_toml(&schema.replacen(of, &value, 1)));
    }
    prints.error(KeyFile::parse(&SecretBytes::new(format!("amanat-key-file-v1:{MARKER}\n").into())));
    prints.error(Passphrase::new(SecretBytes::new(long.into())));
    prints.error(Passphrase::new(SecretBytes::new([MARKER.as_bytes(), &[0xff]].concat())));
}

/// Keyrings that do not unlock, and states that forbid.
fn files(prints: &mut Prints, ring: &mut Keyring) {
    let bytes = write(ring);
    let pin = Pin::parse(&ring_pin(ring)).unwrap();
    let file = KeyringFile::parse(&bytes).unwrap();
    prints.error(file.unlock(&KeyFile::generate().unwrap(), None));
    prints.error(file.unlock(&passphrase(MARKER), None));
    prints.error(file.unlock(&Away, None));
    prints.debug("KekError", &KekError::new(KekErrorKind::Refused, "refused"));
    let mut other = new_ring("demo-registry");
    let older = write(&mut other);
    prints.error(KeyringFile::parse(&older).unwrap().unlock(&passphrase(PASSPHRASE), Some(&pin)));
    let added = other.add_key(Purpose::Field, 30, time(2)).unwrap();
    prints.error(other.suspend(added, time(3)));
    let text = String::from_utf8(bytes).unwrap();
    prints.error(
        KeyringFile::parse(text.replacen("demo-registry", MARKER, 1).as_bytes())
            .and_then(|file| file.unlock(&passphrase(PASSPHRASE), None).map(drop)),
    );
}

/// A pin of a much newer generation of the same registry.
fn ring_pin(ring: &mut Keyring) -> Vec<u8> {
    (0..5).for_each(|_| drop(write(ring)));
    write(ring);
    ring.pin().unwrap().to_bytes()
}

#[test]
fn every_public_type_that_prints_itself_is_sorted_here() {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                found.extend(printable(&fs::read_to_string(entry.path()).unwrap()));
            }
        }
    }
    let lists = || PUBLIC.split(' ').chain(PRINTED.split(' '));
    let sorted: BTreeSet<String> = lists().map(str::to_owned).collect();
    assert_eq!(sorted.len(), lists().count(), "a type stands twice");
    assert_eq!(found, sorted, "sort new types into PUBLIC, or into PRINTED and print them");
}

/// The public types of a source file that have a `Debug`.
fn printable(code: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let (mut types, mut derived) = (BTreeSet::new(), false);
    for line in code.lines().map(str::trim) {
        let public = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "));
        if let Some(name) = public {
            if derived || code.contains(&format!("Debug for {}", word(name))) {
                types.insert(word(name));
            }
            derived = false;
        } else if line.starts_with("#[derive(") {
            derived = line.contains("Debug");
        } else if !line.starts_with("#[") && !line.starts_with("///") {
            derived = false;
        }
    }
    types
}
