// SPDX-License-Identifier: MIT OR Apache-2.0
//! Turns the bytes of an input into choices, from front to back; an input that ends gives zeros.

use amanat::field::Family;
use amanat::{Bucket, Date, Engine, RecordId, SealOptions, Value, ValueRef};

pub(super) struct Feed<'a>(&'a [u8]);

impl<'a> Feed<'a> {
    pub(super) const fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(super) fn number(&mut self) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()]))
    }

    pub(super) fn choose<T: Copy>(&mut self, first: T, others: &[T]) -> T {
        let position = usize::from(self.byte()) % (others.len() + 1);
        position.checked_sub(1).and_then(|position| others.get(position).copied()).unwrap_or(first)
    }

    /// Up to 255 bytes, after a byte that says how many.
    pub(super) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    pub(super) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// A record id of each kind.
    pub(super) fn record(&mut self) -> RecordId<'static> {
        self.neighbours().0
    }

    /// Two record ids of the same kind and length.
    pub(super) fn neighbours(&mut self) -> (RecordId<'static>, RecordId<'static>) {
        let (kind, text) = (self.byte(), self.text());
        let number = i64::try_from(text.len()).expect("a short text") * 10;
        let record = |last: &str| match kind % 3 {
            0 => RecordId::integer(number + i64::try_from(last.len()).expect("a short text")),
            1 => RecordId::composite(&[&text, last.trim()]).expect("short columns"),
            _ => RecordId::composite(&[last.trim(), &text, "1"]).expect("short columns"),
        };
        (record("a"), record(" b"))
    }

    pub(super) fn options(&mut self) -> SealOptions {
        SealOptions {
            engine: self.engine(),
            family: self.choose(Family::Aes, &[Family::ChaCha]),
            bucket: Bucket::new(self.choose(16, &[32, 48, 64, 240, 256, 1024])).expect("multiples of 16"),
        }
    }

    pub(super) fn engine(&mut self) -> Engine {
        self.choose(Engine::Ring, &[Engine::RustCrypto])
    }

    /// A value of each type. CBOR is any bytes, so that it need not be well-formed.
    pub(super) fn value(&mut self) -> Value {
        let kind = self.byte();
        let bytes = self.bytes();
        let text = String::from_utf8_lossy(bytes);
        let mut part = Feed(bytes);
        let value = match kind % 8 {
            0 => ValueRef::Null,
            1 => ValueRef::Text(&text),
            2 => ValueRef::Bytes(bytes),
            3 => ValueRef::Integer(i64::from_be_bytes([0; 8].map(|_: u8| part.byte()))),
            4 => {
                let year = u16::try_from(part.number()).expect("two bytes");
                match Date::new(year, part.byte(), part.byte()) {
                    Ok(date) => ValueRef::Date(date),
                    Err(_) => ValueRef::Null,
                }
            }
            5 => ValueRef::Boolean(part.flag()),
            6 => ValueRef::Cbor(bytes),
            // Long enough for suite 0x04.
            _ => return ValueRef::Bytes(&bytes.repeat(70_000 / bytes.len().max(1))).to_value(),
        };
        value.to_value()
    }
}
