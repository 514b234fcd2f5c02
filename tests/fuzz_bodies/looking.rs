// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keyless look.

use amanat::envelope::{Envelope, append_from_text};
use amanat::inspect::{Form, What, inspect};

/// Any bytes: what is called a whole envelope is one, and every envelope is recognised.
pub fn inspection(data: &[u8]) {
    let report = inspect(data);
    assert_eq!(report.bytes, data.len());
    let whole = report.fault.is_none();
    assert!(!whole || !matches!(report.what, What::Text | What::Unknown | What::Other(_)));
    if Envelope::parse(data).is_ok() {
        assert!(whole && report.form == Form::Binary && matches!(report.what, What::Envelope(_)));
    }
    let (true, What::Envelope(facts)) = (whole, &report.what) else { return };
    let bytes = match report.form {
        Form::Binary => data.to_vec(),
        Form::Text => {
            let text = std::str::from_utf8(data).expect("a text").trim_start_matches('\u{feff}').trim();
            let mut bytes = Vec::new();
            append_from_text(text, &mut bytes).expect("a whole text form");
            bytes
        }
        // Hex has no strict reader here to compare with.
        _ => return,
    };
    let envelope = Envelope::parse(&bytes).expect("a whole envelope");
    assert_eq!((facts.suite, facts.key), (Some(envelope.suite()), Some(envelope.key())));
    assert_eq!((facts.bytes, facts.padded_bytes), (bytes.len(), Some(envelope.padded_bytes())));
}
