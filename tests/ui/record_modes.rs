// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields whose words do not fit together. All of a record's faults are said at once.

use amanat::Record;

#[derive(Record)]
#[amanat(table = "citizens")]
struct Citizen {
    #[amanat(record_id, sealed)]
    id: String,
    #[amanat(sealed, clear)]
    two_modes: String,
    no_mode: String,
    #[amanat(clear, pad = 64)]
    pad_on_clear: String,
    #[amanat(masked, family = "chacha")]
    family_on_masked: String,
    #[amanat(clear, absence = "visible")]
    absence_on_clear: Option<String>,
    #[amanat(record_id, migration = "mixed")]
    migration_on_record_id: String,
    #[amanat(clear, mask = "all")]
    mask_on_clear: String,
    #[amanat(masked, mask = "last-4")]
    mask_of_masked: String,
    #[amanat(record_id, name = "number")]
    name_of_record_id: String,
    #[amanat(sealed, absence = "visible")]
    never_absent: String,
}

fn main() {}
