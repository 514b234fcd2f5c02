// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words that a record does not have, that stand at the wrong place, or take another value.

use amanat::Record;

#[derive(Record)]
#[amanat(tabel = "citizens")]
struct UnknownWord {
    #[amanat(record_id)]
    id: String,
}

#[derive(Record)]
#[amanat(table = "citizens", encoding = "base64")]
struct UnknownEncoding {
    #[amanat(record_id)]
    id: String,
}

#[derive(Record)]
#[amanat(table = "the citizens")]
struct TableName {
    #[amanat(record_id)]
    id: String,
}

#[derive(Record)]
#[amanat(table = "citizens")]
struct FieldWords {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed, encrypt)]
    unknown: String,
    #[amanat(sealed, indexed)]
    moved: String,
    #[amanat(sealed, sealed)]
    twice: String,
    #[amanat(sealed = "yes")]
    value: String,
    #[amanat(sealed, mask = "last-5")]
    mask: String,
    #[amanat(sealed, mask)]
    no_value: String,
    #[amanat(sealed, family = chacha)]
    no_text: String,
    #[amanat(sealed, absence = "shown")]
    absence: Option<String>,
    #[amanat(sealed, migration = "later")]
    migration: String,
}

fn main() {}
