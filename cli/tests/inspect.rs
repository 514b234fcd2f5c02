// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat inspect` through the program: arguments, files and standard input; states of keys; nothing repeated.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use amanat::envelope::to_text;
use amanat::{KeyId, Suite};
use support::Folder;

/// An envelope of this suite and key that follows the grammar and opens nowhere.
fn envelope(suite: Suite, key: &str) -> Vec<u8> {
    let key: KeyId = key.parse().unwrap();
    let body = if suite == Suite::Aes256Siv { 16 + 32 } else { 24 + 32 + 16 };
    let body = std::iter::repeat_n(0x5a, body);
    [1, suite.byte()].into_iter().chain(*key.as_bytes()).chain(body).collect()
}

fn key_of(folder: &Folder, purpose: &str) -> String {
    let json = folder.run("keys list --keyring registry.keyring --json").code(0).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let key = json["keys"].as_array().unwrap().iter().find(|key| key["purpose"] == purpose).unwrap();
    key["id"].as_str().unwrap().to_owned()
}

#[test]
fn an_envelope_is_the_same_as_argument_file_standard_input_and_hex() {
    let folder = Folder::new();
    let bytes = envelope(Suite::Xaes256Gcm, "4f1a20c3000000000000000000000000");
    let text = to_text(&bytes);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    folder.write("cell.bin", &bytes);
    folder.write("cell.txt", format!("{text}\n"));
    let facts = |out: String| out.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let wanted = facts(folder.run_with(&["inspect", &text], "").code(0).out);
    assert!(wanted.iter().any(|line| line.ends_with("4f1a20c3000000000000000000000000")), "{wanted:?}");
    assert!(wanted.iter().any(|line| line.contains("at most 30 bytes")), "{wanted:?}");
    for what in ["cell.bin", "cell.txt", hex.as_str(), &format!("\\x{hex}"), &format!("x'{hex}'")] {
        assert_eq!(facts(folder.run_with(&["inspect", what], "").code(0).out), wanted, "{what}");
    }
    assert_eq!(facts(folder.run_with(&["inspect", "-"], &bytes).code(0).out), wanted);
    assert_eq!(facts(folder.run_with(&["inspect", "-"], &text).code(0).out), wanted);
}

#[test]
fn the_state_of_the_key_is_told_when_a_keyring_is_named() {
    let folder = Folder::with_keyring();
    let state = |suite, key: &str| {
        let text = to_text(&envelope(suite, key));
        folder.run_with(&["inspect", &text, "--keyring", "registry.keyring"], "").code(0).out
    };
    let (field, token) = (key_of(&folder, "field"), key_of(&folder, "token"));
    assert!(
        state(Suite::XChaCha20Poly1305, &field)
            .contains("active, primary (the keyring is not authenticated)\n")
    );
    assert!(state(Suite::Xaes256Gcm, &token).contains("cannot have sealed it: its purpose is token"));
    let reversible = state(Suite::Aes256Siv, &token);
    assert!(reversible.contains("reversible token") && reversible.contains("a sealed column refuses it"));
    assert!(!reversible.contains("cannot have sealed"));
    assert!(state(Suite::Xaes256Gcm, &"0".repeat(32)).contains("the keyring has no such key"));
    folder.run("inspect x --keyring nothing").refused("there is no such keyring");
}

#[test]
fn what_was_looked_at_is_never_printed() {
    let folder = Folder::with_keyring();
    let secret = folder.read("k.key");
    let body = secret.trim().rsplit(':').next().unwrap().to_owned();
    for input in
        [secret.clone(), secret.replace("v1", "v2"), secret[..40].to_owned(), format!("\u{feff}{secret}")]
    {
        let ran = folder.run_with(&["inspect", "-"], &input);
        assert!(!ran.out.contains(&body[..8]) && !ran.err.contains(&body[..8]), "{ran:?}");
    }
    let plain = [
        "an invented name",
        "35202-0000000-1",
        "{\"name\": \"invented\"}",
        "amn1.invented!",
        "format = \"amanat-schema\"",
    ];
    for input in plain {
        for json in [&["inspect", "-"][..], &["inspect", "-", "--json"], &["inspect", input]] {
            let ran = folder.run_with(json, input).code(1);
            assert!(!ran.out.contains("invented") && !ran.out.contains("35202"), "{}", ran.out);
        }
    }
}

#[test]
fn json_says_what_the_text_says() {
    let folder = Folder::with_keyring();
    let text = to_text(&envelope(Suite::Xaes256Gcm, &key_of(&folder, "field")));
    let args = [
        "inspect",
        &text[..text.len() - 9],
        "registry.keyring",
        "k.key",
        "--json",
        "--keyring",
        "registry.keyring",
    ];
    let json: serde_json::Value = serde_json::from_str(&folder.run_with(&args, "").code(1).out).unwrap();
    assert_eq!(json[0]["envelope"]["state"], "active");
    assert_eq!((&json[0]["whole"], &json[0]["envelope"]["suite"]), (&false.into(), &1.into()));
    assert!(json[0]["wrong"].as_str().unwrap().contains("truncated by at least 7 bytes"));
    assert_eq!((&json[1]["what"], &json[1]["keyring"]["keys"]), (&"keyring".into(), &4.into()));
    assert_eq!((&json[2]["what"], &json[2]["whole"]), (&"key file".into(), &true.into()));
}

#[test]
fn a_file_of_many_values_is_named_without_reading_it_whole() {
    let folder = Folder::new();
    let file = std::fs::File::create(folder.path("registry.db")).unwrap();
    std::io::Write::write_all(&mut &file, b"SQLite format 3\0").unwrap();
    // Sparse: it takes no room on the disk.
    file.set_len(80 << 20).unwrap();
    let ran = folder.run("inspect registry.db").code(1);
    assert!(ran.out.contains("SQLite database (binary, 83,886,080 bytes)"), "{}", ran.out);
    std::io::Write::write_all(
        &mut std::fs::OpenOptions::new().write(true).open(folder.path("registry.db")).unwrap(),
        b"\x01\x04",
    )
    .unwrap();
    folder.run("inspect registry.db").refused("longer than 64 MiB");
}

const CITIZENS: &str = r#"
format = "amanat-schema"
version = 1

[[table]]
name = "citizens"
record_id = ["id"]
field = [{ name = "cnic", mode = "sealed", identifier = "cnic", pad = 32 }]
token = [{ name = "tax", kind = "pairwise", field = "cnic", recipient = "revenue-board", epoch = 1 }]
"#;

#[test]
fn receipts_tokens_and_recipient_keys_are_known() {
    let folder = Folder::with_keyring();
    folder.write("schema.toml", CITIZENS);
    folder.write("people.csv", "id,cnic\n1,01234-0000001-1\n2,01234-0000002-1\n");
    let keys = "--keyring registry.keyring --key-file k.key --schema schema.toml";
    folder.run(&format!("protect {keys} people.csv -o sealed.csv")).code(0);
    folder.run(&format!("export {keys} sealed.csv --recipient revenue-board -o out.csv")).code(0);
    let ran = folder.run("inspect out.csv.receipt.json").code(0);
    for part in ["receipt (text", "recipient   revenue-board", "rows        2", "amanat token receipt verify"]
    {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    folder.write("edited.json", folder.read("out.csv.receipt.json").replace("\"rows\": 2", "\"rows\":  2"));
    assert!(folder.run("inspect edited.json").code(1).out.contains("reformatted or edited"));

    let ran = folder.run("inspect out.csv").code(0);
    for part in ["2: pairwise for revenue-board, purpose tax, epoch 1", "amanat token explain"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    let token = folder.read("out.csv").lines().nth(1).unwrap().to_owned();
    assert!(
        !ran.out.contains(&token)
            && folder.run(&format!("inspect {token}")).code(0).out.contains("1: pairwise")
    );
    let json: serde_json::Value =
        serde_json::from_str(&folder.run("inspect --json out.csv out.csv.receipt.json").code(0).out).unwrap();
    assert_eq!((&json[0]["tokens"][0]["tokens"], &json[1]["receipt"]["rows"]), (&2.into(), &2.into()));
    let cut = &token[..token.len() - 1];
    let ran = folder.run(&format!("inspect {cut}")).code(1);
    assert!(
        ran.out.contains("line 1: not a token") && ran.out.contains("spoiled     1 token"),
        "{}",
        ran.out
    );

    folder.run("token new-recipient-key --secret-key their.key").code(0);
    let secret = folder.read("their.key");
    let body = &secret.trim().rsplit(':').next().unwrap()[..8];
    for input in [secret.clone(), secret[..40].to_owned(), secret.replace("v1", "v2")] {
        let ran = folder.run_with(&["inspect", "-"], &input);
        assert_eq!(ran.code, Some(i32::from(input != secret)));
        assert!(ran.out.contains("recipient's secret key (text"), "{}", ran.out);
        assert!(!ran.out.contains(body) && !ran.err.contains(body), "{ran:?}");
    }
}
