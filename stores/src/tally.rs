// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run has done, in numbers.
//!
//! Owns counts by state and by key id, and their JSON form in journals. Never holds a value or a record id.

use amanat::error::{Error, Kind, Result};
use amanat::ident::{KEY_ID_BYTES, KeyId};

use crate::json::{Members, append_json};

/// Largest count of the JSON form: what every reader of JSON holds exactly, and sums of counts never overflow.
const MAX_COUNT: u64 = 1 << 53;
/// Most keys of the JSON form.
const MAX_KEYS: usize = 1_024;

/// Counts of a run or of a batch of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Rows seen.
    pub rows: u64,
    /// Rows that were refused; they are not in the output, and a table keeps them as they were.
    pub refused_rows: u64,
    /// Cells that were plain and are sealed now.
    pub sealed: u64,
    /// Cells that were sealed as the policy says and stay as they are.
    pub kept: u64,
    /// Cells that were sealed under another key or suite and are sealed under the primary now.
    pub resealed: u64,
    /// Cells whose value was opened.
    pub opened: u64,
    /// Cells that are absent and show it.
    pub absent: u64,
    /// Cells whose mask stands in place of the value.
    pub masked: u64,
    /// Plain cells of a sealed column that were passed on, because the schema says that it is mixed.
    pub plain: u64,
    /// Of those that were plain: cells that another tool had sealed.
    pub foreign: u64,
    /// Cells of former columns that were emptied, because their value stands in the field's column of today.
    pub moved: u64,
    /// Cells of dropped columns that were emptied.
    pub emptied: u64,
    /// Cells that do not open: altered, or moved from elsewhere.
    pub unauthentic: u64,
    /// Index terms that were made: for new values, or under another key or length than those that stood there.
    pub terms_made: u64,
    /// Index terms that stay as they are.
    pub terms_kept: u64,
    /// Tokens that were made and are kept in the table: for new values, or at another epoch than those that stood there.
    pub tokens_made: u64,
    /// Kept tokens that stay as they are.
    pub tokens_kept: u64,
    /// Index terms and kept tokens that were taken away, because their value is visibly absent now.
    pub surrogates_removed: u64,
    /// Cells of indexes and kept tokens that stay empty, because their value is absent or has no normal form.
    pub surrogates_absent: u64,
    /// Rows that another process changed meanwhile and that were read again.
    pub read_again: u64,
    /// Rows that were deleted between reading and writing them.
    pub gone: u64,
    /// Rows that had to be worked on again when the run checked them: an application had written them otherwise meanwhile.
    pub late: u64,
    /// Cells by the key that sealed them when they were read.
    pub keys: Vec<KeyTally>,
}

/// Cells of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyTally {
    /// The key.
    pub key: KeyId,
    /// Cells that were sealed under it and stay so.
    pub kept: u64,
    /// Cells that were sealed under it and are sealed under the primary now.
    pub resealed: u64,
    /// Cells that were sealed under it and were opened.
    pub opened: u64,
    /// Cells that are newly sealed under it, re-sealed ones included.
    pub sealed: u64,
}

impl Tally {
    /// Whether anything is to be stored that did not stand there.
    #[must_use]
    pub const fn changes(&self) -> bool {
        let surrogates = self.terms_made + self.tokens_made + self.surrogates_removed;
        self.sealed + self.resealed + self.moved + self.emptied + self.masked + surrogates > 0
    }

    /// Counts of one key.
    pub(crate) fn key(&mut self, key: KeyId) -> &mut KeyTally {
        let known = self.keys.iter().position(|tally| tally.key == key).unwrap_or(self.keys.len());
        if known == self.keys.len() {
            self.keys.push(KeyTally { key, kept: 0, resealed: 0, opened: 0, sealed: 0 });
        }
        // The entry was pushed if it was missing.
        self.keys.get_mut(known).expect("an entry that exists")
    }

    /// Counts what went wrong with a cell.
    pub(crate) fn fault(&mut self, error: &Error) {
        self.unauthentic += u64::from(error.kind() == Kind::Unauthentic);
    }

    /// Adds the counts of a batch.
    pub fn add(&mut self, batch: &Self) {
        for ((_, total), (_, more)) in self.counters_mut().into_iter().zip(batch.counters()) {
            *total += more;
        }
        for other in &batch.keys {
            let tally = self.key(other.key);
            for ((_, total), (_, more)) in tally.counters_mut().into_iter().zip(other.counters()) {
                *total += more;
            }
        }
    }

    /// Takes away counts that are part of these.
    pub(crate) fn subtract(&mut self, part: &Self) {
        for ((_, total), (_, less)) in self.counters_mut().into_iter().zip(part.counters()) {
            *total = total.saturating_sub(less);
        }
        for other in &part.keys {
            for ((_, total), (_, less)) in
                self.key(other.key).counters_mut().into_iter().zip(other.counters())
            {
                *total = total.saturating_sub(less);
            }
        }
    }

    /// Keeps what was changed in rows that are counted already.
    pub(crate) fn keep_changes(&mut self) {
        self.late = core::mem::take(&mut self.rows);
        (self.kept, self.opened, self.absent) = (0, 0, 0);
        (self.terms_kept, self.tokens_kept, self.surrogates_absent) = (0, 0, 0);
        self.keys.iter_mut().for_each(|key| (key.kept, key.opened) = (0, 0));
    }

    /// The counts as one JSON object without spaces: a member for every counter, and `keys`, an object by key id in hexadecimal.
    ///
    /// Limits: counts up to 2^53 and 1,024 keys are read again. Panics: never.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        out.push(b'{');
        append_counters(&self.counters(), &mut out);
        out.extend_from_slice(b",\"keys\":{");
        for (place, key) in self.keys.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            // Neither a string nor a number can fail to be written to memory.
            let _ = append_json(&key.key.to_string(), &mut out);
            out.extend_from_slice(b":{");
            append_counters(&key.counters(), &mut out);
            out.push(b'}');
        }
        out.extend_from_slice(b"}}");
        String::from_utf8(out).unwrap_or_default()
    }

    /// Reads the JSON form. Every counter must be there once, and nothing else.
    ///
    /// # Errors
    /// `Malformed` if the text is not such an object; `Limit` if a count is above 2^53 or if there are more than 1,024 keys.
    pub fn from_json(text: &str) -> Result<Self> {
        let mut members = object(text)?;
        let place = members.0.iter().position(|(name, _)| name == "keys");
        let (_, keys) = members.0.remove(place.ok_or_else(|| broken("`keys` is missing"))?);
        let mut tally = Self::default();
        read_counters(&members, &mut tally.counters_mut())?;
        let Members(keys) = object(keys.get())?;
        if keys.len() > MAX_KEYS {
            return Err(Error::limit("counts of more than 1,024 keys"));
        }
        for (id, counts) in keys {
            let id = key_id(&id).ok_or_else(|| broken("a key id is not 32 lower-case hexadecimal digits"))?;
            if tally.keys.iter().any(|known| known.key == id) {
                return Err(broken("a key stands there twice"));
            }
            read_counters(&object(counts.get())?, &mut tally.key(id).counters_mut())?;
        }
        Ok(tally)
    }

    /// Forgets everything and keeps the room.
    pub(crate) fn clear(&mut self) {
        let mut keys = std::mem::take(&mut self.keys);
        keys.clear();
        *self = Self { keys, ..Self::default() };
    }

    /// Every counter with its name in JSON: the one list of them.
    fn counters_mut(&mut self) -> [(&'static str, &mut u64); 22] {
        let Self {
            rows,
            refused_rows,
            sealed,
            kept,
            resealed,
            opened,
            absent,
            masked,
            plain,
            foreign,
            moved,
            emptied,
            unauthentic,
            terms_made,
            terms_kept,
            tokens_made,
            tokens_kept,
            surrogates_removed,
            surrogates_absent,
            read_again,
            gone,
            late,
            keys: _,
        } = self;
        [
            ("rows", rows),
            ("refused_rows", refused_rows),
            ("sealed", sealed),
            ("kept", kept),
            ("resealed", resealed),
            ("opened", opened),
            ("absent", absent),
            ("masked", masked),
            ("plain", plain),
            ("foreign", foreign),
            ("moved", moved),
            ("emptied", emptied),
            ("unauthentic", unauthentic),
            ("terms_made", terms_made),
            ("terms_kept", terms_kept),
            ("tokens_made", tokens_made),
            ("tokens_kept", tokens_kept),
            ("surrogates_removed", surrogates_removed),
            ("surrogates_absent", surrogates_absent),
            ("read_again", read_again),
            ("gone", gone),
            ("late", late),
        ]
    }

    fn counters(&self) -> [(&'static str, u64); 22] {
        let mut copy = Self { keys: Vec::new(), ..self.clone() };
        copy.counters_mut().map(|(name, count)| (name, *count))
    }
}

impl KeyTally {
    /// Every counter with its name in JSON.
    fn counters_mut(&mut self) -> [(&'static str, &mut u64); 4] {
        let Self { kept, resealed, opened, sealed, key: _ } = self;
        [("kept", kept), ("resealed", resealed), ("opened", opened), ("sealed", sealed)]
    }

    fn counters(&self) -> [(&'static str, u64); 4] {
        let mut copy = *self;
        copy.counters_mut().map(|(name, count)| (name, *count))
    }
}

fn append_counters(counters: &[(&'static str, u64)], out: &mut Vec<u8>) {
    for (place, (name, count)) in counters.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        out.extend_from_slice(format!("{comma}\"{name}\":{count}").as_bytes());
    }
}

fn object(text: &str) -> Result<Members<'_>> {
    serde_json::from_str(text).map_err(|_| broken("not one JSON object"))
}

/// Reads every counter exactly once.
fn read_counters(members: &Members<'_>, counters: &mut [(&'static str, &mut u64)]) -> Result<()> {
    for (name, count) in counters.iter_mut() {
        let mut found = members.0.iter().filter(|(member, _)| member == name);
        let (Some((_, value)), None) = (found.next(), found.next()) else {
            return Err(broken(format!("`{name}` does not stand there once")));
        };
        **count =
            serde_json::from_str(value.get()).map_err(|_| broken(format!("`{name}` is not a count")))?;
        if **count > MAX_COUNT {
            return Err(Error::limit(format!("`{name}` is above 2^53")));
        }
    }
    if members.0.len() != counters.len() {
        return Err(broken("a member is none that this version knows"));
    }
    Ok(())
}

pub(crate) fn key_id(text: &str) -> Option<KeyId> {
    let digits = text.as_bytes();
    if digits.len() != 2 * KEY_ID_BYTES
        || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(|id| KeyId::from_bytes(id.to_be_bytes()))
}

fn broken(what: impl std::fmt::Display) -> Error {
    Error::malformed(format!("the counts are broken: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Tally {
        let mut tally = Tally { rows: 7, terms_made: 3, read_again: MAX_COUNT, ..Tally::default() };
        tally.key(KeyId::from_bytes([0x0a; 16])).kept = 5;
        tally.key(KeyId::from_bytes([0xff; 16])).sealed = 2;
        tally
    }

    #[test]
    fn counts_come_back_from_json_and_every_counter_is_there() {
        let mut tally = example();
        for (position, (_, count)) in tally.counters_mut().into_iter().enumerate() {
            *count = u64::try_from(position).expect("a small number");
        }
        let text = tally.to_json();
        assert_eq!(Tally::from_json(&text).expect("the counts"), tally);
        let mut double = tally.clone();
        double.add(&tally);
        assert!(double.counters().iter().zip(tally.counters()).all(|((_, two), (_, one))| *two == 2 * one));
        assert_eq!(double.keys.first().map(|key| key.kept), Some(10));
    }

    #[test]
    fn what_is_not_exactly_the_counts_is_refused() {
        let good = example().to_json();
        assert!(Tally::from_json(&good).is_ok());
        let id = "0a".repeat(16);
        for (from, to) in [
            ("\"rows\":7", "\"rows\":-7"),
            ("\"rows\":7", "\"rows\":7.0"),
            ("\"rows\":7", "\"rows\":9007199254740993"),
            ("\"rows\":7", "\"rows\":7,\"rows\":7"),
            ("\"rows\":7", "\"rows\":7,\"rose\":7"),
            ("\"rows\":7,", ""),
            ("\"keys\"", "\"locks\""),
            (&id, &id.to_uppercase()),
            (&id, "+a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"),
            (&id, &"ff".repeat(16)),
            ("\"kept\":5", "\"kept\":5,\"lost\":0"),
        ] {
            let changed = good.replacen(from, to, 1);
            assert_ne!(changed, good);
            assert!(Tally::from_json(&changed).is_err(), "{changed}");
        }
    }
}
