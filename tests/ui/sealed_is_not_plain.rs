// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sealed and plain are different types: neither passes for the other, and only a mixed column holds both.

use amanat::{Mixed, Record, RecordSealer, SealedField};

#[derive(Record)]
#[amanat(table = "citizens")]
struct Citizen {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed)]
    cnic: String,
    #[amanat(sealed, migration = "mixed")]
    address: String,
    #[amanat(sealed)]
    name: String,
}

fn as_text(sealed: SealedCitizen) -> String {
    sealed.cnic
}

fn from_text(sealed: &mut SealedCitizen) {
    sealed.cnic = String::from("plaintext");
}

fn mixed_where_the_schema_does_not_say_so(sealed: &mut SealedCitizen, cell: Mixed<String>) {
    sealed.cnic = cell;
}

fn sealed_where_the_schema_says_mixed(sealed: &SealedCitizen) -> &SealedField {
    &sealed.address
}

fn seal_twice(sealed: &SealedCitizen, sealer: &mut RecordSealer) {
    let _ = sealed.seal(sealer);
}

fn take_apart(citizen: Citizen) -> String {
    let Citizen { name, .. } = citizen;
    name
}

fn main() {}
