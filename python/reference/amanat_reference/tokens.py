# SPDX-License-Identifier: MIT OR Apache-2.0
"""SPEC.md chapter 10: tokens, their text, and translation."""
from __future__ import annotations

import hashlib
import hmac
import re
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from . import bech32m, envelope, hpke, identifier, index, keys, value
from .errors import (Expired, KeyUnusable, Limit, Malformed, Schema, Unauthentic, UnknownKey,
                     Unsupported)
from .ff1 import Ff1
from .keys import Key
from .normal import Form
from .value import BYTES, TEXT, Value
from .wire import b64, pae, unb64

MAX_TEXT = 1023
MAX_EPOCH = 1024
MAX_VALUE_BYTES = 256
MAX_WALK = 65_536
LETTERS = {"p": "pairwise", "r": "reversible", "x": "expiring", "v": "vaulted", "f": "preserving"}
KINDS = {kind: letter for letter, kind in LETTERS.items()}
PREFIX = "amt1:"
TRANSLATION_PREFIX = "amx1."
PUBLIC_PREFIX = "amk1."
RECIPIENT_KEY_PREFIX = "amanat-recipient-key-v1:"
SEAL_OVERHEAD = 1 + 32 + 16
VAULT = "amanat-vault"
_NAME = re.compile(r"[a-z0-9_.-]{1,32}")
_EPOCH = re.compile(r"[1-9][0-9]{0,3}")


class Audience(NamedTuple):
    """A recipient and a purpose, SPEC 10.1."""

    recipient: str
    purpose: str

    def check(self) -> "Audience":
        """Both names, or Malformed."""
        if not all(_NAME.fullmatch(name) for name in self):
            raise Malformed("audience: 1 to 32 of a-z 0-9 _ - . expected")
        return self


class Token(NamedTuple):
    """What the text of a token says, SPEC 10.2."""

    kind: str
    epoch: int
    audience: Audience
    data: bytes

    @property
    def header(self) -> str:
        """What stands before the 1."""
        return "%s%s:%d:%s:%s:" % (PREFIX, KINDS[self.kind], self.epoch, *self.audience)

    def encode(self) -> str:
        """The text."""
        return bech32m.encode(self.header, self.data)


def parse(text: str) -> Token:
    """The text of a token, read without a key, in the order of SPEC 10.2."""
    if len(text.encode("utf-8")) > MAX_TEXT:
        raise Limit("token: more than 1,023 characters")
    front, colon, rest = text.rpartition(":")
    parts = front.split(":")
    if not colon or not parts[0].startswith("amt"):
        raise Malformed("token: the text must begin with amt1:")
    if parts[0] != "amt1":
        raise Unsupported("token: the text of another version")
    if not rest.startswith("1") or not front.isascii():
        raise Malformed("token: header")
    data = bech32m.to_bytes(bech32m.check_symbols(front + ":", rest[1:]))
    parts += [""] * (5 - len(parts))
    if parts[1] not in LETTERS:
        raise Unsupported("token: another kind")
    if not _EPOCH.fullmatch(parts[2]) or int(parts[2]) > MAX_EPOCH:
        raise Malformed("token: epoch")
    audience = Audience(parts[3], parts[4]).check()
    if len(parts) != 5:
        raise Malformed("token: header")
    token = Token(LETTERS[parts[1]], int(parts[2]), audience, data)
    if not data or (token.kind in ("pairwise", "vaulted") and len(data) != 20):
        raise Malformed("token: length of its data")
    return token


def key_at(keyset: Sequence[Key], epoch: int, make: bool = False, by_name: bool = False) -> Key:
    """The token key of an epoch, SPEC 10.1."""
    found = [key for key in keyset if key.purpose == "token"]
    if not 1 <= epoch <= len(found):
        raise UnknownKey("no key of purpose token has this epoch")
    key = found[epoch - 1]
    allows = keys.STATES[key.state]
    good = key.state == "active" if make else allows.by_name if by_name else allows.open
    if key.secret is None or not good:
        raise KeyUnusable("the key is " + key.state)
    return key


def derive(key: Key, registry: str, kind: str, audience: Audience) -> bytes:
    """The key of tokens of a kind for an audience, SPEC 4.2 and 10.1."""
    assert key.secret is not None
    return keys.token_key(key.secret, registry, kind, *audience.check())


def aes_block(key: bytes, block: bytes) -> bytes:
    """AES-256 of one block."""
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)  # nosec: one block


# -- 10.3 pairwise and 10.7 vaulted -------------------------------------------

def pairwise(token_key: bytes, form: str, normal: bytes) -> bytes:
    """The data of a pairwise token; `form` as it enters keys."""
    body = hmac.new(token_key[:32], pae(form.encode("ascii"), normal), hashlib.sha256).digest()[:16]
    return body + aes_block(token_key[32:], body)[:4]


def prove(token_key: bytes, token: Token) -> None:
    """Show that a pairwise or vaulted token was made under a key, or Unauthentic."""
    key = token_key[32:] if token.kind == "pairwise" else token_key
    body, proof = token.data[:16], token.data[16:]
    if not hmac.compare_digest(aes_block(key, body)[:4], proof):
        raise Unauthentic("the proof does not fit")


def vaulted(token_key: bytes, body: bytes) -> bytes:
    """The data of a vaulted token; the caller draws the body."""
    return body + aes_block(token_key, body)[:4]


def vault_index(token: Token) -> str:
    """The name of the vault's index."""
    return "%s.%d" % (token.audience.recipient, token.epoch)


def vault_record_id(scope: str, body: bytes) -> bytes:
    """The record id of a vault's entry."""
    return pae(scope.encode("ascii"), body.hex().encode("ascii"))


# -- 10.4 reversible and 10.5 expiring ----------------------------------------

def as_value(normal: bytes) -> Value:
    """A normal form as text, or as bytes if it is not UTF-8."""
    if len(normal) > MAX_VALUE_BYTES:
        raise Limit("token: a normal form of more than 256 bytes")
    try:
        normal.decode("utf-8")
        return Value(TEXT, normal)
    except UnicodeDecodeError:
        return Value(BYTES, normal)


def reversible(token_key: bytes, key_id: bytes, normal: bytes) -> bytes:
    """The data of a reversible token."""
    header = bytes([envelope.VERSION, envelope.SIV]) + key_id
    return envelope.seal_padded(token_key, header, b"", value.pad(as_value(normal), 16), b"")


def expiring(token_key: bytes, header: str, expiry: int, nonce: bytes, normal: bytes) -> bytes:
    """The data of an expiring token; the caller draws the nonce."""
    front = expiry.to_bytes(5, "big") + nonce
    padded = value.pad(as_value(normal), 16)
    return front + AESSIV(token_key).encrypt(padded, [header.encode("ascii"), front])


def open_expiring(token_key: bytes, token: Token, now: int) -> bytes:
    """The normal form, or Unauthentic, or Expired."""
    if len(token.data) < 32:
        raise Malformed("token: cut short")
    front, sealed = token.data[:16], token.data[16:]
    try:
        padded = AESSIV(token_key).decrypt(sealed, [token.header.encode("ascii"), front])
        item = value.unpad(padded)
    except (InvalidTag, ValueError, Malformed):
        raise Unauthentic("does not open") from None
    if now >= int.from_bytes(front[:5], "big"):
        raise Expired("the token's time is over")
    return item.data


# -- 10.6 preserving ----------------------------------------------------------

class Preserving:
    """FF1 over an identifier's domain, for one audience and form."""

    def __init__(self, token_key: bytes, audience: Audience, form: str,
                 what: identifier.Identifier) -> None:
        try:
            self.what, self.size = what, what.size()
        except Schema:
            raise Limit("an identifier without a domain") from None
        if not 10 ** 6 <= self.size <= 10 ** 19:
            raise Limit("a domain of fewer than 10^6 or more than 10^19")
        self.digits = len(str(self.size - 1))
        self.tweak_info = pae(b"amanat/v1/ff1-tweak",
                              *(part.encode("ascii") for part in (*audience, form)))
        self.tweak = keys.kdf(token_key, self.tweak_info, 8)
        self.ff1 = Ff1(token_key)

    def _walk(self, step: Callable[..., List[int]], normal: str) -> Tuple[str, List[int]]:
        """The value at the end of the walk, and every number on the way."""
        rank, way = self.what.rank(normal), []
        for _ in range(MAX_WALK):
            numerals = [int(digit) for digit in str(rank).zfill(self.digits)]
            rank = int("".join(str(digit) for digit in step(10, self.tweak, numerals)))
            way.append(rank)
            found = self.what.at_rank(rank) if rank < self.size else None
            if found is not None:
                return found, way
        raise Limit("the walk does not end")

    def make(self, normal: str) -> Tuple[str, List[int]]:
        """The token of a value, and the way to it."""
        return self._walk(self.ff1.encrypt, normal)

    def open(self, token: str) -> Tuple[str, List[int]]:
        """The value of a token, and the way to it."""
        return self._walk(self.ff1.decrypt, token)


# -- opening any kind ---------------------------------------------------------

def open_token(keyset: Sequence[Key], registry: str, token: Token, form: Form,
               now: int = 0) -> Optional[bytes]:
    """The normal form of a token; None of one that only has a proof."""
    key = key_at(keyset, token.epoch)
    token_key = derive(key, registry, token.kind, token.audience)
    if token.kind in ("pairwise", "vaulted"):
        prove(token_key, token)
        return None
    if token.kind == "expiring":
        return open_expiring(token_key, token, now)
    if token.kind == "reversible":
        parsed = envelope.parse(token.data)
        if parsed.suite != envelope.SIV:
            raise Unsupported("a token is an envelope of suite 3")
        if parsed.key_id != key.id:
            raise UnknownKey("the envelope is of another epoch")
        return envelope.open_token([key], registry, *token.audience, token.data).data
    if form.described is None:
        raise Schema("the form is not of an identifier")
    tool = Preserving(token_key, token.audience, form.key_name, form.described)
    shown = token.data.decode("ascii")
    if form.described.read(shown) != shown:
        raise Malformed("token: not the normal form")
    return tool.open(shown)[0].encode("ascii")


# -- 10.8 translation ---------------------------------------------------------

def translation_info(registry: str, audience: Audience) -> bytes:
    """The info of HPKE."""
    return pae(b"amanat/v1/translation",
               *(part.encode("ascii") for part in (registry, *audience.check())))


def seal_translation(ephemeral: bytes, public: bytes, registry: str, audience: Audience,
                     token: str) -> Tuple[str, hpke.Schedule]:
    """The text that leaves; the caller draws the ephemeral private key."""
    encapsulated, sealed, schedule = hpke.seal(
        ephemeral, public, translation_info(registry, audience), b"", token.encode("ascii"))
    return TRANSLATION_PREFIX + b64(b"\x01" + encapsulated + sealed), schedule


def read_recipient_key(text: str) -> bytes:
    """The private key in the text of its file."""
    if not text.startswith(RECIPIENT_KEY_PREFIX) or not text.endswith("\n"):
        raise Malformed("recipient key: not of its form")
    key = unb64(text[len(RECIPIENT_KEY_PREFIX):-1])
    if len(key) != 32:
        raise Malformed("recipient key: 32 bytes expected")
    return key


def public_text(public: bytes) -> str:
    """The text of a public key."""
    return PUBLIC_PREFIX + b64(public)


def open_translation(private: bytes, registry: str, audience: Audience, text: str) -> str:
    """The text of the token inside."""
    if not text.startswith(TRANSLATION_PREFIX):
        refusal = Unsupported if text.startswith("amx") else Malformed
        raise refusal("translation: the text must begin with amx1.")
    data = unb64(text[len(TRANSLATION_PREFIX):])
    if not data:
        raise Malformed("translation: empty")
    if data[0] != 1:
        raise Unsupported("translation: another version")
    if len(data) > SEAL_OVERHEAD + MAX_TEXT:
        raise Limit("translation: more than 1,023 bytes inside")
    if len(data) <= SEAL_OVERHEAD:
        raise Malformed("translation: cut short")
    token = hpke.open_sealed(private, data[1:33], translation_info(registry, audience), b"",
                             data[33:])
    try:
        parsed = parse(token.decode("ascii"))
    except (UnicodeDecodeError, Malformed, Unsupported, Limit):
        raise Unauthentic("does not open") from None
    if parsed.audience != audience:
        raise Unauthentic("does not open")
    return token.decode("ascii")


def explain(text: str) -> Dict[str, str]:
    """What a token says to everybody."""
    token = parse(text)
    return {"kind": token.kind, "epoch": str(token.epoch), "recipient": token.audience.recipient,
            "purpose": token.audience.purpose, "data": "%d bytes" % len(token.data)}
