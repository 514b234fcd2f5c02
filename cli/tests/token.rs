// SPDX-License-Identifier: MIT OR Apache-2.0
//! `token explain`, `token receipt` and `token trace` as a user runs them. Every number is invented.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use amanat::normal::NormalForm;
use amanat::token::{
    Audience, Epoch, ExpiringTokens, PairwiseTokens, Receipt, ReceiptFacts, ReceiptToken, ReversibleTokens,
    TokenKind,
};
use amanat::{Keyring, Name, Timestamp, ValueRef};
use amanat_stores::{KeyringPath, secret_file};
use support::Folder;

const NUMBER: &str = "0123412345671";
const KEYS: &str = "--keyring registry.keyring --key-file k.key";

fn keyring(folder: &Folder) -> Keyring {
    let key = secret_file::read_key_file(&folder.path("k.key")).unwrap();
    KeyringPath::open(folder.path("registry.keyring")).unlock(&key).unwrap()
}

fn normal(text: &str) -> amanat::normal::Normal {
    NormalForm::from_name("cnic/v1").unwrap().normalise(ValueRef::Text(text)).unwrap()
}

fn audience() -> Audience {
    Audience::new("election-commission", "voter-roll").unwrap()
}

/// A pairwise, a reversible, and two expiring tokens, one of which has expired.
fn tokens(keyring: &mut Keyring) -> [String; 4] {
    let epoch = Epoch::new(1).unwrap();
    let key = keyring.token_keys().unwrap().primary();
    let allowance = keyring.reserve_under(key, 10).unwrap();
    let keys = keyring.token_keys().unwrap();
    let value = normal(NUMBER);
    let pairwise = PairwiseTokens::new(&keys, &audience(), epoch, &[]).unwrap().make(&value).unwrap();
    let reversible =
        ReversibleTokens::new(&keys, &audience(), epoch, &allowance).unwrap().make(&value).unwrap();
    let mut expiring = ExpiringTokens::new(&keys, &audience(), epoch, &allowance).unwrap();
    let mut until =
        |seconds| expiring.make(&value, Timestamp::from_unix_seconds(seconds).unwrap()).unwrap().to_text();
    [pairwise.to_text(), reversible.to_text(), until(4_102_444_800), until(1_000_000_000)]
}

#[test]
fn a_token_is_explained_without_a_key() {
    let folder = Folder::with_keyring();
    let [pairwise, _, _, expired] = tokens(&mut keyring(&folder));
    let ran = folder.run(&format!("token explain {pairwise}")).code(0);
    for part in ["pairwise", "election-commission", "voter-roll", "check symbols fit", "none without a key"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    assert!(!ran.out.contains(&pairwise) && ran.err.is_empty(), "{ran:?}");
    let ran = folder.run(&format!("token explain {expired}")).code(0);
    assert!(ran.out.contains("2001-09-09T01:46:40Z, which is over; as the token claims"), "{}", ran.out);

    let ran = folder.run(&format!("token explain {pairwise} --keyring registry.keyring")).code(0);
    assert!(ran.out.contains(", active, activated 2") && ran.out.contains("not verified"), "{}", ran.out);
    assert!(ran.out.contains("none without a key"), "{}", ran.out);
}

#[test]
fn a_mistyped_character_is_told_and_capitals_and_spaces_are_forgiven() {
    let folder = Folder::with_keyring();
    let [pairwise, ..] = tokens(&mut keyring(&folder));
    let last = if pairwise.ends_with('q') { 'p' } else { 'q' };
    let mistyped = format!("{}{last}", &pairwise[..pairwise.len() - 1]);
    let ran = folder.run(&format!("token explain {mistyped}")).code(1);
    assert!(ran.out.contains("mistyped") && !ran.out.contains("election"), "{}", ran.out);

    let (head, tail) = pairwise.split_at(30);
    for text in [pairwise.to_uppercase(), format!("{head} {tail}"), format!("{head}\n  {tail}\n")] {
        let ran = folder.run_with(&["token", "explain"], &text).code(0);
        assert!(
            ran.out.contains("none belongs there") && ran.out.contains("pairwise"),
            "{text}: {}",
            ran.out
        );
    }
    let ran = folder.run_with(&["token", "explain", "-"], format!("{pairwise}\n")).code(0);
    assert!(!ran.out.contains("note"), "{}", ran.out);
    for text in ["", "0123412345671", "amt2:p:1:a:b:1qqqqqq"] {
        let ran = folder.run_with(&["token", "explain", text], "").code(1);
        assert!(ran.out.starts_with("wrong") && !ran.out.contains(NUMBER), "{text}: {}", ran.out);
    }
}

#[test]
fn keys_prove_tokens_and_tell_invented_ones() {
    let folder = Folder::with_keyring();
    let [pairwise, reversible, expiring, expired] = tokens(&mut keyring(&folder));
    let other = Folder::with_keyring();
    let foreign = tokens(&mut keyring(&other));
    for ours in [&pairwise, &reversible, &expiring] {
        let ran = folder.run(&format!("token explain {ours} {KEYS}")).code(0);
        assert!(ran.out.contains("proved: this registry made it under this key\n"), "{}", ran.out);
        assert!(!ran.out.contains("not verified") && !ran.out.contains(NUMBER), "{}", ran.out);
    }
    let ran = folder.run(&format!("token explain {expired} {KEYS}")).code(0);
    assert!(ran.out.contains("its time is over"), "{}", ran.out);
    for theirs in &foreign {
        let ran = folder.run(&format!("token explain {theirs} {KEYS}")).code(3);
        assert!(ran.out.contains("NOT ours"), "{}", ran.out);
    }
    let list = format!("{pairwise}\n\nnonsense\n{}\n{reversible}\n", foreign[0]);
    let ran = folder.run_with(&format!("token explain {KEYS}").split(' ').collect::<Vec<_>>(), &list).code(3);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 5, "{}", ran.out);
    assert!(lines[0].starts_with("TOKEN") && lines[1].contains(" ours") && lines[3].contains("NOT ours"));
    assert!(lines[2].contains("not a token"), "{}", ran.out);
    let args = format!("token explain - --json {KEYS}");
    let json = folder.run_with(&args.split(' ').collect::<Vec<_>>(), &list).code(3).out;
    let json: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json.len(), 4);
    assert_eq!((&json[0]["proof"], &json[0]["kind"]), (&"ours".into(), &"pairwise".into()));
    assert_eq!((&json[1]["readable"], &json[2]["proof"]), (&false.into(), &"NOT ours".into()));
    assert_eq!(json[3]["key"]["verified"], true);
}

#[test]
fn a_compromised_key_proves_only_by_name() {
    let folder = Folder::with_keyring();
    let [pairwise, ..] = tokens(&mut keyring(&folder));
    let old = keyring(&folder).token_keys().unwrap().primary().short();
    folder.run(&format!("keys add --purpose token --activate {KEYS}")).code(0);
    folder.run(&format!("keys compromise {old} --yes {KEYS}")).code(0);
    let ran = folder.run(&format!("token explain {pairwise} {KEYS}")).code(0);
    assert!(ran.out.contains("compromised") && ran.out.contains("proof      none"), "{}", ran.out);
    let ran = folder.run(&format!("token explain {pairwise} {KEYS} --break-glass {old}")).code(0);
    assert!(ran.err.contains("breaking the glass") && ran.out.contains("proved"), "{ran:?}");
}

fn receipt(keyring: &Keyring) -> String {
    let keys = keyring.token_keys().unwrap();
    let name = |text| Name::new(text).unwrap();
    let token = ReceiptToken {
        name: name("voter"),
        kind: TokenKind::Pairwise,
        purpose: name("voter-roll"),
        epoch: Epoch::new(1).unwrap(),
        key: keys.primary(),
        field: name("cnic"),
        expires: None,
    };
    let facts = ReceiptFacts {
        recipient: name("election-commission"),
        table: name("citizens"),
        created: Timestamp::from_unix_seconds(1_000_000_000).unwrap(),
        schema_sha256: [7; 32],
        tokens: vec![token],
        revealed: vec![name("district")],
        masked: Vec::new(),
        rows: 200,
        refused: 3,
        file_bytes: 123_456,
        file_sha256: [9; 32],
    };
    Receipt::new(&keys, facts).unwrap().to_json().to_owned()
}

#[test]
fn one_changed_bit_anywhere_makes_a_receipt_not_genuine() {
    let folder = Folder::with_keyring();
    let genuine = receipt(&keyring(&folder)).into_bytes();
    let verify = || folder.run(&format!("token receipt verify r.json {KEYS}"));
    folder.write("r.json", &genuine);
    verify().code(0);
    for (number, place) in (0..genuine.len()).step_by(9).enumerate() {
        let mut changed = genuine.clone();
        changed[place] ^= 1 << (number % 8);
        folder.write("r.json", &changed);
        let ran = verify().code(3);
        assert!(ran.out.is_empty() && !ran.err.contains("column"), "byte {place}: {}", ran.err);
    }
    let version = String::from_utf8(genuine).unwrap().replace("\"version\": 1", "\"version\": 2");
    for (other, why) in [(version.as_str(), "a newer amanat"), ("{}", "is none"), ("", "is none")] {
        folder.write("r.json", other);
        let ran = verify().code(3);
        assert!(ran.err.contains(why), "{}", ran.err);
    }
    folder.run(&format!("token receipt verify none.json {KEYS}")).refused("no such file");
}
