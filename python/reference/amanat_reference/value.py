# SPDX-License-Identifier: MIT OR Apache-2.0
"""SPEC.md 5.1 and 5.2: values, padding, and CBOR well-formedness."""
from __future__ import annotations

import calendar
from typing import NamedTuple

from .errors import Limit, Malformed
from .wire import MAX_BUCKET_BYTES, MAX_CBOR_DEPTH, Reader

NULL, TEXT, BYTES, INTEGER, DATE, BOOLEAN, CBOR = range(7)
TYPE_NAMES = ("null", "text", "bytes", "integer", "date", "boolean", "CBOR")


class Value(NamedTuple):
    """A value: one type byte and its bytes, SPEC 5.1."""

    type: int
    data: bytes

    def show(self) -> str:
        """The value for a reader's eye."""
        if self.type == NULL:
            return ""
        if self.type == TEXT:
            return self.data.decode("utf-8")
        if self.type == INTEGER:
            return str(int.from_bytes(self.data, "big", signed=True))
        if self.type == DATE:
            return "%04d-%02d-%02d" % (self.data[0] << 8 | self.data[1], self.data[2], self.data[3])
        if self.type == BOOLEAN:
            return "true" if self.data[0] else "false"
        return self.data.hex()


def _check_date(data: bytes) -> None:
    """SPEC 5.1, type 0x04."""
    if len(data) != 4:
        raise Malformed("date: 4 bytes expected")
    year, month, day = data[0] << 8 | data[1], data[2], data[3]
    if not 1 <= year <= 9999 or month > 12 or (month == 0 and day != 0):
        raise Malformed("date: no such date")
    if month and day > calendar.monthrange(year, month)[1]:
        raise Malformed("date: no such day in that month")


def _cbor_item(reader: Reader, level: int) -> None:
    """One item of definite length, RFC 8949 section 3. `level` counts the
    arrays, maps and tags that enclose it."""
    first = reader.uint(1)
    major, info = first >> 5, first & 31
    if info > 27:
        raise Malformed("CBOR: reserved or indefinite length")
    argument = info if info < 24 else reader.uint(1 << (info - 24))
    if major in (2, 3):
        reader.take(argument)
    elif major in (4, 5, 6):
        if level == MAX_CBOR_DEPTH:
            raise Malformed("CBOR: nested too deep")
        # A count is not trusted: each item takes at least one byte.
        items = 1 if major == 6 else argument * (major - 3)
        if items > reader.left():
            raise Malformed("CBOR: ends too early")
        for _ in range(items):
            _cbor_item(reader, level + 1)
    elif major == 7 and info == 24 and argument < 32:
        raise Malformed("CBOR: simple value in two bytes that fits in one")


def check(value: Value) -> Value:
    """Refuse a value that breaks SPEC 5.1."""
    kind, data = value
    if kind == NULL and data:
        raise Malformed("null: no bytes expected")
    if kind == TEXT:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("text: not UTF-8") from None
    if kind == INTEGER and len(data) != 8:
        raise Malformed("integer: 8 bytes expected")
    if kind == DATE:
        _check_date(data)
    if kind == BOOLEAN and data not in (b"\x00", b"\x01"):
        raise Malformed("boolean: 00 or 01 expected")
    if kind == CBOR:
        reader = Reader(data)
        _cbor_item(reader, 0)
        reader.end()
    if kind > CBOR:
        raise Malformed("no such type")
    return value


def pad(value: Value, bucket: int) -> bytes:
    """SPEC 5.2."""
    if bucket % 16 or not 16 <= bucket <= MAX_BUCKET_BYTES:
        raise Limit("bucket: a multiple of 16 from 16 to 65,536 expected")
    check(value)
    data = bytes([value.type]) + value.data + b"\x80"
    return data + bytes(-len(data) % bucket)


def unpad(padded: bytes) -> Value:
    """SPEC 5.2 and 5.1."""
    if len(padded) % 16:
        raise Malformed("padding: length is not a multiple of 16")
    data = padded.rstrip(b"\x00")
    if len(data) < 2 or data[-1] != 0x80:
        raise Malformed("padding: no marker, or nothing before it")
    return check(Value(data[0], data[1:-1]))
