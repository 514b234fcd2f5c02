// SPDX-License-Identifier: MIT OR Apache-2.0
//! Identifiers that do not exist, or stand where there is nothing to hide.

use amanat::Record;

#[derive(Record)]
#[amanat(table = "citizens")]
struct Citizen {
    #[amanat(record_id, identifier = "cnic")]
    id: String,
    #[amanat(sealed, identifier = "ssn")]
    unknown: String,
    #[amanat(clear, identifier = "phone")]
    clear: String,
    #[amanat(sealed, mask = "identifier")]
    no_identifier: String,
    #[amanat(masked = "identifier")]
    masked: String,
}

fn main() {}
