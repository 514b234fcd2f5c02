// SPDX-License-Identifier: MIT OR Apache-2.0
//! Synthetic citizens: the same ones on every machine, put together from word lists and a counter. No such person exists.
//!
//! Owns the table `citizens` of the demonstration.

use std::path::Path;

use rusqlite::Connection;

use super::words::{DISTRICTS, FAMILIES, MEN, STREETS, WOMEN};

/// The table that the demonstration protects.
const CREATE: &str = "CREATE TABLE citizens (
  id INTEGER PRIMARY KEY, name TEXT, name_urdu TEXT, cnic TEXT, phone TEXT,
  birth_date TEXT, address TEXT, district TEXT, photo BLOB, cnic_index TEXT, person_index TEXT);
  CREATE INDEX by_cnic ON citizens (cnic_index);
  CREATE INDEX by_person ON citizens (person_index);";
const INSERT: &str = "INSERT INTO citizens VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULL, NULL)";

/// A citizen that does not exist.
pub(super) struct Citizen {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) name_urdu: String,
    /// The 13 digits of a CNIC. No province has the digit 0.
    pub(super) cnic: String,
    /// In the form of a mobile number. No network has the code 399.
    pub(super) phone: String,
    pub(super) birth_date: String,
    pub(super) address: String,
    pub(super) district: &'static str,
    /// The first bytes of a JPEG, then noise.
    pub(super) photo: Vec<u8>,
}

impl Citizen {
    /// The citizen with this number.
    pub(super) fn new(id: u32) -> Self {
        let mut dice = Dice(u64::from(id).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let woman = dice.below(2) == 1;
        let (given, given_urdu) = dice.pick(if woman { &WOMEN } else { &MEN });
        let (family, family_urdu) = dice.pick(&FAMILIES);
        let serial = u64::from(id).wrapping_mul(7_654_321) % 10_000_000;
        let sex = dice.below(4) * 2 + if woman { 2 } else { 1 };
        let locality = dice.below(10_000);
        let (year, month, day) = (1940 + dice.below(68), 1 + dice.below(12), 1 + dice.below(28));
        let (house, street) = (1 + dice.below(400), dice.pick(&STREETS));
        let district = dice.pick(&DISTRICTS);
        Self {
            id,
            name: format!("{given} {family}"),
            name_urdu: format!("{given_urdu} {family_urdu}"),
            cnic: format!("0{locality:04}{serial:07}{sex}"),
            phone: format!("+92399{:07}", dice.below(10_000_000)),
            birth_date: format!("{year}-{month:02}-{day:02}"),
            address: format!("House {house}, {street}, {district}"),
            district,
            photo: dice.photo(),
        }
    }
}

/// Makes the database of a registry.
pub(super) fn make_registry(file: &Path, rows: u32) -> rusqlite::Result<()> {
    let mut database = Connection::open(file)?;
    database.execute_batch(CREATE)?;
    let work = database.transaction()?;
    let mut insert = work.prepare(INSERT)?;
    for id in 1..=rows {
        let c = Citizen::new(id);
        insert.execute((
            c.id,
            c.name,
            c.name_urdu,
            c.cnic,
            c.phone,
            c.birth_date,
            c.address,
            c.district,
            c.photo,
        ))?;
    }
    drop(insert);
    work.commit()
}

/// SplitMix64: the same numbers on every machine. For invented data only.
struct Dice(u64);

impl Dice {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    const fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One of the words. The lists are not empty.
    fn pick<T: Copy + Default>(&mut self, words: &[T]) -> T {
        let count = u64::try_from(words.len()).unwrap_or(1).max(1);
        let position = usize::try_from(self.below(count)).unwrap_or_default();
        words.get(position).copied().unwrap_or_default()
    }

    /// 2 to 6 KiB.
    fn photo(&mut self) -> Vec<u8> {
        let length = 2_048 + usize::try_from(self.below(4_096)).unwrap_or_default();
        let mut photo = b"\xff\xd8\xff\xe0\0\x10JFIF\0".to_vec();
        while photo.len() < length {
            photo.extend_from_slice(&self.next().to_le_bytes());
        }
        photo
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn citizens_are_the_same_every_time_and_their_numbers_differ() {
        let numbers: BTreeSet<String> = (1..=10_000).map(|id| Citizen::new(id).cnic).collect();
        assert_eq!(numbers.len(), 10_000);
        let (one, again) = (Citizen::new(4_711), Citizen::new(4_711));
        assert_eq!((one.name, one.cnic, one.photo), (again.name, again.cnic, again.photo));
    }

    #[test]
    fn no_citizen_has_a_number_that_could_be_issued() {
        for id in 1..=1_000 {
            let citizen = Citizen::new(id);
            assert!(citizen.cnic.starts_with('0') && citizen.cnic.len() == 13, "{}", citizen.cnic);
            assert!(citizen.phone.starts_with("+92399") && citizen.phone.len() == 13);
            assert!(citizen.birth_date.parse::<amanat::Date>().is_ok());
            assert!((2_048..6_200).contains(&citizen.photo.len()));
        }
    }
}
