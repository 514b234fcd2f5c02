// SPDX-License-Identifier: MIT OR Apache-2.0
//! A plain record prints its name only, and not otherwise.

use amanat::Record;

#[derive(Record, Debug)]
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

fn print(citizen: &Citizen) {
    println!("{citizen}");
}

fn main() {}
