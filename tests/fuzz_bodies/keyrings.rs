// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keyring files and pins.

use amanat::KeyringFile;
use amanat::keys::Pin;

use super::keys::{RIGHT_FILE, right_key_file};

/// Any bytes: what is accepted is canonical, and only the genuine file unlocks.
pub fn keyring(data: &[u8]) {
    let Ok(file) = KeyringFile::parse(data) else { return };
    let text = std::str::from_utf8(data).expect("an accepted keyring is UTF-8");
    assert_eq!(indented(text), text, "accepted, and not in the form of SPEC 6.1");
    assert!(file.generation() > 0 && file.slots().count() > 0 && file.slots().count() <= 32);
    for key in file.keys() {
        assert!(!key.primary || key.state.opens());
    }
    if let Ok(keyring) = file.unlock(&right_key_file(), None) {
        assert_eq!(data, RIGHT_FILE.file, "an altered keyring unlocks");
        let pin = keyring.pin().expect("a keyring read from a file");
        assert!(file.unlock(&right_key_file(), Some(pin)).is_ok());
    }
}

/// Any bytes: an accepted pin encodes to itself.
pub fn keyring_pin(data: &[u8]) {
    let Ok(pin) = Pin::parse(data) else { return };
    assert_eq!(pin.to_bytes(), data, "accepted, and encodes to other bytes");
}

/// Lays JSON out anew as SPEC 6.1 has it: two spaces for each level, one space after a colon, strings untouched.
/// Panics at an escape other than of a quotation mark or a backslash.
fn indented(json: &str) -> String {
    let (mut out, mut depth, mut letters) = (String::new(), 0_usize, json.chars().peekable());
    let new_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                out.push('"');
                while let Some(inside) = letters.next() {
                    out.push(inside);
                    if inside == '\\' {
                        let escaped = letters.next().unwrap_or(' ');
                        assert!(matches!(escaped, '"' | '\\'), "an escape that SPEC 6.1 does not have");
                        out.push(escaped);
                    } else if inside == '"' {
                        break;
                    }
                }
            }
            '{' | '[' => {
                out.push(letter);
                while letters.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                if let Some(end) = letters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            letter if letter.is_ascii_whitespace() => {}
            letter => out.push(letter),
        }
    }
    out.push('\n');
    out
}
