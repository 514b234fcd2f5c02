// SPDX-License-Identifier: MIT OR Apache-2.0
//! Properties of every input: round trips, contexts, one encoding, and a keyring under random operations.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;

use amanat::envelope::{append_from_text, to_text};
use amanat::keys::{Purpose, State};
use amanat::{
    Date, Engine, Envelope, FieldContext, KeyId, Keyring, KeyringFile, Kind, RecordId, Suite, Value, ValueRef,
};
use proptest::collection::vec;
use proptest::prelude::*;

mod common;
use common::*;

fn config(cases: u32) -> ProptestConfig {
    // A failing input is printed in its smallest form; it becomes a test of its own, not a file beside this one.
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn any_value() -> impl Strategy<Value = Value> {
    let date = (1_u16..=9_999, 0_u8..=12, 0_u8..=31).prop_map(|(year, month, day)| {
        let partial = Date::new(year, month, 0).expect("a month");
        ValueRef::Date(Date::new(year, month, day).unwrap_or(partial)).to_value()
    });
    prop_oneof![
        Just(()).prop_map(|()| ValueRef::Null.to_value()),
        any::<String>().prop_map(|text| ValueRef::Text(&text).to_value()),
        vec(any::<u8>(), 0..400).prop_map(|bytes| ValueRef::Bytes(&bytes).to_value()),
        vec(prop_oneof![Just(0), Just(0x80), any::<u8>()], 0..80)
            .prop_map(|bytes| ValueRef::Bytes(&bytes).to_value()),
        any::<i64>().prop_map(|number| ValueRef::Integer(number).to_value()),
        any::<bool>().prop_map(|truth| ValueRef::Boolean(truth).to_value()),
        any_cbor().prop_map(|item| ValueRef::Cbor(&item).to_value()),
        date,
    ]
}

/// Well-formed CBOR: integers and texts in lists.
fn any_cbor() -> impl Strategy<Value = Vec<u8>> {
    let text = "[a-z]{0,20}".prop_map(|text: String| {
        [&[0x60 | u8::try_from(text.len()).expect("short")], text.as_bytes()].concat()
    });
    let leaf = prop_oneof![any::<u8>().prop_map(|n| vec![0x18, n]), text];
    leaf.prop_recursive(8, 64, 8, |inner| {
        vec(inner, 0..8).prop_map(|items| {
            [&[0x80 | u8::try_from(items.len()).expect("few")][..], &items.concat()].concat()
        })
    })
}

fn any_name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_.-]{1,128}"
}

fn any_record() -> impl Strategy<Value = RecordId<'static>> {
    prop_oneof![
        any::<i64>().prop_map(RecordId::integer),
        vec(".{0,60}", 2..4).prop_map(|columns| {
            RecordId::composite(&columns.iter().map(String::as_str).collect::<Vec<_>>()).expect("a short id")
        }),
    ]
}

fn any_options() -> impl Strategy<Value = (usize, usize, usize, usize)> {
    (0..2_usize, 0..2_usize, 0..2_usize, 1..=300_usize)
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn what_was_sealed_opens_to_the_same_value(
        value in any_value(), id in any_record(), table in any_name(), field in any_name(),
        (family, from, to, blocks) in any_options(),
    ) {
        let mut ring = ring();
        let context = FieldContext::new(name("demo-registry"), name(&table), name(&field));
        let options = options(ENGINES[from], FAMILIES[family], blocks * 16);
        let envelope = sealer(&mut ring, &context, options).seal(&id, value.as_ref()).unwrap();
        prop_assert_eq!(Envelope::parse(&envelope).unwrap().padded_bytes() % (blocks * 16), 0);
        let mut text_form = Vec::new();
        append_from_text(&to_text(&envelope), &mut text_form).unwrap();
        let opened = opener(&ring, &context, ENGINES[to]).open_value(&id, &text_form).unwrap();
        prop_assert!(opened == value);
    }

    #[test]
    fn another_context_never_opens(
        value in any_value(), ids in (any_record(), any_record()), family in 0..2_usize,
        tables in (any_name(), any_name()), fields in (any_name(), any_name()),
    ) {
        let mut ring = ring();
        let place = |table: &str, field: &str| FieldContext::new(name("demo-registry"), name(table), name(field));
        let context = place(&tables.0, &fields.0);
        let options = options(Engine::Ring, FAMILIES[family], 16);
        let envelope = sealer(&mut ring, &context, options).seal(&ids.0, value.as_ref()).unwrap();
        for (table, field, id) in [
            (&tables.1, &fields.0, &ids.0), (&tables.0, &fields.1, &ids.0), (&tables.0, &fields.0, &ids.1),
            (&fields.0, &tables.0, &ids.0), (&tables.1, &fields.1, &ids.1),
        ] {
            let other = place(table, field);
            let opened = opener(&ring, &other, Engine::Ring).open_value(id, &envelope);
            if other == context && *id == ids.0 {
                prop_assert!(opened.is_ok());
            } else {
                prop_assert_eq!(opened.unwrap_err().kind(), Kind::Unauthentic);
            }
        }
    }

    #[test]
    fn altered_bytes_never_open(
        value in any_value(), family in 0..2_usize, at in any::<prop::sample::Index>(), mask in 1_u8..,
        cut in any::<prop::sample::Index>(), more in vec(any::<u8>(), 1..40),
    ) {
        let mut ring = ring();
        let options = options(Engine::Ring, FAMILIES[family], 16);
        let id = record("1");
        let good = sealer(&mut ring, &context(), options).seal(&id, value.as_ref()).unwrap();
        let mut opener = opener(&ring, &context(), Engine::Ring);
        let mut altered = good.clone();
        altered[at.index(good.len())] ^= mask;
        prop_assert!(opener.open(&id, &altered).is_err());
        prop_assert!(opener.open(&id, &good[..cut.index(good.len())]).is_err());
        prop_assert!(opener.open(&id, &[&good[..], &more].concat()).is_err());
        prop_assert!(opener.open(&id, &good).is_ok(), "and the opener still works");
    }
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn any_bytes_have_one_text_and_any_text_at_most_one_value(bytes in vec(any::<u8>(), 0..200), text in "(amn1[.])?[A-Za-z0-9_=+/-]{0,12}") {
        let mut back = Vec::new();
        append_from_text(&to_text(&bytes), &mut back).unwrap();
        prop_assert_eq!(&back, &bytes);
        back.clear();
        match append_from_text(&text, &mut back) {
            Ok(()) => prop_assert_eq!(to_text(&back), text),
            Err(_) => prop_assert!(back.is_empty()),
        }
    }

    #[test]
    fn what_parses_as_an_envelope_is_made_of_its_parts(suite in 0_u8..6, rest in vec(any::<u8>(), 0..300), blocks in 0..10_usize) {
        for rest in [rest.clone(), vec![7; 16 + blocks * 8], vec![7; 16 + 24 + 16 + blocks * 16], vec![7; 16 + 72 + blocks * 16]] {
            let bytes = [&[1, suite][..], &rest].concat();
            let Ok(envelope) = Envelope::parse(&bytes) else { continue };
            prop_assert_eq!(envelope.as_bytes(), &bytes);
            prop_assert_eq!(&envelope.header()[..], &bytes[..18]);
            prop_assert_eq!(envelope.key().as_bytes().to_vec(), bytes[2..18].to_vec());
            prop_assert_eq!(envelope.suite().byte(), suite);
            let overhead = match envelope.suite() {
                Suite::Xaes256Gcm | Suite::XChaCha20Poly1305 => 40,
                Suite::Aes256Siv => 16,
                _ => 72,
            };
            prop_assert_eq!(envelope.padded_bytes() + overhead + 18, bytes.len());
            prop_assert!(envelope.padded_bytes() > 0 && envelope.padded_bytes() % 16 == 0);
        }
    }

    #[test]
    fn no_bytes_panic_a_reader(bytes in vec(any::<u8>(), 0..400), text in any::<String>()) {
        let _ = KeyringFile::parse(&bytes);
        let _ = KeyringFile::parse(text.as_bytes());
        let _ = amanat::keys::Pin::parse(&bytes);
        let _ = append_from_text(&text, &mut Vec::new());
        let _ = text.parse::<amanat::Timestamp>();
        let _ = text.parse::<Date>();
    }
}

/// What may be done to a keyring; numbers choose a key.
#[derive(Clone, Debug)]
enum Step {
    Activate(usize),
    Add(usize),
    Compromise(usize),
    Deactivate(usize),
    Destroy(usize),
    GiveBack(u64),
    Reread,
    Reserve(usize, u64),
    Resume(usize),
    Suspend(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let messages = prop_oneof![0..1_000_u64, Just(1 << 43), Just(1 << 44), any::<u64>()];
    prop_oneof![
        3 => (0..64_usize).prop_map(Step::Activate),
        2 => (0..6_usize).prop_map(Step::Add),
        1 => (0..64_usize).prop_map(Step::Compromise),
        2 => (0..64_usize).prop_map(Step::Deactivate),
        1 => (0..64_usize).prop_map(Step::Destroy),
        1 => (0..64_u64).prop_map(Step::GiveBack),
        1 => Just(Step::Reread),
        2 => (0..6_usize, messages).prop_map(|(purpose, messages)| Step::Reserve(purpose, messages)),
        2 => (0..64_usize).prop_map(Step::Resume),
        2 => (0..64_usize).prop_map(Step::Suspend),
    ]
}

/// What a keyring should hold, kept beside it.
#[derive(Clone, Debug, PartialEq)]
struct Expected {
    purpose: Purpose,
    state: State,
    primary: bool,
    messages: u64,
}

type Model = BTreeMap<KeyId, Expected>;

fn look(ring: &Keyring) -> Model {
    let expected = |key: &amanat::keys::KeyInfo| Expected {
        purpose: key.purpose,
        state: key.state,
        primary: key.primary,
        messages: key.messages,
    };
    ring.keys().map(|key| (key.id, expected(key))).collect()
}

/// A step to another state as SPEC 4.3 has it: `None` if it must be refused.
fn moved(model: &Model, id: KeyId, from: &[State], to: State) -> Option<Model> {
    let mut next = model.clone();
    let key = next.get_mut(&id)?;
    if key.primary || !from.contains(&key.state) {
        return None;
    }
    key.state = to;
    Some(next)
}

fn activated(model: &Model, id: KeyId) -> Option<Model> {
    let chosen = model.get(&id)?.clone();
    if ![State::PreActivation, State::Active].contains(&chosen.state) {
        return None;
    }
    let mut next = model.clone();
    for (other, key) in next.iter_mut().filter(|(_, key)| key.purpose == chosen.purpose) {
        key.primary = *other == id;
        key.state = if key.primary { State::Active } else { key.state };
    }
    Some(next)
}

/// Takes one step with keyring and model; both must agree on whether it is allowed.
fn take(ring: &mut Keyring, model: &mut Model, step: &Step, now: amanat::Timestamp) {
    use State::{Active, Compromised, Deactivated, Destroyed, PreActivation, Suspended};
    let ids: Vec<KeyId> = ring.keys().map(|key| key.id).collect();
    let id = |at: &usize| ids[at % ids.len()];
    let (done, next) = match step {
        Step::Activate(at) => (ring.activate(id(at), now), activated(model, id(at))),
        Step::Suspend(at) => (ring.suspend(id(at), now), moved(model, id(at), &[Active], Suspended)),
        Step::Resume(at) => (ring.resume(id(at)), moved(model, id(at), &[Suspended], Active)),
        Step::Deactivate(at) => {
            (ring.deactivate(id(at), now), moved(model, id(at), &[Active, Suspended], Deactivated))
        }
        Step::Compromise(at) => {
            let from = [PreActivation, Active, Suspended, Deactivated];
            (ring.compromise(id(at), now), moved(model, id(at), &from, Compromised))
        }
        Step::Destroy(at) => {
            let from = [PreActivation, Deactivated, Compromised];
            (ring.destroy(id(at), now), moved(model, id(at), &from, Destroyed))
        }
        Step::Add(purpose) => {
            let purpose = Purpose::ALL[*purpose];
            let first = !model.values().any(|key| key.purpose == purpose);
            let id = ring.add_key(purpose, 730, now).expect("a key");
            let state = if first { Active } else { PreActivation };
            model.insert(id, Expected { purpose, state, primary: first, messages: 0 });
            return;
        }
        Step::Reserve(purpose, messages) => {
            let purpose = Purpose::ALL[*purpose];
            let mut next = model.clone();
            let key = next.values_mut().find(|key| key.purpose == purpose && key.primary);
            let total = key.and_then(|key| {
                key.messages = key.messages.checked_add(*messages).filter(|total| *total <= 1 << 44)?;
                Some(())
            });
            (ring.reserve(purpose, *messages).map(|_| ()), total.map(|()| next))
        }
        Step::GiveBack(messages) => {
            // What is reserved and given back unused leaves no trace.
            if let Ok(allowance) = ring.reserve(Purpose::Field, *messages) {
                ring.give_back(&allowance).expect("its own");
            }
            return;
        }
        Step::Reread => {
            *ring = copy(ring);
            return;
        }
    };
    assert_eq!(done.is_ok(), next.is_some(), "{step:?}: {done:?}");
    if let Some(next) = next {
        *model = next;
    }
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn a_keyring_keeps_its_invariants_under_any_steps(steps in vec(any_step(), 0..40)) {
        let mut ring = ring();
        let mut model = look(&ring);
        let sealed = sealer(&mut ring, &context(), options(Engine::Ring, FAMILIES[0], 16)).seal(&record("1"), ValueRef::Null).unwrap();
        let first = primary(&ring);
        model.get_mut(&first).unwrap().messages = 1 << 24;
        for (number, step) in steps.iter().enumerate() {
            take(&mut ring, &mut model, step, time(u64::try_from(number).unwrap()));
            prop_assert_eq!(&look(&ring), &model);
            for purpose in Purpose::ALL {
                let keyset: Vec<&Expected> = model.values().filter(|key| key.purpose == purpose).collect();
                let primaries: Vec<State> = keyset.iter().filter(|key| key.primary).map(|key| key.state).collect();
                prop_assert!(keyset.is_empty() || primaries == [State::Active]);
            }
            let opened = opener(&ring, &context(), Engine::Ring).open_value(&record("1"), &sealed);
            prop_assert_eq!(opened.is_ok(), model[&first].state.opens());
        }
        let before: Vec<_> = ring.keys().cloned().collect();
        let generation = ring.generation();
        let bytes = write(&mut ring);
        let again = unlock(&bytes).unwrap();
        prop_assert!(ring.verify(&bytes).is_ok());
        prop_assert_eq!(again.generation(), generation + 1);
        prop_assert_eq!(again.pin(), ring.pin());
        // The file holds keys by purpose; nothing else of them changes.
        let mut after: Vec<_> = again.keys().cloned().collect();
        prop_assert!(after.is_sorted_by_key(|key| key.purpose));
        let by_id = |keys: &mut Vec<amanat::keys::KeyInfo>| keys.sort_by_key(|key| key.id);
        let mut before = before;
        by_id(&mut before);
        by_id(&mut after);
        prop_assert_eq!(before, after);
    }
}
