# SPDX-License-Identifier: MIT OR Apache-2.0
"""SPEC.md chapter 9: keys and terms of blind indexes."""
from __future__ import annotations

import hashlib
import hmac
from typing import Sequence, Tuple

from . import keys
from .errors import Limit, Schema
from .keys import Key
from .wire import check_name, pae

MAX_FIELDS = 8
MIN_BITS, MAX_BITS = 4, 128
# Field name and form; the form as it enters keys, SPEC 9.2.
Columns = Sequence[Tuple[str, str]]


def info(registry: str, table: str, index: str, columns: Columns) -> bytes:
    """The info of an index key, SPEC 9.2."""
    if len(columns) > MAX_FIELDS:
        raise Limit("index: at most 8 fields expected")
    if not columns or len({field for field, _ in columns}) != len(columns):
        raise Schema("index: no field, or one that stands twice")
    parts = [check_name(name) for name in (registry, table, index)]
    for field, form in columns:
        parts += [check_name(field), form.encode("ascii")]
    return pae(b"amanat/v1/index", *parts)


def derive(secret: bytes, registry: str, table: str, index: str, columns: Columns) -> bytes:
    """SPEC 9.2."""
    return keys.kdf(secret, info(registry, table, index, columns), 32)


def first_bits(data: bytes, bits: int) -> bytes:
    """The first bits of a byte string; the rest of the last byte is zero."""
    if not MIN_BITS <= bits <= MAX_BITS:
        raise Limit("index: 4 to 128 bits expected")
    length = (bits + 7) // 8
    unused = 8 * length - bits
    return (int.from_bytes(data[:length], "big") >> unused << unused).to_bytes(length, "big")


def mac(index_key: bytes, values: Sequence[bytes]) -> bytes:
    """The whole HMAC of the normal forms of an index's values."""
    return hmac.new(index_key, pae(*values), hashlib.sha256).digest()


def term(key: Key, registry: str, table: str, index: str, columns: Columns, bits: int,
         values: Sequence[bytes]) -> bytes:
    """SPEC 9.3."""
    assert key.secret is not None and key.purpose == "index"
    index_key = derive(key.secret, registry, table, index, columns)
    return key.id[:1] + first_bits(mac(index_key, values), bits)


def query(keyset: Sequence[Key], registry: str, table: str, index: str, columns: Columns,
          bits: int, values: Sequence[bytes]) -> Sequence[bytes]:
    """The terms of a value under every key that opens, in file order, SPEC 9.4."""
    return [term(key, registry, table, index, columns, bits, values) for key in keyset
            if key.purpose == "index" and key.secret is not None and keys.STATES[key.state].open]
