# SPDX-License-Identifier: MIT OR Apache-2.0
"""One file of tests/vectors (format: its README.md)."""
from __future__ import annotations

from typing import List, Optional, Tuple

from .value import Value

FIRST_LINE = b"amanat vector v1"


class Mismatch(Exception):
    """The vector and this program do not agree, or the file is not a vector."""


class Vector:
    """One file: the lines of its head, and what follows the line `file:`."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name, self.file = name, b""
        self.lines: List[Tuple[str, str]] = []
        self.used = {"kind", "expect", "about"}
        first, _, rest = data.partition(b"\n")
        if first != FIRST_LINE:
            raise Mismatch("the first line is not `amanat vector v1`")
        while rest:
            line, _, rest = rest.partition(b"\n")
            if line == b"file:":
                self.file = rest
                break
            if line.startswith(b"#"):
                continue
            key, colon, text = line.decode("utf-8").partition(":")
            if not colon:
                raise Mismatch("a line without a colon")
            self.lines.append((key, text[1:] if text.startswith(" ") else text))

    def all(self, key: str) -> List[str]:
        """Every value of a key, in order."""
        self.used.add(key)
        return [text for name, text in self.lines if name == key]

    def get(self, key: str) -> Optional[str]:
        """The value of a key that stands at most once."""
        found = self.all(key)
        if len(found) > 1:
            raise Mismatch("`%s` stands more than once" % key)
        return found[0] if found else None

    def one(self, key: str) -> str:
        """The value of a key that stands exactly once."""
        found = self.get(key)
        if found is None:
            raise Mismatch("`%s` is missing" % key)
        return found

    def hex(self, key: str) -> bytes:
        """The bytes of a key."""
        return bytes.fromhex(self.one(key))

    def same(self, key: str, got: str) -> None:
        """Compare what this program computed."""
        if self.one(key) != got:
            raise Mismatch("`%s` is %s, computed %s" % (key, self.one(key)[:80], got[:80]))

    def done(self) -> None:
        """Refuse lines that nobody looked at."""
        left = {name for name, _ in self.lines} - self.used
        if left:
            raise Mismatch("lines of no meaning here: " + ", ".join(sorted(left)))

    def value(self) -> Value:
        """`type`, and `value` or `value-repeat: LENGTH PATTERN`."""
        kind, repeat = self.hex("type")[0], self.get("value-repeat")
        if repeat is None:
            return Value(kind, self.hex("value"))
        length, pattern = repeat.split(" ")
        return Value(kind, repeated(int(length), bytes.fromhex(pattern)))


def repeated(length: int, pattern: bytes) -> bytes:
    """The first `length` bytes of a pattern without end."""
    return (pattern * (length // len(pattern) + 1))[:length]
