# SPDX-License-Identifier: MIT OR Apache-2.0
"""HPKE (RFC 9180), base mode, one message: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-GCM."""
from __future__ import annotations

import hashlib
import hmac
from typing import NamedTuple, Tuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .errors import Unauthentic

KEM, KDF = 0x0020, 0x0001
AES_128_GCM, AES_256_GCM = 0x0001, 0x0002
_KEY_BYTES = {AES_128_GCM: 16, AES_256_GCM: 32}


class Schedule(NamedTuple):
    """What the key schedule gives, RFC 9180 section 5.1."""

    shared_secret: bytes
    key: bytes
    base_nonce: bytes


def _extract(salt: bytes, material: bytes) -> bytes:
    return hmac.new(salt or bytes(32), material, hashlib.sha256).digest()


def _expand(key: bytes, info: bytes, length: int) -> bytes:
    out, block = b"", b""
    for counter in range(1, (length + 31) // 32 + 1):
        block = hmac.new(key, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
    return out[:length]


def _labeled_extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return _extract(salt, b"HPKE-v1" + suite + label + material)


def _labeled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return _expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def public_key(private: bytes) -> bytes:
    """The public key of an X25519 private key."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _exchange(private: bytes, public: bytes) -> bytes:
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise Unauthentic("does not open") from None


def _kem(shared: bytes, encapsulated: bytes, public: bytes) -> bytes:
    """ExtractAndExpand, section 4.1."""
    suite = b"KEM" + KEM.to_bytes(2, "big")
    prk = _labeled_extract(suite, b"", b"eae_prk", shared)
    return _labeled_expand(suite, prk, b"shared_secret", encapsulated + public, 32)


def schedule(shared_secret: bytes, info: bytes, aead: int) -> Schedule:
    """KeySchedule in base mode, section 5.1."""
    suite = b"HPKE" + b"".join(n.to_bytes(2, "big") for n in (KEM, KDF, aead))
    context = b"\x00" + _labeled_extract(suite, b"", b"psk_id_hash", b"") + _labeled_extract(
        suite, b"", b"info_hash", info)
    secret = _labeled_extract(suite, shared_secret, b"secret", b"")
    return Schedule(shared_secret,
                    _labeled_expand(suite, secret, b"key", context, _KEY_BYTES[aead]),
                    _labeled_expand(suite, secret, b"base_nonce", context, 12))


def seal(ephemeral: bytes, public: bytes, info: bytes, ad: bytes, text: bytes,
         aead: int = AES_256_GCM) -> Tuple[bytes, bytes, Schedule]:
    """Encapsulated key, ciphertext, and the key schedule. The caller draws `ephemeral`."""
    encapsulated = public_key(ephemeral)
    found = schedule(_kem(_exchange(ephemeral, public), encapsulated, public), info, aead)
    return encapsulated, AESGCM(found.key).encrypt(found.base_nonce, text, ad), found


def open_sealed(private: bytes, encapsulated: bytes, info: bytes, ad: bytes, sealed: bytes,
                aead: int = AES_256_GCM) -> bytes:
    """The plaintext, or Unauthentic."""
    shared = _kem(_exchange(private, encapsulated), encapsulated, public_key(private))
    found = schedule(shared, info, aead)
    try:
        return AESGCM(found.key).decrypt(found.base_nonce, sealed, ad)
    except InvalidTag:
        raise Unauthentic("does not open") from None
