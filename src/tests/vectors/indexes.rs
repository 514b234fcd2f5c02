// SPDX-License-Identifier: MIT OR Apache-2.0
//! Vectors of index terms, one or several generations of the key.

use super::forms::{columns, normalise};
use super::listed_keys;
use crate::crypto::kdf;
use crate::error::Result;
use crate::index::{BlindIndex, IndexBits, IndexSpec, IndexedField};
use crate::keys::{Index, Keyset, Purpose};
use crate::secret::Secret;
use crate::tests::vector::Vector;
use crate::wire::pae;

pub(super) fn term(v: &Vector) -> Result<()> {
    let (registry, table) = (v.text_name("registry"), v.text_name("table"));
    let keys = listed_keys(v, Purpose::Index);
    let keyset = Keyset::<Index>::new(&registry, &keys)?;
    let columns = columns(v)?;
    let fields =
        columns.iter().map(|(field, form)| IndexedField { field: field.clone(), form: form.clone() });
    let bits = IndexBits::new(v.one("bits").parse().expect("a number"))?;
    let spec = IndexSpec::new(v.text_name("index"), fields.collect(), bits)?;
    let lines = v.all("value");
    let values: Vec<_> = columns
        .iter()
        .zip(&lines)
        .map(|((_, form), line)| {
            let (kind, content) = Vector::typed(line);
            normalise(form, kind, &content)
        })
        .collect::<Result<_>>()?;
    let mut index = BlindIndex::new(&keyset, &table, &spec, &[])?;
    let refs: Vec<_> = values.iter().collect();

    // KDF(secret, PAE("amanat/v1/index", registry, table, index, field 1, form 1, …), 32)
    let mut parts = vec![kdf::INDEX.to_vec()];
    parts.extend(["registry", "table", "index"].map(|key| v.one(key).into()));
    for (field, form) in &columns {
        parts.extend([field.as_bytes().to_vec(), form.identity().as_bytes().to_vec()]);
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    v.same("info", &pae(&parts));
    let normals: Vec<Vec<u8>> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
    v.same_all("normal", &normals);
    let message = pae(&normals.iter().map(Vec::as_slice).collect::<Vec<_>>());
    v.same("pae", &message);
    let opening = || keys.iter().filter(|key| key.info.state.opens());
    v.same_all("tag", &opening().map(|key| vec![key.info.id.tag()]).collect::<Vec<_>>());
    let derive = |secret: &Secret<32>| kdf::derive::<32>(secret, &parts).expose().to_vec();
    let derived: Vec<_> = opening().map(|key| derive(key.secret.as_ref().expect("a secret"))).collect();
    v.same_all("index-key", &derived);
    let macs = derived.iter().map(|key| kdf::hmac_sha256(key, &[&message]).to_vec());
    v.same_all("mac", &macs.collect::<Vec<_>>());

    // The library gives the primary's term first, then the newest; a vector has them in the order of the keyring.
    let mut terms = index.query(&refs)?;
    assert!(terms[0] == index.term(&refs)?, "{}: the term to store", v.name);
    assert_eq!(terms[0].as_bytes()[0], keyset.primary().tag(), "{}", v.name);
    let place = |tag: u8| opening().position(|key| key.info.id.tag() == tag);
    terms.sort_by_key(|term| place(term.as_bytes()[0]));
    v.same_all("term", &terms.iter().map(|term| term.as_bytes().to_vec()).collect::<Vec<_>>());
    Ok(())
}
