# SPDX-License-Identifier: MIT OR Apache-2.0
"""SPEC.md 10.2: Bech32m (BIP 350) with a limit of 1,023 characters, lower case only."""
from __future__ import annotations

from typing import List, Sequence

from .errors import Malformed

SYMBOLS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CONSTANT = 0x2BC830A3


def _polymod(values: Sequence[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            check ^= generator if top >> bit & 1 else 0
    return check


def _expand(header: str) -> List[int]:
    letters = header.encode("ascii")
    return [c >> 5 for c in letters] + [0] + [c & 31 for c in letters]


def groups(data: bytes) -> List[int]:
    """Groups of five bits from the front, the last one filled with zeros."""
    bits = "".join("{:08b}".format(byte) for byte in data)
    bits += "0" * (-len(bits) % 5)
    return [int(bits[at:at + 5], 2) for at in range(0, len(bits), 5)]


def encode_groups(header: str, data: Sequence[int]) -> str:
    """header ‖ "1" ‖ data ‖ six check symbols."""
    check = _polymod(_expand(header) + list(data) + [0] * 6) ^ _CONSTANT
    checks = [check >> 5 * (5 - at) & 31 for at in range(6)]
    return header + "1" + "".join(SYMBOLS[value] for value in [*data, *checks])


def encode(header: str, data: bytes) -> str:
    """The text of a token."""
    return encode_groups(header, groups(data))


def check_symbols(header: str, symbols: str) -> List[int]:
    """The groups of the data; the check symbols fit, or Malformed."""
    if len(symbols) < 6 or any(c not in SYMBOLS for c in symbols):
        raise Malformed("token: symbols")
    values = [SYMBOLS.index(c) for c in symbols]
    if _polymod(_expand(header) + values) != _CONSTANT:
        raise Malformed("token: mistyped, the check symbols do not fit")
    return values[:-6]


def to_bytes(values: Sequence[int]) -> bytes:
    """Bytes of groups of five bits; the bits left over are zero and fewer than five."""
    bits = "".join("{:05b}".format(value) for value in values)
    whole = len(bits) // 8 * 8
    if len(bits) - whole > 4 or "1" in bits[whole:]:
        raise Malformed("token: bits left over")
    return bytes(int(bits[at:at + 8], 2) for at in range(0, whole, 8))
