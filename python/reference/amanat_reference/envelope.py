# SPDX-License-Identifier: MIT OR Apache-2.0
"""SPEC.md 5.3 to 5.8: the envelope, its text form, sealing and opening."""
from __future__ import annotations

import re
from typing import NamedTuple, Sequence

from . import aead, keys, value
from .errors import KeyUnusable, Limit, Malformed, Unauthentic, Unsupported
from .value import Value
from .wire import (MAX_BLOB_BYTES, MAX_BUCKET_BYTES, MAX_FIELD_BYTES, b64, check_record_id, u16,
                   unb64)

VERSION = 1
XAES, XCHACHA, SIV, COBBLESTONE = 1, 2, 3, 4
SUITE_NAMES = {
    XAES: "XAES-256-GCM", XCHACHA: "XChaCha20-Poly1305", SIV: "AES-256-SIV",
    COBBLESTONE: "Cobblestone-256",
}
HEADER = 18
OVERHEAD = {XAES: 40, XCHACHA: 40, SIV: 16, COBBLESTONE: 56}
TEXT_PREFIX = "amn1."
# A value at its limit, its type byte and its marker, in the widest bucket.
MAX_PADDED_FIELD = MAX_FIELD_BYTES + MAX_BUCKET_BYTES
MAX_PADDED_BLOB = MAX_BLOB_BYTES + MAX_BUCKET_BYTES
MAX_ENVELOPE = (HEADER + 56 + MAX_PADDED_BLOB
                + aead.TAG * (MAX_PADDED_BLOB // aead.CHUNK + 1))


class Envelope(NamedTuple):
    """A parsed envelope, SPEC 5.3."""

    suite: int
    key_id: bytes
    body: bytes

    @property
    def header(self) -> bytes:
        """The first 18 bytes."""
        return bytes([VERSION, self.suite]) + self.key_id

    def encode(self) -> bytes:
        """The stored bytes."""
        return self.header + self.body

    def padded_length(self) -> int:
        """How long the padded value is."""
        sealed = len(self.body) - OVERHEAD[self.suite]
        return aead.cobblestone_length(sealed) if self.suite == COBBLESTONE else sealed


class Field(NamedTuple):
    """Where a value belongs; all three names go into its key (SPEC 4.2)."""

    registry: str
    table: str
    field: str


def parse(data: bytes) -> Envelope:
    """The keyless grammar, SPEC 5.3."""
    if len(data) < HEADER:
        raise Malformed("envelope: header cut short")
    if data[0] != VERSION:
        raise Unsupported("envelope: version %d" % data[0])
    if data[1] not in SUITE_NAMES:
        raise Unsupported("envelope: suite %d" % data[1])
    envelope = Envelope(data[1], data[2:HEADER], data[HEADER:])
    if len(envelope.body) < OVERHEAD[envelope.suite]:
        raise Malformed("envelope: body too short")
    length = envelope.padded_length()
    largest = MAX_PADDED_BLOB if envelope.suite == COBBLESTONE else MAX_PADDED_FIELD
    if length % 16 or not 16 <= length <= largest:
        raise Malformed("envelope: impossible length")
    return envelope


def to_text(data: bytes) -> str:
    """SPEC 5.8."""
    return TEXT_PREFIX + b64(data)


def from_text(text: str) -> bytes:
    """The bytes of an envelope in text form, SPEC 5.8; they are parsed too."""
    if len(text) > len(TEXT_PREFIX) + MAX_ENVELOPE * 4 // 3 + 1:
        raise Malformed("envelope: too long")
    if re.match(r"amn[0-9]{1,3}\.", text) and not text.startswith(TEXT_PREFIX):
        raise Unsupported("envelope: another version of the text form")
    if not text.startswith(TEXT_PREFIX):
        raise Malformed("envelope: the text must begin with amn1.")
    data = unb64(text[len(TEXT_PREFIX):])
    parse(data)
    return data


def associated_data(header: bytes, record_id: bytes) -> bytes:
    """SPEC 5.4."""
    ad = header + u16(len(record_id)) + record_id
    return ad + bytes(-len(ad) % 16)


def seal_padded(key: bytes, header: bytes, nonce: bytes, padded: bytes, record_id: bytes) -> bytes:
    """Encrypt bytes that are already padded; `key` is a field or token key.

    `nonce` is the nonce of suites 1 and 2, the salt of suite 4, else empty.
    """
    suite, ad = header[1], associated_data(header, record_id)
    if suite == XAES:
        return header + nonce + aead.xaes_seal(key, nonce, padded, ad)
    if suite == XCHACHA:
        return header + nonce + aead.xchacha_seal(key, nonce, padded, ad)
    if suite == SIV:
        return header + aead.siv_seal(key, padded, ad)
    return header + aead.cobblestone_seal(key, nonce, padded, ad)


def _check_size(suite: int, data: bytes) -> None:
    """SPEC 1: the value's limit by suite."""
    if len(data) > (MAX_BLOB_BYTES if suite == COBBLESTONE else MAX_FIELD_BYTES):
        raise Limit("value: too long for the suite")


def seal(key: keys.Key, suite: int, where: Field, record_id: bytes, nonce: bytes, item: Value,
         bucket: int = 16) -> bytes:
    """Seal a value of a field, SPEC 5.5 and 5.7. The caller draws the nonce."""
    if suite not in (XAES, XCHACHA, COBBLESTONE):
        raise Unsupported("a field key seals suites 1, 2 and 4")
    if key.secret is None or key.purpose != "field" or not key.primary:
        raise KeyUnusable("not the primary field key")
    check_record_id(record_id)
    _check_size(suite, item.data)
    header = bytes([VERSION, suite]) + key.id
    return seal_padded(keys.field_key(key.secret, suite, *where), header, nonce,
                       value.pad(item, bucket), record_id)


def _open(key: bytes, envelope: Envelope, record_id: bytes) -> Value:
    """Decrypt, remove the padding, read the value: one error for all of it."""
    ad, body = associated_data(envelope.header, record_id), envelope.body
    if envelope.suite == XAES:
        padded = aead.xaes_open(key, body[:24], body[24:], ad)
    elif envelope.suite == XCHACHA:
        padded = aead.xchacha_open(key, body[:24], body[24:], ad)
    elif envelope.suite == SIV:
        padded = aead.siv_open(key, body, ad)
    else:
        padded = aead.cobblestone_open(key, body, ad)
    try:
        item = value.unpad(padded)
        _check_size(envelope.suite, item.data)
    except (Malformed, Limit):
        raise Unauthentic("does not open") from None
    return item


def open_field(keyset: Sequence[keys.Key], where: Field, record_id: bytes, data: bytes,
               by_name: bool = False) -> Value:
    """Open an envelope of a field, SPEC 5.5 and 5.7."""
    check_record_id(record_id)
    envelope = parse(data)
    if envelope.suite == SIV:
        raise Unsupported("a field key does not open suite 3")
    key = keys.find_to_open(keyset, "field", envelope.key_id, by_name)
    assert key.secret is not None
    return _open(keys.field_key(key.secret, envelope.suite, *where), envelope, record_id)


def open_token(keyset: Sequence[keys.Key], registry: str, recipient: str, purpose: str,
               data: bytes, by_name: bool = False) -> Value:
    """Open a reversible token, SPEC 5.6."""
    envelope = parse(data)
    if envelope.suite != SIV:
        raise Unsupported("a token key opens suite 3 only")
    key = keys.find_to_open(keyset, "token", envelope.key_id, by_name)
    assert key.secret is not None
    return _open(keys.token_key(key.secret, registry, "reversible", recipient, purpose),
                 envelope, b"")
