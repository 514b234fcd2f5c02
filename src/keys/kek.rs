// SPDX-License-Identifier: MIT OR Apache-2.0
//! Key-encrypting keys: what unlocks a keyring. Passphrase and key file here; others implement [`Kek`] (SPEC 6.3).

use core::fmt;
use std::collections::BTreeMap;

use argon2::{Algorithm, Argon2, Params, Version};

use crate::crypto::{Engine, kdf, random, xaes::Xaes};
use crate::error::{Error, Result};
use crate::ident::{Name, decode_hex};
use crate::secret::{Secret, SecretBytes, ct_eq};
use crate::suite::{COMMITMENT_BYTES, NONCE_BYTES, TAG_BYTES};
use crate::wire::{Reader, base64, decode_base64, pae};

/// Shortest passphrase that a new slot takes, in bytes.
pub const MIN_PASSPHRASE_BYTES: usize = 12;
/// Longest passphrase in bytes.
pub const MAX_PASSPHRASE_BYTES: usize = 1_024;
/// Most memory that a keyring file may make Argon2id take, in KiB.
pub const MAX_ARGON2_MEMORY_KIB: u32 = 1_048_576;
/// Most passes, and most lanes, that a keyring file may ask of Argon2id.
pub const MAX_ARGON2_PASSES: u32 = 16;

const KEY_FILE_PREFIX: &str = "amanat-key-file-v1:";
const SALT_BYTES: usize = 16;
const KEK_ID_BYTES: usize = 16;

/// The 32 bytes that a keyring's slots wrap.
pub type KeyringSecret = Secret<32>;

/// Parameters of a slot: names and texts, in ascending order of names.
pub type SlotParams = BTreeMap<String, String>;

/// What a slot stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedSecret {
    /// What the provider needs to find its KEK again. Readable and authenticated.
    pub params: SlotParams,
    /// The wrapped keyring secret, in the provider's own form.
    pub wrapped: Vec<u8>,
}

/// Which slot of which registry is wrapped or unwrapped.
#[derive(Clone, Copy, Debug)]
pub struct SlotContext<'a> {
    pub(crate) registry: &'a Name,
    pub(crate) slot_id: &'a str,
    pub(crate) provider: &'a str,
}

impl SlotContext<'_> {
    /// The registry that the keyring belongs to; a key service may log it.
    #[must_use]
    pub const fn registry(&self) -> &Name {
        self.registry
    }

    /// The bytes that a provider must bind to its wrapping: `PAE("amanat/v1/slot", registry, slot id, provider, params…)`.
    #[must_use]
    pub fn to_bytes(&self, params: &SlotParams) -> Vec<u8> {
        let mut parts: Vec<&[u8]> =
            vec![kdf::SLOT, self.registry.as_bytes(), self.slot_id.as_bytes(), self.provider.as_bytes()];
        parts.extend(params.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
        pae(&parts)
    }
}

/// A key-encrypting key: wraps and unwraps the keyring secret of one slot.
///
/// Blocking, so that an HSM session, a cloud service or a set of shares fits behind it. An implementation must bind
/// [`SlotContext::to_bytes`] to what it wraps, must bound every parameter before it spends memory or time on it, and must
/// answer [`KekErrorKind::Refused`] for wrong key and altered bytes alike.
pub trait Kek {
    /// Name of the provider as slots store it, for example `passphrase`.
    fn provider(&self) -> &'static str;

    /// Whether this KEK could be that of a slot with these parameters, as far as can be told without using it.
    fn matches(&self, params: &SlotParams) -> bool {
        let _ = params;
        true
    }

    /// Wraps the keyring secret for a new slot.
    ///
    /// # Errors
    /// [`KekError`] of the provider.
    fn wrap(&self, slot: &SlotContext<'_>, secret: &KeyringSecret) -> Result<WrappedSecret, KekError>;

    /// Unwraps the keyring secret of a slot.
    ///
    /// # Errors
    /// [`KekError`] of the provider.
    fn unwrap(&self, slot: &SlotContext<'_>, wrapped: &WrappedSecret) -> Result<KeyringSecret, KekError>;
}

/// Why a KEK did not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KekErrorKind {
    /// The slot's parameters or bytes break the provider's grammar.
    Malformed,
    /// The slot asks for more memory or time than is allowed.
    Limit,
    /// Wrong key or altered slot.
    Refused,
    /// The slot was made in a way that is not known here.
    Unsupported,
    /// The service cannot be reached or is busy: the same call may succeed later.
    Unavailable,
}

/// Failure of a [`Kek`]. Messages hold no secret.
#[derive(Debug)]
pub struct KekError {
    kind: KekErrorKind,
    message: String,
}

impl KekError {
    /// Makes an error; `message` must hold no secret.
    #[must_use]
    pub fn new(kind: KekErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What kind of failure this is.
    #[must_use]
    pub const fn kind(&self) -> KekErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self.kind, KekErrorKind::Unavailable)
    }

    /// As an error of the library; it stays reachable as `source`.
    pub(crate) fn into_error(self) -> Error {
        match self.kind {
            KekErrorKind::Malformed => Error::malformed(self.message),
            KekErrorKind::Limit => Error::limit(self.message),
            KekErrorKind::Refused => Error::altered(self.message),
            KekErrorKind::Unsupported => Error::unsupported(self.message),
            KekErrorKind::Unavailable => Error::store("the key service did not unlock the keyring", self),
        }
    }
}

impl fmt::Display for KekError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for KekError {}

impl From<Error> for KekError {
    fn from(error: Error) -> Self {
        Self::new(KekErrorKind::Unavailable, error.to_string())
    }
}

/// Cost of Argon2id for a new slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Cost {
    /// Memory in KiB, 8 to [`MAX_ARGON2_MEMORY_KIB`], at least 8 for each lane.
    pub memory_kib: u32,
    /// Passes over the memory, 1 to [`MAX_ARGON2_PASSES`].
    pub passes: u32,
    /// Lanes, 1 to [`MAX_ARGON2_PASSES`].
    pub lanes: u32,
}

impl Default for Argon2Cost {
    /// 64 MiB, 3 passes, 4 lanes: the second recommendation of RFC 9106 section 4.
    fn default() -> Self {
        Self { memory_kib: 65_536, passes: 3, lanes: 4 }
    }
}

impl Argon2Cost {
    fn check(self) -> Result<Self, KekError> {
        let fits = (8..=MAX_ARGON2_MEMORY_KIB).contains(&self.memory_kib)
            && (1..=MAX_ARGON2_PASSES).contains(&self.passes)
            && (1..=MAX_ARGON2_PASSES).contains(&self.lanes)
            && self.memory_kib >= 8 * self.lanes;
        if fits {
            return Ok(self);
        }
        Err(KekError::new(
            KekErrorKind::Limit,
            "this passphrase slot asks for Argon2id parameters outside 8 KiB to 1 GiB, 1 to 16 passes, 1 to 16 lanes",
        ))
    }
}

/// A passphrase: Argon2id (RFC 9106) makes the KEK.
pub struct Passphrase {
    text: SecretBytes,
    cost: Argon2Cost,
}

impl Passphrase {
    /// Takes a passphrase, without the line end that a file or prompt may have left.
    ///
    /// # Errors
    /// `Limit` if it is longer than [`MAX_PASSPHRASE_BYTES`]; `Malformed` if it is not UTF-8.
    pub fn new(text: SecretBytes) -> Result<Self> {
        if text.expose().len() > MAX_PASSPHRASE_BYTES {
            return Err(Error::limit("the passphrase is longer than 1024 bytes"));
        }
        if core::str::from_utf8(text.expose()).is_err() {
            return Err(Error::malformed("the passphrase is not UTF-8"));
        }
        Ok(Self { text, cost: Argon2Cost::default() })
    }

    /// Sets the cost of slots made with it; existing slots keep their own.
    #[must_use]
    pub const fn with_cost(mut self, cost: Argon2Cost) -> Self {
        self.cost = cost;
        self
    }

    fn kek(&self, cost: Argon2Cost, salt: &[u8]) -> Result<Secret<32>, KekError> {
        let failed = |_| KekError::new(KekErrorKind::Limit, "Argon2id refused its parameters");
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(failed)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Secret::fill(|out| argon2.hash_password_into(self.text.expose(), salt, out)).map_err(failed)
    }
}

impl Kek for Passphrase {
    fn provider(&self) -> &'static str {
        "passphrase"
    }

    fn wrap(&self, slot: &SlotContext<'_>, secret: &KeyringSecret) -> Result<WrappedSecret, KekError> {
        if self.text.expose().len() < MIN_PASSPHRASE_BYTES {
            return Err(KekError::new(
                KekErrorKind::Limit,
                "a new passphrase has at least 12 bytes; five random words are good",
            ));
        }
        let cost = self.cost.check()?;
        let salt = random::bytes::<SALT_BYTES>()?;
        let params = SlotParams::from([
            ("kdf".to_owned(), "argon2id".to_owned()),
            ("lanes".to_owned(), cost.lanes.to_string()),
            ("memory_kib".to_owned(), cost.memory_kib.to_string()),
            ("passes".to_owned(), cost.passes.to_string()),
            ("salt".to_owned(), base64(&salt)),
        ]);
        let wrapped = wrap_under(&self.kek(cost, &salt)?, &slot.to_bytes(&params), secret)?;
        Ok(WrappedSecret { params, wrapped })
    }

    fn unwrap(&self, slot: &SlotContext<'_>, wrapped: &WrappedSecret) -> Result<KeyringSecret, KekError> {
        let malformed =
            || KekError::new(KekErrorKind::Malformed, "the parameters of this passphrase slot are malformed");
        let params = &wrapped.params;
        let number = |name| {
            let text = params.get(name).ok_or_else(malformed)?;
            // A number of another form is malformed; one too big for the type is over every limit.
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let decimal = digits && (text == "0" || !text.starts_with('0'));
            if decimal { Ok(text.parse::<u32>().unwrap_or(u32::MAX)) } else { Err(malformed()) }
        };
        match params.get("kdf").map(String::as_str) {
            Some("argon2id") if params.len() == 5 => {}
            None | Some("argon2id") => return Err(malformed()),
            Some(_) => {
                let why = "this passphrase slot was made with another function than argon2id";
                return Err(KekError::new(KekErrorKind::Unsupported, why));
            }
        }
        let cost = Argon2Cost {
            memory_kib: number("memory_kib")?,
            passes: number("passes")?,
            lanes: number("lanes")?,
        };
        let mut salt = Vec::new();
        params.get("salt").and_then(|text| decode_base64(text, &mut salt).ok()).ok_or_else(malformed)?;
        if salt.len() != SALT_BYTES {
            return Err(malformed());
        }
        let cost = cost.check()?;
        check_wrapped(&wrapped.wrapped)?;
        unwrap_under(&self.kek(cost, &salt)?, &slot.to_bytes(params), &wrapped.wrapped)
            .ok_or_else(|| KekError::new(KekErrorKind::Refused, "wrong passphrase, or the slot was altered"))
    }
}

/// A key file: 32 random bytes that are the KEK themselves.
pub struct KeyFile(Secret<32>);

impl KeyFile {
    /// Makes a new one.
    ///
    /// # Errors
    /// `Entropy`.
    pub fn generate() -> Result<Self> {
        random::secret().map(Self)
    }

    /// Reads the text of a key file. The caller checks that nobody but its owner may read it.
    ///
    /// # Errors
    /// `Malformed` if it is not one line of `amanat-key-file-v1:` and 43 characters.
    pub fn parse(text: &SecretBytes) -> Result<Self> {
        let wrong =
            || Error::malformed("not a key file: expected one line, `amanat-key-file-v1:` and 43 characters");
        let text = core::str::from_utf8(text.expose()).map_err(|_| wrong())?;
        let encoded =
            text.strip_suffix('\n').and_then(|line| line.strip_prefix(KEY_FILE_PREFIX)).ok_or_else(wrong)?;
        let mut bytes = Vec::with_capacity(64);
        let decoded = if encoded.len() == 43 { decode_base64(encoded, &mut bytes) } else { Err(wrong()) };
        let bytes = SecretBytes::new(bytes);
        decoded.map_err(|_| wrong())?;
        Secret::copy_from(bytes.expose()).map(Self).ok_or_else(wrong)
    }

    /// The text to write to a file that only its owner may read.
    #[must_use]
    pub fn to_text(&self) -> SecretBytes {
        let mut text = Vec::with_capacity(64);
        text.extend_from_slice(KEY_FILE_PREFIX.as_bytes());
        crate::wire::append_base64(self.0.expose(), &mut text);
        text.push(b'\n');
        SecretBytes::new(text)
    }

    /// Id of the KEK, as slots store it. Public.
    fn id(&self) -> String {
        let id: Secret<KEK_ID_BYTES> = kdf::derive(&self.0, &[kdf::KEK_ID]);
        id.expose().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Kek for KeyFile {
    fn provider(&self) -> &'static str {
        "key-file"
    }

    fn matches(&self, params: &SlotParams) -> bool {
        // A slot whose parameters are malformed is tried, so that it is named and not passed over.
        kek_id(params).is_none_or(|id| *id == self.id())
    }

    fn wrap(&self, slot: &SlotContext<'_>, secret: &KeyringSecret) -> Result<WrappedSecret, KekError> {
        let params = SlotParams::from([("kek_id".to_owned(), self.id())]);
        let wrapped = wrap_under(&self.0, &slot.to_bytes(&params), secret)?;
        Ok(WrappedSecret { params, wrapped })
    }

    fn unwrap(&self, slot: &SlotContext<'_>, wrapped: &WrappedSecret) -> Result<KeyringSecret, KekError> {
        if kek_id(&wrapped.params).is_none() {
            let why = "the parameters of this key-file slot are malformed";
            return Err(KekError::new(KekErrorKind::Malformed, why));
        }
        check_wrapped(&wrapped.wrapped)?;
        unwrap_under(&self.0, &slot.to_bytes(&wrapped.params), &wrapped.wrapped)
            .ok_or_else(|| KekError::new(KekErrorKind::Refused, "wrong key file, or the slot was altered"))
    }
}

/// The KEK id of a key-file slot; `None` if its parameters are anything but that.
fn kek_id(params: &SlotParams) -> Option<&String> {
    let id = params.get("kek_id").filter(|_| params.len() == 1)?;
    decode_hex(id, &mut [0; KEK_ID_BYTES]).map(|()| id)
}

/// Refuses a wrapped secret that no slot of these providers could hold.
fn check_wrapped(wrapped: &[u8]) -> Result<(), KekError> {
    if wrapped.len() == COMMITMENT_BYTES + NONCE_BYTES + 32 + TAG_BYTES {
        return Ok(());
    }
    Err(KekError::new(
        KekErrorKind::Malformed,
        "the wrapped secret of a slot has another length than 104 bytes",
    ))
}

/// `commitment ‖ nonce ‖ XAES-256-GCM(wrap key, nonce, secret, context)`.
fn wrap_under(kek: &Secret<32>, context: &[u8], secret: &KeyringSecret) -> Result<Vec<u8>, KekError> {
    let (key, commitment) = slot_keys(kek, context);
    let mut out = commitment.expose().to_vec();
    out.extend_from_slice(&wrap_secret(&key, context, secret)?);
    Ok(out)
}

/// Checks the commitment in constant time, then decrypts; `None` for any failure.
fn unwrap_under(kek: &Secret<32>, context: &[u8], wrapped: &[u8]) -> Option<KeyringSecret> {
    let (key, commitment) = slot_keys(kek, context);
    let (stored, rest) = wrapped.split_at_checked(COMMITMENT_BYTES)?;
    if !ct_eq(stored, commitment.expose()) {
        return None;
    }
    unwrap_secret(&key, context, rest)
}

fn slot_keys(kek: &Secret<32>, context: &[u8]) -> (Secret<32>, Secret<COMMITMENT_BYTES>) {
    // wrap key ‖ commitment = KDF(KEK, C, 64), where C is already a PAE.
    let okm = Secret::<64>::fill(|out| kdf::hkdf_sha256(kek.expose(), None, context, out));
    let okm = okm.expect("64 bytes are within HKDF's limit");
    let (key, commitment) = okm.expose().split_at(32);
    let halves = Secret::copy_from(key).zip(Secret::copy_from(commitment));
    halves.expect("two halves of 32 bytes")
}

/// `nonce ‖ XAES-256-GCM(key, nonce, secret, ad)`: 72 bytes.
pub(crate) fn wrap_secret(key: &Secret<32>, ad: &[u8], secret: &Secret<32>) -> Result<Vec<u8>> {
    let nonce = random::bytes::<NONCE_BYTES>()?;
    let mut out = Vec::with_capacity(NONCE_BYTES + 32 + TAG_BYTES);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(secret.expose());
    let body = out.get_mut(NONCE_BYTES..).unwrap_or_default();
    let mut tag = [0; TAG_BYTES];
    let sealed = Xaes::new(Engine::Ring, key.expose()).seal(&nonce, ad, body, &mut tag);
    sealed.map_err(|_| Error::misuse("the cipher refused 32 bytes"))?;
    out.extend_from_slice(&tag);
    Ok(out)
}

/// Undoes [`wrap_secret`]; `None` for any failure.
pub(crate) fn unwrap_secret(key: &Secret<32>, ad: &[u8], wrapped: &[u8]) -> Option<Secret<32>> {
    let mut reader = Reader::new(wrapped);
    let nonce = reader.take_array::<NONCE_BYTES>().ok()?;
    let tag = reader.take_last::<TAG_BYTES>().ok()?;
    let mut secret = Secret::copy_from(reader.take_rest())?;
    secret.open_in_place(|text| Xaes::new(Engine::Ring, key.expose()).open(nonce, ad, text, tag).ok())?;
    Some(secret)
}
