// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keyring file's JSON: read strictly, written canonically (SPEC 6.1, 6.4).
//!
//! Owns the grammar. Never holds a secret.

use serde::{Deserialize, Serialize};

use super::kek::SlotParams;
use super::state::{Purpose, State};
use crate::error::{Error, Result};
use crate::ident::{KeyId, Name, Timestamp};
use crate::secret::ct_eq;
use crate::wire::{base64, decode_base64};

/// Largest keyring file in bytes.
pub const MAX_KEYRING_BYTES: usize = 1 << 20;
/// Most slots in a keyring.
pub const MAX_SLOTS: usize = 32;
/// Most keys in a keyset.
pub const MAX_KEYS: usize = 1_024;
/// Longest label of a slot in bytes.
pub const MAX_LABEL_BYTES: usize = 64;

/// Largest generation: every JSON reader keeps integers up to it exact.
pub(super) const MAX_INTEGER: u64 = (1 << 53) - 1;

const MAX_PARAMS: usize = 16;
const MAX_PARAM_BYTES: usize = 1_024;
const FORMAT: &str = "amanat-keyring";
const PIN_FORMAT: &str = "amanat-keyring-pin";
/// From the line of the MAC to the end: `  "mac": "`, 43 characters, `"`, LF, `}`, LF.
const MAC_LINE_BYTES: usize = 10 + 43 + 4;

/// What a reader looks at first, of whatever version the rest may be.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

/// The file as it is written. The order of members is the order in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    format: String,
    version: u64,
    pub(super) registry: String,
    pub(super) generation: u64,
    pub(super) created: String,
    pub(super) updated: String,
    slot_count: usize,
    key_count: usize,
    pub(super) slots: Vec<SlotForm>,
    pub(super) keysets: Vec<KeysetForm>,
    mac: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SlotForm {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) provider: String,
    pub(super) created: String,
    pub(super) params: SlotParams,
    pub(super) wrapped: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeysetForm {
    pub(super) purpose: String,
    pub(super) keys: Vec<KeyForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyForm {
    pub(super) id: String,
    pub(super) state: String,
    pub(super) primary: bool,
    pub(super) created: String,
    pub(super) activated: Option<String>,
    pub(super) suspended: Option<String>,
    pub(super) deactivated: Option<String>,
    pub(super) compromised: Option<String>,
    pub(super) destroyed: Option<String>,
    pub(super) cryptoperiod_days: u32,
    pub(super) messages: u64,
    pub(super) wrapped: Option<String>,
}

impl Form {
    pub(super) fn new(
        registry: &Name,
        generation: u64,
        (created, updated): (Timestamp, Timestamp),
        slots: Vec<SlotForm>,
        keysets: Vec<KeysetForm>,
    ) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: 1,
            registry: registry.to_string(),
            generation,
            created: created.to_string(),
            updated: updated.to_string(),
            slot_count: slots.len(),
            key_count: keysets.iter().map(|keyset| keyset.keys.len()).sum(),
            slots,
            keysets,
            mac: String::new(),
        }
    }

    /// Reads a file and checks all that can be checked without a key.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_KEYRING_BYTES {
            return Err(Error::limit("larger than a keyring can be (1 MiB)"));
        }
        let head: Head = serde_json::from_slice(bytes).map_err(|error| json_fault(bytes, &error))?;
        if head.format != FORMAT {
            return Err(Error::malformed("not a keyring: its `format` is not `amanat-keyring`"));
        }
        if head.version != 1 {
            return Err(Error::unsupported(
                "this version of the keyring file is not known here; a newer amanat may know it",
            ));
        }
        let form: Self = serde_json::from_slice(bytes).map_err(|error| json_fault(bytes, &error))?;
        form.check_counts()?;
        form.check_canonical(bytes)?;
        Ok(form)
    }

    fn check_counts(&self) -> Result<()> {
        let keys: usize = self.keysets.iter().map(|keyset| keyset.keys.len()).sum();
        let edited = |what: &str, says: usize, holds: usize| {
            Err(Error::malformed(format!(
                "the keyring says that it has {says} {what} and holds {holds}: one was removed or added by hand; restore the file from a backup"
            )))
        };
        if self.slot_count != self.slots.len() {
            return edited("slots", self.slot_count, self.slots.len());
        }
        if self.key_count != keys {
            return edited("keys", self.key_count, keys);
        }
        let params_fit = |params: &SlotParams| {
            params.len() <= MAX_PARAMS && params.values().all(|value| value.len() <= MAX_PARAM_BYTES)
        };
        let too_many =
            self.slots.len() > MAX_SLOTS || self.keysets.iter().any(|keyset| keyset.keys.len() > MAX_KEYS);
        let long_label = self.slots.iter().any(|slot| slot.label.len() > MAX_LABEL_BYTES);
        if long_label {
            return Err(Error::limit("a slot's label is longer than 64 bytes"));
        }
        if too_many || !self.slots.iter().all(|slot| params_fit(&slot.params)) {
            return Err(Error::limit("more slots, keys or slot parameters than a keyring can have"));
        }
        Ok(())
    }

    /// Compares the file with its canonical form, so that one keyring has one text.
    fn check_canonical(&self, bytes: &[u8]) -> Result<()> {
        let canonical = self.to_text()?;
        let differs = canonical.as_bytes().iter().zip(bytes).position(|(left, right)| left != right);
        let shorter = canonical.len().min(bytes.len());
        match differs.or((canonical.len() != bytes.len()).then_some(shorter)) {
            None => Ok(()),
            Some(offset) => Err(Error::malformed(
                "the keyring is not in its canonical form: it was reformatted or edited by hand; restore the file from a backup",
            )
            .at_offset(offset)),
        }
    }

    fn to_text(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::store("the keyring cannot be written as JSON", e))?;
        text.push('\n');
        Ok(text)
    }

    /// Writes the file, with the MAC that `mac` computes over what stands before it.
    pub(super) fn seal(mut self, mac: impl FnOnce(&[u8]) -> [u8; 32]) -> Result<Vec<u8>> {
        self.mac = base64(&[0; 32]);
        let text = self.to_text()?.into_bytes();
        self.mac = base64(&mac(authenticated_part(&text)));
        let text = self.to_text()?.into_bytes();
        if text.len() > MAX_KEYRING_BYTES {
            return Err(Error::limit(
                "the keyring would become larger than 1 MiB; begin a new keyring for the next keys",
            ));
        }
        Ok(text)
    }

    pub(super) fn mac(&self) -> Result<[u8; 32]> {
        decode_exact(&self.mac)
    }
}

/// The bytes of a canonical file that its MAC covers.
pub(super) fn authenticated_part(bytes: &[u8]) -> &[u8] {
    bytes.get(..bytes.len().saturating_sub(MAC_LINE_BYTES)).unwrap_or_default()
}

/// Decodes base64url of exactly `N` bytes.
pub(super) fn decode_exact<const N: usize>(text: &str) -> Result<[u8; N]> {
    let mut bytes = Vec::new();
    decode_base64(text, &mut bytes)?;
    bytes.try_into().map_err(|_| Error::malformed(format!("base64url of another length than {N} bytes")))
}

/// Says where JSON breaks, and whether the file looks cut off.
fn json_fault(bytes: &[u8], error: &serde_json::Error) -> Error {
    if error.is_eof() {
        return Error::malformed(format!(
            "the keyring ends in the middle, after {} bytes: truncated; restore the file from a backup",
            bytes.len()
        ));
    }
    Error::malformed(format!(
        "not a keyring, or edited by hand (line {}, column {}: {})",
        error.line(),
        error.column(),
        if error.is_data() { "a member is missing, unknown or of another type" } else { "not JSON" }
    ))
}

/// What a machine remembers of the newest keyring it has seen (SPEC 6.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    pub(super) registry: Name,
    pub(super) generation: u64,
    pub(super) mac: [u8; 32],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinForm {
    format: String,
    version: u64,
    registry: String,
    generation: u64,
    mac: String,
}

impl Pin {
    /// Reads a pin.
    ///
    /// # Errors
    /// `Malformed` if it is not one in canonical form; `Unsupported` for another version.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let wrong = || {
            Error::malformed(
                "not a keyring pin in its canonical form; if you trust the keyring, remove the pin and run again",
            )
        };
        let head: Head = serde_json::from_slice(bytes).map_err(|_| wrong())?;
        if head.format != PIN_FORMAT {
            return Err(wrong());
        }
        if head.version != 1 {
            return Err(Error::unsupported("this version of the pin is not known here"));
        }
        let form: PinForm = serde_json::from_slice(bytes).map_err(|_| wrong())?;
        if !(1..=MAX_INTEGER).contains(&form.generation) {
            return Err(wrong());
        }
        let registry = Name::new(&form.registry).map_err(|_| wrong())?;
        let pin = Self { registry, generation: form.generation, mac: decode_exact(&form.mac)? };
        if pin.to_bytes() == bytes { Ok(pin) } else { Err(wrong()) }
    }

    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // A name needs no escaping in JSON.
        format!(
            "{{\"format\":\"{PIN_FORMAT}\",\"version\":1,\"registry\":\"{}\",\"generation\":{},\"mac\":\"{}\"}}\n",
            self.registry,
            self.generation,
            base64(&self.mac)
        )
        .into_bytes()
    }

    /// Generation of the newest keyring seen.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Refuses a keyring that is older than what was seen, or a fork of it.
    pub(super) fn check(&self, registry: &Name, generation: u64, mac: &[u8; 32]) -> Result<()> {
        if *registry != self.registry {
            return Err(Error::rollback("the pin belongs to the keyring of another registry"));
        }
        if generation < self.generation {
            return Err(Error::rollback(format!(
                "the keyring is generation {generation}, and generation {} was already seen: an older copy was put back; find the newer one",
                self.generation
            )));
        }
        if generation == self.generation && !ct_eq(mac, &self.mac) {
            return Err(Error::rollback(format!(
                "this is another keyring of generation {generation} than the one already seen: two copies were changed apart from each other"
            )));
        }
        Ok(())
    }
}

pub(super) fn parse_time(text: &str) -> Result<Timestamp> {
    text.parse()
}

pub(super) fn parse_option(text: Option<&String>) -> Result<Option<Timestamp>> {
    text.map(|text| text.parse()).transpose()
}

pub(super) fn parse_key_names(id: &str, purpose: &str, state: &str) -> Result<(KeyId, Purpose, State)> {
    Ok((id.parse()?, purpose.parse()?, state.parse()?))
}
