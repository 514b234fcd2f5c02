// SPDX-License-Identifier: MIT OR Apache-2.0
//! One value: sealed for its row, opened from it.
//!
//! Owns SPEC 5.5. The only module that seals and opens fields. Never tries a key that the header does not name.

use core::fmt;

use crate::blob::{self, BlobKey, STREAM_PREFIX_BYTES, StreamOpener, StreamSealer};
use crate::context::{AssociatedData, FieldContext, RecordId};
use crate::crypto::aes_gcm::Aes256Gcm;
use crate::crypto::random::{self, Nonces};
use crate::crypto::xaes::{SALT_BYTES, Salt, Xaes, split};
use crate::crypto::xchacha::XChaCha;
use crate::crypto::{Engine, Unauthentic, kdf};
use crate::envelope::{Envelope, header, parse_header};
use crate::error::{Error, Result};
use crate::ident::KeyId;
use crate::keys::{Allowance, Field, Keyset, State};
use crate::secret::{Secret, SecretBytes};
use crate::suite::{
    HEADER_BYTES, MAX_BLOB_BYTES, MAX_FIELD_BYTES, MAX_MESSAGES_PER_SALT, NONCE_BYTES, Suite, TAG_BYTES,
};
use crate::value::{BYTES, Bucket, Value, ValueRef};
use crate::wire::Reader;

/// How a field is sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealOptions {
    /// Which code runs the cipher; both give the same bytes.
    pub engine: Engine,
    /// The algorithm for values up to [`MAX_FIELD_BYTES`].
    pub family: Family,
    /// What padded lengths are rounded up to.
    pub bucket: Bucket,
}

/// The cipher family of new envelopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// XAES-256-GCM, suite 0x01: the default.
    #[default]
    Aes,
    /// XChaCha20-Poly1305, suite 0x02: where AES is slow or in doubt. Values over [`MAX_FIELD_BYTES`] still use AES.
    ChaCha,
}

impl Family {
    /// The suite of values up to [`MAX_FIELD_BYTES`].
    #[must_use]
    pub const fn suite(self) -> Suite {
        match self {
            Self::Aes => Suite::Xaes256Gcm,
            Self::ChaCha => Suite::XChaCha20Poly1305,
        }
    }
}

/// Seals the values of one field under the primary key.
///
/// Protects the value, and binds it to registry, table, field and record. Leaks the key id and the length's bucket.
/// One sealer serves one thread; the sealers of all threads share one [`Allowance`].
pub struct FieldSealer {
    header: [u8; HEADER_BYTES],
    cipher: Cipher,
    bucket: Bucket,
    engine: Engine,
    blob_key: Secret<32>,
    allowance: Allowance,
    ad: AssociatedData,
}

enum Cipher {
    /// The salt, its ready key, and how many envelopes it may still seal.
    Aes {
        xaes: Box<Xaes>,
        salt: Salt,
        ready: Option<Aes256Gcm>,
        left: u32,
    },
    ChaCha(XChaCha),
}

impl FieldSealer {
    /// Makes a sealer of a field.
    ///
    /// # Errors
    /// `Misuse` if the allowance is of another key than the keyset's primary, or the context of another registry.
    pub fn new(
        keys: &Keyset<'_, Field>,
        context: &FieldContext,
        options: SealOptions,
        allowance: &Allowance,
    ) -> Result<Self> {
        check_registry(keys, context)?;
        if allowance.key() != keys.primary() {
            return Err(Error::misuse(
                "the allowance was reserved for another key than the primary; reserve after activating",
            ));
        }
        let suite = options.family.suite();
        let secret = keys.primary_secret()?;
        let key = field_key(secret, suite, context);
        let cipher = match options.family {
            Family::Aes => {
                let xaes = Box::new(Xaes::new(options.engine, key.expose()));
                Cipher::Aes { xaes, salt: [0; SALT_BYTES], ready: None, left: 0 }
            }
            Family::ChaCha => Cipher::ChaCha(XChaCha::new(options.engine, key)),
        };
        Ok(Self {
            header: header(suite, keys.primary()),
            cipher,
            bucket: options.bucket,
            engine: options.engine,
            blob_key: field_key(secret, Suite::Cobblestone256, context),
            allowance: allowance.clone(),
            ad: AssociatedData::default(),
        })
    }

    /// Id of the key that seals.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.allowance.key()
    }

    /// Seals one value into a new envelope.
    ///
    /// Limits: [`MAX_BLOB_BYTES`]; a value over [`MAX_FIELD_BYTES`] becomes a suite 0x04 envelope.
    ///
    /// # Errors
    /// `Limit` if the value is too long or the allowance is used up; `Malformed` for CBOR that is not one item; `Entropy`.
    pub fn seal(&mut self, record: &RecordId<'_>, value: ValueRef<'_>) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(self.envelope_bytes(value));
        self.seal_into(record, value, &mut out)?;
        Ok(out)
    }

    /// Seals one value and appends its envelope. `out` is unchanged on failure.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub fn seal_into(&mut self, record: &RecordId<'_>, value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<()> {
        self.allowance.take(1)?;
        self.seal_with(&mut Nonces::Single, record, value, out)
    }

    /// Seals many values and appends their envelopes to the batch, in order. The operating system is asked for random bytes once.
    ///
    /// # Errors
    /// As [`seal`](Self::seal); the batch then holds the envelopes before the one that failed.
    pub fn seal_batch<'a>(
        &mut self,
        values: impl ExactSizeIterator<Item = (&'a RecordId<'a>, ValueRef<'a>)>,
        out: &mut EnvelopeBatch,
    ) -> Result<()> {
        let count = values.len();
        self.allowance.take(u64::try_from(count).unwrap_or(u64::MAX))?;
        let mut nonces = Nonces::for_parts(self.nonce_parts().saturating_mul(count))?;
        // No more than were counted, whatever the iterator gives.
        for (record, value) in values.take(count) {
            self.seal_with(&mut nonces, record, value, &mut out.bytes)?;
            out.ends.push(out.bytes.len());
        }
        Ok(())
    }

    /// Halves of a nonce that each envelope draws.
    pub(crate) const fn nonce_parts(&self) -> usize {
        match self.cipher {
            Cipher::Aes { .. } => 1,
            Cipher::ChaCha(_) => 2,
        }
    }

    /// Takes messages from the allowance for a caller that then seals with [`seal_with`](Self::seal_with).
    pub(crate) fn take_allowance(&self, count: u64) -> Result<()> {
        self.allowance.take(count)
    }

    /// Seals one value with nonces of the caller's call. The caller has counted the message.
    #[inline]
    pub(crate) fn seal_with(
        &mut self,
        nonces: &mut Nonces,
        record: &RecordId<'_>,
        value: ValueRef<'_>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let length = value.content_bytes();
        value.check()?;
        if length > MAX_FIELD_BYTES {
            return self.seal_blob(record, value, out);
        }
        // Early, so that its bytes have settled when the cipher reads them in wider pieces than they were written.
        let ad = self.ad.set(&self.header, record.as_bytes());
        let start = out.len();
        out.reserve(HEADER_BYTES + NONCE_BYTES + self.bucket.round_up(length + 2) + TAG_BYTES);
        out.extend_from_slice(&self.header);
        let mut nonce = NonceHalves { first: [0; 12], second: [0; 12] };
        self.cipher.next_nonce(nonces, &mut nonce).inspect_err(|_| out.truncate(start))?;
        out.extend_from_slice(&nonce.first);
        out.extend_from_slice(&nonce.second);
        value.append_padded(self.bucket, out);
        out.extend_from_slice(&[0; TAG_BYTES]);
        let text = out.get_mut(start + HEADER_BYTES + NONCE_BYTES..).unwrap_or_default();
        let text = text.split_last_chunk_mut().ok_or(Unauthentic);
        let sealed = text.and_then(|(text, tag)| self.cipher.seal(&nonce, ad, text, tag));
        sealed.map_err(|Unauthentic| {
            out.truncate(start);
            Error::limit("the cipher refused the value's length")
        })
    }

    fn seal_blob(&mut self, record: &RecordId<'_>, value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<()> {
        if value.content_bytes() > MAX_BLOB_BYTES {
            return Err(Error::limit("the value is longer than 1 GiB"));
        }
        let header = header(Suite::Cobblestone256, self.key());
        let ad = self.ad.set(&header, record.as_bytes());
        let keys = BlobKey { engine: self.engine, key: &self.blob_key, ad };
        blob::seal_value(keys, &header, value, self.bucket, out)
    }

    /// Starts sealing a value of type bytes that comes in pieces; appends the start of its suite 0x04 envelope.
    ///
    /// # Errors
    /// `Limit` if the allowance is used up; `Entropy`.
    pub fn seal_stream(&mut self, record: &RecordId<'_>, out: &mut Vec<u8>) -> Result<StreamSealer> {
        self.allowance.take(1)?;
        let salt = random::bytes()?;
        let header = header(Suite::Cobblestone256, self.key());
        let ad = self.ad.set(&header, record.as_bytes());
        let keys = BlobKey { engine: self.engine, key: &self.blob_key, ad };
        let mut stream = StreamSealer::start(keys, &header, &salt, self.bucket, out);
        stream.update(&[BYTES], out)?;
        Ok(stream)
    }

    /// Length of the envelope of a value.
    fn envelope_bytes(&self, value: ValueRef<'_>) -> usize {
        let padded = self.bucket.round_up(value.content_bytes() + 2);
        HEADER_BYTES + NONCE_BYTES + padded + TAG_BYTES
    }
}

impl Cipher {
    /// Writes a fresh nonce; for AES its first half is the salt in use.
    #[inline]
    fn next_nonce(&mut self, nonces: &mut Nonces, nonce: &mut NonceHalves) -> Result<()> {
        match self {
            Self::Aes { xaes, salt, ready, left } => {
                if *left == 0 {
                    nonces.fill(salt)?;
                    *ready = Some(xaes.derive(salt));
                    *left = MAX_MESSAGES_PER_SALT;
                }
                *left -= 1;
                nonce.first = *salt;
            }
            Self::ChaCha(_) => nonces.fill(&mut nonce.first)?,
        }
        nonces.fill(&mut nonce.second)
    }

    #[inline]
    fn seal(
        &self,
        nonce: &NonceHalves,
        ad: &[u8],
        text: &mut [u8],
        tag: &mut [u8; TAG_BYTES],
    ) -> Result<(), Unauthentic> {
        match self {
            Self::Aes { ready: Some(key), .. } => key.seal(nonce.second, ad, text, tag),
            Self::Aes { xaes, .. } => xaes.derive(&nonce.first).seal(nonce.second, ad, text, tag),
            Self::ChaCha(key) => key.seal(&nonce.whole(), ad, text, tag),
        }
    }
}

/// A nonce in the halves that XAES treats apart.
///
/// Handed on by reference: bytes that are written in one width and copied in another stall the processor, here for a tenth of a short seal.
struct NonceHalves {
    first: Salt,
    second: [u8; 12],
}

impl NonceHalves {
    fn whole(&self) -> [u8; NONCE_BYTES] {
        let mut whole = [0; NONCE_BYTES];
        let (first, second) = whole.split_at_mut(SALT_BYTES);
        first.copy_from_slice(&self.first);
        second.copy_from_slice(&self.second);
        whole
    }
}

impl fmt::Debug for FieldSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldSealer(key {})", self.key().short())
    }
}

/// Envelopes of one call, one after the other in one buffer that can be used again.
#[derive(Debug, Default)]
pub struct EnvelopeBatch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Vec<usize>,
}

impl EnvelopeBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Empties the batch and keeps its room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Number of envelopes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The envelope at a position, from 0.
    #[must_use]
    pub fn get(&self, position: usize) -> Option<&[u8]> {
        let end = *self.ends.get(position)?;
        let start = position.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.bytes.get(start..end)
    }

    /// The envelopes in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.ends.len()).map(|position| self.get(position).unwrap_or_default())
    }
}

/// What an opener may open beyond the ordinary.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Which code runs the cipher; both open the same bytes.
    pub engine: Engine,
    /// Keys that are suspended or compromised and shall open nevertheless. Log every use: this is breaking the glass.
    pub break_glass: Vec<KeyId>,
}

/// Ready keys that an opener keeps, each of one key and salt.
const CACHED_SALTS: usize = 128;

/// Opens the values of one field.
///
/// Decides from the header alone which key opens; an unknown key or a state that forbids opening is said before any key is used.
/// One opener serves one thread.
pub struct FieldOpener {
    keys: Vec<OpenKey>,
    /// Ready AES-256-GCM keys, each at the place that its salt's first byte gives.
    cache: Vec<Option<Cached>>,
    engine: Engine,
    plain: SecretBytes,
    ad: AssociatedData,
}

struct OpenKey {
    id: KeyId,
    state: State,
    ciphers: Option<OpenCiphers>,
}

struct OpenCiphers {
    xaes: Xaes,
    xchacha: XChaCha,
    blob: Secret<32>,
}

struct Cached {
    key: KeyId,
    salt: Salt,
    ready: Aes256Gcm,
}

impl FieldOpener {
    /// Makes an opener of a field with every key of the keyset whose state allows it.
    ///
    /// # Errors
    /// `Misuse` if the context is of another registry; `UnknownKey` or `KeyUnusable` if a break-glass key cannot open.
    pub fn new(keys: &Keyset<'_, Field>, context: &FieldContext, options: &OpenOptions) -> Result<Self> {
        check_registry(keys, context)?;
        for id in &options.break_glass {
            let key = keys.keys().find(|key| key.info.id == *id).ok_or_else(|| Error::unknown_key(*id))?;
            if !key.info.state.opens_by_name() {
                return Err(unusable(*id, key.info.state));
            }
        }
        let open_key = |key: &crate::keys::Key| {
            let (id, state) = (key.info.id, key.info.state);
            let opens = state.opens() || options.break_glass.contains(&id);
            let ciphers = key.secret.as_ref().filter(|_| opens).map(|secret| OpenCiphers {
                xaes: Xaes::new(options.engine, field_key(secret, Suite::Xaes256Gcm, context).expose()),
                xchacha: XChaCha::new(options.engine, field_key(secret, Suite::XChaCha20Poly1305, context)),
                blob: field_key(secret, Suite::Cobblestone256, context),
            });
            OpenKey { id, state, ciphers }
        };
        Ok(Self {
            keys: keys.keys().map(open_key).collect(),
            cache: (0..CACHED_SALTS).map(|_| None).collect(),
            engine: options.engine,
            plain: SecretBytes::default(),
            ad: AssociatedData::default(),
        })
    }

    /// Opens the envelope of a record. The value is lent until the next call, overwritten then, and wiped with the opener.
    ///
    /// # Errors
    /// `Malformed`, `Unsupported` and `Limit` of the grammar; `UnknownKey` and `KeyUnusable` of the header's key; `Unauthentic` for
    /// everything that goes wrong once a key is used: altered bytes and another context look the same.
    #[inline]
    pub fn open(&mut self, record: &RecordId<'_>, envelope: &[u8]) -> Result<ValueRef<'_>> {
        let envelope = Envelope::parse(envelope)?;
        self.open_parsed(record, &envelope)
    }

    /// Opens the envelope of a record and copies the value.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_value(&mut self, record: &RecordId<'_>, envelope: &[u8]) -> Result<Value> {
        let value = self.open(record, envelope)?.to_value();
        self.plain.wipe();
        Ok(value)
    }

    /// Opens a parsed envelope, as [`open`](Self::open).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_parsed(&mut self, record: &RecordId<'_>, envelope: &Envelope<'_>) -> Result<ValueRef<'_>> {
        if envelope.suite() == Suite::Aes256Siv {
            return Err(Error::unsupported("a token of suite 0x03 stands where a sealed field belongs")
                .at_key(envelope.key()));
        }
        let (key, ciphers) = find_key(&self.keys, envelope.key())?;
        let ad = self.ad.set(envelope.header(), record.as_bytes());
        let plain = &mut self.plain;
        let opened = match envelope.suite() {
            Suite::Xaes256Gcm => open_body(envelope, plain, |nonce, text, tag| {
                let (salt, rest) = split(nonce);
                ready_key(&mut self.cache, key.id, salt, &ciphers.xaes)?.open(rest, ad, text, tag).ok()
            }),
            Suite::XChaCha20Poly1305 => {
                open_body(envelope, plain, |nonce, text, tag| ciphers.xchacha.open(nonce, ad, text, tag).ok())
            }
            Suite::Cobblestone256 => {
                let keys = BlobKey { engine: self.engine, key: &ciphers.blob, ad };
                blob::open_padded(keys, envelope.body(), plain)
            }
            Suite::Aes256Siv => None,
        };
        if opened.is_none() {
            self.plain.wipe();
            return Err(Error::unauthentic());
        }
        let value = ValueRef::from_padded(self.plain.expose()).map_err(|_| Error::unauthentic())?;
        let fits = value.content_bytes() <= envelope.suite().max_value_bytes();
        if fits { Ok(value) } else { Err(Error::unauthentic()) }
    }
}

impl FieldOpener {
    /// Starts opening a suite 0x04 envelope of type bytes that comes in pieces, from its first [`STREAM_PREFIX_BYTES`] bytes.
    ///
    /// # Errors
    /// As [`open`](Self::open); `Unsupported` for another suite.
    pub fn open_stream(
        &mut self,
        record: &RecordId<'_>,
        prefix: &[u8; STREAM_PREFIX_BYTES],
    ) -> Result<StreamOpener> {
        let (suite, id, header) = parse_header(prefix)?;
        if suite != Suite::Cobblestone256 {
            return Err(Error::unsupported(
                "only envelopes of suite 0x04 are opened as a stream; open this one whole",
            ));
        }
        let mut reader = Reader::new(prefix);
        reader.take(HEADER_BYTES)?;
        let (salt, commitment) = (reader.take_array()?, reader.take_array()?);
        let (_, ciphers) = find_key(&self.keys, id)?;
        let ad = self.ad.set(header, record.as_bytes());
        StreamOpener::start(BlobKey { engine: self.engine, key: &ciphers.blob, ad }, salt, commitment)
    }
}

/// The key that a header names, if its state lets it open.
fn find_key(keys: &[OpenKey], id: KeyId) -> Result<(&OpenKey, &OpenCiphers)> {
    let key = keys.iter().find(|key| key.id == id).ok_or_else(|| Error::unknown_key(id))?;
    let ciphers = key.ciphers.as_ref().ok_or_else(|| unusable(id, key.state))?;
    Ok((key, ciphers))
}

impl fmt::Debug for FieldOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldOpener({} keys)", self.keys.len())
    }
}

/// Copies the ciphertext of suites 0x01 and 0x02 into `plain` and opens it there.
fn open_body(
    envelope: &Envelope<'_>,
    plain: &mut SecretBytes,
    open: impl FnOnce(&[u8; NONCE_BYTES], &mut [u8], &[u8; TAG_BYTES]) -> Option<()>,
) -> Option<()> {
    let mut reader = Reader::new(envelope.body());
    let nonce = reader.take_array().ok()?;
    let tag = reader.take_last().ok()?;
    let text = reader.take_rest();
    plain.make_room(text.len());
    open(nonce, plain.append(text), tag)
}

/// The ready key of a salt, derived if it is not the one that was kept.
fn ready_key<'a>(
    cache: &'a mut [Option<Cached>],
    key: KeyId,
    salt: Salt,
    xaes: &Xaes,
) -> Option<&'a Aes256Gcm> {
    let [first, ..] = salt;
    let slot = cache.get_mut(usize::from(first) % CACHED_SALTS)?;
    let kept = slot.as_ref().is_some_and(|kept| kept.salt == salt && kept.key == key);
    if !kept {
        *slot = Some(Cached { key, salt, ready: xaes.derive(&salt) });
    }
    slot.as_ref().map(|cached| &cached.ready)
}

/// `field key = KDF(secret, PAE("amanat/v1/field", suite, registry, table, field), 32)`.
pub(crate) fn field_key(secret: &Secret<32>, suite: Suite, context: &FieldContext) -> Secret<32> {
    let (registry, table, field) = (context.registry(), context.table(), context.field());
    kdf::derive(
        secret,
        &[kdf::FIELD, &[suite.byte()], registry.as_bytes(), table.as_bytes(), field.as_bytes()],
    )
}

fn check_registry(keys: &Keyset<'_, Field>, context: &FieldContext) -> Result<()> {
    if keys.registry() == context.registry() {
        return Ok(());
    }
    Err(Error::misuse("the context names another registry than the keyring"))
}

fn unusable(id: KeyId, state: State) -> Error {
    let remedy = match state {
        State::Suspended | State::Compromised => "; it opens only for a caller who names it (break-glass)",
        State::Destroyed => "; what was sealed under it cannot be opened any more",
        _ => "",
    };
    Error::key_unusable(id, format!("key {} is {state}{remedy}", id.short()))
}
