// SPDX-License-Identifier: MIT OR Apache-2.0
//! Vaulted tokens in a SQLite file: one token for a value whoever asks, rotation, erasure, tampering. All values are made up.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use amanat::error::{Error, Kind};
use amanat::identifier::Identifier;
use amanat::keys::{Keyring, Purpose};
use amanat::normal::{Normal, NormalForm};
use amanat::token::{Audience, Epoch, Token, Tracer, Vault, VaultEntry, VaultedTokens};
use amanat::{KeyId, Value, ValueRef};
use amanat_stores::KeyringPath;
use amanat_stores::secret_file::{create_key_file, read_key_file};
use amanat_stores::vault::SqliteVault;
use common::{Registry, now};
use rusqlite::Connection;

/// Where a child process of a test finds the folder to work in.
const CHILD_FOLDER: &str = "AMANAT_TEST_VAULT_FOLDER";
/// Values that every starter asks tokens for.
const COMMON_VALUES: u64 = 40;

fn bank() -> Audience {
    Audience::new("bank", "loans").unwrap()
}

fn epoch(number: u64) -> Epoch {
    Epoch::new(number).unwrap()
}

fn form() -> NormalForm {
    NormalForm::Identifier(Identifier::Cnic)
}

fn cnic(number: u64) -> Normal {
    form().normalise(ValueRef::Text(&format!("{number:013}"))).unwrap()
}

fn tokens_of(
    keyring: &mut Keyring,
    audience: &Audience,
    at: u64,
    glass: &[KeyId],
) -> Result<VaultedTokens, Error> {
    let messages = keyring.reserve(Purpose::Field, 1 << 20).unwrap();
    VaultedTokens::new(keyring, audience, epoch(at), &form(), &messages, glass)
}

struct Fixture {
    registry: Registry,
    keyring: Keyring,
    file: PathBuf,
    vault: SqliteVault,
}

impl Fixture {
    fn new() -> Self {
        let registry = Registry::new();
        let keyring = registry.path.unlock(&registry.kek).unwrap();
        let file = registry.folder.path().join("tokens.vault");
        let vault = SqliteVault::create(&file).unwrap();
        Self { registry, keyring, file, vault }
    }

    fn tokens(&mut self) -> VaultedTokens {
        tokens_of(&mut self.keyring, &bank(), 1, &[]).unwrap()
    }

    fn rotate(&mut self, purpose: Purpose) -> KeyId {
        let old = self.keyring.keys().find(|key| key.purpose == purpose && key.primary).unwrap().id;
        let id = self.keyring.add_key(purpose, 365, now().unwrap()).unwrap();
        self.keyring.activate(id, now().unwrap()).unwrap();
        old
    }

    fn sql(&self, sql: &str) -> usize {
        Connection::open(&self.file).unwrap().execute(sql, []).unwrap()
    }

    fn entries(&self) -> i64 {
        let connection = Connection::open(&self.file).unwrap();
        connection.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).unwrap()
    }
}

fn refused<T>(result: Result<T, Error>, kind: Kind, words: &str) {
    let Err(error) = result else { panic!("not refused: {words}") };
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "`{error}` does not say `{words}`");
}

fn text(value: Option<Value>) -> String {
    let Some(Value::Text(text)) = value else { panic!("not text") };
    text.to_string()
}

#[test]
fn a_value_has_one_random_token_which_is_looked_up() {
    let mut all = Fixture::new();
    let mut tokens = all.tokens();
    let made = tokens.make(&mut all.vault, &cnic(1)).unwrap();
    assert_eq!(tokens.make(&mut all.vault, &cnic(1)).unwrap(), made);
    let other = tokens.make(&mut all.vault, &cnic(2)).unwrap();
    assert_ne!(other, made);
    let batch = tokens.make_batch(&mut all.vault, &[cnic(2), cnic(3), cnic(1), cnic(3)]).unwrap();
    assert_eq!((&batch[0], &batch[2], &batch[1]), (&other, &made, &batch[3]));

    // In another process, with the keyring and the file alone.
    let mut again = SqliteVault::open(&all.file).unwrap();
    let mut tokens = all.tokens();
    let read = Token::parse(&made.to_text()).unwrap();
    assert_eq!(text(tokens.open(&mut again, &read).unwrap()), "0000000000001");
    assert!(tokens.proves(&read));

    // Another recipient has other tokens, and cannot open these.
    let other = Audience::new("tax-office", "loans").unwrap();
    let mut others = tokens_of(&mut all.keyring, &other, 1, &[]).unwrap();
    assert_ne!(others.make(&mut again, &cnic(1)).unwrap().to_text(), made.to_text());
    refused(others.open(&mut again, &read), Kind::Misuse, "recipient");
    assert_eq!(again.scopes().unwrap(), ["amt1:v:1:bank:loans:cnic/v1", "amt1:v:1:tax-office:loans:cnic/v1"]);
    assert_eq!(all.entries(), 4);

    // With its header rewritten a token has no proof.
    let rewritten = Registry::new();
    let mut keyring = rewritten.path.unlock(&rewritten.kek).unwrap();
    let elsewhere = tokens_of(&mut keyring, &bank(), 1, &[]).unwrap();
    assert!(!elsewhere.proves(&read));
}

#[test]
fn a_failed_batch_leaves_nothing_behind() {
    let mut all = Fixture::new();
    let mut tokens = all.tokens();
    let wrong = NormalForm::Digits.normalise(ValueRef::Text("12")).unwrap();
    refused(tokens.make_batch(&mut all.vault, &[cnic(1), wrong]), Kind::Misuse, "normal forms");
    assert_eq!(all.entries(), 0);
    // The section has ended: another connection may write.
    let mut other = SqliteVault::open(&all.file).unwrap();
    tokens.make(&mut other, &cnic(1)).unwrap();
    assert_eq!(all.entries(), 1);
}

#[test]
fn a_forgotten_token_resolves_to_nothing_and_leaves_no_trace_in_the_file() {
    let mut all = Fixture::new();
    let mut tokens = all.tokens();
    let token = tokens.make(&mut all.vault, &cnic(1)).unwrap();
    tokens.make(&mut all.vault, &cnic(2)).unwrap();
    let entry = all.vault.page(tokens.scope(), None, 2).unwrap();
    let file = std::fs::read(&all.file).unwrap();
    let holds = |file: &[u8], bytes: &[u8]| file.windows(bytes.len()).any(|window| window == bytes);
    assert!(entry.iter().all(|entry| holds(&file, &entry.envelope)));

    assert!(tokens.forget(&mut all.vault, &token).unwrap());
    assert!(!tokens.forget(&mut all.vault, &token).unwrap());
    assert!(tokens.open(&mut all.vault, &token).unwrap().is_none());
    let left = all.vault.page(tokens.scope(), None, 2).unwrap();
    let gone = entry.iter().find(|entry| !left.contains(entry)).unwrap();
    let file = std::fs::read(&all.file).unwrap();
    assert!(
        !holds(&file, &gone.envelope) && !holds(&file, gone.term.as_bytes()) && !holds(&file, &gone.body)
    );
    assert_ne!(tokens.make(&mut all.vault, &cnic(1)).unwrap(), token);
}

#[test]
fn rotation_of_field_and_index_keys_changes_entries_and_no_token() {
    let mut all = Fixture::new();
    let mut tokens = all.tokens();
    let values: Vec<Normal> = (0..2_500).map(cnic).collect();
    let made = tokens.make_batch(&mut all.vault, &values).unwrap();
    let old_field = all.rotate(Purpose::Field);
    let old_index = all.rotate(Purpose::Index);
    // Found under the old generation, before anything is renewed.
    let mut tokens = all.tokens();
    assert_eq!(tokens.make(&mut all.vault, &values[7]).unwrap(), made[7]);
    assert_eq!(all.entries(), 2_500);

    // While the old index key may not be searched by, a new value is refused rather than given a second token.
    all.keyring.suspend(old_index, now().unwrap()).unwrap();
    let mut blind = all.tokens();
    refused(blind.make(&mut all.vault, &values[7]), Kind::KeyUnusable, "break-glass");
    let mut named = tokens_of(&mut all.keyring, &bank(), 1, &[old_index]).unwrap();
    let new = named.make(&mut all.vault, &cnic(8_000)).unwrap();
    assert_eq!(all.vault.tags().unwrap().len(), 2);
    assert!(named.forget(&mut all.vault, &new).unwrap());
    assert_eq!(named.make(&mut all.vault, &values[7]).unwrap(), made[7]);

    let renewal = named.renew(&mut all.vault).unwrap();
    assert_eq!((renewal.entries, renewal.renewed, renewal.refused), (2_500, 2_500, 0));
    assert_eq!(all.vault.tags().unwrap().len(), 1);
    // Whoever still works with the keyring of before the rotation finds none of them, and is refused too.
    let mut older = all.registry.path.unlock(&all.registry.kek).unwrap();
    let mut behind = tokens_of(&mut older, &bank(), 1, &[]).unwrap();
    refused(behind.make(&mut all.vault, &values[7]), Kind::UnknownKey, "newest keyring");
    let renewal = named.renew(&mut all.vault).unwrap();
    assert_eq!((renewal.entries, renewal.renewed), (2_500, 0));
    for (purpose, id) in [(Purpose::Index, old_index), (Purpose::Field, old_field)] {
        if purpose == Purpose::Field {
            all.keyring.deactivate(id, now().unwrap()).unwrap();
        } else {
            all.keyring.compromise(id, now().unwrap()).unwrap();
        }
        all.keyring.destroy(id, now().unwrap()).unwrap();
    }
    let mut tokens = all.tokens();
    assert_eq!(tokens.make_batch(&mut all.vault, &values).unwrap(), made);
    assert_eq!(text(tokens.open(&mut all.vault, &made[9]).unwrap()), "0000000000009");
    tokens.make(&mut all.vault, &cnic(9_000)).unwrap();
    assert_eq!(all.entries(), 2_501);
}

#[test]
fn every_normal_form_survives_renewal() {
    let mut all = Fixture::new();
    for (form, value) in [
        (NormalForm::Exact, ValueRef::Text("exactly \u{200b} this")),
        (NormalForm::Exact, ValueRef::Bytes(&[0xff, 0, 0x80])),
        (NormalForm::UrduName, ValueRef::Text("علی")),
        (NormalForm::Identifier(Identifier::Phone), ValueRef::Text("0300 0000000")),
    ] {
        let normal = form.normalise(value).unwrap();
        let maker = |keyring: &mut Keyring| {
            let messages = keyring.reserve(Purpose::Field, 10).unwrap();
            VaultedTokens::new(keyring, &bank(), epoch(1), &form, &messages, &[]).unwrap()
        };
        let token = maker(&mut all.keyring).make(&mut all.vault, &normal).unwrap();
        all.rotate(Purpose::Field);
        all.rotate(Purpose::Index);
        let mut tokens = maker(&mut all.keyring);
        assert!(tokens.renew(&mut all.vault).unwrap().renewed >= 1);
        assert_eq!(tokens.make(&mut all.vault, &normal).unwrap(), token);
    }
    // The token says nothing of its form: a maker of another one refuses it.
    let normal = NormalForm::UrduName.normalise(ValueRef::Text("علی")).unwrap();
    let messages = all.keyring.reserve(Purpose::Field, 10).unwrap();
    let name = NormalForm::UrduName;
    let mut names = VaultedTokens::new(&all.keyring, &bank(), epoch(1), &name, &messages, &[]).unwrap();
    let token = names.make(&mut all.vault, &normal).unwrap();
    refused(all.tokens().open(&mut all.vault, &token), Kind::Misuse, "another normal form");
}

#[test]
fn another_epoch_gives_other_tokens_and_the_old_ones_resolve() {
    let mut all = Fixture::new();
    let old = all.tokens().make(&mut all.vault, &cnic(1)).unwrap();
    let first = all.rotate(Purpose::Token);
    // Another primary changes nothing for a recipient that was not moved.
    assert_eq!(all.tokens().make(&mut all.vault, &cnic(1)).unwrap(), old);
    let mut moved = tokens_of(&mut all.keyring, &bank(), 2, &[]).unwrap();
    let new = moved.make(&mut all.vault, &cnic(1)).unwrap();
    let body = |token: &Token| token.to_text().rsplit(":1").next().unwrap()[..25].to_owned();
    assert_ne!(body(&new), body(&old));
    all.keyring.deactivate(first, now().unwrap()).unwrap();
    assert_eq!(text(all.tokens().open(&mut all.vault, &old).unwrap()), "0000000000001");
    refused(all.tokens().make(&mut all.vault, &cnic(1)), Kind::KeyUnusable, "makes none");
    all.keyring.destroy(first, now().unwrap()).unwrap();
    refused(tokens_of(&mut all.keyring, &bank(), 1, &[]).map(|_| ()), Kind::KeyUnusable, "destroyed");
    assert_eq!(text(moved.open(&mut all.vault, &new).unwrap()), "0000000000001");
}

#[test]
fn whatever_is_changed_in_the_file_is_found() {
    let both = |all: &mut Fixture| {
        let mut tokens = all.tokens();
        let made = [1, 2].map(|number| tokens.make(&mut all.vault, &cnic(number)).unwrap());
        (tokens, made)
    };
    let mut all = Fixture::new();
    let (mut tokens, made) = both(&mut all);
    // The envelopes of two tokens are exchanged.
    let [first, second]: [VaultEntry; 2] =
        all.vault.page(tokens.scope(), None, 9).unwrap().try_into().unwrap();
    let exchange = |column: &str| {
        let connection = Connection::open(&all.file).unwrap();
        let of = |body: &[u8; 16]| -> Vec<u8> {
            let sql = format!("SELECT {column} FROM entry WHERE body = ?1");
            connection.query_row(&sql, [body.as_slice()], |row| row.get(0)).unwrap()
        };
        let (one, two) = (of(&first.body), of(&second.body));
        let put = |value: &[u8], body: &[u8; 16]| {
            let sql = format!("UPDATE entry SET {column} = ?1 WHERE body = ?2");
            connection.execute(&sql, (value, body.as_slice())).unwrap();
        };
        put(b"none", &first.body);
        put(&one, &second.body);
        put(&two, &first.body);
    };
    exchange("envelope");
    for (token, number) in made.iter().zip([1, 2]) {
        refused(tokens.open(&mut all.vault, token), Kind::Unauthentic, "does not open");
        refused(tokens.make(&mut all.vault, &cnic(number)), Kind::Unauthentic, "does not open");
    }
    assert_eq!(all.entries(), 2);
    exchange("envelope");
    // The terms of two tokens are exchanged: a value must not get the token of another.
    exchange("term");
    refused(tokens.make(&mut all.vault, &cnic(1)), Kind::Unauthentic, "another value");
    assert_eq!(text(tokens.open(&mut all.vault, &made[0]).unwrap()), "0000000000001");
    exchange("term");
    assert_eq!(tokens.make(&mut all.vault, &cnic(1)).unwrap(), made[0]);
    // An entry is given to another recipient, epoch or form.
    for scope in
        ["amt1:v:1:bank:other:cnic/v1", "amt1:v:2:bank:loans:cnic/v1", "amt1:v:1:bank:loans:digits/v1"]
    {
        all.sql(&format!("UPDATE entry SET scope = '{scope}'"));
        assert!(tokens.open(&mut all.vault, &made[0]).is_err(), "{scope}");
        refused(tokens.make(&mut all.vault, &cnic(1)), Kind::Unauthentic, "");
    }
    all.sql("UPDATE entry SET scope = 'amt1:v:1:bank:loans:cnic/v1'");
    // A body is changed: its token is gone, and its value is not given out under the new one.
    all.sql("UPDATE entry SET body = zeroblob(16) WHERE body = (SELECT min(body) FROM entry)");
    let results = [1, 2].map(|number| tokens.make(&mut all.vault, &cnic(number)).is_err());
    assert!(results[0] != results[1]);
    // Junk.
    all.sql("UPDATE entry SET envelope = x'00'");
    refused(tokens.make(&mut all.vault, &cnic(1)), Kind::Malformed, "");
    let renewal = tokens.renew(&mut all.vault).unwrap();
    assert_eq!((renewal.entries, renewal.renewed, renewal.refused), (2, 0, 2));
    all.sql("UPDATE entry SET term = x'00' WHERE body = zeroblob(16)");
    refused(all.vault.page(tokens.scope(), None, 9), Kind::Malformed, "2 to 17");
}

#[test]
fn threads_with_a_connection_each_get_one_token_for_a_value() {
    let mut all = Fixture::new();
    let makers: Vec<VaultedTokens> = (0..4).map(|_| all.tokens()).collect();
    let file = all.file.clone();
    let work = |mut tokens: VaultedTokens| -> Vec<Token> {
        let mut vault = SqliteVault::open(&file).unwrap();
        (0..COMMON_VALUES).map(|number| tokens.make(&mut vault, &cnic(number)).unwrap()).collect()
    };
    let made: Vec<Vec<Token>> = std::thread::scope(|scope| {
        let running: Vec<_> = makers.into_iter().map(|tokens| scope.spawn(|| work(tokens))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(made.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(all.entries(), i64::try_from(COMMON_VALUES).unwrap());
}

/// What each child process does: makes or opens the vault, and asks for tokens.
fn work_as_child(folder: &Path) {
    let kek = read_key_file(&folder.join("kek")).unwrap();
    let mut keyring = KeyringPath::open(folder.join("keyring.json")).unlock(&kek).unwrap();
    let mut tokens = tokens_of(&mut keyring, &bank(), 1, &[]).unwrap();
    let mut vault = SqliteVault::open_or_create(&folder.join("shared.vault")).unwrap();
    let made = (0..COMMON_VALUES).map(|number| tokens.make(&mut vault, &cnic(number)).unwrap().to_text());
    let lines: Vec<String> = made.collect();
    std::fs::write(folder.join(format!("made-{}", std::process::id())), lines.join("\n")).unwrap();
}

#[test]
fn processes_that_start_at_once_make_one_vault_and_one_token_for_a_value() {
    if let Some(folder) = std::env::var_os(CHILD_FOLDER) {
        return work_as_child(Path::new(&folder));
    }
    let all = Fixture::new();
    let folder = all.registry.folder.path();
    create_key_file(&folder.join("kek"), &all.registry.kek).unwrap();
    let this = std::env::current_exe().unwrap();
    let children: Vec<_> = (0..3)
        .map(|_| {
            let name = "processes_that_start_at_once_make_one_vault_and_one_token_for_a_value";
            Command::new(&this).args([name, "--exact"]).env(CHILD_FOLDER, folder).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let made = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("made-"));
    let made: Vec<String> = made.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert_eq!((made.len(), made.iter().collect::<HashSet<_>>().len()), (3, 1));
    let connection = Connection::open(folder.join("shared.vault")).unwrap();
    let entries: i64 = connection.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).unwrap();
    assert_eq!(entries, i64::try_from(COMMON_VALUES).unwrap());
}

#[test]
fn a_vault_is_a_file_of_its_own_that_is_never_overwritten() {
    let all = Fixture::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&all.file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    refused(SqliteVault::create(&all.file), Kind::Store, "never overwritten");
    let folder = all.registry.folder.path();
    refused(SqliteVault::open(&folder.join("absent")), Kind::Store, "cannot be read");
    assert!(!folder.join("absent").exists());
    let other = folder.join("other");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE entry (body)").unwrap();
    refused(SqliteVault::open(&other), Kind::Store, "no vault");
    refused(SqliteVault::open_or_create(&other), Kind::Store, "no vault");
    std::fs::write(&other, "neither").unwrap();
    refused(SqliteVault::open(&other), Kind::Store, "cannot be used");
    all.sql("PRAGMA user_version = 2");
    refused(SqliteVault::open(&all.file), Kind::Unsupported, "version 2");
}

#[test]
fn leaked_vaulted_tokens_are_traced_through_the_vault() {
    let mut all = Fixture::new();
    let mut tokens = all.tokens();
    let made = tokens.make_batch(&mut all.vault, &[cnic(1), cnic(2), cnic(3)]).unwrap();
    tokens.forget(&mut all.vault, &made[2]).unwrap();
    let mut tracer = Tracer::new(all.keyring.token_keys().unwrap(), Vec::new(), &[]).unwrap();
    made.iter().for_each(|token| tracer.leak(token));
    assert_eq!(tracer.groups()[0].proved(), Some(3));
    let mut found = Vec::new();
    tracer.row(&cnic(2), |leak, _| found.push(leak));
    assert!(found.is_empty());
    assert_eq!(tracer.look_up(&mut all.vault, &all.keyring.field_keys().unwrap()).unwrap(), 2);
    for number in 1..=4 {
        tracer.row(&cnic(number), |leak, group| {
            assert_eq!(group.header().audience(), &bank());
            found.push(leak);
        });
    }
    assert_eq!(found, [0, 1]);
}

#[test]
fn tags_are_told_of_a_vault_in_which_somebody_wrote_terms_of_any_length() {
    let mut all = Fixture::new();
    for (body, term) in
        [(1, ""), (2, "05"), (3, "05ffffffffffffffffffffffffffffffffffffffffff"), (4, "ff"), (5, "ffffff")]
    {
        all.sql(&format!("INSERT INTO entry VALUES (x'{body:032x}', 'x', x'{term}', x'')"));
    }
    assert_eq!(all.vault.tags().unwrap(), [0x05, 0xff]);
}
