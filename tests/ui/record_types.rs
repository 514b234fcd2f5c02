// SPDX-License-Identifier: MIT OR Apache-2.0
//! Types that a field cannot have.

use amanat::Record;

#[derive(Record)]
#[amanat(table = "citizens")]
struct Citizen {
    #[amanat(record_id)]
    id: bool,
    #[amanat(sealed)]
    height: f64,
}

fn main() {}
