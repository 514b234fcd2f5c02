// SPDX-License-Identifier: MIT OR Apache-2.0
//! Padding, names and columns that cannot be.

use amanat::Record;

#[derive(Record)]
#[amanat(table = "citizens")]
struct Citizen {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed, pad = 60)]
    no_multiple: String,
    #[amanat(sealed, pad = 0)]
    zero: String,
    #[amanat(sealed, pad = 65552)]
    too_wide: String,
    #[amanat(sealed, pad = "64")]
    text: String,
    #[amanat(sealed, name = "home address")]
    name: String,
    #[amanat(sealed)]
    ném: String,
    #[amanat(sealed, column = "")]
    column: String,
    #[amanat(sealed, column = "line\nbreak")]
    control: String,
}

#[derive(Record)]
#[amanat(table = "citizens")]
struct SameColumn {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed)]
    phone: String,
    #[amanat(sealed, column = "phone")]
    mobile: String,
}

#[derive(Record)]
#[amanat(table = "citizens")]
struct SameName {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed)]
    phone: String,
    #[amanat(sealed, name = "phone", column = "mobile")]
    mobile: String,
}

#[derive(Record)]
#[amanat(table = "citizens")]
struct ColumnOfRecordId {
    #[amanat(record_id)]
    id: String,
    #[amanat(clear, column = "id")]
    number: i64,
}

fn main() {}
