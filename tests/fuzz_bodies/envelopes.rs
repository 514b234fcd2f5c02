// SPDX-License-Identifier: MIT OR Apache-2.0
//! Envelopes as bytes and as text, without any key.

use amanat::envelope::{
    Envelope, TEXT_KEY_PREFIX_CHARS, TEXT_PREFIX, VERSION, append_from_text, append_text, text_key_prefix,
    to_text,
};
use amanat::suite::HEADER_BYTES;

/// Any bytes: what is accepted is made of the header that its parts say and of the rest, and survives the text form.
pub fn envelope_bytes(data: &[u8]) {
    let Ok(envelope) = Envelope::parse(data) else { return };
    let mut header = vec![VERSION, envelope.suite().byte()];
    header.extend_from_slice(envelope.key().as_bytes());
    assert_eq!(header, envelope.header());
    let body = data.get(HEADER_BYTES..).expect("an envelope is longer than its header");
    assert_eq!([&header, body].concat(), data, "accepted, and encodes to other bytes");
    assert_eq!(envelope.as_bytes(), data);
    let padded = envelope.padded_bytes();
    assert!(padded > 0 && padded < body.len() && padded.is_multiple_of(16));

    let text = to_text(data);
    assert_eq!(text.get(..TEXT_KEY_PREFIX_CHARS), Some(&*text_key_prefix(envelope.suite(), envelope.key())));
    let mut again = Vec::new();
    append_from_text(&text, &mut again).expect("its own text form");
    assert_eq!(again, data);
    // Every shorter input must be another envelope or none, never a panic.
    let cut = data.get(..data.len() - 1).unwrap_or_default();
    assert!(Envelope::parse(cut).is_err(), "one byte less is never an envelope");
}

/// Any text: what is accepted encodes to itself, and exactly what another strict decoder accepts.
pub fn envelope_text(data: &[u8], decode: impl Fn(&str) -> Option<Vec<u8>>) {
    let text = String::from_utf8_lossy(data);
    compare(&text, &decode);
    compare(&format!("{TEXT_PREFIX}{text}"), &decode);
}

fn compare(text: &str, decode: &impl Fn(&str) -> Option<Vec<u8>>) {
    let mut out = b"before".to_vec();
    let accepted = append_from_text(text, &mut out);
    let expected = text.strip_prefix(TEXT_PREFIX).and_then(decode);
    let Err(error) = accepted else {
        let bytes = out.strip_prefix(b"before").expect("the bytes before stay");
        assert_eq!(Some(bytes), expected.as_deref(), "another decoder disagrees");
        let mut again = Vec::new();
        append_text(bytes, &mut again);
        assert_eq!(again, text.as_bytes(), "accepted, and encodes to another text");
        return;
    };
    assert_eq!(expected, None, "another decoder accepts: {error}");
    assert_eq!(out, b"before", "changed by a text that was refused");
    assert!(error.offset().is_none_or(|offset| offset <= text.len()));
}

/// base64url without padding, written as plainly as RFC 4648 says it.
pub fn plain_base64(text: &str) -> Option<Vec<u8>> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut out, mut held, mut bits) = (Vec::new(), 0_usize, 0_u32);
    for letter in text.bytes() {
        held = (held << 6) | alphabet.iter().position(|other| *other == letter)?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(held >> bits).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    (bits < 6 && held == 0).then_some(out)
}
