// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages that may still be sealed under a key, reserved in the keyring before they are used (SPEC 6.5).

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::ident::KeyId;

/// A share of a key's message limit, already counted in the keyring file.
///
/// Clones draw on the same share, so that the sealers of all threads count together. What is left when the process ends
/// stays counted, unless [`Keyring::give_back`](crate::Keyring::give_back) returns it.
#[derive(Clone, Debug)]
pub struct Allowance {
    key: KeyId,
    left: Arc<AtomicU64>,
}

impl Allowance {
    pub(crate) fn new(key: KeyId, messages: u64) -> Self {
        Self { key, left: Arc::new(AtomicU64::new(messages)) }
    }

    /// The key whose messages these are.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// Messages left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// Takes `count` messages or none.
    pub(crate) fn take(&self, count: u64) -> Result<()> {
        let taken =
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(count));
        taken.map(|_| ()).map_err(|left| {
            Error::limit(format!(
                "{left} messages are left of what was reserved for key {}, {count} are needed; reserve more in the keyring",
                self.key.short()
            ))
            .at_key(self.key)
        })
    }

    /// Takes all that is left.
    pub(crate) fn drain(&self) -> u64 {
        self.left.swap(0, Ordering::Relaxed)
    }
}
