// SPDX-License-Identifier: MIT OR Apache-2.0
//! Receipts: what a recipient was given, when and by whom, for whoever must answer for it later.
//!
//! Owns SPEC 10.9. Never holds a token, a value or a record id; says of the file nothing but its size and digest.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::text::{Audience, Epoch, TokenKind};
use crate::crypto::kdf;
use crate::error::{Error, Kind, Result};
use crate::ident::{KeyId, Name, Timestamp, decode_hex};
use crate::keys::{self, Keyset};
use crate::secret::{Secret, ct_eq};
use crate::wire::{base64, decode_base64};

/// Largest receipt in bytes.
pub const MAX_RECEIPT_BYTES: usize = 1 << 20;
/// Largest number in a receipt: every JSON reader keeps integers up to it exact.
const MAX_INTEGER: u64 = (1 << 53) - 1;
const FORMAT: &str = "amanat-receipt";
/// From the line of the MAC to the end: `  "mac": "`, 43 characters, `"`, LF, `}`, LF.
const MAC_LINE_BYTES: usize = 10 + 43 + 4;

/// What a receipt says of an export: public facts only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptFacts {
    /// Who was given the file.
    pub recipient: Name,
    /// The table that it came from.
    pub table: Name,
    /// When it was made.
    pub created: Timestamp,
    /// SHA-256 of the schema file, which says what the recipient may have.
    pub schema_sha256: [u8; 32],
    /// Columns of tokens, in the file's order; at least one.
    pub tokens: Vec<ReceiptToken>,
    /// Fields that the file carries as they are.
    pub revealed: Vec<Name>,
    /// Fields that the file carries masked.
    pub masked: Vec<Name>,
    /// Rows of the file.
    pub rows: u64,
    /// Rows of the table that the file lacks, because they were refused.
    pub refused: u64,
    /// Size of the file.
    pub file_bytes: u64,
    /// SHA-256 of the file.
    pub file_sha256: [u8; 32],
}

/// A column of tokens in an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptToken {
    /// Name of the tokens' policy in the schema.
    pub name: Name,
    /// How they are made.
    pub kind: TokenKind,
    /// What they are for.
    pub purpose: Name,
    /// The epoch of their key.
    pub epoch: Epoch,
    /// The key of that epoch.
    pub key: KeyId,
    /// The field that they stand for.
    pub field: Name,
    /// When they expire, if they do.
    pub expires: Option<Timestamp>,
}

/// A receipt: facts, and a MAC under a key that only the registry has.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt {
    registry: Name,
    facts: ReceiptFacts,
    key: KeyId,
    text: String,
}

/// The file. The order of members is the order in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    format: String,
    version: u64,
    registry: String,
    recipient: String,
    table: String,
    created: String,
    schema_sha256: String,
    tokens: Vec<TokenForm>,
    revealed: Vec<String>,
    masked: Vec<String>,
    rows: u64,
    refused: u64,
    file_bytes: u64,
    file_sha256: String,
    key: String,
    mac: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenForm {
    name: String,
    kind: String,
    purpose: String,
    epoch: u64,
    key: String,
    field: String,
    expires: Option<String>,
}

/// What a reader looks at first, of whatever version the rest may be.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

impl Receipt {
    /// Makes the receipt of an export, under the key of the first token's epoch.
    ///
    /// # Errors
    /// `Schema` without tokens, or if a recipient's or purpose's name could stand in no token; `UnknownKey` and `KeyUnusable` for an epoch whose key is missing or not
    /// active; `Limit` if it would be larger than [`MAX_RECEIPT_BYTES`] or a number is over 2^53.
    pub fn new(keys: &Keyset<'_, keys::Token>, facts: ReceiptFacts) -> Result<Self> {
        let first =
            facts.tokens.first().ok_or_else(|| Error::schema("a receipt is of at least one token"))?;
        let key = keys.key_of_epoch(first.epoch)?;
        for token in &facts.tokens {
            Audience::new(facts.recipient.as_str(), token.purpose.as_str())?;
            if keys.key_of_epoch(token.epoch)? != token.key {
                return Err(Error::misuse("a token's key is that of its epoch"));
            }
        }
        let mac_key = mac_key(keys, key, Use::Make)?;
        let mut form = Form::new(keys.registry(), &facts, key);
        form.check()?;
        form.mac = base64(&[0; 32]);
        let text = form.to_text()?;
        form.mac = base64(&kdf::hmac_sha256(mac_key.expose(), &[covered(&text)]));
        let text = form.to_text()?;
        if text.len() > MAX_RECEIPT_BYTES {
            return Err(too_large());
        }
        Ok(Self { registry: keys.registry().clone(), facts, key, text })
    }

    /// Reads a receipt. It proves nothing before [`verify`](Self::verify).
    ///
    /// # Errors
    /// `Malformed` for what is no receipt in its one form; `Unsupported` for another version; `Limit` if it is too large.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_RECEIPT_BYTES {
            return Err(too_large());
        }
        let head: Head = serde_json::from_slice(bytes).map_err(|error| json_fault(&error))?;
        if head.format != FORMAT {
            return Err(Error::malformed("not a receipt: its `format` is not `amanat-receipt`"));
        }
        if head.version != 1 {
            return Err(Error::unsupported("a receipt of another version; a newer amanat may know it"));
        }
        let form: Form = serde_json::from_slice(bytes).map_err(|error| json_fault(&error))?;
        form.check().map_err(|error| Error::malformed(error.message().to_owned()))?;
        let text = form.to_text()?;
        if text.as_bytes() != bytes {
            return Err(Error::malformed(
                "the receipt is not in the form in which receipts are written: it was reformatted or edited",
            ));
        }
        decode_mac(&form.mac)?;
        let read = || {
            Ok(Self {
                registry: Name::new(&form.registry)?,
                facts: form.facts()?,
                key: form.key.parse()?,
                text,
            })
        };
        read().map_err(|error: Error| match error.kind() {
            Kind::Unsupported => error,
            _ => Error::malformed(format!("not a receipt: {}", error.message())),
        })
    }

    /// Whether the registry of these keys made the receipt, and nobody changed it since.
    ///
    /// # Errors
    /// `UnknownKey` if another registry or a newer keyring made it; `KeyUnusable` if its key is suspended, compromised or destroyed: whoever
    /// has such a key can make receipts; `Unauthentic`.
    pub fn verify(&self, keys: &Keyset<'_, keys::Token>) -> Result<()> {
        let key = mac_key(keys, self.key, Use::Check)?;
        let genuine = kdf::hmac_sha256(key.expose(), &[covered(&self.text)]);
        let mac = self.text.get(covered(&self.text).len() + 10..).and_then(|rest| rest.get(..43));
        if self.registry == *keys.registry() && ct_eq(&decode_mac(mac.unwrap_or_default())?, &genuine) {
            return Ok(());
        }
        Err(Error::altered(
            "the receipt is not as the registry wrote it: it was changed, or another registry made it",
        ))
    }

    /// The registry that it says made it.
    #[must_use]
    pub const fn registry(&self) -> &Name {
        &self.registry
    }

    /// What it says.
    #[must_use]
    pub const fn facts(&self) -> &ReceiptFacts {
        &self.facts
    }

    /// Id of the token key from whose epoch the key of its MAC is derived.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// The file.
    #[must_use]
    pub fn to_json(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({}, {}, key {})", self.facts.recipient, self.facts.table, self.key.short())
    }
}

/// What a key of a receipt's MAC is wanted for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Make,
    Check,
}

/// `KDF(secret, PAE("amanat/v1/receipt", registry), 32)`.
fn mac_key(keys: &Keyset<'_, keys::Token>, id: KeyId, purpose: Use) -> Result<Secret<32>> {
    let key = keys.keys().find(|key| key.info.id == id).ok_or_else(|| Error::unknown_key(id))?;
    let state = key.info.state;
    let allowed = if purpose == Use::Make { state == keys::State::Active } else { state.opens() };
    let secret = key.secret.as_ref().filter(|_| allowed);
    let secret = secret.ok_or_else(|| {
        Error::key_unusable(id, format!("token key {} is {state}: it vouches for no receipt", id.short()))
    })?;
    Ok(kdf::derive(secret, &[kdf::RECEIPT, keys.registry().as_bytes()]))
}

impl Form {
    fn new(registry: &Name, facts: &ReceiptFacts, key: KeyId) -> Self {
        let names = |names: &[Name]| names.iter().map(Name::to_string).collect();
        let token = |token: &ReceiptToken| TokenForm {
            name: token.name.to_string(),
            kind: token.kind.as_str().to_owned(),
            purpose: token.purpose.to_string(),
            epoch: token.epoch.get().into(),
            key: token.key.to_string(),
            field: token.field.to_string(),
            expires: token.expires.map(|time| time.to_string()),
        };
        Self {
            format: FORMAT.to_owned(),
            version: 1,
            registry: registry.to_string(),
            recipient: facts.recipient.to_string(),
            table: facts.table.to_string(),
            created: facts.created.to_string(),
            schema_sha256: hex(&facts.schema_sha256),
            tokens: facts.tokens.iter().map(token).collect(),
            revealed: names(&facts.revealed),
            masked: names(&facts.masked),
            rows: facts.rows,
            refused: facts.refused,
            file_bytes: facts.file_bytes,
            file_sha256: hex(&facts.file_sha256),
            key: key.to_string(),
            mac: String::new(),
        }
    }

    fn facts(&self) -> Result<ReceiptFacts> {
        let names = |names: &[String]| names.iter().map(|name| Name::new(name)).collect::<Result<_>>();
        Ok(ReceiptFacts {
            recipient: Name::new(&self.recipient)?,
            table: Name::new(&self.table)?,
            created: self.created.parse()?,
            schema_sha256: digest(&self.schema_sha256)?,
            tokens: self.tokens.iter().map(TokenForm::read).collect::<Result<_>>()?,
            revealed: names(&self.revealed)?,
            masked: names(&self.masked)?,
            rows: self.rows,
            refused: self.refused,
            file_bytes: self.file_bytes,
            file_sha256: digest(&self.file_sha256)?,
        })
    }

    fn check(&self) -> Result<()> {
        if [self.rows, self.refused, self.file_bytes].into_iter().any(|number| number > MAX_INTEGER) {
            return Err(Error::limit("a number of a receipt is at most 2^53 - 1"));
        }
        if self.tokens.is_empty() {
            return Err(Error::malformed("a receipt is of at least one token"));
        }
        Ok(())
    }

    fn to_text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self);
        let mut text = text.map_err(|e| Error::store("the receipt cannot be written as JSON", e))?;
        text.push('\n');
        Ok(text)
    }
}

impl TokenForm {
    fn read(&self) -> Result<ReceiptToken> {
        let kind = TokenKind::ALL.into_iter().find(|kind| kind.as_str() == self.kind);
        Ok(ReceiptToken {
            name: Name::new(&self.name)?,
            kind: kind.ok_or_else(|| Error::unsupported("a token of a kind that is not known here"))?,
            purpose: Name::new(&self.purpose)?,
            epoch: Epoch::new(self.epoch)?,
            key: self.key.parse()?,
            field: Name::new(&self.field)?,
            expires: self.expires.as_ref().map(|time| time.parse()).transpose()?,
        })
    }
}

/// What the MAC covers: all that stands before its line.
fn covered(text: &str) -> &[u8] {
    text.as_bytes().get(..text.len().saturating_sub(MAC_LINE_BYTES)).unwrap_or_default()
}

fn decode_mac(text: &str) -> Result<[u8; 32]> {
    let mut bytes = Vec::new();
    decode_base64(text, &mut bytes)?;
    bytes.try_into().map_err(|_| Error::malformed("a receipt's MAC has 32 bytes"))
}

fn digest(text: &str) -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    decode_hex(text, &mut bytes)
        .ok_or_else(|| Error::malformed("a digest is written as 64 lower-case hex digits"))?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn too_large() -> Error {
    Error::limit("larger than a receipt can be (1 MiB)")
}

fn json_fault(error: &serde_json::Error) -> Error {
    let why = match (error.is_eof(), error.is_data()) {
        (true, _) => "it ends in the middle",
        (_, true) => "a member is missing, unknown or of another type",
        _ => "not JSON",
    };
    Error::malformed(format!("not a receipt (line {}, column {}: {why})", error.line(), error.column()))
}
