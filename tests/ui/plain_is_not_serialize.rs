// SPDX-License-Identifier: MIT OR Apache-2.0
//! A plain record is not written: neither by a derived `Serialize`, nor by one who asks for it.

use amanat::Record;
use serde::Serialize;

#[derive(Record, Serialize)]
#[amanat(table = "citizens")]
struct Derived {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed)]
    cnic: String,
}

#[derive(Record)]
#[amanat(table = "citizens")]
struct Citizen {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed)]
    cnic: String,
}

fn write(citizen: &Citizen) -> Option<String> {
    serde_json::to_string(citizen).ok()
}

fn main() {}
