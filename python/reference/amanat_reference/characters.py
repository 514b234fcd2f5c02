# SPDX-License-Identifier: MIT OR Apache-2.0
"""SPEC.md 8.1: the sets of characters that normal forms and identifiers ask."""
from __future__ import annotations

from typing import FrozenSet, Tuple, Union


def _set(*members: Union[int, Tuple[int, int]]) -> FrozenSet[str]:
    out = set()
    for member in members:
        first, last = member if isinstance(member, tuple) else (member, member)
        out.update(chr(code) for code in range(first, last + 1))
    return frozenset(out)


_ZEROS = (0x30, 0x660, 0x6F0)
SPACES = _set(0x09, 0x0A, 0x0D, 0x20, 0xA0, 0x1680, (0x2000, 0x200A), 0x2028, 0x2029, 0x202F,
              0x205F, 0x3000)
DASHES = _set(0x2D, 0x6D4, (0x2010, 0x2015), 0x2212)
INVISIBLE = _set(0xAD, 0x61C, (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), 0xFEFF)
_DIGITS = {chr(zero + n): str(n) for zero in _ZEROS for n in range(10)}


def ascii_digits(text: str) -> str:
    """Each digit of 8.1 as the ASCII digit of its value; all else as it stands."""
    return "".join(_DIGITS.get(c, c) for c in text)
