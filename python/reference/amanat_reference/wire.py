# SPDX-License-Identifier: MIT OR Apache-2.0
"""SPEC.md chapters 1 to 3: limits, notation, names and context."""
from __future__ import annotations

import base64
import datetime
import re
from typing import Sequence

from .errors import Limit, Malformed

# SPEC 1. Limits.
MAX_NAME_BYTES = 128
MAX_RECORD_ID_BYTES = 1024
MAX_FIELD_BYTES = 65_536
MAX_BLOB_BYTES = 1 << 30
MAX_BUCKET_BYTES = 65_536
MAX_MESSAGES_PER_KEY = 1 << 44
MAX_KEYRING_BYTES = 1 << 20
MAX_SLOTS = 32
MAX_KEYS = 1024
MAX_PARAMS = 16
MAX_PARAM_BYTES = 1024
MAX_LABEL_BYTES = 64
MIN_ARGON2_MEMORY_KIB, MAX_ARGON2_MEMORY_KIB = 8, 1 << 20
MAX_ARGON2_PASSES = 16
MAX_ARGON2_LANES = 16
MAX_PASSPHRASE_BYTES = 1024
MAX_CBOR_DEPTH = 32

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,%d}" % MAX_NAME_BYTES)
_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def u16(n: int) -> bytes:
    """SPEC 2.1."""
    return n.to_bytes(2, "big")


def u32(n: int) -> bytes:
    """SPEC 2.1."""
    return n.to_bytes(4, "big")


def pae(*parts: bytes) -> bytes:
    """Pre-authentication encoding, SPEC 2.3."""
    return u32(len(parts)) + b"".join(u32(len(p)) + p for p in parts)


def b64(data: bytes) -> str:
    """base64url without padding, SPEC 2.5."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """Strict base64url, SPEC 2.5: one byte string has one text."""
    if not _BASE64URL.fullmatch(text):
        raise Malformed("base64url: a character outside the alphabet")
    if len(text) % 4 == 1:
        raise Malformed("base64url: impossible length")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64(data) != text:
        raise Malformed("base64url: unused bits are not zero")
    return data


def unhex(text: str, length: int) -> bytes:
    """Lower-case hex of exactly `length` bytes, SPEC 2.5."""
    if len(text) != 2 * length or not re.fullmatch(r"[0-9a-f]*", text):
        raise Malformed("hex: wrong length or letters")
    return bytes.fromhex(text)


def check_time(text: str) -> str:
    """A time, SPEC 2.6. Seconds run from 00 to 59: no leap second."""
    match = _TIME.fullmatch(text)
    if not match:
        raise Malformed("time: not of the form 2026-11-23T18:30:00Z")
    try:
        when = datetime.datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]
    except ValueError:
        raise Malformed("time: no such date or hour") from None
    if when.year < 1970:
        raise Malformed("time: before 1970")
    return text


def check_name(text: str) -> bytes:
    """A name, SPEC 3.1; returns its bytes."""
    if not _NAME.fullmatch(text):
        raise Malformed("name: 1 to 128 characters of A-Z a-z 0-9 _ - . expected")
    return text.encode("ascii")


def check_record_id(record_id: bytes) -> bytes:
    """A record id, SPEC 3.2.3."""
    if not 1 <= len(record_id) <= MAX_RECORD_ID_BYTES:
        raise Limit("record id: 1 to 1,024 bytes expected")
    return record_id


def record_id_of(columns: Sequence[str]) -> bytes:
    """A record id made of one or several columns, SPEC 3.2."""
    texts = [column.encode("utf-8") for column in columns]
    return check_record_id(texts[0] if len(texts) == 1 else pae(*texts))


class Reader:
    """Reads a byte string front to back and never past its end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def left(self) -> int:
        """How many bytes are still unread."""
        return len(self.data) - self.at

    def take(self, n: int) -> bytes:
        """The next n bytes."""
        if n > self.left():
            raise Malformed("ends too early")
        self.at += n
        return self.data[self.at - n:self.at]

    def uint(self, n: int) -> int:
        """A big-endian unsigned integer of n bytes."""
        return int.from_bytes(self.take(n), "big")

    def end(self) -> None:
        """Refuse anything that is left."""
        if self.left():
            raise Malformed("bytes after the end")
