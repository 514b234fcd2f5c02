// SPDX-License-Identifier: MIT OR Apache-2.0
//! Format-preserving encryption.

use amanat::__bench::{Ff1, Ff1Small};
use amanat::{Kind, Secret};

use super::feed::Feed;

/// A key, a format, a tweak and texts: what fits comes back, what does not is refused unchanged, integers do as numerals do.
pub fn ff1(data: &[u8]) {
    let mut feed = Feed::new(data);
    let key = Ff1::new(&Secret::copy_from(&[feed.byte(); 32]).expect("32 bytes"));
    let any = 2 + u32::try_from(feed.number()).expect("two bytes");
    let radix = feed.choose(10, &[10, 36, 2, 256, 65536, any, any]);
    let length = feed.choose(13, &[6, 9, 16, 18, 19, 12, 260]).min(feed.number());
    let tweak = feed.bytes();
    // Most texts fit; a few bits of the input decide.
    let fits = feed.byte() != 0;
    let mut next = || {
        let numeral = u32::try_from(feed.number()).expect("two bytes");
        u16::try_from(if fits { numeral % radix } else { numeral }).expect("two bytes")
    };
    let plain: Vec<u16> = (0..length).map(|_| next()).collect();

    let values = (0..length).try_fold(1_u64, |values, _| values.checked_mul(radix.into()));
    let in_format = plain.iter().all(|numeral| u32::from(*numeral) < radix);
    let allowed = radix <= 65536 && values.is_none_or(|values| values >= 1_000_000) && in_format;
    let mut numerals = plain.clone();
    let encrypted = key.encrypt(radix, tweak, &mut numerals);
    assert_eq!(encrypted.is_ok(), allowed, "{encrypted:?}");
    if !allowed {
        assert_eq!(numerals, plain, "changed by a refusal");
        assert!(key.decrypt(radix, tweak, &mut numerals).is_err());
        return;
    }
    let sealed = numerals.clone();
    assert!(sealed.iter().all(|numeral| u32::from(*numeral) < radix));
    key.decrypt(radix, tweak, &mut numerals).expect("its own ciphertext");
    assert_eq!(numerals, plain);

    let small = Ff1Small::new(&key, radix, length, tweak);
    let Some(values) = values else {
        assert_eq!(small.err().expect("too long for integers").kind(), Kind::Limit);
        return;
    };
    let small = small.expect("a format of integers");
    let integer = |numerals: &[u16]| {
        numerals.iter().fold(0, |value, numeral| value * u64::from(radix) + u64::from(*numeral))
    };
    let count = usize::from(feed.byte());
    let mut batch = vec![integer(&plain); count];
    small.encrypt_batch(&mut batch).expect("values");
    assert!(batch.iter().all(|value| *value == integer(&sealed)));
    assert_eq!(small.encrypt(integer(&plain)).expect("a value"), integer(&sealed));
    assert_eq!(small.decrypt(integer(&sealed)).expect("a value"), integer(&plain));
    assert!(small.encrypt(values).is_err() && small.decrypt(u64::MAX).is_err());
}
