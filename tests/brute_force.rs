// SPDX-License-Identifier: MIT OR Apache-2.0
//! The example that recovers a hashed number, over a few digits.

#![allow(clippy::unwrap_used)]

#[expect(dead_code, reason = "its entry point reads the command line")]
#[path = "../examples/brute_force.rs"]
mod brute_force;

#[test]
fn a_number_is_recovered_from_its_hash_and_from_an_index_whose_key_is_stolen() {
    let mut out = Vec::new();
    brute_force::run(&mut out, 5, 256).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches("recovered: 9990198765432\n").count(), 2, "{text}");
    assert!(
        text.contains("100000 numbers that begin with 99901987,") && text.contains("each second"),
        "{text}"
    );
    assert!(text.contains("which rows are equal: true"), "{text}");
}

#[test]
fn without_the_key_every_number_fits_the_stolen_term_under_some_keys() {
    let fits = brute_force::consistent_keys(8_192).unwrap();
    // 32 are expected of each; one outside of these bounds is less likely than one run in a billion.
    assert!(fits.len() == 16 && fits.iter().all(|fits| (1..=96).contains(fits)), "{fits:?}");
}
