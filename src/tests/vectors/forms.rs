// SPDX-License-Identifier: MIT OR Apache-2.0
//! Vectors of normal forms, identifiers and masks.

use crate::error::Result;
use crate::ident::Name;
use crate::identifier::{CheckDigit, Identifier, Pattern, Strictness};
use crate::mask::Mask;
use crate::normal::{Normal, NormalForm};
use crate::tests::unhex;
use crate::tests::vector::Vector;
use crate::value::ValueRef;

/// An identifier by its name, or `NAME:PATTERN CHECK`.
fn identifier_of(text: &str) -> Result<Identifier> {
    let Some((name, rest)) = text.split_once(':') else { return Identifier::from_name(text) };
    let (pattern, check) = rest.rsplit_once(' ').expect("a check digit");
    let check = match check {
        "none" => CheckDigit::None,
        "luhn" => CheckDigit::Luhn,
        "verhoeff" => CheckDigit::Verhoeff,
        "icao-9303" => CheckDigit::Icao9303,
        other => panic!("check digit {other}"),
    };
    Pattern::new(&Name::new(name)?, pattern, check).map(Identifier::from)
}

/// A form by its name, or `custom/v1:NAME:PATTERN CHECK`.
pub(super) fn form_of(text: &str) -> Result<NormalForm> {
    match text.strip_prefix("custom/v1:") {
        Some(described) => identifier_of(described).map(NormalForm::Identifier),
        None => NormalForm::from_name(text),
    }
}

/// Lines `column`: a field and its form.
pub(super) fn columns(v: &Vector) -> Result<Vec<(Name, NormalForm)>> {
    let read = |line: &str| {
        let (field, form) = line.split_once(' ').expect("a field and a form");
        Ok((Name::new(field)?, form_of(form)?))
    };
    v.all("column").into_iter().map(read).collect()
}

pub(super) fn normalise(form: &NormalForm, kind: u8, content: &[u8]) -> Result<Normal> {
    form.normalise(ValueRef::read(kind, content)?)
}

pub(super) fn normal(v: &Vector) -> Result<()> {
    let form = form_of(v.one("form"))?;
    let (kind, content) = v.value();
    let got = normalise(&form, kind, &content)?;
    v.same("normal", got.as_bytes());
    let of_text = |text: &str| normalise(&form, 1, &unhex(text)).expect("a normal form");
    v.all("same").iter().for_each(|text| assert!(of_text(text).matches(&got), "{}: {text}", v.name));
    v.all("differs").iter().for_each(|text| assert!(!of_text(text).matches(&got), "{}: {text}", v.name));
    if form != NormalForm::Exact {
        assert!(normalise(&form, 1, got.as_bytes())?.matches(&got), "{}: again", v.name);
    }
    Ok(())
}

pub(super) fn identifier(v: &Vector) -> Result<()> {
    let identifier = identifier_of(v.one("identifier"))?;
    let text = String::from_utf8(v.bytes("value")).expect("UTF-8");
    let read = identifier.check(&text, Strictness::Lenient)?;
    v.same_text("normal", read.normal());
    v.same("display", identifier.display(read.normal())?.as_bytes());
    let strict = identifier.check(&text, Strictness::Strict).is_ok();
    v.same_text("strict", if strict { "yes" } else { "no" });
    v.same_text("odd", if read.warnings().is_empty() { "no" } else { "yes" });
    v.same_text("mask", Mask::Identifier(identifier.clone()).apply(ValueRef::Text(&text)));
    let domain = identifier.domain();
    assert_eq!(v.get("size").is_some(), domain.is_some(), "{}", v.name);
    if let Some(domain) = domain {
        v.same_text("size", domain.size);
        let rank = identifier.rank(read.normal().as_bytes()).expect("a rank");
        v.same_text("rank", rank);
        let mut again = Vec::new();
        assert!(identifier.unrank(rank, &mut again), "{}", v.name);
        assert_eq!(again, read.normal().as_bytes(), "{}", v.name);
    }
    Ok(())
}

pub(super) fn mask(v: &Vector) -> Result<()> {
    let mask = Mask::Identifier(identifier_of(v.one("identifier"))?);
    let text = String::from_utf8(v.bytes("value")).expect("UTF-8");
    v.same_text("mask", mask.apply(ValueRef::Text(&text)));
    v.same_text("mask", mask.apply(ValueRef::Text(v.one("mask"))));
    Ok(())
}
