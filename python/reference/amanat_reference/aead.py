# SPDX-License-Identifier: MIT OR Apache-2.0
"""SPEC.md 5.5 to 5.7: the four encryption schemes.

AES, GCM, SIV, ChaCha20-Poly1305 and HKDF come from the `cryptography` package.
HChaCha20 is written out here because that package does not offer it. That is
an exception for this reference decoder only: it is not constant time.
"""
from __future__ import annotations

import hmac
import struct
from typing import List, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from .errors import Malformed, Unauthentic

CHUNK = 16_384
TAG = 16
SEALED_CHUNK = CHUNK + TAG
COBBLESTONE_LABEL = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"


def xor(a: bytes, b: bytes) -> bytes:
    """Two strings of one length, byte by byte."""
    return bytes(x ^ y for x, y in zip(a, b))


def _refuse() -> Unauthentic:
    return Unauthentic("does not open")


# -- XAES-256-GCM, SPEC 5.5 ---------------------------------------------------

class Xaes(NamedTuple):
    """The intermediate values of XAES-256-GCM, for the test vectors."""

    l: bytes
    k1: bytes
    kx: bytes
    nx: bytes


def xaes_derive(key: bytes, nonce: bytes) -> Xaes:
    """Key and nonce of the inner AES-256-GCM."""
    aes = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # nosec: one block, as CMAC does
    big_l = aes.update(bytes(16))
    doubled = int.from_bytes(big_l, "big") << 1
    k1 = (doubled & ((1 << 128) - 1)).to_bytes(16, "big")
    if big_l[0] & 0x80:
        k1 = k1[:15] + bytes([k1[15] ^ 0x87])
    kx = b"".join(
        aes.update(xor(bytes([0, counter, 0x58, 0]) + nonce[:12], k1)) for counter in (1, 2))
    return Xaes(big_l, k1, kx, nonce[12:])


def xaes_seal(key: bytes, nonce: bytes, plaintext: bytes, ad: bytes) -> bytes:
    """ciphertext ‖ tag."""
    inner = xaes_derive(key, nonce)
    return AESGCM(inner.kx).encrypt(inner.nx, plaintext, ad)


def xaes_open(key: bytes, nonce: bytes, sealed: bytes, ad: bytes) -> bytes:
    """The plaintext, or Unauthentic."""
    inner = xaes_derive(key, nonce)
    try:
        return AESGCM(inner.kx).decrypt(inner.nx, sealed, ad)
    except InvalidTag:
        raise _refuse() from None


# -- XChaCha20-Poly1305, SPEC 5.5 ---------------------------------------------

def _quarter_round(s: List[int], a: int, b: int, c: int, d: int) -> None:
    """RFC 8439 section 2.1."""
    for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xFFFFFFFF
        mixed = s[z] ^ s[x]
        s[z] = (mixed << turn | mixed >> (32 - turn)) & 0xFFFFFFFF


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """draft-irtf-cfrg-xchacha-03 section 2.2: 32 bytes from a 16-byte nonce."""
    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))
    for _ in range(10):
        for i in range(4):
            _quarter_round(s, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            _quarter_round(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<8I", *(s[:4] + s[12:]))


def xchacha_seal(key: bytes, nonce: bytes, plaintext: bytes, ad: bytes) -> bytes:
    """ciphertext ‖ tag."""
    inner = ChaCha20Poly1305(hchacha20(key, nonce[:16]))
    return inner.encrypt(bytes(4) + nonce[16:], plaintext, ad)


def xchacha_open(key: bytes, nonce: bytes, sealed: bytes, ad: bytes) -> bytes:
    """The plaintext, or Unauthentic."""
    inner = ChaCha20Poly1305(hchacha20(key, nonce[:16]))
    try:
        return inner.decrypt(bytes(4) + nonce[16:], sealed, ad)
    except InvalidTag:
        raise _refuse() from None


# -- AES-256-SIV, SPEC 5.6 ----------------------------------------------------

def siv_seal(key: bytes, plaintext: bytes, ad: bytes) -> bytes:
    """synthetic IV ‖ ciphertext, one component of associated data."""
    return AESSIV(key).encrypt(plaintext, [ad])


def siv_open(key: bytes, sealed: bytes, ad: bytes) -> bytes:
    """The plaintext, or Unauthentic."""
    try:
        return AESSIV(key).decrypt(sealed, [ad])
    except InvalidTag:
        raise _refuse() from None


# -- Cobblestone-256, SPEC 5.7 ------------------------------------------------

class Cobblestone(NamedTuple):
    """What HKDF-Expand gives for one message."""

    info: bytes
    key: bytes
    base_nonce: bytes
    commitment: bytes


def cobblestone_derive(field_key: bytes, salt: bytes, ad: bytes) -> Cobblestone:
    """SPEC 5.7.2."""
    info = COBBLESTONE_LABEL + salt + ad
    out = HKDFExpand(algorithm=SHA512(), length=76, info=info).derive(field_key)
    return Cobblestone(info, out[:32], out[32:44], out[44:])


def _chunk_nonce(base: bytes, index: int) -> bytes:
    """SPEC 5.7.3: the index stands big-endian in the low bytes."""
    return xor(base, index.to_bytes(12, "big"))


def cobblestone_length(sealed: int) -> int:
    """The length of the message in `sealed` bytes of chunks, SPEC 5.7.4."""
    full, last = divmod(sealed, SEALED_CHUNK)
    if last < TAG:
        raise Malformed("the last chunk is full, missing or too short")
    return full * CHUNK + last - TAG


def cobblestone_seal(field_key: bytes, salt: bytes, message: bytes, ad: bytes) -> bytes:
    """salt ‖ commitment ‖ chunks."""
    parts = cobblestone_derive(field_key, salt, ad)
    gcm, out = AESGCM(parts.key), [salt, parts.commitment]
    for index in range(len(message) // CHUNK + 1):
        chunk = message[index * CHUNK:(index + 1) * CHUNK]
        out.append(gcm.encrypt(_chunk_nonce(parts.base_nonce, index), chunk, None))
    return b"".join(out)


def cobblestone_open(field_key: bytes, body: bytes, ad: bytes) -> bytes:
    """The message, or Unauthentic; the commitment is checked first."""
    salt, commitment, sealed = body[:24], body[24:56], body[56:]
    cobblestone_length(len(sealed))
    parts = cobblestone_derive(field_key, salt, ad)
    if not hmac.compare_digest(parts.commitment, commitment):
        raise _refuse()
    gcm, out = AESGCM(parts.key), []
    for index, at in enumerate(range(0, len(sealed), SEALED_CHUNK)):
        try:
            out.append(gcm.decrypt(
                _chunk_nonce(parts.base_nonce, index), sealed[at:at + SEALED_CHUNK], None))
        except InvalidTag:
            raise _refuse() from None
    return b"".join(out)
