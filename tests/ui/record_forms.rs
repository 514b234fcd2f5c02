// SPDX-License-Identifier: MIT OR Apache-2.0
//! Types that identifiers, masks and normal forms do not take.

use amanat::{Date, Record};

#[derive(Record)]
#[amanat(table = "citizens")]
struct Citizen {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed, identifier = "cnic")]
    cnic: i64,
    #[amanat(masked)]
    children: Option<i64>,
    #[amanat(sealed, index(bits = 24, form = "urdu-name/v1"))]
    birth: Date,
    #[amanat(sealed, index(bits = 24, form = "date/v1"))]
    alive: bool,
}

fn main() {}
