// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keyrings through the program: every way to break one has its own message, and nothing is half written.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::fs::{self, File};

use support::{Folder, PASSPHRASE};

/// Unlocks the keyring.
const LIST: &str = "keys list --keyring registry.keyring --key-file k.key";

fn field_key(folder: &Folder) -> String {
    let json = folder.run("keys list --keyring registry.keyring --json").code(0).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let keys = json["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["purpose"] == "field" && key["primary"] == true).unwrap();
    key["id"].as_str().unwrap().to_owned()
}

/// Spoils the keyring by replacing text, and removes the pin so that it does not speak first.
fn spoil(folder: &Folder, from: &str, to: &str) {
    let text = folder.read("registry.keyring");
    assert!(text.contains(from), "the keyring has no `{from}`");
    folder.write("registry.keyring", text.replacen(from, to, 1));
    fs::remove_file(folder.path("registry.keyring.pin")).unwrap();
}

#[test]
fn a_keyring_is_made_once_and_its_files_are_private() {
    let folder = Folder::with_keyring();
    assert_eq!(
        folder.names(),
        ["k.key", "registry.keyring", "registry.keyring.lock", "registry.keyring.pin"]
    );
    for name in ["k.key", "registry.keyring", "registry.keyring.pin"] {
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&folder.path(name).metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let before = folder.read("registry.keyring");
    let again = "init --registry other --keyring registry.keyring --key-file k.key";
    assert!(folder.run(again).refused("there is a keyring already").err.contains("\nhelp: "));
    assert_eq!(folder.read("registry.keyring"), before);
}

#[test]
fn a_key_file_is_never_overwritten() {
    let folder = Folder::with_keyring();
    let before = folder.read("k.key");
    folder
        .run("init --registry pk --keyring second.keyring --key-file k.key --new-key-file")
        .refused("never overwritten");
    folder.run("keys new-key-file k.key").refused("never overwritten");
    assert_eq!(folder.read("k.key"), before);
    assert!(!folder.path("second.keyring").exists());
}

#[test]
fn a_key_goes_through_its_states() {
    let folder = Folder::with_keyring();
    let old = field_key(&folder);
    let unlock = "--keyring registry.keyring --key-file k.key";
    let new = folder.run(&format!("keys add {unlock} --cryptoperiod-days 90")).code(0).out.trim().to_owned();
    assert_eq!(new.len(), 32);
    let show = |key: &str| folder.run(&format!("keys show {key} {unlock}")).code(0).out;
    assert!(show(&new).contains("pre-activation") && show(&new).contains("90 days"));

    folder.run(&format!("keys retire {old} {unlock}")).refused("primary");
    folder.run(&format!("keys activate {} {unlock}", &new[..8])).code(0);
    assert_eq!(field_key(&folder), new);
    folder.run(&format!("keys suspend {old} {unlock}")).code(0);
    assert!(show(&old).contains("suspended"));
    folder.run(&format!("keys resume {old} {unlock}")).code(0);
    assert!(show(&old).contains("state         active\n"), "{}", show(&old));
    folder.run(&format!("keys retire {old} {unlock}")).code(0);
    assert!(show(&old).contains("deactivated   2"), "{}", show(&old));
    folder.run(&format!("keys activate {old} {unlock}")).refused("deactivated");
    folder.run(&format!("keys resume {old} {unlock}")).refused("deactivated");

    folder.run(&format!("keys compromise {old} {unlock}")).refused("opens only by name");
    assert!(show(&old).contains("deactivated"));
    folder.run(&format!("keys compromise {old} {unlock} --yes")).code(0);
    assert!(show(&old).contains("compromised"));
}

#[test]
fn a_key_is_introduced_before_it_seals_and_the_generation_to_hand_out_is_told() {
    let folder = Folder::with_keyring();
    let old = field_key(&folder);
    let unlock = "--keyring registry.keyring --key-file k.key";
    let generation = || {
        let list = folder.run("keys list --keyring registry.keyring --json").code(0).out;
        serde_json::from_str::<serde_json::Value>(&list).unwrap()["generation"].as_u64().unwrap()
    };
    let new = folder.run(&format!("keys add {unlock}")).code(0).out.trim().to_owned();
    let introduced = folder.run(&format!("keys introduce {new} {unlock}")).code(0).err;
    assert!(introduced.contains(&format!("generation {} of the keyring", generation())), "{introduced}");
    assert!(introduced.contains(&format!("amanat keys activate {}", &new[..8])), "{introduced}");
    assert_eq!(field_key(&folder), old, "the former key goes on sealing");
    let show = folder.run(&format!("keys show {new} {unlock}")).code(0).out;
    assert!(show.contains("active") && !show.contains("pre-activation"), "{show}");
    folder.run(&format!("keys introduce {new} {unlock}")).refused("only a new key is introduced");
    let activated = folder.run(&format!("keys activate {new} {unlock}")).code(0).err;
    assert!(activated.contains(&format!("generation {} of the keyring", generation())), "{activated}");
    assert_eq!(field_key(&folder), new);
}

#[test]
fn a_key_is_named_by_four_digits_at_least_and_without_doubt() {
    let folder = Folder::with_keyring();
    let key = field_key(&folder);
    folder.run(&format!("keys show {} --keyring registry.keyring", key[..4].to_uppercase())).code(0);
    let short = folder.run(&format!("keys show {} --keyring registry.keyring", &key[..3])).code(2);
    assert!(short.err.contains("4 to 32 hex digits"));
    let other = if key.starts_with("0000") { "1111" } else { "0000" };
    folder.run(&format!("keys show {other} --keyring registry.keyring")).refused("no key of this keyring");
}

#[test]
fn a_list_without_a_key_says_that_it_is_not_authenticated() {
    let folder = Folder::with_keyring();
    let open = folder.run("keys list --keyring registry.keyring").code(0);
    assert!(open.err.contains("not authenticated"), "{}", open.err);
    let unlocked = folder.run(LIST).code(0);
    assert_eq!((unlocked.err.as_str(), unlocked.out), ("", open.out));
    spoil(&folder, "\"cryptoperiod_days\": 730", "\"cryptoperiod_days\": 999");
    folder.run("keys list --keyring registry.keyring").code(0);
    folder.run(LIST).refused("a date");
}

#[test]
fn each_way_to_break_a_keyring_has_its_own_message() {
    let broken = |from: &str, to: &str, why: &str| {
        let folder = Folder::with_keyring();
        spoil(&folder, from, to);
        folder.run(LIST).refused(why);
    };
    broken("  \"generation\": 1,", "  \"generation\":  1,", "reformatted or edited by hand");
    broken(
        "\"generation\": 1",
        "\"generation\": 9",
        "every key of the keyring is genuine and the file is not",
    );
    broken("\"state\": \"active\"", "\"state\": \"deactivated\"", "the primary key is not active");
    broken("\"messages\": 0", "\"messages\": 1", "its message count or its wrapped secret was changed");
    broken(
        "\"registry\": \"pk-test\"",
        "\"registry\": \"pk-tesT\"",
        "wrong key file, or the slot was altered",
    );
    broken("\"version\": 1", "\"version\": 2", "this version of the keyring file is not known here");
    broken("\"key_count\": 4", "\"key_count\": 5", "says that it has 5 keys and holds 4");
}

#[test]
fn a_changed_date_or_state_of_a_key_names_the_key() {
    let folder = Folder::with_keyring();
    let unlock = "--keyring registry.keyring --key-file k.key";
    let key = folder.run(&format!("keys add {unlock}")).code(0).out;
    spoil(&folder, "\"state\": \"pre-activation\"", "\"state\": \"compromised\"");
    folder.run(LIST).refused(&format!("key {}: its state, a date", &key[..8]));

    let folder = Folder::with_keyring();
    let key = field_key(&folder);
    let text = folder.read("registry.keyring");
    let at = text.find("\"activated\": \"").unwrap() + 14;
    let changed = format!("{}2001{}", &text[..at], &text[at + 4..]);
    folder.write("registry.keyring", changed);
    folder.run(LIST).refused(&format!("key {}: its state, a date", &key[..8]));
}

#[test]
fn a_removed_key_is_missed() {
    let folder = Folder::with_keyring();
    let text = folder.read("registry.keyring");
    let (start, end) = (
        text.find("    {\n      \"purpose\": \"index\"").unwrap(),
        text.find("    {\n      \"purpose\": \"token\"").unwrap(),
    );
    let removed = format!("{}{}", &text[..start], &text[end..]);
    folder.write("registry.keyring", &removed);
    folder.run(LIST).refused("says that it has 4 keys and holds 3");
    folder.write("registry.keyring", removed.replace("\"key_count\": 4", "\"key_count\": 3"));
    folder.run(LIST).refused("a slot, key, date or generation was removed, added or changed");
}

#[test]
fn a_truncated_keyring_says_where_it_ends() {
    let folder = Folder::with_keyring();
    let text = folder.read("registry.keyring");
    folder.write("registry.keyring", &text[..1_000]);
    let ran = folder.run(LIST).refused("ends in the middle, after 1000 bytes: truncated");
    assert!(ran.err.contains("help: see what is wrong: amanat inspect registry.keyring"), "{}", ran.err);
    folder.write("registry.keyring", "");
    folder.run(LIST).refused("after 0 bytes: truncated");
    folder.write("registry.keyring", "not a keyring");
    folder.run(LIST).refused("not JSON");
}

#[test]
fn an_older_generation_beside_a_newer_pin_is_refused() {
    let folder = Folder::with_keyring();
    let (old, unlock) = (folder.read("registry.keyring"), "--keyring registry.keyring --key-file k.key");
    folder.run(&format!("keys add {unlock}")).code(0);
    let newer = folder.read("registry.keyring");
    folder.write("registry.keyring", &old);
    let ran = folder.run(LIST).refused("generation 1, and generation 2 was already seen");
    assert!(ran.err.contains("registry.keyring.pin"), "{}", ran.err);
    folder.run(&format!("keys add {unlock}")).refused("generation 2 was already seen");
    assert_eq!(folder.read("registry.keyring"), old);

    // The same generation, made apart from the first.
    fs::remove_file(folder.path("registry.keyring.pin")).unwrap();
    folder.run(&format!("keys add {unlock}")).code(0);
    folder.write("registry.keyring", newer);
    folder.run(LIST).refused("two copies were changed apart from each other");
}

#[test]
fn a_wrong_passphrase_is_refused_and_a_second_slot_opens() {
    let folder = Folder::new();
    folder.write_secret("pass", &format!("{PASSPHRASE}\n"));
    folder.write_secret("wrong", "another invented passphrase\n");
    folder.run("init --registry pk-test --keyring registry.keyring --passphrase-file pass").code(0);
    folder.run("keys list --keyring registry.keyring --passphrase-file pass").code(0);
    let ran = folder
        .run("keys list --keyring registry.keyring --passphrase-file wrong")
        .refused("wrong passphrase");
    assert!(!ran.err.contains("invented") && ran.err.contains("keys slots"), "{}", ran.err);

    folder.run("keys new-key-file k.key").code(0);
    folder.run(LIST).refused("the keyring has no key-file slot");
    folder.run("keys add-slot --keyring registry.keyring --passphrase-file pass --label box --slot-key-file k.key").code(0);
    folder.run(LIST).code(0);
    folder.run("keys new-key-file other.key").code(0);
    folder
        .run("keys list --keyring registry.keyring --key-file other.key")
        .refused("no slot of this keyring belongs to this key-file");

    let slots = folder.run("keys slots --keyring registry.keyring").code(0).out;
    assert!(slots.contains("box") && slots.contains("passphrase"), "{slots}");
    folder
        .run("keys remove-slot passphrase --keyring registry.keyring --key-file k.key")
        .refused("nothing was changed");
    folder.run("keys remove-slot passphrase --keyring registry.keyring --key-file k.key --yes").code(0);
    folder.run("keys list --keyring registry.keyring --passphrase-file pass").refused("no passphrase slot");
    folder.run("keys remove-slot box --keyring registry.keyring --key-file k.key --yes").refused("last slot");
    folder.run(LIST).code(0);

    folder.run("keys renew --keyring registry.keyring --key-file k.key").refused("nothing was changed");
    folder.run("keys renew --keyring registry.keyring --key-file k.key --label vault --yes").code(0);
    let slots = folder.run("keys slots --keyring registry.keyring").code(0).out;
    assert!(slots.contains("vault") && !slots.contains("box"), "{slots}");
    folder.run("keys list --keyring registry.keyring --key-file k.key").code(0);
}

#[test]
fn passphrases_that_are_weak_or_missing_are_refused() {
    let folder = Folder::new();
    folder.write_secret("short", "elevenbytes");
    folder.run("init --registry pk --keyring r.keyring --passphrase-file short").refused("at least 12 bytes");
    // Without a terminal there is nobody to ask.
    #[cfg(target_os = "linux")]
    {
        let ran = folder.shell("setsid -w amanat init --registry pk --keyring r.keyring");
        assert!(ran.refused("no terminal to ask on").err.contains("--passphrase-file"));
    }
    assert_eq!(folder.names().iter().filter(|name| name.ends_with(".keyring")).count(), 0);
}

#[test]
fn secrets_that_others_may_read_are_refused() {
    let folder = Folder::with_keyring();
    for mode in [0o644, 0o640, 0o604, 0o660] {
        folder.mode("k.key", mode);
        folder.run(LIST).refused("k.key: others than its owner may read");
    }
    folder.write("pass", PASSPHRASE);
    folder.mode("pass", 0o644);
    folder.run("keys list --keyring registry.keyring --passphrase-file pass").refused("chmod 600");
}

#[test]
fn a_second_writer_is_told_to_wait() {
    let folder = Folder::with_keyring();
    let before = folder.read("registry.keyring");
    let lock = File::open(folder.path("registry.keyring.lock")).unwrap();
    lock.try_lock().unwrap();
    folder
        .run("keys add --keyring registry.keyring --key-file k.key")
        .refused("another process is changing the keyring");
    folder.run(LIST).code(0);
    assert_eq!(folder.read("registry.keyring"), before);
    drop(lock);
    folder.run("keys add --keyring registry.keyring --key-file k.key").code(0);
}

#[test]
fn a_keyring_that_is_not_there_and_a_folder_are_told_apart() {
    let folder = Folder::new();
    folder.write_secret("k.key", "amanat-key-file-v1:short\n");
    folder.run(LIST).refused("there is no such keyring");
    fs::create_dir(folder.path("registry.keyring")).unwrap();
    folder.run(LIST).refused("registry.keyring");
    let ran = Folder::with_keyring();
    ran.write_secret("k.key", "amanat-key-file-v1:short\n");
    let ran = ran.run(LIST).refused("not a key file");
    assert!(!ran.err.contains("short"), "{}", ran.err);
}
