# SPDX-License-Identifier: MIT OR Apache-2.0
"""SPEC.md chapter 4: key ids, derived keys, states."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, NamedTuple, Optional, Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import KeyUnusable, UnknownKey
from .wire import check_name, pae

TOKEN_KEY_BYTES = {"pairwise": 64, "reversible": 64, "expiring": 64, "vaulted": 32,
                   "preserving": 32}
PURPOSES = ("field", "index", "token", "record", "intake", "audit")


class Allows(NamedTuple):
    """What a state allows; `by_name` is opening by name (break-glass)."""

    seal: bool
    open: bool
    by_name: bool


# SPEC 4.3. Sealing also asks that the key is the primary one.
STATES: Dict[str, Allows] = {
    "pre-activation": Allows(False, False, False),
    "active": Allows(True, True, True),
    "suspended": Allows(False, False, True),
    "deactivated": Allows(False, True, True),
    "compromised": Allows(False, False, True),
    "destroyed": Allows(False, False, False),
}


def kdf(secret: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA-256, empty salt, SPEC 2.4."""
    return HKDF(algorithm=SHA256(), length=length, salt=b"", info=info).derive(secret)


def key_id(secret: bytes, purpose: str) -> bytes:
    """SPEC 4.1.2."""
    return kdf(secret, pae(b"amanat/v1/key-id", purpose.encode()), 16)


def field_info(suite: int, registry: str, table: str, field: str) -> bytes:
    """The info of a field key, SPEC 4.2."""
    names = [check_name(name) for name in (registry, table, field)]
    return pae(b"amanat/v1/field", bytes([suite]), *names)


def token_info(registry: str, kind: str, recipient: str, purpose: str) -> bytes:
    """The info of a token key, SPEC 4.2."""
    return pae(b"amanat/v1/token", *(check_name(n) for n in (registry, kind, recipient, purpose)))


def field_key(secret: bytes, suite: int, registry: str, table: str, field: str) -> bytes:
    """SPEC 4.2."""
    return kdf(secret, field_info(suite, registry, table, field), 32)


def token_key(secret: bytes, registry: str, kind: str, recipient: str, purpose: str) -> bytes:
    """SPEC 4.2; the lengths are those of 10.1."""
    return kdf(secret, token_info(registry, kind, recipient, purpose), TOKEN_KEY_BYTES[kind])


def wrapping_key(keyring_secret: bytes, registry: str) -> bytes:
    """SPEC 4.2."""
    return kdf(keyring_secret, pae(b"amanat/v1/wrap", check_name(registry)), 32)


def file_mac_key(keyring_secret: bytes, registry: str) -> bytes:
    """SPEC 4.2."""
    return kdf(keyring_secret, pae(b"amanat/v1/keyring-mac", check_name(registry)), 32)


def kek_id(kek: bytes) -> bytes:
    """SPEC 4.2."""
    return kdf(kek, pae(b"amanat/v1/kek-id"), 16)


@dataclass(frozen=True)
class Key:
    """One key of a keyset, SPEC 4.1 and 4.3."""

    purpose: str
    id: bytes
    state: str
    primary: bool
    secret: Optional[bytes]


def new_key(secret: bytes, purpose: str, state: str = "active") -> Key:
    """A key made from its secret; primary if it is active."""
    return Key(purpose, key_id(secret, purpose), state, state == "active", secret)


def find_to_open(keys: Sequence[Key], purpose: str, wanted: bytes, by_name: bool = False) -> Key:
    """The key that opens an envelope, SPEC 5.5 opening step 1."""
    for key in keys:
        if key.purpose == purpose and key.id == wanted:
            allows = STATES[key.state]
            if key.secret is None or not (allows.by_name if by_name else allows.open):
                raise KeyUnusable("the key is " + key.state)
            return key
    raise UnknownKey("no key of purpose %s has the id %s" % (purpose, wanted.hex()))
