// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sealing and opening under the right key and under wrong ones.

use amanat::envelope::{Envelope, VERSION};
use amanat::field::EnvelopeBatch;
use amanat::suite::HEADER_BYTES;
use amanat::token::{Audience, ReversibleTokens};
use amanat::{Engine, FieldSealer, KeyId, Kind, OpenOptions, RecordId, Suite, Value};

use super::feed::Feed;
use super::keys::{Keys, RIGHT, STATES, WRONG, context};

/// What was sealed opens, for its record only and unaltered only; what was not sealed never opens.
pub fn open_right_key(data: &[u8]) {
    let mut feed = Feed::new(data);
    match feed.byte() % 4 {
        0 => forged(&mut feed, &RIGHT),
        1 => token(&mut feed),
        _ => sealed(&mut feed),
    }
}

/// What one keyring sealed never opens under another, whatever its header is made to say.
pub fn open_wrong_key(data: &[u8]) {
    let mut feed = Feed::new(data);
    match feed.byte() % 4 {
        0 => forged(&mut feed, &WRONG),
        1 => states(&mut feed),
        _ => foreign(&mut feed),
    }
}

/// Seals any value and tries everything that must open it and everything that must not.
fn sealed(feed: &mut Feed<'_>) {
    let ((record, neighbour), other, value) = (feed.neighbours(), feed.record(), feed.value());
    let Some((sealing_engine, envelope)) = seal(feed, &RIGHT, &record, &value) else { return };
    let opening_engine = feed.engine();
    let mut opener = RIGHT.opener(opening_engine);
    let parsed = Envelope::parse(&envelope).expect("what was sealed follows the grammar");
    assert_eq!(parsed.key(), RIGHT.field_messages.key());
    let opened = opener.open_value(&record, &envelope);
    assert!(opened.is_ok_and(|opened| opened == value), "{sealing_engine:?} to {opening_engine:?}");

    refused(&mut opener, &neighbour, &envelope, Some(Kind::Unauthentic));
    if other != record {
        refused(&mut opener, &other, &envelope, Some(Kind::Unauthentic));
    }
    for (table, field) in [("citizens", "name"), ("voters", "cnic")] {
        let context = context(&RIGHT.keyring, table, field);
        let mut opener = RIGHT.opener_of(&context, &OpenOptions::default());
        refused(&mut opener, &record, &envelope, Some(Kind::Unauthentic));
    }

    let position = feed.number() % envelope.len();
    let mut altered = envelope.clone();
    let byte = altered.get_mut(position).expect("a position inside");
    *byte ^= feed.byte().max(1);
    let answer = (position >= HEADER_BYTES).then_some(Kind::Unauthentic);
    refused(&mut opener, &record, &altered, answer);
    let cut = envelope.get(..position).expect("a position inside");
    refused(&mut opener, &record, cut, None);
    let longer = [&envelope, feed.bytes(), &[0]].concat();
    refused(&mut opener, &record, &longer, None);

    let again = opener.open_value(&record, &envelope);
    assert!(again.is_ok_and(|again| again == value), "a refusal must leave the opener as it was");
}

/// Seals alone and in a batch; `None` for CBOR that is no item.
fn seal(feed: &mut Feed<'_>, keys: &Keys, record: &RecordId<'_>, value: &Value) -> Option<(Engine, Vec<u8>)> {
    let (options, count) = (feed.options(), usize::from(feed.byte() % 3));
    let context = context(&keys.keyring, "citizens", "cnic");
    let keyset = keys.keyring.field_keys().expect("field keys");
    let mut sealer = FieldSealer::new(&keyset, &context, options, &keys.field_messages).expect("a sealer");
    if count == 0 {
        let sealed = sealer.seal(record, value.as_ref());
        return match sealed {
            Ok(envelope) => Some((options.engine, envelope)),
            Err(error) => {
                assert!(error.kind() == Kind::Malformed && matches!(value, Value::Cbor(_)), "{error}");
                None
            }
        };
    }
    let mut batch = EnvelopeBatch::new();
    let values = (0..count).map(|_| (record, value.as_ref()));
    if let Err(error) = sealer.seal_batch(values, &mut batch) {
        assert!(error.kind() == Kind::Malformed && matches!(value, Value::Cbor(_)), "{error}");
        assert!(batch.is_empty());
        return None;
    }
    assert_eq!(batch.len(), count);
    Some((options.engine, batch.get(count - 1)?.to_vec()))
}

/// Any bytes behind a header that names a key of the keyring.
fn forged(feed: &mut Feed<'_>, keys: &Keys) {
    let record = feed.record();
    let ids: Vec<KeyId> = keys.keyring.keys().map(|key| key.id).collect();
    let id = feed.choose(keys.field_messages.key(), &ids);
    let suite = feed.choose(0x01, &[0x02, 0x03, 0x04, 0x00, 0x05]);
    let body = feed.rest();
    let envelope = [&[VERSION, suite], &id.as_bytes()[..], body].concat();
    let kinds = [Engine::Ring, Engine::RustCrypto].map(|engine| {
        let mut opener = keys.opener(engine);
        opener.open(&record, &envelope).map(|_| ()).map_err(|error| error.kind())
    });
    assert_eq!(kinds.first(), kinds.last(), "the engines disagree");
    assert!(kinds.iter().all(Result::is_err), "opened, and nobody sealed it");
    let mut tokens = tokens(keys, "health-ministry", "subsidy");
    assert!(tokens.open(&envelope).is_err(), "opened, and nobody sealed it");
}

/// An envelope of one keyring in the hands of another.
fn foreign(feed: &mut Feed<'_>) {
    let (record, value) = (feed.record(), feed.value());
    let Some((_, mut envelope)) = seal(feed, &RIGHT, &record, &value) else { return };
    let mut opener = WRONG.opener(feed.engine());
    refused(&mut opener, &record, &envelope, Some(Kind::UnknownKey));
    let id = envelope.get_mut(2..HEADER_BYTES).expect("a header");
    id.copy_from_slice(WRONG.field_messages.key().as_bytes());
    refused(&mut opener, &record, &envelope, Some(Kind::Unauthentic));
}

/// Any bytes under keys in every state: only those that may open are ever used.
fn states(feed: &mut Feed<'_>) {
    let (record, engine, by_name) = (feed.record(), feed.engine(), feed.flag());
    let keyring = &*STATES;
    let ids: Vec<KeyId> = keyring.keys().map(|key| key.id).collect();
    let id = feed.choose(KeyId::from_bytes([0; 16]), &ids);
    let envelope = [&[VERSION, 0x01], &id.as_bytes()[..], &[0; 40], feed.bytes()].concat();
    let named = if by_name { vec![id] } else { Vec::new() };
    let options = OpenOptions { engine, break_glass: named };
    let info = keyring.keys().find(|key| key.id == id && key.purpose == amanat::keys::Purpose::Field);
    let keyset = keyring.field_keys().expect("field keys");
    let opener = amanat::FieldOpener::new(&keyset, &context(keyring, "citizens", "cnic"), &options);
    let Ok(mut opener) = opener else {
        assert!(by_name && info.is_none_or(|key| !key.state.opens_by_name()));
        return;
    };
    if Envelope::parse(&envelope).is_err() {
        return;
    }
    let expected = match info {
        None => Kind::UnknownKey,
        Some(key) if key.state.opens() || by_name => Kind::Unauthentic,
        Some(_) => Kind::KeyUnusable,
    };
    refused(&mut opener, &record, &envelope, Some(expected));
}

/// Tokens: equal for equal values, opened for their recipient only and unaltered only.
fn token(feed: &mut Feed<'_>) {
    let value = feed.value();
    let mut right = tokens(&RIGHT, "health-ministry", "subsidy");
    let Ok(token) = right.seal(value.as_ref()) else {
        let too_long = matches!(&value, Value::Bytes(bytes) if bytes.len() > 65_536);
        assert!(too_long || matches!(value, Value::Cbor(_)));
        return;
    };
    assert_eq!(Envelope::parse(&token).map(|token| token.suite()).ok(), Some(Suite::Aes256Siv));
    assert!(right.seal(value.as_ref()).is_ok_and(|again| again == token), "equal values have equal tokens");
    assert!(right.open(&token).is_ok_and(|opened| opened == value));
    for (recipient, purpose) in [("health-ministry", "census"), ("tax-office", "subsidy")] {
        let mut wrong = tokens(&RIGHT, recipient, purpose);
        let kind = wrong.open(&token).err().map(|error| error.kind());
        assert_eq!(kind, Some(Kind::Unauthentic));
    }
    let mut altered = token.clone();
    let position = feed.number() % altered.len();
    *altered.get_mut(position).expect("a position inside") ^= feed.byte().max(1);
    assert!(right.open(&altered).is_err(), "an altered token opens");
    // A token is no sealed field, whatever the record.
    refused(&mut RIGHT.opener(feed.engine()), &feed.record(), &token, None);
}

fn tokens(keys: &Keys, recipient: &str, purpose: &str) -> ReversibleTokens {
    let keyset = keys.keyring.token_keys().expect("token keys");
    let audience = Audience::new(recipient, purpose).expect("names");
    let epoch = keyset.primary_epoch().expect("an epoch");
    ReversibleTokens::new(&keyset, &audience, epoch, &keys.token_messages).expect("tokens")
}

/// Whole and by parts, this must not open; with `kind` the answer must be that one.
fn refused(opener: &mut amanat::FieldOpener, record: &RecordId<'_>, envelope: &[u8], kind: Option<Kind>) {
    let error = opener.open(record, envelope).expect_err("opened, and must not");
    if let Some(kind) = kind {
        assert_eq!(error.kind(), kind, "{error}");
    }
}
