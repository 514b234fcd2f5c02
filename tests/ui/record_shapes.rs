// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is no record at all.

use amanat::Record;

#[derive(Record)]
struct NoTable {
    #[amanat(record_id)]
    id: String,
}

#[derive(Record)]
#[amanat(table = "citizens")]
struct NoRecordId {
    #[amanat(sealed)]
    cnic: String,
}

#[derive(Record)]
#[amanat(table = "citizens")]
struct Tuple(String, String);

#[derive(Record)]
#[amanat(table = "citizens")]
struct Unit;

#[derive(Record)]
#[amanat(table = "citizens")]
enum Enum {
    Citizen { id: String },
}

#[derive(Record)]
#[amanat(table = "citizens")]
union Union {
    id: u64,
}

#[derive(Record)]
#[amanat(table = "citizens")]
struct Generic<T> {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed)]
    value: T,
}

fn main() {}
