// SPDX-License-Identifier: MIT OR Apache-2.0
//! Indexes that cannot be: their words, and the fields that they name.

use amanat::Record;

#[derive(Record)]
#[amanat(table = "citizens")]
struct Words {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed, identifier = "cnic", index)]
    no_words: String,
    #[amanat(sealed, identifier = "cnic", index())]
    no_bits: String,
    #[amanat(sealed, identifier = "cnic", index(bits = 3))]
    few_bits: String,
    #[amanat(sealed, identifier = "cnic", index(bits = 129))]
    many_bits: String,
    #[amanat(sealed, identifier = "cnic", index(bits = "40"))]
    text_bits: String,
    #[amanat(sealed, index(bits = 40, form = "cnic/v2"))]
    form: String,
    #[amanat(sealed, identifier = "cnic", index(bits = 40, invalid = "keep"))]
    invalid: String,
    #[amanat(sealed, identifier = "cnic", index(bits = 40, unique = true))]
    unknown: String,
    #[amanat(sealed, identifier = "cnic", index(bits = 40, name = "by cnic"))]
    name: String,
    #[amanat(sealed, identifier = "cnic", index(bits = 40, bits = 41))]
    twice: String,
}

#[derive(Record)]
#[amanat(table = "citizens", index(fields = ["name"], bits = 24))]
struct NoName {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed)]
    name: String,
}

#[derive(Record)]
#[amanat(table = "citizens", index(name = "names", fields = "name", bits = 24))]
struct NoList {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed)]
    name: String,
}

#[derive(Record)]
#[amanat(table = "citizens")]
#[amanat(index(name = "a", fields = ["nom"], bits = 24))]
#[amanat(index(name = "b", fields = ["village"], bits = 24))]
#[amanat(index(name = "c", fields = ["name"], bits = 24))]
#[amanat(index(name = "d", fields = ["name"], forms = ["urdu-name/v1", "date/v1"], bits = 24))]
#[amanat(index(name = "e", fields = [], bits = 24))]
#[amanat(index(name = "f", fields = ["name", "name"], forms = ["urdu-name/v1", "urdu-name/v1"], bits = 24))]
struct Fields {
    #[amanat(record_id, index(bits = 40))]
    id: String,
    #[amanat(sealed, index(bits = 40))]
    name: String,
    #[amanat(clear, index(bits = 40, form = "digits/v1"))]
    village: String,
}

#[derive(Record)]
#[amanat(table = "citizens")]
struct SameColumn {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed, identifier = "cnic", index(bits = 40, column = "phone"))]
    cnic: String,
    #[amanat(sealed, identifier = "phone")]
    phone: String,
}

#[derive(Record)]
#[amanat(table = "citizens")]
struct SameName {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed, index(bits = 40, form = "latin-name/v1"), index(bits = 40, form = "urdu-name/v1"))]
    name: String,
}

#[derive(Record)]
#[amanat(table = "citizens")]
struct SameField {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed, identifier = "cnic", index(name = "ID", bits = 40))]
    cnic: String,
}

fn main() {}
