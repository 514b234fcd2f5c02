# SPDX-License-Identifier: MIT OR Apache-2.0
"""SPEC.md 8.3: identifiers, their check digits, ranks and masks."""
from __future__ import annotations

import calendar
import re
import string
from dataclasses import dataclass
from typing import Callable, Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

from .characters import DASHES, INVISIBLE, SPACES, ascii_digits
from .errors import Limit, Malformed, Schema

_LETTERS = string.ascii_letters
_ALPHANUMERIC = string.digits + string.ascii_letters
_LEFT_OUT = SPACES | DASHES | INVISIBLE | frozenset("./_\u0640")
HIDDEN = "*" * 8


# -- check digits, 8.3.2 ------------------------------------------------------

def _dihedral(a: int, b: int) -> int:
    """The group of ten elements."""
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b - 5) % 5
    return 5 + (a - 5 - b) % 5 if b < 5 else (a - b) % 5


_NEXT = {1: 5, 5: 8, 8: 9, 9: 4, 4: 2, 2: 7, 7: 0, 0: 1, 3: 6, 6: 3}


def _verhoeff(rest: str) -> Optional[str]:
    product = 0
    for place, letter in enumerate(reversed(rest), 1):
        digit = int(letter)
        for _ in range(place):
            digit = _NEXT[digit]
        product = _dihedral(product, digit)
    return str((5 - product) % 5 if product < 5 else product)


def _luhn(rest: str) -> Optional[str]:
    total = 0
    for place, letter in enumerate(reversed(rest)):
        product = int(letter) * (1 if place % 2 else 2)
        total += product // 10 + product % 10
    return str((10 - total % 10) % 10)


def icao(part: str) -> str:
    """ICAO Doc 9303-3, 4.9."""
    values = {"<": 0, **{c: n for n, c in enumerate(string.digits + string.ascii_uppercase)}}
    return str(sum(values[c] * (7, 3, 1)[n % 3] for n, c in enumerate(part)) % 10)


def _weighted(rest: str, weights: str) -> int:
    return sum(int(digit) * int(weight) for digit, weight in zip(rest, weights)) % 11


def _estonian(rest: str) -> Optional[str]:
    found = _weighted(rest, "1234567891")
    if found == 10:
        found = _weighted(rest, "3456789123")
    return str(0 if found == 10 else found)


def _austrian(rest: str) -> Optional[str]:
    found = _weighted(rest, "379584216")
    return None if found == 10 else str(found)


CHECKS: Dict[str, Callable[[str], Optional[str]]] = {
    "verhoeff": _verhoeff, "luhn": _luhn, "icao-9303": icao, "Estonian": _estonian,
    "Austrian": _austrian,
}


# -- shapes, 8.3.1 and 8.3.6 --------------------------------------------------

class Shape(NamedTuple):
    """Classes and separators in order; a separator is a text, a class a set."""

    parts: Tuple[object, ...]
    shown: Tuple[int, ...] = ()

    @property
    def classes(self) -> List[FrozenSet[str]]:
        """The classes of the positions."""
        return [part for part in self.parts if isinstance(part, frozenset)]

    @property
    def separators(self) -> FrozenSet[str]:
        """The separators, each once."""
        return frozenset(part for part in self.parts if isinstance(part, str))

    def display(self, text: str) -> str:
        """The text with the separators in their places."""
        letters = iter(text)
        return "".join(part if isinstance(part, str) else next(letters) for part in self.parts)


def _class(text: str) -> FrozenSet[str]:
    members, at = set(), 0
    while at < len(text):
        first, last = text[at], text[at]
        if text[at + 1:at + 2] == "-":
            last, at = text[at + 2:at + 3], at + 2
        at += 1
        for letter in (first, last):
            if not letter or letter not in _ALPHANUMERIC:
                raise Schema("pattern: a class is of ASCII letters and digits")
        kinds = (string.digits, string.ascii_uppercase, string.ascii_lowercase)
        if first > last or not any(first in kind and last in kind for kind in kinds):
            raise Schema("pattern: a range that does not go up in one kind")
        members.update(chr(code) for code in range(ord(first), ord(last) + 1))
    return frozenset(members)


_PART = re.compile(r"\[([^\[\]]+)\](?:\{([1-9][0-9]?)\})?|([ -~])")


def parse_pattern(pattern: str) -> Shape:
    """A pattern of 8.3.6."""
    if len(pattern.encode("utf-8")) > 256:
        raise Limit("pattern: more than 256 bytes")
    parts: List[object] = []
    at = 0
    while at < len(pattern):
        match = _PART.match(pattern, at)
        if not match or (match[3] and match[3] in _ALPHANUMERIC + "[]{}"):
            raise Schema("pattern: neither a class nor a separator")
        if match[3]:
            parts.append(match[3])
        else:
            count = int(match[2] or "1")
            if count > 64:
                raise Schema("pattern: a count over 64")
            parts += [_class(match[1])] * count
        at = match.end()
    shape = Shape(tuple(parts))
    if not 1 <= len(shape.classes) <= 64:
        raise Schema("pattern: 1 to 64 positions expected")
    return shape


# -- identifiers --------------------------------------------------------------

@dataclass(frozen=True)
class Identifier:
    """An identifier of fixed length; `check_at` is the index of the check digit."""

    name: str
    shapes: Tuple[Shape, ...]
    check: str = "none"
    check_at: int = -1
    rule: Callable[[str], bool] = lambda text: True

    def _parts(self, text: str) -> Tuple[str, str]:
        """What the check digit is computed from, and the check digit."""
        at = self.check_at % len(text)
        return text[:at] + text[at + 1:], text[at]

    def _shape(self, text: str) -> Shape:
        for shape in self.shapes:
            if len(shape.classes) == len(text):
                return shape
        raise Malformed("identifier: another length")

    def _valid(self, text: str) -> bool:
        if self.check != "none":
            rest, digit = self._parts(text)
            if CHECKS[self.check](rest) != digit:
                return False
        return self.rule(text)

    def read(self, text: str) -> str:
        """Lenient reading; returns the normal form."""
        out = _LEFT_OUT.union(*(shape.separators for shape in self.shapes))
        left = [c for c in ascii_digits(text) if c not in out]
        if any(c not in _ALPHANUMERIC for c in left):
            raise Malformed("identifier: a character that is no letter or digit")
        classes = self._shape("".join(left)).classes
        for at, members in enumerate(classes):
            if left[at] not in members:
                left[at] = left[at].swapcase()
            if left[at] not in members:
                raise Malformed("identifier: a character of another class")
        if not self._valid("".join(left)):
            raise Malformed("identifier: check digit or rule")
        return "".join(left)

    def display(self, normal: str) -> str:
        """The display form of a normal form."""
        return self._shape(normal).display(normal)

    def read_strict(self, text: str) -> str:
        """Strict reading; returns the normal form."""
        normal = self.read(text)
        if ascii_digits(text) not in (normal, self.display(normal)):
            raise Malformed("identifier: not as it is written")
        return normal

    def _is_mask(self, shape: Shape, text: str) -> bool:
        at, position = 0, 0
        for part in shape.parts:
            letter = text[at:at + 1]
            if isinstance(part, frozenset):
                position += 1
                members = part if position in shape.shown else frozenset("*")
                if letter not in members:
                    return False
            elif letter != part:
                return False
            at += 1
        return at == len(text)

    def mask(self, text: str) -> str:
        """SPEC 8.3.8."""
        if any(shape.shown and self._is_mask(shape, text) for shape in self.shapes):
            return text
        try:
            normal = self.read(text)
        except Malformed:
            return HIDDEN
        shape = self._shape(normal)
        if not shape.shown:
            return HIDDEN
        hidden = "".join(c if at in shape.shown else "*" for at, c in enumerate(normal, 1))
        return shape.display(hidden)

    # -- domain and rank, 8.3.7

    def _ordered(self) -> List[List[str]]:
        if len(self.shapes) != 1:
            raise Schema("identifier: no domain")
        classes = self.shapes[0].classes
        if self.check != "none":
            del classes[self.check_at]
        return [sorted(members) for members in classes]

    def size(self) -> int:
        """The size of the domain, or Schema if there is none."""
        size = 1
        for members in self._ordered():
            size *= len(members)
        if size >= 1 << 64:
            raise Schema("identifier: no domain")
        return size

    def rank(self, normal: str) -> int:
        """The rank of a normal form."""
        rank, rest = 0, normal if self.check == "none" else self._parts(normal)[0]
        for members, letter in zip(self._ordered(), rest):
            rank = rank * len(members) + members.index(letter)
        return rank

    def at_rank(self, rank: int) -> Optional[str]:
        """The valid value at a rank below the size, if there is one."""
        letters = []
        for members in reversed(self._ordered()):
            rank, place = divmod(rank, len(members))
            letters.append(members[place])
        text = "".join(reversed(letters))
        if self.check != "none":
            digit = CHECKS[self.check](text)
            if digit is None:
                return None
            at = self.check_at % (len(text) + 1)
            text = text[:at] + digit + text[at:]
        return text if self.rule(text) else None


def _is_date(year: int, month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]


def _ee_rule(text: str) -> bool:
    century = 1800 + 100 * ((int(text[0]) - 1) // 2)
    return _is_date(century + int(text[1:3]), int(text[3:5]), int(text[5:7]))


_ROWS: Sequence[Tuple[str, Sequence[Tuple[str, int, int]], str]] = (
    ("aadhaar", [("[2-9][0-9]{3} [0-9]{4} [0-9]{4}", 9, 12)], "verhoeff"),
    ("aadhaar-vid", [("[2-9][0-9]{3} [0-9]{4} [0-9]{4} [0-9]{4}", 13, 16)], "verhoeff"),
    ("at-vsnr", [("[1-9][0-9]{3} [0-3][0-9][01][0-9][0-9]{2}", 1, 3)], "Austrian"),
    ("bd-nid", [("[0-9]{10}", 7, 10), ("[0-9]{13}", 10, 13), ("[12][0-9]{16}", 14, 17)], "none"),
    ("cnic", [("[0-9]{5}-[0-9]{7}-[0-9]", 9, 12)], "none"),
    ("ee-isikukood", [("[1-8][0-9]{2}[01][0-9][0-3][0-9][0-9]{3}[0-9]", 8, 10)], "Estonian"),
    ("family-number", [("[0-9A-Z]{6}", 1, 0)], "none"),
    ("mosip-uin", [("[2-9][0-9]{9}", 7, 10)], "verhoeff"),
    ("mosip-vid", [("[2-9][0-9]{15}", 13, 16)], "verhoeff"),
    ("nic-before-2001", [("[0-9]{11}", 8, 11)], "none"),
    ("ng-nin", [("[0-9]{11}", 8, 11)], "none"),
    ("ng-vnin", [("[A-Z]{2}[0-9]{12}[A-Z]{2}", 13, 16)], "none"),
    ("pk-passport", [("[A-Z]{2}[0-9]{7}", 6, 9)], "none"),
)
_RULES = {"aadhaar": lambda text: text != text[::-1], "ee-isikukood": _ee_rule}


def _described(name: str, rows: Sequence[Tuple[str, int, int]], check: str) -> Identifier:
    shapes = tuple(parse_pattern(pattern)._replace(shown=tuple(range(first, last + 1)))
                   for pattern, first, last in rows)
    return Identifier(name, shapes, check, 3 if check == "Austrian" else -1,
                      _RULES.get(name, lambda text: True))


def custom(name: str, pattern: str, check: str) -> Identifier:
    """An identifier of a schema's own, SPEC 8.3.6."""
    if name in NAMES:
        raise Schema("identifier: the name is taken")
    if check not in ("none", "verhoeff", "luhn", "icao-9303"):
        raise Schema("identifier: no such check digit")
    shape = parse_pattern(pattern)
    classes = shape.classes
    if check != "none":
        digits = frozenset(string.digits)
        allowed = digits | frozenset(string.ascii_uppercase) if check == "icao-9303" else digits
        if classes[-1] != digits or not all(members <= allowed for members in classes):
            raise Schema("identifier: the check digit does not fit the classes")
    if sum(len(members) > 1 for members in classes) >= 8:
        shape = shape._replace(shown=tuple(range(len(classes) - 3, len(classes) + 1)))
    return Identifier(name, (shape,), check)


def _run(digits: str) -> bool:
    """Equal neighbours, or three digits in a row that rise or fall by one."""
    steps = [int(b) - int(a) for a, b in zip(digits, digits[1:])]
    return 0 in steps or any(a == b and abs(a) == 1 for a, b in zip(steps, steps[1:]))


def odd(name: str, normal: str) -> bool:
    """Whether a program may warn of a valid number, SPEC 8.3.3."""
    if name == "cnic":
        return normal[0] in "089" or normal[-1] == "0"
    if name == "at-vsnr":
        day, month, year = (int(normal[at:at + 2]) for at in (4, 6, 8))
        return not _is_date(2000 + year, month, day)
    return name in ("mosip-uin", "mosip-vid") and _run(normal)


# -- machine-readable zones, 8.3.4 --------------------------------------------

class _Zone(NamedTuple):
    """Positions from 1, first and last, as in the table of 8.3.4."""

    line: int
    letters: Tuple[Tuple[int, int], ...]
    number: Tuple[int, int]
    birth: Tuple[int, int]
    sex: int
    expiry: Tuple[int, int]
    optional: Tuple[int, int]
    last: int
    over: Tuple[Tuple[int, int], ...]


_ZONES = {
    90: _Zone(30, ((1, 5), (46, 48)), (6, 14), (31, 36), 38, (39, 44), (16, 30), 60,
              ((6, 37), (39, 45), (49, 59))),
    72: _Zone(36, ((1, 5), (47, 49)), (37, 45), (50, 55), 57, (58, 63), (65, 71), 72,
              ((37, 46), (50, 56), (58, 71))),
    88: _Zone(44, ((1, 5), (55, 57)), (45, 53), (58, 63), 65, (66, 71), (73, 86), 88,
              ((45, 54), (58, 64), (66, 87))),
}


class _Mrz:
    """Duck of Identifier for machine-readable zones."""

    name = "mrz"

    def read(self, text: str) -> str:
        """The normal form, or Malformed."""
        text = "".join(c.upper() if c in _LETTERS else c for c in ascii_digits(text)
                       if c not in SPACES | INVISIBLE)
        if not re.fullmatch(r"[A-Z0-9<]*", text) or len(text) not in _ZONES:
            raise Malformed("MRZ: characters or length")
        if not self._valid(text, _ZONES[len(text)]):
            raise Malformed("MRZ: a part or a check digit")
        return text

    @staticmethod
    def _valid(text: str, zone: _Zone) -> bool:
        def part(span: Tuple[int, int]) -> str:
            return text[span[0] - 1:span[1]]

        def fits(span: Tuple[int, int]) -> bool:
            return icao(part(span)) == text[span[1]]
        if any(c in string.digits for span in zone.letters for c in part(span)):
            return False
        if text[0] in "<V" or text[zone.sex - 1] not in "FMX<":
            return False
        for dates in (zone.birth, zone.expiry):
            if any(c not in "0123456789<" for c in part(dates)) or not fits(dates):
                return False
        optional = part(zone.optional)
        if zone.line == 44:
            empty = not optional.strip("<") and text[86] == "<"
            if not (empty or fits(zone.optional)) or not fits(zone.number):
                return False
        elif text[zone.number[1]] == "<":
            more = optional.split("<")[0]
            if len(more) < 2 or icao(part(zone.number) + more[:-1]) != more[-1]:
                return False
        elif not fits(zone.number):
            return False
        return icao("".join(part(span) for span in zone.over)) == text[zone.last - 1]

    def display(self, normal: str) -> str:
        """Lines joined by U+000A."""
        line = _ZONES[len(normal)].line
        return "\n".join(normal[at:at + line] for at in range(0, len(normal), line))

    def read_strict(self, text: str) -> str:
        """Strict reading."""
        normal = self.read(text)
        if ascii_digits(text) not in (normal, self.display(normal)):
            raise Malformed("MRZ: not as it is written")
        return normal

    def mask(self, text: str) -> str:
        """Nothing is shown."""
        return HIDDEN

    def size(self) -> int:
        """None."""
        raise Schema("identifier: no domain")


# -- telephone numbers, 8.3.5 -------------------------------------------------

class _Phone:
    """Duck of Identifier for telephone numbers."""

    name = "phone"

    @staticmethod
    def _digits(text: str) -> Tuple[bool, str]:
        plus, digits, before = False, "", None  # type: bool, str, Optional[int]
        for c in ascii_digits(text):
            if c in string.digits:
                digits += c
                if len(digits) > 18:
                    raise Malformed("phone: too many digits")
            elif c in "+\uff0b":
                if plus or digits:
                    raise Malformed("phone: a plus behind the front")
                plus = True
            elif c == "(":
                before = len(digits)
            elif c == ")":
                if before is not None and digits[before:] == "0" and (
                        (plus and before >= 1) or (digits.startswith("00") and before >= 3)):
                    digits = digits[:-1]
                before = None
            elif c not in _LEFT_OUT:
                raise Malformed("phone: a character of no number")
        return plus, digits

    def read(self, text: str) -> str:
        """The normal form, or Malformed."""
        plus, digits = self._digits(text)
        if plus:
            national = None
        elif digits.startswith("00"):
            national, digits = None, digits[2:]
        elif digits.startswith("0") and len(digits) in (10, 11):
            national = digits[1:]
        elif len(digits) == 10 and digits[0] == "3":
            national = digits
        elif len(digits) == 12 and digits.startswith("923"):
            national = digits[2:]
        else:
            raise Malformed("phone: neither international nor Pakistani")
        if national is None and digits.startswith("92"):
            national = digits[2:]
            national = national[1:] if national.startswith("0") else national
        if national is not None:
            if national.startswith("0") or (national.startswith("3") and len(national) != 10):
                raise Malformed("phone: no Pakistani number")
            digits = "92" + national
        elif digits.startswith("0"):
            raise Malformed("phone: no country begins with 0")
        if not 7 <= len(digits) <= 15:
            raise Malformed("phone: 7 to 15 digits expected")
        return "+" + digits

    def display(self, normal: str) -> str:
        """The same."""
        return normal

    def read_strict(self, text: str) -> str:
        """Strict reading."""
        normal = self.read(text)
        if ascii_digits(text) != normal:
            raise Malformed("phone: not as it is written")
        return normal

    def mask(self, text: str) -> str:
        """SPEC 8.3.8."""
        if re.fullmatch(r"\+\*{4,11}[0-9]{4}", text):
            return text
        try:
            digits = self.read(text)[1:]
        except Malformed:
            return HIDDEN
        return "+" + "*" * (len(digits) - 4) + digits[-4:] if len(digits) >= 8 else HIDDEN

    def size(self) -> int:
        """None."""
        raise Schema("identifier: no domain")


NAMES = frozenset([row[0] for row in _ROWS] + ["mrz", "phone"])
_ALL = {"mrz": _Mrz(), "phone": _Phone(), **{row[0]: _described(*row) for row in _ROWS}}


def of(name: str) -> Identifier:
    """An identifier by its name."""
    if name not in _ALL:
        raise Schema("no such identifier")
    return _ALL[name]  # type: ignore[return-value]
