# SPDX-License-Identifier: MIT OR Apache-2.0
"""SPEC.md 8.1 and 8.2: sets of characters, and normal forms of values."""
from __future__ import annotations

import os
import re
from typing import Callable, Dict, List, NamedTuple, Optional

from . import identifier, value
from .characters import DASHES, INVISIBLE, SPACES, ascii_digits
from .errors import Limit, Malformed, Schema
from .value import DATE, NULL, TEXT, Value
from .wire import check_name

MAX_VALUE_BYTES = 65_536
MAX_NORMAL_BYTES = 1024
TABLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "spec")
_LINE = re.compile(r"([0-9A-F]{4,6})(?:\.\.([0-9A-F]{4,6}))?>((?:[0-9A-F]{4,6}(?: [0-9A-F]{4,6})*)?)")


def read_table(name: str) -> Dict[str, str]:
    """A table of SPEC 8.2 as a dictionary from character to text."""
    table: Dict[str, str] = {}
    last = -1
    with open(os.path.join(TABLES, name + ".txt"), encoding="ascii", newline="\n") as file:
        for line in file.read().split("\n"):
            if not line or line.startswith("#"):
                continue
            match = _LINE.fullmatch(line)
            assert match, "table %s: %s" % (name, line)
            first, until = int(match[1], 16), int(match[2] or match[1], 16)
            assert last < first <= until, "table %s: order of %s" % (name, line)
            last = until
            text = "".join(chr(int(code, 16)) for code in match[3].split(" ") if code)
            table.update((chr(code), text) for code in range(first, until + 1))
    return table


_TABLES = {name: read_table(name) for name in ("latin-name-v1", "urdu-name-v1")}


def _name(text: str, table: Dict[str, str], urdu: bool) -> bytes:
    text = "".join(table.get(c, c) for c in text)
    if urdu:
        text = text.replace("\u0627\u0653", "\u0622").replace("\u0653", "")
    return " ".join(word for word in text.split(" ") if word).encode("utf-8")


def _latin_name(text: str) -> bytes:
    return _name(text, _TABLES["latin-name-v1"], False)


def _urdu_name(text: str) -> bytes:
    return _name(text, _TABLES["urdu-name-v1"], True)


def _digits(text: str) -> bytes:
    left = "".join(c for c in ascii_digits(text) if c not in SPACES | DASHES | INVISIBLE)
    if not re.fullmatch(r"[0-9]*", left):
        raise Malformed("digits/v1: a character that is no digit")
    return left.encode("ascii")


def _date_text(text: str) -> bytes:
    text = "".join(c for c in text if c not in INVISIBLE).strip("".join(SPACES))
    text = "".join("-" if c in DASHES else c for c in ascii_digits(text))
    match = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", text)
    if not match:
        raise Malformed("date/v1: YYYY-MM-DD expected")
    year, month, day = (int(part) for part in match.groups())
    value.check(Value(DATE, bytes([year >> 8, year & 255, month, day])))
    return text.encode("ascii")


class Form(NamedTuple):
    """A normal form: its names, and what it does with a text."""

    name: str
    key_name: str  # what enters keys and messages, SPEC 9.2
    text: Callable[[str], bytes]
    described: Optional[identifier.Identifier] = None


_TEXT_FORMS: Dict[str, Callable[[str], bytes]] = {
    "date/v1": _date_text, "digits/v1": _digits, "latin-name/v1": _latin_name,
    "urdu-name/v1": _urdu_name,
}


def forms() -> List[str]:
    """The names of all forms but those that a schema describes."""
    named = ["e164/v1" if name == "phone" else name + "/v1" for name in identifier.NAMES]
    return sorted([*_TEXT_FORMS, "exact/v1", *named])


def form(name: str) -> Form:
    """A form by its name; `custom/v1:NAME:PATTERN:CHECK` describes one of a schema's own.

    That last spelling is this program's: the name of such a form in keys ends with the pattern.
    """
    if name.startswith("custom/v1:"):
        own, rest = name[len("custom/v1:"):].split(":", 1)
        pattern, _, check = rest.rpartition(":")
        described = identifier.custom(own, pattern, check)
        check_name(own)
        return Form("custom/v1:" + own, "custom/v1:%s:%s" % (own, pattern),
                    lambda text: described.read(text).encode("ascii"), described)
    if name == "exact/v1":
        return Form(name, name, lambda text: b"\x01" + text.encode("utf-8"))
    if name in _TEXT_FORMS:
        return Form(name, name, _TEXT_FORMS[name])
    kind = "phone" if name == "e164/v1" else name[:-3] if name.endswith("/v1") else ""
    if kind not in identifier.NAMES or (kind == "phone") != (name == "e164/v1"):
        raise Schema("no such normal form")
    described = identifier.of(kind)
    return Form(name, name, lambda text: described.read(text).encode("ascii"), described)


def normalize(how: Form, item: Value) -> bytes:
    """The normal form of a value, SPEC 8.2 steps 1 to 5."""
    if item.type == NULL:
        raise Schema("null has no normal form")
    if len(item.data) > MAX_VALUE_BYTES:
        raise Limit("normal form: value too long")
    if how.name == "exact/v1":
        value.check(item)
        out = bytes([item.type]) + item.data
    elif how.name == "date/v1" and item.type == DATE:
        value.check(item)
        out = item.show().encode("ascii")
    elif item.type == TEXT:
        value.check(item)
        out = how.text(item.data.decode("utf-8"))
    else:
        raise Schema("the form does not take this type")
    if not out:
        raise Schema("an empty normal form")
    if len(out) > MAX_NORMAL_BYTES:
        raise Limit("normal form: too long")
    return out
