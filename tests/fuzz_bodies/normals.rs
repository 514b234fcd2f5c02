// SPDX-License-Identifier: MIT OR Apache-2.0
//! Normal forms.

use amanat::ValueRef;
use amanat::identifier::Identifier;
use amanat::normal::{MAX_NORMAL_BYTES, Normal, NormalForm};

use super::feed::Feed;

/// A value of any type in any form: what has a normal form keeps it when normalised again, and its name finds the form.
pub fn normal_form(data: &[u8]) {
    let mut feed = Feed::new(data);
    let form = form(&mut feed);
    assert!(NormalForm::from_name(&form.name()).is_ok_and(|found| found == form));
    // Mostly text, which most forms take alone.
    let value = if feed.flag() {
        feed.value()
    } else {
        ValueRef::Text(&String::from_utf8_lossy(feed.rest())).to_value()
    };
    let mut kept = NormalForm::Exact.normalise(ValueRef::Text("before")).expect("a short text");
    let into = form.normalise_into(value.as_ref(), &mut kept);
    let Ok(normal) = form.normalise(value.as_ref()) else {
        assert!(into.is_err() && kept.bytes().expose().is_empty(), "a refused value leaves nothing");
        return;
    };
    assert!(
        into.is_ok() && kept.matches(&normal) && normal.matches(&kept),
        "a buffer's past changes nothing"
    );
    check(&form, &normal);
}

fn check(form: &NormalForm, normal: &Normal) {
    let bytes = normal.bytes().expose();
    assert!((1..=MAX_NORMAL_BYTES).contains(&bytes.len()) && normal.form() == form);
    if *form == NormalForm::Exact {
        return;
    }
    let text = std::str::from_utf8(bytes).expect("forms but `exact/v1` are UTF-8");
    let again = form.normalise(ValueRef::Text(text)).expect("a normal form has a normal form");
    assert!(again.bytes().expose() == bytes, "normalised twice, a value is another");
    if matches!(form, NormalForm::LatinName | NormalForm::UrduName) {
        assert!(
            text.split(' ').all(|word| !word.is_empty()) && !text.bytes().any(|b| b.is_ascii_uppercase())
        );
    } else {
        assert!(text.is_ascii() && !text.contains(' '));
    }
}

/// Any form that has a name of its own.
pub(super) fn form(feed: &mut Feed<'_>) -> NormalForm {
    let plain = [
        NormalForm::UrduName,
        NormalForm::LatinName,
        NormalForm::Digits,
        NormalForm::Date,
        NormalForm::Exact,
    ];
    let identifiers = Identifier::builtin().iter().cloned().map(NormalForm::Identifier);
    let forms: Vec<NormalForm> = plain.into_iter().chain(identifiers).collect();
    let chosen = forms.get(usize::from(feed.byte()) % forms.len());
    chosen.expect("less than their number").clone()
}
