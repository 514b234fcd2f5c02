// SPDX-License-Identifier: MIT OR Apache-2.0
//! National identifiers and the patterns that describe others.

use amanat::ValueRef;
use amanat::identifier::{CheckDigit, Identifier, Pattern, Strictness};
use amanat::mask::Mask;

use super::feed::Feed;

/// An identifier or a pattern, and any text: a normal form is its own, comes back from its display form, and is masked as that is.
pub fn identifier(data: &[u8]) {
    let mut feed = Feed::new(data);
    let choice = usize::from(feed.byte());
    let identifier = match Identifier::builtin().get(choice % (Identifier::builtin().len() + 1)) {
        Some(identifier) => identifier.clone(),
        None => {
            let check = feed
                .choose(CheckDigit::None, &[CheckDigit::Luhn, CheckDigit::Verhoeff, CheckDigit::Icao9303]);
            let (name, text) = ("card".parse().expect("a name"), feed.text());
            match Pattern::new(&name, &text, check) {
                Ok(pattern) => pattern.into(),
                Err(error) => return assert!(error.offset().is_none_or(|offset| offset <= text.len())),
            }
        }
    };
    assert!(identifier.plausible_bits() <= identifier.domain_bits());
    let text = String::from_utf8_lossy(feed.rest());

    let mask = Mask::Identifier(identifier.clone());
    let masked = mask.apply(ValueRef::Text(&text));
    assert!(mask.read(masked.as_str()).is_ok(), "a mask that changes when masked again");
    assert!(masked.as_str().chars().filter(|c| c.is_alphanumeric()).count() <= 4);
    assert!(masked.as_str().chars().filter(|c| *c == '*').count() >= 4);

    let mut out = b"before".to_vec();
    let appended = identifier.append_normal(&text, &mut out);
    let checked = match identifier.check(&text, Strictness::Lenient) {
        Ok(checked) => checked,
        Err(_) => {
            assert!(appended.is_err() && out == b"before");
            assert!(identifier.check(&text, Strictness::Strict).is_err(), "strict, but not lenient");
            return;
        }
    };
    let normal = checked.normal();
    assert_eq!(out, ["before", normal].concat().into_bytes());
    let display = identifier.display(normal).expect("a normal form is shown");
    for form in [normal, &display] {
        let again = identifier.check(form, Strictness::Strict).expect("strictly written");
        assert_eq!((again.normal(), again.warnings()), (normal, checked.warnings()));
        assert_eq!(mask.apply(ValueRef::Text(form)), masked);
    }
}
