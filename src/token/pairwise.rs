// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pairwise tokens: irreversible, one for each value, recipient and purpose.
//!
//! Owns SPEC 10.3. Never gives two recipients anything in common.

use core::fmt;

use zeroize::Zeroizing;

use super::epoch_keys::{EpochKey, check_makes};
use super::text::{Audience, Epoch, Token, TokenHeader, TokenKind};
use crate::crypto::prf::{HmacKey, ProofKey};
use crate::error::{Error, Result};
use crate::ident::KeyId;
use crate::keys::{self, Keyset, State};
use crate::normal::{MAX_NORMAL_BYTES, Normal, NormalForm};
use crate::secret::ct_eq;
use crate::wire::{append_pae_part, append_pae_start};

/// Bytes of a token that stand for the value.
pub(super) const BODY_BYTES: usize = 16;
/// Bytes that prove who made it.
pub(super) const PROOF_BYTES: usize = 4;
pub(super) const DATA_BYTES: usize = BODY_BYTES + PROOF_BYTES;

/// Makes the pairwise tokens of one recipient, purpose and epoch.
///
/// Shape: 128 bits of HMAC-SHA-256 and 32 bits of proof, in the text of SPEC 10.2. Protects the value: without the key no candidate can be
/// tested, and tokens of two recipients are unrelated. Leaks equality to its recipient, which is its use.
pub struct PairwiseTokens {
    header: TokenHeader,
    key: KeyId,
    state: State,
    hmac: HmacKey,
    proof: ProofKey,
    /// `PAE(form, …` of the form that was used last, and how long that part is.
    message: Zeroizing<Vec<u8>>,
    start: usize,
    form: Option<NormalForm>,
}

impl PairwiseTokens {
    /// Derives the key of an audience and epoch. `break_glass` names keys that are suspended or compromised and shall resolve tokens
    /// nevertheless; no such key makes one, but see [`append_old`](Self::append_old).
    ///
    /// # Errors
    /// `UnknownKey` if the keyring has no such epoch; `KeyUnusable` if its state forbids resolving.
    pub fn new(
        keys: &Keyset<'_, keys::Token>,
        audience: &Audience,
        epoch: Epoch,
        break_glass: &[KeyId],
    ) -> Result<Self> {
        let key = EpochKey::<64>::derive(keys, TokenKind::Pairwise, audience, epoch, break_glass)?;
        // The first half keys the HMAC, the second the proof.
        let (hmac, proof) = key.secret.expose().split_at(32);
        let proof: &[u8; 32] = proof.try_into().map_err(|_| Error::misuse("a token key has 64 bytes"))?;
        Ok(Self {
            header: TokenHeader::new(TokenKind::Pairwise, epoch, audience.clone()),
            key: key.id,
            state: key.state(),
            hmac: HmacKey::new(hmac),
            proof: ProofKey::new(proof),
            // The longest message: growing would leave a copy behind.
            message: Zeroizing::new(Vec::with_capacity(2 * MAX_NORMAL_BYTES)),
            start: 0,
            form: None,
        })
    }

    /// What every token of this maker says of itself.
    #[must_use]
    pub const fn header(&self) -> &TokenHeader {
        &self.header
    }

    /// Makes the token of a value.
    ///
    /// # Errors
    /// `KeyUnusable` if the epoch's key is not active.
    pub fn make(&mut self, value: &Normal) -> Result<Token> {
        check_makes(self.key, self.header.epoch(), self.state)?;
        value.check_ready()?;
        Ok(Token::new(self.header.clone(), self.data_of(value).to_vec()))
    }

    /// Appends the text of the token of a value; allocates only if `out` is too small.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn append(&mut self, value: &Normal, out: &mut Vec<u8>) -> Result<()> {
        check_makes(self.key, self.header.epoch(), self.state)?;
        self.append_old(value, out)
    }

    /// Appends the text of the token that a value had, for a crosswalk from an epoch whose key makes no tokens any more. Of a key that is
    /// compromised it belongs to nobody but the recipient, who has it already.
    ///
    /// # Errors
    /// `Misuse` for a value that is not ready.
    pub fn append_old(&mut self, value: &Normal, out: &mut Vec<u8>) -> Result<()> {
        value.check_ready()?;
        let data = self.data_of(value);
        self.header.append(&data, out);
        Ok(())
    }

    /// Whether a token was made under this very key. Needs no value, and is wrong for one invented token in 2^32.
    #[must_use]
    pub fn proves(&self, token: &Token) -> bool {
        *token.header() == self.header && proves(&self.proof, token.data())
    }

    /// Whether a token is the one of a value.
    #[must_use]
    pub fn is_of(&mut self, token: &Token, value: &Normal) -> bool {
        let data = self.data_of(value);
        *token.header() == self.header && ct_eq(token.data(), &data)
    }

    /// What stands for a value in a token, whatever the state of the key.
    pub(super) fn data_of(&mut self, value: &Normal) -> [u8; DATA_BYTES] {
        // body = HMAC-SHA-256(key[0..32], PAE(form, normal form))[0..16]; proof = AES-256(key[32..64], body)[0..4]
        if self.form.as_ref() != Some(value.form()) {
            self.message.clear();
            let form = value.form().identity();
            append_pae_start(2, &mut self.message);
            append_pae_part(form.as_bytes(), &mut self.message);
            self.start = self.message.len();
            self.form = Some(value.form().clone());
        }
        self.message.truncate(self.start);
        append_pae_part(value.as_bytes(), &mut self.message);
        let hash = self.hmac.sign(&self.message);
        let (body, _) = hash.split_first_chunk().unwrap_or((&[0; BODY_BYTES], &[]));
        with_proof(&self.proof, body)
    }
}

/// `body ‖ proof`.
pub(super) fn with_proof(key: &ProofKey, body: &[u8; BODY_BYTES]) -> [u8; DATA_BYTES] {
    let proof = key.prove(body);
    let mut data = [0; DATA_BYTES];
    let (first, last) = data.split_at_mut(BODY_BYTES);
    first.copy_from_slice(body);
    last.copy_from_slice(&proof);
    data
}

/// Whether the proof at the end of a token's data is genuine.
pub(super) fn proves(key: &ProofKey, data: &[u8]) -> bool {
    let Some((body, proof)) = data.split_first_chunk::<BODY_BYTES>() else { return false };
    ct_eq(&key.prove(body), proof)
}

impl fmt::Debug for PairwiseTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairwiseTokens({}, key {})", self.header.audience().recipient(), self.key.short())
    }
}
