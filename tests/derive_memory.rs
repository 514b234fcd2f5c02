// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a derived record does with memory: wipes it, and takes no more of it than its result holds. Every person here is invented.

#![cfg(feature = "derive")]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::cell::Cell as Counter;

use allocation_counter::measure;
use amanat::record::FieldValue;
use amanat::schema::ValueType;
use amanat::{Engine, Error, OpenOptions, Record, RecordOpener, RecordSealer, SealedRecord, Value, ValueRef};

mod common;
use common::*;

#[derive(Record)]
#[amanat(table = "visits")]
struct Visit {
    #[amanat(record_id)]
    office: String,
    #[amanat(sealed)]
    reason: String,
    #[amanat(record_id)]
    serial: i64,
}

fn both<R: Record>() -> (RecordSealer, RecordOpener) {
    let mut ring = ring();
    let allowance = reserve(&mut ring, 1 << 20);
    let (keys, schema) = (ring.field_keys().unwrap(), R::schema().unwrap());
    let sealer = RecordSealer::new(&keys, &schema, Engine::Ring, &allowance).unwrap();
    (sealer, RecordOpener::new(&keys, &schema, &OpenOptions::default()).unwrap())
}

thread_local! {
    static WIPED: Counter<usize> = const { Counter::new(0) };
}

/// Counts its wipes.
#[derive(Clone)]
struct Watched(String);

impl FieldValue for Watched {
    const TYPE: ValueType = ValueType::Text;

    fn as_value(&self) -> ValueRef<'_> {
        ValueRef::Text(&self.0)
    }

    fn from_value(value: Value) -> Result<Self, Error> {
        String::from_value(value).map(Self)
    }

    fn wipe(&mut self) {
        self.0.wipe();
        assert!(self.0.is_empty());
        WIPED.with(|wiped| wiped.set(wiped.get() + 1));
    }
}

#[derive(Record)]
#[amanat(table = "watched")]
struct Watching {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed)]
    first: Watched,
    #[amanat(sealed)]
    second: Option<Watched>,
    #[amanat(masked)]
    third: Watched,
    #[amanat(clear)]
    clear: Watched,
}

fn wipes(of: impl FnOnce()) -> usize {
    WIPED.with(|wiped| wiped.set(0));
    of();
    WIPED.with(Counter::get)
}

#[test]
fn what_is_not_clear_is_wiped_when_dropped_and_when_another_field_does_not_open() {
    let (mut sealer, mut opener) = both::<Watching>();
    let watched = || Watched("Invented Name".to_owned());
    let record = Watching {
        id: "1".to_owned(),
        first: watched(),
        second: Some(watched()),
        third: watched(),
        clear: watched(),
    };
    let sealed = record.seal(&mut sealer).unwrap();
    assert_eq!(wipes(|| drop(record)), 3);
    assert_eq!(
        wipes(|| assert!(sealed.open(&mut opener).is_ok())),
        3,
        "once each, when the opened record is dropped"
    );
    let broken = SealedWatching { second: sealed.first.clone(), ..sealed };
    assert_eq!(wipes(|| assert!(broken.open(&mut opener).is_err())), 1, "the first, which had opened");
}

#[test]
fn a_batch_allocates_what_its_result_holds_and_a_constant() {
    let (mut sealer, mut opener) = both::<Visit>();
    let visit = |serial| Visit { office: "a".to_owned(), reason: "renewal".to_owned(), serial };
    let id = measure(|| drop(visit(1).record_id())).count_total - measure(|| drop(visit(1))).count_total;
    for count in [64, 1_024, 64] {
        let visits: Vec<Visit> = (0..count).map(visit).collect();
        let mut sealed = Visit::seal_all(&visits, &mut sealer).unwrap();
        let sealing = measure(|| sealed = Visit::seal_all(&visits, &mut sealer).unwrap()).count_total;
        // Each row: its office, its envelope, and a record id of two columns, which must be put together.
        // The call: the list of rows, and the state that expands its random seed.
        assert_eq!(sealing, (2 + id) * visits.len() as u64 + 2, "a batch of {count}");
        drop(sealed[0].open(&mut opener));
        let opening = measure(|| drop(sealed[1].open(&mut opener).unwrap())).count_total;
        assert_eq!(opening, 2 + id);
    }
}

#[derive(Record)]
#[amanat(table = "numbers")]
struct Numbered {
    #[amanat(record_id)]
    id: i64,
    #[amanat(sealed, identifier = "cnic", index(bits = 40))]
    cnic: String,
}

#[test]
fn an_index_keeps_no_value_between_rows_and_takes_two_lists_of_borrowed_ones() {
    let mut ring = ring();
    let schema = Numbered::schema().unwrap();
    let reserved = RecordSealer::reserve(&mut ring, &schema, 10_000).unwrap();
    let mut sealer = RecordSealer::for_keyring(&ring, &schema, Engine::Ring, &reserved).unwrap();
    let numbered = |id: i64| Numbered { id, cnic: format!("99901{id:08}") };
    drop(Numbered::seal_all(&[numbered(0)], &mut sealer).unwrap());
    for count in [64, 1_024] {
        let rows: Vec<Numbered> = (0..count).map(numbered).collect();
        let sealing = measure(|| drop(Numbered::seal_all(&rows, &mut sealer).unwrap()));
        // Each row: its envelope, the list of its values, the list of the index's values.
        assert_eq!(sealing.count_total, 3 * rows.len() as u64 + 2, "a batch of {count}");
        assert_eq!(sealing.count_current, 0);
    }
}
