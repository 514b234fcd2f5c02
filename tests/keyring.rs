// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keyring through its public interface: states, rotation, allowances, slots, pins, and every way to tamper with its file.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeSet;

use amanat::keys::{KeyFile, NewSlot, Pin, Purpose, State};
use amanat::{
    Engine, FieldOpener, FieldSealer, KeyId, Keyring, KeyringFile, Kind, OpenOptions, SealOptions,
    SecretBytes, ValueRef,
};

mod common;
use common::*;

/// A row of the table of SPEC 4.3.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    state: String,
    seal: bool,
    open: bool,
    by_name: bool,
    may_become: BTreeSet<String>,
}

fn table_of_spec() -> Vec<Row> {
    let spec = include_str!("../SPEC.md");
    let section = spec.split("### 4.3 States").nth(1).expect("4.3").split("\n### ").next().expect("its end");
    let lines = section.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 5, "{line}");
        let yes = |cell: &str| match cell {
            "yes" => true,
            "no" => false,
            other => panic!("{other} in {line}"),
        };
        let next = |cell: &str| match cell {
            "active" => "primary".to_owned(),
            "active (not primary)" => "active".to_owned(),
            other => other.to_owned(),
        };
        let may_become = match cells[4] {
            "–" => BTreeSet::new(),
            "active not primary, by activating another" => BTreeSet::from(["active, by another".to_owned()]),
            list => list.split(", ").map(next).collect(),
        };
        let state = cells[0].replace('`', "");
        Row { state, seal: yes(cells[1]), open: yes(cells[2]), by_name: yes(cells[3]), may_become }
    };
    lines.map(row).collect()
}

/// Brings a key from pre-activation to the state of a row.
fn bring(ring: &mut Keyring, id: KeyId, state: &str) {
    let other = primary(ring);
    let now = time(2);
    if state != "pre-activation" {
        ring.activate(id, now).expect("activate");
    }
    if !["pre-activation", "active, primary"].contains(&state) {
        ring.activate(other, now).expect("activate another");
    }
    match state {
        "suspended" => ring.suspend(id, now),
        "deactivated" => ring.deactivate(id, now),
        "compromised" => ring.compromise(id, now),
        "destroyed" => ring.compromise(id, now).and_then(|()| ring.destroy(id, now)),
        _ => Ok(()),
    }
    .expect("a transition");
}

fn describe(ring: &Keyring, id: KeyId) -> String {
    let info = ring.keys().find(|key| key.id == id).expect("the key");
    if info.primary { "primary".into() } else { info.state.to_string() }
}

/// Every single transition that a key in this state takes.
fn transitions(start: &dyn Fn() -> Keyring, id: KeyId) -> BTreeSet<String> {
    type Step = fn(&mut Keyring, KeyId) -> amanat::Result<()>;
    let steps: [(&str, Step); 7] = [
        ("primary", |ring, id| ring.activate(id, time(3))),
        ("active", |ring, id| ring.introduce(id, time(3))),
        ("active", |ring, id| ring.resume(id)),
        ("suspended", |ring, id| ring.suspend(id, time(3))),
        ("deactivated", |ring, id| ring.deactivate(id, time(3))),
        ("compromised", |ring, id| ring.compromise(id, time(3))),
        ("destroyed", |ring, id| ring.destroy(id, time(3))),
    ];
    let mut found = BTreeSet::new();
    for (target, step) in steps {
        let mut ring = start();
        let before = describe(&ring, id);
        match step(&mut ring, id) {
            Ok(()) if before == target => {}
            Ok(()) => {
                assert_eq!(describe(&ring, id), target);
                found.insert(target.to_owned());
            }
            Err(error) => {
                assert_eq!((error.kind(), error.key()), (Kind::KeyUnusable, Some(id)), "{error}");
                assert_eq!(describe(&ring, id), before, "a refused step changes nothing");
            }
        }
        // Whatever happened, the keyring can be written and read.
        assert_eq!(describe(&copy(&mut ring), id), describe(&ring, id));
    }
    let mut ring = start();
    if describe(&ring, id) == "primary" {
        let other =
            ring.keys().find(|key| key.purpose == Purpose::Field && key.id != id).expect("another").id;
        ring.activate(other, time(3)).expect("activate another");
        found.insert(format!("{}, by another", describe(&ring, id)));
    }
    found
}

#[test]
fn every_state_allows_what_the_table_of_spec_4_3_says_and_no_more() {
    let mut first = ring();
    let id = first.add_key(Purpose::Field, 730, time(0)).expect("a key");
    let file = write(&mut first);
    // What the key sealed, or would have sealed had it been active.
    let mut active = unlock(&file).expect("unlocked");
    active.activate(id, time(1)).expect("active");
    let envelope = sealer(&mut active, &context(), SealOptions::default())
        .seal(&record("1"), ValueRef::Text("x"))
        .expect("sealed");
    let observe = |state: &str| {
        let start = || {
            let mut ring = unlock(&file).expect("unlocked");
            bring(&mut ring, id, state);
            ring
        };
        let mut ring = copy(&mut start());
        let open = |options: &OpenOptions| {
            let keys = ring.field_keys().expect("field keys");
            let opened = FieldOpener::new(&keys, &context(), options)
                .and_then(|mut opener| opener.open_value(&record("1"), &envelope));
            match opened {
                Ok(value) => value.as_ref() == ValueRef::Text("x"),
                Err(error) => {
                    assert_eq!((error.kind(), error.key()), (Kind::KeyUnusable, Some(id)), "{error}");
                    assert!(error.to_string().contains(state.split(',').next().unwrap()), "{error}");
                    false
                }
            }
        };
        let (plain, by_name) = (
            open(&OpenOptions::default()),
            open(&OpenOptions { break_glass: vec![id], ..Default::default() }),
        );
        let seal = sealer(&mut ring, &context(), SealOptions::default()).key() == id;
        Row { state: state.into(), seal, open: plain, by_name, may_become: transitions(&start, id) }
    };
    let table = table_of_spec();
    let states: BTreeSet<&str> = table.iter().map(|row| row.state.split(',').next().unwrap()).collect();
    assert_eq!(states, State::ALL.iter().map(|state| state.as_str()).collect());
    assert_eq!(table.len(), 7);
    for row in table {
        assert_eq!(observe(&row.state), row);
    }
}

#[test]
fn the_primary_key_cannot_leave_its_state_before_another_was_activated() {
    let mut ring = ring();
    let id = primary(&ring);
    refused(ring.suspend(id, time(1)), Kind::KeyUnusable, "activate another key first");
    refused(ring.compromise(id, time(1)), Kind::KeyUnusable, "activate another key first");
    refused(ring.destroy(id, time(1)), Kind::KeyUnusable, "activate another key first");
    refused(ring.resume(id), Kind::KeyUnusable, "not suspended");
    let next = ring.add_key(Purpose::Field, 730, time(1)).expect("a key");
    ring.activate(next, time(1)).expect("active");
    ring.suspend(id, time(1)).expect("suspended");
    refused(ring.activate(id, time(1)), Kind::KeyUnusable, "resume it before");
    let unknown = KeyId::from_bytes([9; 16]);
    refused(ring.activate(unknown, time(1)), Kind::UnknownKey, "is not in this keyring");
}

#[test]
fn rotation_keeps_old_values_readable_until_their_key_is_destroyed() {
    let mut ring = ring();
    let old = primary(&ring);
    let seal = |ring: &mut Keyring, text: &str| {
        let mut sealer = sealer(ring, &context(), SealOptions::default());
        sealer.seal(&record("7"), ValueRef::Text(text)).expect("sealed")
    };
    let before = seal(&mut ring, "old");
    let new = ring.add_key(Purpose::Field, 365, time(1)).expect("a key");
    ring.activate(new, time(2)).expect("active");
    let after = seal(&mut ring, "new");
    assert_eq!((&before[2..18], &after[2..18]), (&old.as_bytes()[..], &new.as_bytes()[..]));
    ring.deactivate(old, time(3)).expect("deactivated");
    let mut ring = copy(&mut ring);
    let mut both = opener(&ring, &context(), Engine::Ring);
    assert!(both.open(&record("7"), &before).expect("opens") == ValueRef::Text("old"));
    assert!(both.open(&record("7"), &after).expect("opens") == ValueRef::Text("new"));
    ring.destroy(old, time(4)).expect("destroyed");
    let mut ring = copy(&mut ring);
    let mut one = opener(&ring, &context(), Engine::Ring);
    refused(one.open(&record("7"), &before), Kind::KeyUnusable, "cannot be opened any more");
    assert!(one.open(&record("7"), &after).is_ok());
    let tombstone = ring.keys().find(|key| key.id == old).expect("a tombstone");
    let dates = (tombstone.activated, tombstone.deactivated, tombstone.destroyed);
    assert_eq!(dates, (Some(time(0)), Some(time(3)), Some(time(4))));
    assert_eq!(ring.keys().find(|key| key.id == new).unwrap().days_left(time(2 + 86_400 * 400)), Some(-35));
    assert!(ring.resume(old).is_err() && ring.activate(old, time(5)).is_err());
}

#[test]
fn an_allowance_is_shared_refused_when_used_up_and_given_back() {
    let mut ring = ring();
    let id = primary(&ring);
    let counted = |ring: &Keyring| ring.keys().find(|key| key.id == id).expect("the key").messages;
    let allowance = reserve(&mut ring, 10);
    assert_eq!((counted(&ring), allowance.left(), allowance.key()), (10, 10, id));
    let make = |ring: &Keyring| {
        let keys = ring.field_keys().expect("field keys");
        FieldSealer::new(&keys, &context(), SealOptions::default(), &allowance).expect("a sealer")
    };
    let (mut first, mut second) = (make(&ring), make(&ring));
    let row = record("1");
    for _ in 0..3 {
        first.seal(&row, ValueRef::Null).expect("sealed");
        second.seal(&row, ValueRef::Null).expect("sealed");
    }
    let mut batch = amanat::EnvelopeBatch::new();
    let values = |count: usize| std::iter::repeat_n((&row, ValueRef::Null), count);
    refused(first.seal_batch(values(5), &mut batch), Kind::Limit, "4 messages are left");
    assert_eq!((allowance.left(), batch.len()), (4, 0), "a refused batch takes nothing");
    first.seal_batch(values(3), &mut batch).expect("sealed");
    let mut stream = Vec::new();
    second.seal_stream(&row, &mut stream).expect("the last one");
    refused(first.seal(&row, ValueRef::Null), Kind::Limit, "reserve more in the keyring");
    refused(second.seal_stream(&row, &mut stream), Kind::Limit, "0 messages are left");
    let unused = reserve(&mut ring, 100);
    assert_eq!(counted(&ring), 110);
    ring.give_back(&unused).expect("given back");
    assert_eq!((counted(&ring), unused.left()), (10, 0));
    assert_eq!(counted(&copy(&mut ring)), 10, "the count is in the file");
}

#[test]
fn a_key_is_refused_before_its_limit_of_2_to_the_44() {
    let mut ring = ring();
    let most = 1_u64 << 44;
    refused(ring.reserve(Purpose::Field, most + 1), Kind::Limit, "2^44");
    let all = reserve(&mut ring, most - 1);
    refused(ring.reserve(Purpose::Field, 2), Kind::Limit, "add a key and activate it");
    refused(ring.reserve(Purpose::Field, u64::MAX), Kind::Limit, "2^44");
    reserve(&mut ring, 1);
    refused(ring.reserve(Purpose::Field, 1), Kind::Limit, "2^44");
    assert!(copy(&mut ring).reserve(Purpose::Field, 1).is_err(), "the file remembers");
    ring.give_back(&all).expect("given back");
    assert_eq!(reserve(&mut ring, most - 1).left(), most - 1);
    refused(ring.reserve(Purpose::Audit, 1), Kind::Schema, "no key of purpose audit");
}

#[test]
fn an_allowance_of_a_former_primary_is_refused() {
    let mut ring = ring();
    let allowance = reserve(&mut ring, 10);
    let new = ring.add_key(Purpose::Field, 730, time(1)).expect("a key");
    ring.activate(new, time(1)).expect("active");
    let keys = ring.field_keys().expect("field keys");
    let made = FieldSealer::new(&keys, &context(), SealOptions::default(), &allowance);
    refused(made, Kind::Misuse, "reserve after activating");
}

#[test]
fn every_slot_opens_the_same_keys_and_the_last_one_stays() {
    let mut ring = ring();
    let file = KeyFile::generate().expect("a key file");
    let slot = NewSlot { label: "recovery", kek: &file };
    ring.add_slot(&slot, time(1)).expect("a slot");
    refused(ring.add_slot(&slot, time(1)), Kind::Schema, "another slot has this label");
    for label in ["", "a\nb", "a\u{85}b", &"x".repeat(65)] {
        refused(ring.add_slot(&NewSlot { label, kek: &file }, time(1)), Kind::Schema, "label");
    }
    let short = NewSlot { label: "short", kek: &passphrase("too short") };
    refused(ring.add_slot(&short, time(1)), Kind::Limit, "at least 12 bytes");
    let bytes = write(&mut ring);
    let read_again = KeyFile::parse(&file.to_text()).expect("its own text");
    let parsed = KeyringFile::parse(&bytes).expect("parsed");
    let providers: Vec<&str> = parsed.slots().map(|slot| slot.provider.as_str()).collect();
    assert_eq!(providers, ["passphrase", "key-file"]);
    let by_file = parsed.unlock(&read_again, None).expect("unlocked");
    assert!(by_file.keys().eq(unlock(&bytes).expect("unlocked").keys()));
    let other = KeyFile::generate().expect("a key file");
    refused(
        parsed.unlock(&other, None),
        Kind::Unauthentic,
        "no slot of this keyring belongs to this key-file",
    );
    refused(unlock_with(&bytes, "a wrong passphrase"), Kind::Unauthentic, "wrong passphrase");

    ring.remove_slot("main").expect("removed");
    refused(ring.remove_slot("main"), Kind::Schema, "no slot has this label");
    refused(ring.remove_slot("recovery"), Kind::Schema, "the last slot");
    let bytes = write(&mut ring);
    refused(unlock(&bytes), Kind::Unsupported, "the keyring has no passphrase slot");
    assert!(KeyringFile::parse(&bytes).expect("parsed").unlock(&file, None).is_ok());
    for number in 1..32 {
        let label = format!("slot {number}");
        ring.add_slot(&NewSlot { label: &label, kek: &file }, time(1)).expect("a slot");
    }
    refused(ring.add_slot(&NewSlot { label: "33rd", kek: &file }, time(1)), Kind::Limit, "at most 32 slots");
    assert!(KeyringFile::parse(&write(&mut ring)).expect("parsed").unlock(&file, None).is_ok());
}

#[test]
fn a_renewed_secret_shuts_out_what_unlocked_older_files() {
    let mut ring = ring();
    let file = KeyFile::generate().expect("a key file");
    ring.add_slot(&NewSlot { label: "recovery", kek: &file }, time(1)).expect("a slot");
    ring.remove_slot("main").expect("removed");
    let older = String::from_utf8(write(&mut ring)).expect("text");
    let ids: Vec<_> = ring.keys().cloned().collect();
    ring.renew_secret(&NewSlot { label: "recovery", kek: &file }, time(2)).expect("renewed");
    let bytes = write(&mut ring);
    ring.verify(&bytes).expect("genuine");
    let unlocked = KeyringFile::parse(&bytes).expect("parsed").unlock(&file, None).expect("unlocked");
    assert!(unlocked.keys().eq(&ids), "the keys are the same");

    // Whoever kept the older file puts its slot, and with it the older secret, into the new one.
    let newer = String::from_utf8(bytes).expect("text");
    let slots = |text: &str| {
        let start = text.find("\"slots\"").expect("slots");
        text[start..text.find("\"keysets\"").expect("keysets")].to_owned()
    };
    let grafted = newer.replace(&slots(&newer), &slots(&older));
    assert_ne!(grafted, newer);
    let file_again = KeyringFile::parse(grafted.as_bytes()).expect("parsed");
    refused(file_again.unlock(&file, None), Kind::Unauthentic, "was changed");

    let before: Vec<_> = ring.slots().cloned().collect();
    refused(ring.renew_secret(&NewSlot { label: "", kek: &file }, time(3)), Kind::Schema, "label");
    assert!(ring.slots().eq(&before), "a renewal that fails changes nothing");
    assert!(KeyringFile::parse(&write(&mut ring)).expect("parsed").unlock(&file, None).is_ok());
}

fn unlock_with(bytes: &[u8], text: &str) -> amanat::Result<Keyring> {
    KeyringFile::parse(bytes)?.unlock(&passphrase(text), None)
}

#[test]
fn a_key_file_in_another_form_is_refused() {
    let good = KeyFile::generate().expect("a key file").to_text();
    let good = std::str::from_utf8(good.expose()).expect("ASCII").to_owned();
    assert_eq!(good.len(), 19 + 43 + 1);
    for bad in [
        String::new(),
        good.trim_end().to_owned(),
        format!("{good}\n"),
        good.replace("-v1:", "-v2:"),
        good.replace('\n', "=\n"),
        good.replacen("v1:", "v1: ", 1),
        format!("{}\n", &good[..good.len() - 2]),
    ] {
        refused(KeyFile::parse(&SecretBytes::new(bad.into_bytes())), Kind::Malformed, "not a key file");
    }
}

#[test]
fn a_pin_refuses_an_older_keyring_a_fork_and_another_registry() {
    let mut ring = ring();
    let first = write(&mut ring);
    let older = ring.pin().expect("a pin").clone();
    let second = write(&mut ring);
    let newer = ring.pin().expect("a pin").clone();
    assert_eq!((older.generation(), newer.generation()), (1, 2));
    assert_eq!(Pin::parse(&newer.to_bytes()).expect("a pin"), newer);
    let open = |bytes: &[u8], pin: &Pin| {
        KeyringFile::parse(bytes)?.unlock(&passphrase(PASSPHRASE), Some(pin)).map(|ring| ring.generation())
    };
    assert_eq!(open(&second, &newer).ok(), Some(2));
    assert_eq!(open(&second, &older).ok(), Some(2), "a newer keyring than the pin is fine");
    refused(open(&first, &newer), Kind::Rollback, "an older copy was put back");
    let mut fork = unlock(&first).expect("unlocked");
    let forked = write(&mut fork);
    refused(open(&forked, &newer), Kind::Rollback, "two copies were changed apart from each other");
    let mut other = new_ring("other-registry");
    refused(open(&write(&mut other), &newer), Kind::Rollback, "another registry");
    let text = String::from_utf8(newer.to_bytes()).expect("ASCII");
    for bad in
        [text.trim_end().to_owned(), text.replace(":2", ": 2"), text.replace(":2", ":0"), String::new()]
    {
        refused(Pin::parse(bad.as_bytes()), Kind::Malformed, "not a keyring pin in its canonical form");
    }
    refused(
        Pin::parse(text.replace("\"version\":1", "\"version\":2").as_bytes()),
        Kind::Unsupported,
        "version",
    );
}

/// A file with two field keys, one of them deactivated, and two slots.
fn tampered_with() -> String {
    let mut ring = ring();
    let old = primary(&ring);
    let new = ring.add_key(Purpose::Field, 730, time(1)).expect("a key");
    ring.activate(new, time(1)).expect("active");
    ring.deactivate(old, time(1)).expect("deactivated");
    let file = KeyFile::generate().expect("a key file");
    ring.add_slot(&NewSlot { label: "recovery", kek: &file }, time(1)).expect("a slot");
    reserve(&mut ring, 4_096);
    String::from_utf8(write(&mut ring)).expect("UTF-8")
}

#[track_caller]
fn edit(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "`{from}` is not in the file");
    text.replacen(from, to, 1)
}

/// Removes the first block of lines from one that equals `first` to one that equals `last`.
#[track_caller]
fn remove(text: &str, first: &str, last: &str) -> String {
    let (mut lines, mut state) = (Vec::new(), 0);
    for line in text.lines() {
        if state == 0 && line == first {
            state = 1;
        }
        if state != 1 {
            lines.push(line);
        }
        if state == 1 && line == last {
            state = 2;
        }
    }
    assert_eq!(state, 2, "no such block");
    lines.join("\n") + "\n"
}

#[test]
fn every_edit_of_the_file_has_its_own_answer() {
    let good = tampered_with();
    assert!(unlock(good.as_bytes()).is_ok());
    let key = (r"        {", r"        },");
    let slot = (r"    {", r"    },");
    // Blocks of six and eight spaces: the first key of the first keyset, the first slot.
    let without_key = remove(&good, key.0, key.1);
    let without_slot = remove(&good, slot.0, slot.1);
    let metadata = "its state, a date, its message count or its wrapped secret was changed";
    let file = "every key of the keyring is genuine and the file is not";
    let canonical = "not in its canonical form: it was reformatted or edited by hand";
    let cases = [
        (
            edit(&good, "\"deactivated\",\n          \"primary\"", "\"active\",\n          \"primary\""),
            Kind::Unauthentic,
            metadata,
        ),
        (edit(&good, "\"messages\": 4096", "\"messages\": 4095"), Kind::Unauthentic, metadata),
        (
            edit(&good, "\"cryptoperiod_days\": 730", "\"cryptoperiod_days\": 731"),
            Kind::Unauthentic,
            metadata,
        ),
        (
            edit(&good, "          \"activated\": \"2026", "          \"activated\": \"2027"),
            Kind::Unauthentic,
            metadata,
        ),
        (edit(&good, "\"generation\": 1", "\"generation\": 2"), Kind::Unauthentic, file),
        (edit(&good, "\"updated\": \"2026", "\"updated\": \"2027"), Kind::Unauthentic, file),
        (edit(&good, "\"label\": \"recovery\"", "\"label\": \"recoverz\""), Kind::Unauthentic, file),
        (
            edit(&good, "\"registry\": \"demo-registry\"", "\"registry\": \"demo-registri\""),
            Kind::Unauthentic,
            "wrong passphrase, or the slot was altered",
        ),
        (
            edit(&good, "\"passes\": \"1\"", "\"passes\": \"2\""),
            Kind::Unauthentic,
            "wrong passphrase, or the slot was altered",
        ),
        (without_key.clone(), Kind::Malformed, "says that it has 5 keys and holds 4"),
        (edit(&without_key, "\"key_count\": 5", "\"key_count\": 4"), Kind::Unauthentic, file),
        (without_slot.clone(), Kind::Malformed, "says that it has 2 slots and holds 1"),
        (
            edit(&without_slot, "\"slot_count\": 2", "\"slot_count\": 1"),
            Kind::Unsupported,
            "no passphrase slot",
        ),
        (edit(&good, "\": 4096", "\":  4096"), Kind::Malformed, canonical),
        (good.replace('\n', "\r\n"), Kind::Malformed, canonical),
        (good.trim_end().to_owned(), Kind::Malformed, canonical),
        (format!("{good}\n"), Kind::Malformed, canonical),
        (edit(&good, "\"main\"", "\"\\u006dain\""), Kind::Malformed, canonical),
        (edit(&good, "\"messages\": 4096", "\"messages\": 17592186044417"), Kind::Limit, "2^44"),
        (edit(&good, "\"generation\": 1", "\"generation\": 0"), Kind::Malformed, "generation"),
        (
            edit(&good, "\"primary\": true", "\"primary\": false"),
            Kind::Malformed,
            "has 0 primary keys; it must have one",
        ),
        (edit(&good, "\"primary\": false", "\"primary\": true"), Kind::Malformed, "has 2 primary keys"),
        (edit(&good, "\"version\": 1", "\"version\": 2"), Kind::Unsupported, "version of the keyring file"),
        (edit(&good, "amanat-keyring", "amanat-keyrinh"), Kind::Malformed, "not a keyring"),
        ("not JSON at all".to_owned(), Kind::Malformed, "not a keyring, or edited by hand (line 1"),
        (
            edit(&good, "\"memory_kib\": \"8\"", "\"memory_kib\": \"2147483648\""),
            Kind::Limit,
            "Argon2id parameters outside",
        ),
        (
            edit(&good, "\"memory_kib\": \"8\"", "\"memory_kib\": \"4294967295\""),
            Kind::Limit,
            "Argon2id parameters outside",
        ),
        (edit(&good, "\"passes\": \"1\"", "\"passes\": \"17\""), Kind::Limit, "Argon2id parameters outside"),
        (edit(&good, "\"lanes\": \"1\"", "\"lanes\": \"2\""), Kind::Limit, "Argon2id parameters outside"),
        (
            edit(&good, "\"kdf\": \"argon2id\"", "\"kdf\": \"scrypt\""),
            Kind::Unsupported,
            "another function than argon2id",
        ),
        (" ".repeat((1 << 20) + 1), Kind::Limit, "larger than a keyring can be"),
    ];
    for (text, kind, words) in cases {
        refused(unlock(text.as_bytes()), kind, words);
    }
}

#[test]
fn an_exchange_of_two_wrapped_secrets_is_seen() {
    let good = tampered_with();
    let wrapped: Vec<&str> = good.lines().filter(|line| line.starts_with("          \"wrapped\"")).collect();
    assert_eq!(wrapped.len(), 5);
    let swapped = good.replace(wrapped[0], "#").replace(wrapped[1], wrapped[0]).replace('#', wrapped[1]);
    refused(unlock(swapped.as_bytes()), Kind::Unauthentic, "its wrapped secret was changed");
}

#[test]
fn a_file_cut_off_anywhere_is_called_truncated() {
    let good = tampered_with();
    for length in 0..good.len() {
        let result = KeyringFile::parse(&good.as_bytes()[..length]);
        let last_line_end = length + 1 == good.len();
        let words = if last_line_end {
            "not in its canonical form"
        } else {
            "truncated; restore the file from a backup"
        };
        refused(result, Kind::Malformed, words);
    }
}

#[test]
fn a_writer_can_tell_whether_what_it_read_back_is_what_it_wrote() {
    let mut ring = ring();
    let first = write(&mut ring);
    let second = write(&mut ring);
    assert!(ring.verify(&second).is_ok());
    refused(ring.verify(&first), Kind::Unauthentic, "not the one that was written");
    refused(ring.verify(&second[..second.len() / 2]), Kind::Malformed, "truncated");
    refused(new_ring("demo-registry").verify(&second), Kind::Unauthentic, "not the one that was written");
    assert_eq!(KeyringFile::parse(&second).expect("parsed").times(), (time(0), time(1)));
}

#[test]
fn printing_a_keyring_shows_no_secret() {
    let mut ring = ring();
    let file = KeyFile::generate().expect("a key file");
    let text = String::from_utf8(file.to_text().expose().to_vec()).expect("ASCII");
    let bytes = write(&mut ring);
    let parsed = KeyringFile::parse(&bytes).expect("parsed");
    let printed = format!("{ring:?} {parsed:?} {:?} {:?}", ring.field_keys(), file.to_text());
    assert!(!printed.contains(PASSPHRASE) && !printed.contains(&text[19..60]));
    assert!(printed.len() < 300, "{printed}");
}
