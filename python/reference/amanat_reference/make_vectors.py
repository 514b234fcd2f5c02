# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes the files of tests/vectors. Each file's secrets and nonces come from
SHAKE-128 of its own name, so making them again gives the same bytes.

Everything here is invented. Never use these secrets for anything else.
"""
from __future__ import annotations

import copy
import hashlib
import os
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

from . import aead, envelope, keyring, keys, value
from .envelope import COBBLESTONE, SIV, XAES, XCHACHA
from .value import BOOLEAN, BYTES, CBOR, DATE, INTEGER, NULL, TEXT, Value
from .vector import repeated
from .vectors import trace
from .wire import b64, pae, unb64

Line = Tuple[str, Union[str, bytes, int]]
REGISTRY, TABLE, FIELD = "demo-registry", "citizens", "cnic"
CNIC = b"0000012345678"
URDU = "\u06af\u0644\u0628\u062f\u0646 \u062a\u062c\u0631\u0628\u06c1".encode("utf-8")
RECORD = b"1001"
PASSPHRASE = "an invented passphrase"
TIMES = {name: "2026-%02d-01T09:00:00Z" % (month + 2) for month, name in enumerate(keyring.DATES)}
Files = Dict[str, bytes]


def stream(name: str) -> Callable[[int], bytes]:
    """A reader of the SHAKE-128 stream of a name."""
    data, at = hashlib.shake_128(b"amanat vectors v1: " + name.encode()).digest(8192), [0]

    def take(n: int) -> bytes:
        at[0] += n
        assert at[0] <= len(data)
        return data[at[0] - n:at[0]]
    return take


def put(files: Files, name: str, kind: str, expect: str, about: str, lines: Sequence[Line],
        file: Optional[bytes] = None) -> None:
    """Add one vector; bytes are written in hex."""
    out = ["amanat vector v1", "kind: " + kind, "expect: " + expect, "about: " + about]
    for key, item in lines:
        text = item.hex() if isinstance(item, bytes) else str(item)
        out.append("%s: %s" % (key, text) if text else key + ":")
    data = ("\n".join(out) + "\n").encode("utf-8")
    assert name + ".txt" not in files, name
    files[name + ".txt"] = data if file is None else data + b"file:\n" + file


def flip(data: bytes, at: int, mask: int = 1) -> bytes:
    """One byte changed."""
    at %= len(data)
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1:]


def make_small(files: Files) -> None:
    """PAE, key ids and derived keys."""
    for name, about, parts in (
            ("none", "no parts", []), ("one_empty", "one empty part", [b""]),
            ("two", "two parts", [b"ab", b"c"]),
            ("two_cut_elsewhere", "the same letters cut elsewhere", [b"a", b"bc"]),
            ("field_info", "the info of a field key",
             [b"amanat/v1/field", b"\x01", REGISTRY.encode(), TABLE.encode(), FIELD.encode()])):
        put(files, "pae_" + name, "pae", "success", "PAE of %s." % about,
            [("part", part) for part in parts] + [("pae", pae(*parts))])
    for purpose in ("field", "token", "audit"):
        name = "key_id_" + purpose
        secret = stream("key_id")(32)
        put(files, name, "key-id", "success",
            "One secret has another id for every purpose; here it is %s." % purpose,
            [("secret", secret), ("purpose", purpose), ("key-id", keys.key_id(secret, purpose))])
    secret = stream("derived_key")(32)
    for suite in (XAES, XCHACHA, COBBLESTONE):
        names: List[Line] = [("registry", REGISTRY), ("table", TABLE), ("field", FIELD)]
        put(files, "derived_key_field_suite_%d" % suite, "derived-key", "success",
            "The field key of suite %d." % suite,
            [("secret", secret), ("purpose", "field"), ("label", "amanat/v1/field"),
             ("suite", bytes([suite]))] + names
            + [("info", keys.field_info(suite, REGISTRY, TABLE, FIELD)),
               ("key", keys.field_key(secret, suite, REGISTRY, TABLE, FIELD))])
    token = (REGISTRY, "reversible", "tax-office", "matching")
    put(files, "derived_key_token_reversible", "derived-key", "success",
        "The 64-byte key of reversible tokens.",
        [("secret", secret), ("purpose", "token"), ("label", "amanat/v1/token"),
         ("registry", REGISTRY), ("kind-of-token", token[1]), ("recipient", token[2]),
         ("token-purpose", token[3]), ("info", keys.token_info(*token)),
         ("key", keys.token_key(secret, *token))])
    for label, derive in (("wrap", keys.wrapping_key), ("keyring-mac", keys.file_mac_key)):
        put(files, "derived_key_" + label.replace("-", "_"), "derived-key", "success",
            "A key made from the keyring secret.",
            [("secret", secret), ("label", "amanat/v1/" + label), ("registry", REGISTRY),
             ("info", pae(b"amanat/v1/" + label.encode(), REGISTRY.encode())),
             ("key", derive(secret, REGISTRY))])
    put(files, "derived_key_kek_id", "derived-key", "success", "The id of a KEK.",
        [("secret", secret), ("label", "amanat/v1/kek-id"), ("info", pae(b"amanat/v1/kek-id")),
         ("key", keys.kek_id(secret))])


GOOD_VALUES: List[Tuple[str, str, Value]] = [
    ("null", "null", Value(NULL, b"")),
    ("text", "a short text", Value(TEXT, CNIC)),
    ("text_empty", "the empty text, which is not null", Value(TEXT, b"")),
    ("bytes_like_padding", "bytes that end like padding", Value(BYTES, b"\x01\x80\x00\x00")),
    ("integer_least", "the least integer", Value(INTEGER, b"\x80" + bytes(7))),
    ("date_leap_day", "a leap day", Value(DATE, b"\x07\xd0\x02\x1d")),
    ("date_year_only", "a date of which only the year is known", Value(DATE, b"\x07\xb3\x00\x00")),
    ("boolean_true", "true", Value(BOOLEAN, b"\x01")),
    ("cbor_map", "a CBOR map", Value(CBOR, bytes.fromhex("a2616101616282f5f6"))),
    ("cbor_32_levels", "32 nested CBOR arrays, the last one empty",
     Value(CBOR, b"\x81" * 31 + b"\x80")),
    ("cbor_item_in_32_levels", "an integer inside 32 nested CBOR arrays",
     Value(CBOR, b"\x81" * 32 + b"\x01")),
]


def raw_pad(kind: int, data: bytes) -> bytes:
    """Padding of bytes that need not be a valid value."""
    out = bytes([kind]) + data + b"\x80"
    return out + bytes(-len(out) % 16)


BAD_PADDED: List[Tuple[str, str, bytes]] = [
    ("empty", "nothing at all", b""),
    ("all_zero", "only zeros", bytes(16)),
    ("marker_first", "the marker is the first byte", b"\x80" + bytes(15)),
    ("marker_missing", "the last byte that is not zero is not the marker", b"\x01abc" + bytes(12)),
    ("length_not_16", "15 bytes", b"\x01abc\x80" + bytes(10)),
    ("type_unknown", "type 07", raw_pad(7, b"")),
    ("null_with_bytes", "null with a byte", raw_pad(NULL, b"x")),
    ("text_not_utf8", "text of a lone continuation byte", raw_pad(TEXT, b"a\x80b")),
    ("text_surrogate", "text with a surrogate in it", raw_pad(TEXT, b"\xed\xa0\x80")),
    ("integer_4_bytes", "an integer of 4 bytes", raw_pad(INTEGER, bytes(3) + b"\x01")),
    ("date_year_0", "the year 0", raw_pad(DATE, b"\x00\x00\x01\x01")),
    ("date_year_10000", "the year 10000", raw_pad(DATE, b"\x27\x10\x01\x01")),
    ("date_month_13", "a 13th month", raw_pad(DATE, b"\x07\xd0\x0d\x01")),
    ("date_30_february", "30 February", raw_pad(DATE, b"\x07\xd0\x02\x1e")),
    ("date_leap_day_1900", "29 February 1900", raw_pad(DATE, b"\x07\x6c\x02\x1d")),
    ("date_day_without_month", "a day without a month", raw_pad(DATE, b"\x07\xd0\x00\x01")),
    ("boolean_2", "a boolean of 02", raw_pad(BOOLEAN, b"\x02")),
    ("cbor_empty", "CBOR without an item", raw_pad(CBOR, b"")),
    ("cbor_cut_short", "a CBOR text that ends too early", raw_pad(CBOR, b"\x65abc")),
    ("cbor_huge_count", "a CBOR array that claims 2^64-1 items",
     raw_pad(CBOR, b"\x9b" + b"\xff" * 8)),
    ("cbor_indefinite", "a CBOR array of indefinite length", raw_pad(CBOR, b"\x9f\x01\xff")),
    ("cbor_reserved", "a reserved CBOR initial byte", raw_pad(CBOR, b"\x1c")),
    ("cbor_simple_short", "a simple value below 32 in two bytes", raw_pad(CBOR, b"\xf8\x18")),
    ("cbor_trailing", "a byte after the CBOR item", raw_pad(CBOR, b"\x01\x02")),
    ("cbor_33_levels", "33 nested CBOR arrays", raw_pad(CBOR, b"\x81" * 32 + b"\x80")),
]


def make_values(files: Files) -> None:
    """Values and padding."""
    cases = [(name, about, item, 16) for name, about, item in GOOD_VALUES]
    cases += [("text_bucket_64", "a bucket of 64", Value(TEXT, CNIC), 64),
              ("text_bucket_256", "a bucket of 256", Value(TEXT, CNIC), 256),
              ("text_14_bytes", "type, 14 bytes and marker fill 16", Value(TEXT, b"x" * 14), 16),
              ("text_15_bytes", "one byte more takes 32", Value(TEXT, b"x" * 15), 16)]
    for name, about, item, bucket in cases:
        put(files, "value_" + name, "value", "success", "Padding: %s." % about,
            [("type", bytes([item.type])), ("value", item.data), ("bucket", bucket),
             ("padded", value.pad(item, bucket))])
    for name, about, padded in BAD_PADDED:
        put(files, "value_refused_" + name, "value", "malformed", "Refused: %s." % about,
            [("padded", padded)])


def make_grammar(files: Files) -> None:
    """Envelopes and their text form, without keys."""
    take = stream("envelope")
    key_id, body = take(16), take(400)
    sizes = {XAES: 56, XCHACHA: 72, SIV: 32, COBBLESTONE: 56 + 16 + 32}
    good = {s: bytes([1, s]) + key_id + body[:n] for s, n in sizes.items()}
    for suite, data in good.items():
        put(files, "envelope_suite_%d" % suite, "envelope-parse", "success",
            "The form of an envelope of suite %d." % suite,
            [("envelope", data), ("suite", bytes([suite])), ("key-id", key_id),
             ("padded-length", envelope.parse(data).padded_length())])
    one, four = good[XAES], good[COBBLESTONE]
    chunk = repeated(aead.SEALED_CHUNK, body)
    for name, expect, about, data in (
            ("empty", "malformed", "nothing at all", b""),
            ("version_0", "unsupported", "version 0", b"\x00" + one[1:]),
            ("version_2", "unsupported", "version 2", b"\x02" + one[1:]),
            ("suite_0", "unsupported", "suite 0", b"\x01\x00" + one[2:]),
            ("suite_5", "unsupported", "suite 5", b"\x01\x05" + one[2:]),
            ("header_cut_short", "malformed", "17 bytes of header", one[:17]),
            ("header_only", "malformed", "no body", one[:18]),
            ("header_trailing_byte", "malformed", "a byte after the end", one + b"\x00"),
            ("suite_1_no_ciphertext", "malformed", "nonce and tag only", one[:58]),
            ("suite_1_nonce_cut_short", "malformed", "half a nonce", one[:30]),
            ("suite_1_half_block", "malformed", "8 bytes of ciphertext", one[:66]),
            ("suite_2_one_byte_short", "malformed", "the last byte is missing", good[XCHACHA][:-1]),
            ("suite_3_no_ciphertext", "malformed", "synthetic IV only", good[SIV][:34]),
            ("suite_4_no_chunk", "malformed", "no chunk", four[:74]),
            ("suite_4_chunk_too_short", "malformed", "a chunk shorter than a tag", four[:82]),
            ("suite_4_empty_message", "malformed", "one empty chunk holds no padded value",
             four[:90]),
            ("suite_4_half_block", "malformed", "8 bytes of ciphertext", four[:98]),
            ("suite_4_last_chunk_full", "malformed", "the last chunk is full", four[:74] + chunk)):
        put(files, "envelope_refused_" + name, "envelope-parse", expect, "Refused: %s." % about,
            [("envelope", data)])
    text = envelope.to_text(one)
    short = envelope.to_text(good[SIV])  # 50 bytes: its last letter has unused bits
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for suite, data in ((XAES, one), (SIV, good[SIV])):
        put(files, "text_suite_%d" % suite, "envelope-text", "success",
            "The text form of an envelope of suite %d." % suite,
            [("text", envelope.to_text(data)), ("envelope", data)])
    for name, about, bad in (
            ("prefix_missing", "no prefix", text[5:]),
            ("prefix_upper_case", "prefix in capitals", "AMN1." + text[5:]),
            ("padding", "a padding sign", short + "="),
            ("standard_alphabet", "the alphabet with + and /", text[:30] + "+/" + text[32:]),
            ("trailing_bits", "unused bits that are not zero",
             short[:-1] + letters[letters.index(short[-1]) + 1]),
            ("white_space_inside", "a space inside", text[:30] + " " + text[30:]),
            ("impossible_length", "a length of 1 modulo 4", envelope.to_text(one + b"\0") + "A"),
            ("not_ascii", "a letter outside ASCII", text[:-1] + "\u00e9"),
            ("nothing_after_prefix", "the prefix alone", "amn1."),
            ("envelope_cut_short", "good letters of half an envelope", text[:45])):
        put(files, "text_refused_" + name, "envelope-text", "malformed", "Refused: %s." % about,
            [("text", bad)])
    put(files, "text_refused_version_2", "envelope-text", "unsupported",
        "Refused: the prefix of another version.", [("text", "amn2." + text[5:])])


class Case:
    """One sealed value of a field or of a token, and its lines."""

    def __init__(self, name: str, suite: int, item: Value, bucket: int = 16,
                 record_id: bytes = RECORD, where: Tuple[str, str, str] = (REGISTRY, TABLE, FIELD),
                 padded: Optional[bytes] = None) -> None:
        take = stream(name)
        self.suite, self.item, self.bucket, self.record_id = suite, item, bucket, record_id
        self.secret, self.where, self.token = take(32), where, suite == SIV
        purpose = "token" if self.token else "field"
        self.header = bytes([1, suite]) + keys.key_id(self.secret, purpose)
        self.key = (keys.token_key(self.secret, where[0], "reversible", *where[1:]) if self.token
                    else keys.field_key(self.secret, suite, *where))
        self.padded = value.pad(item, bucket) if padded is None else padded
        self.nonce = b"" if self.token else take(24)
        self.bound_id = b"" if self.token else record_id
        self.data = envelope.seal_padded(self.key, self.header, self.nonce, self.padded,
                                         self.bound_id)

    def lines(self, **other: Any) -> List[Line]:
        """The lines a refusal needs; `other` replaces some of them."""
        names = (("registry", "recipient", "token-purpose") if self.token
                 else ("registry", "table", "field"))
        lines: List[Line] = [("secret", self.secret)] + list(zip(names, self.where))
        if not self.token:
            lines.append(("record-id", self.record_id))
        lines.append(("envelope", self.data))
        known = [(key, other.pop(key.replace("-", "_"), item)) for key, item in lines]
        return known + [(key.replace("_", "-"), item) for key, item in other.items()]

    def success(self, repeat: Optional[str] = None, **other: Any) -> List[Line]:
        """The lines of a success, with every intermediate value."""
        lines = self.lines(**other)
        lines += [("key-id", self.header[2:]),
                  ("token-key" if self.token else "field-key", self.key)]
        lines += list(trace(self.data, self.key, self.bound_id).items())
        lines += [("type", bytes([self.item.type])), ("bucket", self.bucket)]
        lines.append(("value-repeat", repeat) if repeat else ("value", self.item.data))
        if not repeat:
            lines.append(("padded", self.padded))
        if len(self.data) <= 128:
            lines.append(("text", envelope.to_text(self.data)))
        return lines


def make_open(files: Files) -> None:
    """Values of fields: successes."""
    long = "x" * 128
    cases: List[Tuple[str, str, Case]] = []

    def add(name: str, about: str, suite: int, item: Value, **how: Any) -> None:
        name = "open_suite_%d_%s" % (suite, name)
        cases.append((name, about, Case(name, suite, item, **how)))
    for name, about, item in GOOD_VALUES[:1] + GOOD_VALUES[2:9]:
        add(name, about, XAES, item)
    add("cnic", "13 digits in 74 bytes and 104 letters", XAES, Value(TEXT, CNIC))
    add("urdu", "an invented name in Urdu", XAES, Value(TEXT, URDU))
    for bucket in (64, 256):
        add("bucket_%d" % bucket, "a bucket of %d" % bucket, XAES, Value(TEXT, CNIC), bucket=bucket)
    add("record_of_two_columns", "a record id of two columns", XAES, Value(TEXT, CNIC),
        record_id=pae(b"north", b"1001"))
    add("record_id_longest", "a record id of 1,024 bytes", XAES, Value(TEXT, CNIC),
        record_id=b"r" * 1024)
    add("names_longest", "names of 128 bytes", XAES, Value(TEXT, CNIC), where=(long, long, long))
    add("text", "a text", XCHACHA, Value(TEXT, CNIC))
    add("bytes", "bytes", XCHACHA, Value(BYTES, bytes(range(40))))
    add("null", "null", XCHACHA, Value(NULL, b""))
    add("empty", "an empty value", COBBLESTONE, Value(BYTES, b""))
    add("small", "100 bytes", COBBLESTONE, Value(BYTES, bytes(range(100))))
    add("text", "a text in a bucket of 64", COBBLESTONE, Value(TEXT, URDU), bucket=64)
    for name, about, case in cases:
        put(files, name, "open", "success", "Suite %d: %s." % (case.suite, about), case.success())
    pattern = bytes(range(1, 252))
    for name, about, length in (
            ("one_chunk_longest", "a padded length of 16,368, the longest single chunk", 16_366),
            ("two_chunks_last_empty", "a padded length of exactly 16,384", 16_382),
            ("three_chunks", "a padded length of 32,784: two full chunks and 16 bytes", 32_770)):
        name = "open_suite_4_" + name
        case = Case(name, COBBLESTONE, Value(BYTES, repeated(length, pattern)))
        put(files, name, "open", "success", "Suite 4: %s." % about,
            case.success(repeat="%d %s" % (length, pattern.hex())))
    for state, by_name in (("deactivated", False), ("suspended", True), ("compromised", True)):
        name = "open_key_%s%s" % (state, "_by_name" if by_name else "")
        extra = {"state": state, **({"by_name": "yes"} if by_name else {})}
        put(files, name, "open", "success",
            "A %s key opens%s." % (state, " by name" if by_name else ""),
            Case(name, XAES, Value(TEXT, CNIC)).success(**extra))


def make_open_refused(files: Files) -> None:
    """Values of fields: refusals."""
    def add(name: str, expect: str, about: str, case: Case, **other: Any) -> None:
        put(files, "open_refused_" + name, "open", expect, "Refused: %s." % about,
            case.lines(**other))
    text = Value(TEXT, CNIC)
    one, two = Case("open_refused_1", XAES, text), Case("open_refused_2", XCHACHA, text)
    for name in ("registry", "table", "field"):
        add("wrong_" + name, "unauthentic", "another " + name, one, **{name: "other"})
    add("wrong_record_id", "unauthentic", "another record", one, record_id=b"1002")
    add("record_id_with_zero_after", "unauthentic", "a record id with a zero byte after it", one,
        record_id=RECORD + b"\x00")
    add("record_id_too_long", "limit", "a record id of 1,025 bytes", one, record_id=b"r" * 1025)
    add("record_id_empty", "limit", "an empty record id", one, record_id=b"")
    add("suite_1_called_2", "unauthentic", "the suite byte changed from 1 to 2", one,
        envelope=flip(one.data, 1, 3))
    add("suite_2_called_1", "unauthentic", "the suite byte changed from 2 to 1", two,
        envelope=flip(two.data, 1, 3))
    for case in (one, two):
        places = (("nonce_first", 18), ("nonce_last", 41), ("ciphertext", 42), ("tag", -1))
        for part, at in places:
            add("suite_%d_%s_changed" % (case.suite, part), "unauthentic",
                "one bit of %s changed" % part.replace("_", " "), case,
                envelope=flip(case.data, at))
    add("key_unknown", "unknown-key", "the key id of another key", one,
        envelope=flip(one.data, 2))
    for state in ("pre-activation", "suspended", "compromised", "destroyed"):
        add("key_" + state.replace("-", "_"), "key-unusable", "a %s key" % state, one, state=state)
    for state in ("pre-activation", "destroyed"):
        add("key_%s_by_name" % state.replace("-", "_"), "key-unusable",
            "a %s key, even by name" % state, one, state=state, by_name="yes")
    for name in ("all_zero", "marker_first", "marker_missing", "type_unknown", "text_not_utf8",
                 "date_30_february", "cbor_trailing"):
        about, padded = next((a, p) for n, a, p in BAD_PADDED if n == name)
        add("inside_" + name, "unauthentic", "a good tag over a bad value: " + about,
            Case("open_refused_inside_" + name, XAES, text, padded=padded))
    add("inside_value_too_long", "unauthentic", "a good tag over 65,537 bytes, beyond the suite", Case(
        "open_refused_inside_value_too_long", XAES, text, padded=raw_pad(BYTES, bytes(65_537))))
    add("suite_3", "unsupported", "a field key does not open a token's envelope",
        Case("open_refused_suite_3", XAES, text),
        envelope=Case("open_refused_suite_3", SIV, text).data)
    small = Case("open_refused_4", COBBLESTONE, Value(BYTES, bytes(range(100))))
    add("suite_4_salt_changed", "unauthentic", "one bit of the salt changed", small,
        envelope=flip(small.data, 18))
    add("suite_4_commitment_changed", "unauthentic", "one bit of the commitment changed", small,
        envelope=flip(small.data, 73))
    add("suite_4_chunk_changed", "unauthentic", "one bit of the chunk changed", small,
        envelope=flip(small.data, 74))
    add("suite_4_wrong_record_id", "unauthentic", "another record", small, record_id=b"1002")
    add("suite_4_cut_inside_tag", "malformed", "five bytes of the last tag are missing", small,
        envelope=small.data[:-5])
    add("suite_4_tag_dropped", "unauthentic", "all 16 bytes of the last tag are missing", small,
        envelope=small.data[:-16])
    def big(name: str, length: int) -> Case:
        return Case("open_refused_suite_4_" + name, COBBLESTONE,
                    Value(BYTES, repeated(length, bytes(range(1, 252)))))
    c, n = aead.SEALED_CHUNK, 74
    case = big("last_chunk_full", 16_382)
    add("suite_4_last_chunk_full", "malformed",
        "the empty last chunk is missing, so that the last one is full", case,
        envelope=case.data[:n + c])
    case = big("last_chunk_dropped", 16_500)
    add("suite_4_last_chunk_dropped", "malformed", "the last of two chunks is missing", case,
        envelope=case.data[:n + c])
    add("suite_4_first_chunk_dropped", "unauthentic", "the first of two chunks is missing", case,
        envelope=case.data[:n] + case.data[n + c:])
    case = big("chunks_swapped", 32_770)
    add("suite_4_chunks_swapped", "unauthentic", "the first two of three chunks changed places",
        case, envelope=case.data[:n] + case.data[n + c:n + 2 * c] + case.data[n:n + c]
        + case.data[n + 2 * c:])


def make_token(files: Files) -> None:
    """Reversible tokens, suite 3."""
    where = (REGISTRY, "tax-office", "matching")
    text = Value(TEXT, CNIC)
    for name, about, item, bucket in (
            ("text", "a text", text, 16), ("text_bucket_64", "a bucket of 64", text, 64),
            ("bytes", "bytes", Value(BYTES, bytes(range(20))), 16)):
        put(files, "token_" + name, "open-token", "success", "Token: %s." % about,
            Case("token_" + name, SIV, item, bucket, where=where).success())
    case = Case("token_refused", SIV, text, where=where)

    def add(name: str, expect: str, about: str, case: Case, **other: Any) -> None:
        put(files, "token_refused_" + name, "open-token", expect, "Refused: %s." % about,
            case.lines(**other))
    add("wrong_registry", "unauthentic", "another registry", case, registry="other")
    add("wrong_recipient", "unauthentic", "another recipient", case, recipient="other")
    add("wrong_purpose", "unauthentic", "another purpose", case, token_purpose="other")
    add("iv_changed", "unauthentic", "one bit of the synthetic IV changed", case,
        envelope=flip(case.data, 18))
    add("ciphertext_changed", "unauthentic", "one bit of the ciphertext changed", case,
        envelope=flip(case.data, -1))
    add("key_unknown", "unknown-key", "the key id of another key", case,
        envelope=flip(case.data, 2))
    add("key_suspended", "key-unusable", "a suspended key", case, state="suspended")
    add("suite_1", "unsupported", "a token key does not open a field's envelope", case,
        envelope=flip(case.data, 1, 2)[:18] + bytes(56))
    add("inside_all_zero", "unauthentic", "a good synthetic IV over bad padding",
        Case("token_refused_inside", SIV, text, where=where, padded=bytes(16)))


class Ring:
    """Builds a keyring; tests change `document` before or after `close`."""

    def __init__(self, name: str, states: Sequence[Tuple[str, str]], slots: Sequence[str],
                 passphrase: str = PASSPHRASE, label: str = "main",
                 argon2: Tuple[int, int, int] = (8, 1, 1)) -> None:
        take = stream(name)
        self.take, self.secret, self.kek = take, take(32), take(32)
        self.passphrase, self.secrets = passphrase, {}  # type: ignore[var-annotated]
        self.document: Dict[str, Any] = dict(zip(keyring.MEMBERS, (
            "amanat-keyring", 1, REGISTRY, 7, "2026-01-01T09:00:00Z", "2026-11-23T18:30:00Z",
            len(slots), len(states), [], [], "")))
        for number, provider in enumerate(slots):
            self.document["slots"].append(self._slot(
                provider, label if number == 0 else "slot %d" % number, argon2))
        for purpose, state in states:
            self._key(purpose, state)

    def _slot(self, provider: str, label: str, argon2: Tuple[int, int, int]) -> Dict[str, Any]:
        params = {"passphrase": {"kdf": "argon2id", "lanes": str(argon2[2]),
                                 "memory_kib": str(argon2[0]), "passes": str(argon2[1]),
                                 "salt": b64(self.take(16))},
                  "key-file": {"kek_id": keys.kek_id(self.kek).hex()}}.get(provider, {"x": "y"})
        slot = dict(zip(keyring.SLOT_MEMBERS, (
            self.take(8).hex(), label, provider, "2026-01-01T09:00:00Z", params, "")))
        self.wrap_slot(slot)
        return slot

    def wrap_slot(self, slot: Dict[str, Any]) -> None:
        """Wrap the keyring secret for a slot."""
        context = keyring.Slot(slot["id"], slot["provider"], slot["params"], b"").context(REGISTRY)
        kek = (keyring.passphrase_kek(self.passphrase, slot["params"])
               if slot["provider"] == "passphrase" else self.kek)
        slot["wrapped"] = b64(keyring.wrap_secret(kek, context, self.take(24), self.secret))

    def _key(self, purpose: str, state: str) -> None:
        primary, state = state == "primary", "active" if state == "primary" else state
        secret = self.take(32)
        key: Dict[str, Any] = {name: None for name in keyring.KEY_MEMBERS}
        key.update({"id": keys.key_id(secret, purpose).hex(), "state": state, "primary": primary,
                    "created": "2026-02-01T09:00:00Z", "cryptoperiod_days": 730, "messages": 4096})
        if state != "pre-activation":
            key["activated"] = TIMES["activated"]
        if state in TIMES:
            key[state] = TIMES[state]
        self.secrets[key["id"]] = secret
        self.wrap(purpose, key)
        keysets = self.document["keysets"]
        if not keysets or keysets[-1]["purpose"] != purpose:
            keysets.append({"purpose": purpose, "keys": []})
        keysets[-1]["keys"].append(key)

    def wrap(self, purpose: str, key: Dict[str, Any]) -> None:
        """Wrap a key under what stands beside it."""
        key["wrapped"] = None
        if key["state"] != "destroyed":
            nonce = self.take(24)
            key["wrapped"] = b64(nonce + aead.xaes_seal(
                keys.wrapping_key(self.secret, REGISTRY), nonce, self.secrets[key["id"]],
                keyring.key_context(REGISTRY, purpose, key)))

    def close(self) -> bytes:
        """Make the MAC and the file."""
        self.document["mac"] = ""
        covered = keyring.encode(self.document)
        covered = covered[:covered.rindex(b'\n  "mac"') + 1]
        self.document["mac"] = b64(keyring.make_mac(self.secret, REGISTRY, covered))
        return keyring.encode(self.document)

    def key_lines(self) -> List[Line]:
        """What a reader must find."""
        return [("key", "%s %s %s %s" % (
            keyset["purpose"], key["id"], key["state"],
            "-" if key["state"] == "destroyed" else self.secrets[key["id"]].hex()))
            for keyset in self.document["keysets"] for key in keyset["keys"]]

    def key_file(self) -> str:
        """The text of the key file, without its line end."""
        return keyring.KEY_FILE_PREFIX + b64(self.kek)


PLAIN = [("field", "primary"), ("field", "deactivated"), ("token", "primary")]
SIX = [("field", "pre-activation"), ("field", "primary"), ("field", "active"),
       ("field", "suspended"), ("field", "deactivated"), ("field", "compromised"),
       ("field", "destroyed")]


def make_keyrings(files: Files) -> None:
    """Keyring files: successes."""
    urdu = "\u06cc\u06c1 \u0627\u06cc\u06a9 \u0641\u0631\u0636\u06cc \u062c\u0645\u0644\u06c1"
    for name, about, ring, with_file in (
            ("passphrase", "A slot for a passphrase.",
             Ring("keyring_passphrase", PLAIN, ["passphrase"]), False),
            ("key_file", "A slot for a key file.",
             Ring("keyring_key_file", PLAIN, ["key-file"]), True),
            ("six_states", "Keys of all six states.",
             Ring("keyring_six_states", SIX, ["passphrase"]), False),
            ("six_purposes", "Keysets of all six purposes.",
             Ring("keyring_six_purposes", [(p, "primary") for p in keys.PURPOSES],
                  ["passphrase"]), False),
            ("second_slot", "The second of two passphrase slots opens.", None, False),
            ("slot_of_unknown_provider", "A slot of an unknown provider stands beside a known one.",
             Ring("keyring_unknown", PLAIN, ["example-hsm", "passphrase"]), False),
            ("urdu_passphrase_and_label", "A passphrase and a label in Urdu, quotes in the label.",
             Ring("keyring_urdu", PLAIN, ["passphrase"], urdu, urdu + ' "\\'), False),
            ("argon2_lanes", "Argon2id with 64 KiB, 2 passes and 4 lanes.",
             Ring("keyring_argon2", PLAIN, ["passphrase"], argon2=(64, 2, 4)), False)):
        if ring is None:
            ring = Ring("keyring_second_slot", PLAIN, ["passphrase"])
            first = copy.deepcopy(ring.document["slots"][0])
            second = ring._slot("passphrase", "second", (8, 1, 1))
            ring.passphrase = "another invented one"
            ring.wrap_slot(second)
            ring.document.update({"slots": [first, second], "slot_count": 2})
        secret: Line = (("key-file", ring.key_file()) if with_file
                        else ("passphrase", ring.passphrase))
        data = ring.close()
        put(files, "keyring_" + name, "keyring", "success", about,
            [secret] + ring.key_lines(), data)


def make_keyrings_refused(files: Files) -> None:
    """Keyring files: refusals. `before` changes the document and the MAC is
    made again, as only a holder of the secret can; `after` changes it under
    the old MAC; `raw` changes the bytes of the file."""
    Doc = Dict[str, Any]

    def add(name: str, expect: str, about: str, before: Optional[Callable[[Doc, Ring], Any]] = None,
            after: Optional[Callable[[Doc], Any]] = None,
            raw: Optional[Callable[[bytes], bytes]] = None, passphrase: Optional[str] = None,
            slots: Sequence[str] = ("passphrase",), lines: Optional[Sequence[Line]] = None) -> None:
        ring = Ring("keyring_refused", PLAIN, slots)
        if before:
            before(ring.document, ring)
        data = ring.close()
        if after:
            after(ring.document)
            data = keyring.encode(ring.document)
        if raw:
            changed = raw(data)
            assert changed != data, name
            data = changed
        put(files, "keyring_refused_" + name, "keyring", expect, "Refused: %s." % about,
            lines or [("passphrase", passphrase or PASSPHRASE)], data)

    def key(d: Doc, at: int = 0) -> Doc:
        found: Doc = d["keysets"][0]["keys"][at]
        return found

    def argon2(d: Doc, **params: str) -> None:
        d["slots"][0]["params"].update(params)

    def rewrap(d: Doc, ring: Ring, at: int, **members: Any) -> None:
        key(d, at).update(members)
        ring.wrap("field", key(d, at))

    def two_primaries(d: Doc, ring: Ring) -> None:
        rewrap(d, ring, 1, state="active", deactivated=None, primary=True)

    def wrong_id(d: Doc, ring: Ring) -> None:
        other = "00" * 16
        ring.secrets[other] = ring.secrets[key(d)["id"]]
        rewrap(d, ring, 0, id=other)

    def duplicate(d: Doc, ring: Ring) -> None:
        d["keysets"][0]["keys"].append(copy.deepcopy(key(d, 1)))
        d["key_count"] += 1

    def index_twins(d: Doc, ring: Ring) -> None:
        states = {}  # type: Dict[bytes, bytes]
        while True:
            secret = ring.take(32)
            tag = keys.key_id(secret, "index")[:1]
            if tag in states:
                break
            states[tag] = secret
        found = []
        for primary, twin in ((True, states[tag]), (False, secret)):
            item = dict(key(d), id=keys.key_id(twin, "index").hex(), primary=primary)
            ring.secrets[item["id"]] = twin
            ring.wrap("index", item)
            found.append(item)
        d["keysets"].insert(1, {"purpose": "index", "keys": found})
        d["key_count"] += 2

    def destroyed_with_secret(d: Doc, ring: Ring) -> None:
        key(d, 1).update(state="destroyed", destroyed=TIMES["destroyed"])

    # Form: no key is needed to refuse these.
    add("empty", "malformed", "an empty file", raw=lambda b: b"")
    add("truncated", "malformed", "the second half is missing", raw=lambda b: b[:len(b) // 2])
    add("last_line_end_missing", "malformed", "the last line end is missing", raw=lambda b: b[:-1])
    add("line_ends_crlf", "malformed", "CR LF line ends", raw=lambda b: b.replace(b"\n", b"\r\n"))
    add("white_space", "malformed", "a space was added by hand",
        raw=lambda b: b.replace(b'": 7', b'":  7'))
    add("escape", "malformed", "a letter written as an escape",
        raw=lambda b: b.replace(b'"main"', b'"\\u006dain"'))
    add("member_twice", "malformed", "a member stands twice",
        raw=lambda b: b.replace(b'  "version": 1,\n', b'  "version": 1,\n  "version": 1,\n'))
    add("member_unknown", "malformed", "an unknown member",
        before=lambda d, r: key(d).update(note="x"))
    add("member_missing", "malformed", "a member is missing",
        before=lambda d, r: key(d).pop("messages"))
    add("format_other", "malformed", "another format",
        before=lambda d, r: d.update(format="amanat-keys"))
    add("version_2", "unsupported", "version 2", before=lambda d, r: d.update(version=2))
    add("version_2_with_other_members", "unsupported", "version 2 with a member of its own",
        before=lambda d, r: d.update(version=2, more="x"))
    add("generation_0", "malformed", "generation 0", before=lambda d, r: d.update(generation=0))
    add("time_impossible", "malformed", "30 February", before=lambda d, r: d.update(
        updated="2026-02-30T09:00:00Z"))
    add("time_with_offset", "malformed", "a time with an offset", before=lambda d, r: d.update(
        updated="2026-02-20T09:00:00+05:00"))
    add("state_unknown", "malformed", "an unknown state",
        before=lambda d, r: rewrap(d, r, 1, state="retired"))
    add("params_order", "malformed", "parameters in another order",
        before=lambda d, r: d["slots"][0].update(
            params=dict(reversed(list(d["slots"][0]["params"].items())))))
    add("keysets_order", "malformed", "keysets in another order",
        before=lambda d, r: d["keysets"].reverse())
    add("keyset_twice", "malformed", "two keysets of one purpose",
        before=lambda d, r: d["keysets"][1].update(purpose="field"))
    add("keyset_empty", "malformed", "a keyset without keys", before=lambda d, r: (
        d["keysets"][1].update(keys=[]), d.update(key_count=2)))
    add("key_id_twice", "malformed", "a key stands twice", before=duplicate)
    add("primary_two", "malformed", "two primary keys", before=two_primaries)
    add("primary_none", "malformed", "no primary key",
        before=lambda d, r: rewrap(d, r, 0, primary=False))
    add("primary_suspended", "malformed", "the primary key is suspended",
        before=lambda d, r: rewrap(d, r, 0, state="suspended"))
    add("destroyed_with_secret", "malformed", "a destroyed key still has a wrapped secret",
        before=destroyed_with_secret)
    add("secret_missing", "malformed", "a deactivated key has no wrapped secret",
        before=lambda d, r: key(d, 1).update(wrapped=None))
    add("key_removed", "malformed", "a key removed, the count left",
        after=lambda d: d["keysets"][0]["keys"].pop())
    add("slot_removed", "malformed", "a slot removed, the count left",
        slots=["passphrase", "key-file"], after=lambda d: d["slots"].pop())
    add("slots_none", "malformed", "no slot", before=lambda d, r: d.update(slots=[], slot_count=0))
    add("slot_id_twice", "malformed", "two slots of one id", slots=["passphrase", "key-file"],
        before=lambda d, r: d["slots"][1].update(id=d["slots"][0]["id"]))
    add("slot_commitment_changed", "unauthentic", "the commitment of a slot changed, with a good MAC",
        before=lambda d, r: d["slots"][0].update(wrapped=b64(flip(
            unb64(d["slots"][0]["wrapped"]), 0))))
    add("purpose_unknown", "malformed", "an unknown purpose",
        before=lambda d, r: d["keysets"][1].update(purpose="seal"))
    add("params_name", "malformed", "a parameter whose name is no name",
        before=lambda d, r: d["slots"][0]["params"].update({"a b": ""}))
    add("label_control_character", "malformed", "a control character in a label",
        before=lambda d, r: d["slots"][0].update(label="ma\x7fin"))
    add("label_empty", "malformed", "an empty label",
        before=lambda d, r: d["slots"][0].update(label=""))
    add("generation_over_2_53", "malformed", "generation 2^53",
        before=lambda d, r: d.update(generation=1 << 53))
    add("slot_secret_short", "malformed", "a slot's wrapped secret of 103 bytes",
        before=lambda d, r: d["slots"][0].update(wrapped=b64(bytes(103))))
    add("params_one_more", "malformed", "a passphrase slot with a sixth parameter",
        before=lambda d, r: argon2(d, zeal="1"))
    add("argon2_leading_zero", "malformed", "a number with a leading zero",
        before=lambda d, r: argon2(d, passes="01"))
    add("key_file_params_one_more", "malformed", "a key-file slot with a second parameter",
        slots=["key-file"], before=lambda d, r: argon2(d, zeal="1"),
        lines=[("key-file", Ring("keyring_refused", PLAIN, ["key-file"]).key_file())])
    add("index_tags", "malformed", "two index keys whose ids begin with the same byte",
        before=index_twins)
    # Limits and providers.
    add("index_keys_193", "limit", "193 index keys", before=lambda d, r: (
        d["keysets"].insert(1, {"purpose": "index", "keys": [
            dict(key(d), id="%02x%030x" % (n, n), primary=n == 0) for n in range(193)]}),
        d.update(key_count=196)))
    add("label_65_bytes", "limit", "a label of 65 bytes",
        before=lambda d, r: d["slots"][0].update(label="m" * 65))
    add("params_17", "limit", "17 parameters", before=lambda d, r: d["slots"][0].update(
        params={"p%02d" % n: "" for n in range(17)}))
    add("params_value_1025_bytes", "limit", "a parameter of 1,025 bytes",
        before=lambda d, r: d["slots"][0]["params"].update(salt="A" * 1025))
    add("keys_1025", "limit", "1,025 keys of one purpose", before=lambda d, r: (
        d["keysets"][0].update(keys=[dict(key(d, 1), id="%032x" % n) for n in range(1025)]),
        d.update(key_count=1026)))
    add("argon2_passes_0", "limit", "Argon2id with no pass", before=lambda d, r: argon2(d, passes="0"))
    add("argon2_memory_below_lanes", "limit", "Argon2id with less than 8 KiB for each lane",
        before=lambda d, r: argon2(d, lanes="2", memory_kib="15"))
    add("argon2_memory_of_30_digits", "limit", "a number of 30 digits",
        before=lambda d, r: argon2(d, memory_kib="9" * 30))
    add("kdf_other", "unsupported", "a passphrase slot of another function",
        before=lambda d, r: argon2(d, kdf="argon2d"))
    add("passphrase_too_long", "limit", "a passphrase of 1,025 bytes", passphrase="p" * 1025)
    add("slots_33", "limit", "33 slots", before=lambda d, r: (
        d.update(slots=[dict(d["slots"][0], id="%016x" % n) for n in range(33)], slot_count=33)))
    add("messages_over_limit", "limit", "more messages than one key may seal",
        before=lambda d, r: rewrap(d, r, 0, messages=(1 << 44) + 1))
    add("argon2_memory_2_tib", "limit", "Argon2id with 2 TiB of memory",
        before=lambda d, r: argon2(d, memory_kib=str(1 << 31)))
    add("argon2_memory_1_kib", "limit", "Argon2id with 1 KiB of memory",
        before=lambda d, r: argon2(d, memory_kib="1"))
    add("argon2_passes_17", "limit", "Argon2id with 17 passes",
        before=lambda d, r: argon2(d, passes="17"))
    add("argon2_lanes_17", "limit", "Argon2id with 17 lanes",
        before=lambda d, r: argon2(d, lanes="17", memory_kib="1024"))
    add("argon2_salt_short", "malformed", "a salt of 15 bytes",
        before=lambda d, r: argon2(d, salt=b64(bytes(15))))
    add("provider_unknown", "unsupported", "the only slot has an unknown provider",
        slots=["example-hsm"])
    # Secrets that do not fit, and changes under the old MAC.
    add("passphrase_wrong", "unauthentic", "another passphrase", passphrase="a wrong passphrase")
    other = Ring("keyring_refused_key_file", PLAIN, ["key-file"]).key_file()
    add("key_file_wrong", "unauthentic", "another key file", slots=["key-file"],
        lines=[("key-file", other)])
    add("key_file_cut_short", "malformed", "a key file of fewer bytes", slots=["key-file"],
        lines=[("key-file", other[:-4])])
    add("slot_argon2_changed", "unauthentic", "a slot's passes changed",
        after=lambda d: argon2(d, passes="2"))
    add("slot_label_changed", "unauthentic", "a slot's label changed",
        after=lambda d: d["slots"][0].update(label="maim"))
    add("slot_removed_count_adjusted", "unauthentic", "a slot removed and the count adjusted",
        slots=["passphrase", "key-file"],
        after=lambda d: (d["slots"].pop(), d.update(slot_count=1)))
    add("key_removed_count_adjusted", "unauthentic", "a key removed and the count adjusted",
        after=lambda d: (d["keysets"][0]["keys"].pop(), d.update(key_count=2)))
    add("state_changed", "unauthentic", "a deactivated key made active",
        after=lambda d: key(d, 1).update(state="active"))
    add("state_changed_new_mac", "unauthentic",
        "a deactivated key made active, with a good MAC but not wrapped again",
        before=lambda d, r: key(d, 1).update(state="active"))
    add("date_changed", "unauthentic", "a key's date changed",
        after=lambda d: key(d).update(activated="2026-02-02T09:00:00Z"))
    add("messages_changed", "unauthentic", "a key's count of messages changed",
        after=lambda d: key(d).update(messages=1))
    add("generation_changed", "unauthentic", "the generation changed",
        after=lambda d: d.update(generation=8))
    add("registry_changed", "unauthentic", "the registry changed",
        after=lambda d: d.update(registry="other"))
    add("mac_changed", "unauthentic", "the MAC changed",
        after=lambda d: d.update(mac=b64(bytes(32))))
    add("key_id_not_of_its_secret", "unauthentic", "an id that does not commit to its secret",
        before=wrong_id)


def make_pins(files: Files) -> None:
    """Keyrings and pins."""
    ring = Ring("keyring_pin", PLAIN, ["passphrase"])
    data = ring.close()
    mac = keyring.parse(data).mac
    good = keyring.Pin(REGISTRY, 7, mac).encode().decode()[:-1]
    for name, expect, about, pin in (
            ("pin_same", "success", "The very keyring the pin remembers.", good),
            ("pin_newer_keyring", "success", "The keyring is newer than the pin.",
             keyring.Pin(REGISTRY, 6, bytes(32)).encode().decode()[:-1]),
            ("pin_refused_older_keyring", "rollback", "Refused: the keyring is older than the pin.",
             keyring.Pin(REGISTRY, 8, mac).encode().decode()[:-1]),
            ("pin_refused_fork", "rollback", "Refused: another keyring of the same generation.",
             keyring.Pin(REGISTRY, 7, bytes(32)).encode().decode()[:-1]),
            ("pin_refused_registry", "rollback", "Refused: a pin of another registry.",
             keyring.Pin("other", 7, mac).encode().decode()[:-1]),
            ("pin_refused_generation_0", "malformed", "Refused: a pin of generation 0.",
             good.replace(":7", ":0")),
            ("pin_refused_version_2", "unsupported", "Refused: a pin of version 2.",
             good.replace('"version":1', '"version":2')),
            ("pin_refused_white_space", "malformed", "Refused: a pin with a space in it.",
             good.replace(":7", ": 7"))):
        put(files, name, "keyring-pin", expect, about,
            [("passphrase", PASSPHRASE), ("pin", pin)]
            + (ring.key_lines() if expect == "success" else []), data)


def make(folder: str) -> int:
    """Write every file; returns how many."""
    from . import make_runs, make_surrogates  # they use this module's helpers
    files: Files = {}
    for part in (make_small, make_values, make_grammar, make_open, make_open_refused, make_token,
                 make_keyrings, make_keyrings_refused, make_pins, *make_surrogates.PARTS,
                 *make_runs.PARTS):
        part(files)
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    return len(files)
