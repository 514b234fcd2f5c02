// SPDX-License-Identifier: MIT OR Apache-2.0
//! Collects what was printed and searches it for secrets, in every spelling that a careless print would give them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::{Debug, Display};

use amanat::keys::{Kek, KekError, KekErrorKind, KeyFile, KeyringSecret, SlotContext, WrappedSecret};
use amanat::{Date, Error};
use base64_turbo::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Stands for a name, a record id, a passphrase.
pub(crate) const MARKER: &str = "Marker-Gulbadan-351";
/// Stands for a number.
pub(crate) const NUMBER: i64 = 987_654_321_234_567;

/// Stands for a date of birth.
pub(crate) fn born() -> Date {
    Date::new(1919, 8, 7).unwrap()
}

/// What was printed, and what must not be in it.
pub(crate) struct Prints {
    pub(crate) secrets: Vec<Vec<u8>>,
    pub(crate) texts: Vec<String>,
    pub(crate) types: BTreeSet<&'static str>,
    pub(crate) kinds: BTreeSet<String>,
}

impl Prints {
    pub(crate) fn new() -> Self {
        let secrets = vec![MARKER.into(), NUMBER.to_be_bytes().to_vec(), born().to_bytes().to_vec()];
        Self { secrets, texts: Vec::new(), types: BTreeSet::new(), kinds: BTreeSet::new() }
    }

    pub(crate) fn debug<T: Debug>(&mut self, name: &'static str, thing: &T) {
        self.types.insert(name);
        self.texts.push(format!("{thing:?} {thing:#?}"));
    }

    pub(crate) fn text(&mut self, text: &impl Display) {
        self.texts.push(text.to_string());
    }

    /// An error, with everything that it was caused by.
    #[track_caller]
    pub(crate) fn error<T>(&mut self, result: Result<T, Error>) {
        let Err(error) = result else { panic!("not refused") };
        self.types.insert("Error");
        self.kinds.insert(format!("{:?}", error.kind()));
        self.texts.push(format!("{error} {error:?} {error:#?} {} {:?}", error.message(), error.field()));
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            self.texts.push(format!("{cause} {cause:?}"));
            source = cause.source();
        }
    }

    #[track_caller]
    pub(crate) fn check(&self) {
        assert_eq!(self.leak(), None, "a secret was printed");
    }

    /// The first text that shows a secret, in any spelling that a careless print would give it.
    pub(crate) fn leak(&self) -> Option<&String> {
        let mut needles = vec![NUMBER.to_string(), "1919".to_owned(), "gulbadan".to_owned()];
        for secret in &self.secrets {
            let list = |separator| secret.iter().map(u8::to_string).collect::<Vec<_>>().join(separator);
            needles.extend([hex(secret), list(", "), list(",\n        "), list(",\n    ")]);
            needles.extend([STANDARD_NO_PAD.encode(secret), URL_SAFE_NO_PAD.encode(secret)]);
            needles.extend(String::from_utf8(secret.clone()));
        }
        let shows = |text: &&String| {
            let text = text.to_lowercase();
            needles.iter().any(|needle| text.contains(&needle.to_lowercase()))
        };
        self.texts.iter().find(shows)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key file that remembers the keyring secret it wraps.
pub(crate) struct Spy(pub(crate) KeyFile, pub(crate) RefCell<Vec<u8>>);

impl Kek for Spy {
    fn provider(&self) -> &'static str {
        self.0.provider()
    }

    fn wrap(&self, slot: &SlotContext<'_>, secret: &KeyringSecret) -> Result<WrappedSecret, KekError> {
        self.1.replace(secret.expose().to_vec());
        self.0.wrap(slot, secret)
    }

    fn unwrap(&self, slot: &SlotContext<'_>, wrapped: &WrappedSecret) -> Result<KeyringSecret, KekError> {
        self.0.unwrap(slot, wrapped)
    }
}

/// A key service that cannot be reached.
pub(crate) struct Away;

impl Kek for Away {
    fn provider(&self) -> &'static str {
        "key-file"
    }

    fn wrap(&self, _: &SlotContext<'_>, _: &KeyringSecret) -> Result<WrappedSecret, KekError> {
        Err(KekError::new(KekErrorKind::Unavailable, "busy"))
    }

    fn unwrap(&self, _: &SlotContext<'_>, _: &WrappedSecret) -> Result<KeyringSecret, KekError> {
        Err(KekError::new(KekErrorKind::Unavailable, "busy"))
    }
}
