# SPDX-License-Identifier: MIT OR Apache-2.0
"""Checks of the vectors of chapters 8 to 10: normal forms, identifiers, indexes, tokens."""
from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any, Callable, Dict, List, Sequence, Tuple

from . import (envelope, hpke, identifier, index, keyring, keys, normal, receipt, tokens,
               value)
from .errors import Expired, Refusal
from .ff1 import Ff1
from .keys import Key
from .normal import Form
from .tokens import Audience
from .value import TEXT, Value
from .vector import Mismatch, Vector
from .wire import pae


def form_of(text: str) -> Form:
    """A form as it stands in a vector: its name, or `custom/v1:NAME:PATTERN CHECK`."""
    if text.startswith("custom/v1:"):
        text, _, check = text.rpartition(" ")
        return normal.form("%s:%s" % (text, check))
    return normal.form(text)


def typed(text: str) -> Value:
    """`TYPE HEX`: a value."""
    kind, _, data = text.partition(" ")
    return Value(int(kind, 16), bytes.fromhex(data))


def keys_of(v: Vector, purpose: str) -> List[Key]:
    """Lines `key`: state and secret, in file order."""
    found = []
    for line in v.all("key"):
        state, _, secret = line.partition(" ")
        key = keys.new_key(bytes.fromhex(secret), purpose, state)
        found.append(Key(purpose, key.id, state, key.primary,
                         None if state == "destroyed" else key.secret))
    return found


# -- chapter 8 ----------------------------------------------------------------

def _normal(v: Vector) -> None:
    form, item = form_of(v.one("form")), v.value()
    got = normal.normalize(form, item)
    v.same("normal", got.hex())
    for text in v.all("same"):
        if normal.normalize(form, Value(TEXT, bytes.fromhex(text))) != got:
            raise Mismatch("`same` %s has another normal form" % text)
    for text in v.all("differs"):
        if normal.normalize(form, Value(TEXT, bytes.fromhex(text))) == got:
            raise Mismatch("`differs` %s has the same normal form" % text)
    if form.name != "exact/v1" and normal.normalize(form, Value(TEXT, got)) != got:
        raise Mismatch("normalising again changes the normal form")


def identifier_of(text: str) -> identifier.Identifier:
    """An identifier as it stands in a vector: its name, or `NAME:PATTERN CHECK`."""
    if ":" in text:
        text, _, check = text.rpartition(" ")
        name, _, pattern = text.partition(":")
        return identifier.custom(name, pattern, check)
    return identifier.of(text)


def identifier_lines(what: identifier.Identifier, text: str) -> List[Tuple[str, str]]:
    """What a vector says of a valid identifier."""
    read = what.read(text)
    lines = [("normal", read), ("display", what.display(read).encode("ascii").hex()),
             ("strict", "yes" if strict(what, text) else "no"),
             ("odd", "yes" if identifier.odd(what.name, read) else "no"), ("mask", what.mask(text))]
    try:
        size = what.size()
    except normal.Schema:
        return lines
    if what.at_rank(what.rank(read)) != read:
        raise Mismatch("the value at its rank is another one")
    return lines + [("size", str(size)), ("rank", str(what.rank(read)))]


def strict(what: identifier.Identifier, text: str) -> bool:
    """Whether strict reading accepts a text that lenient reading accepts."""
    try:
        what.read_strict(text)
    except normal.Malformed:
        return False
    return True


def _identifier(v: Vector) -> None:
    what, text = identifier_of(v.one("identifier")), v.hex("value").decode("utf-8")
    for key, got in identifier_lines(what, text):
        v.same(key, got)


def _mask(v: Vector) -> None:
    what = identifier_of(v.one("identifier"))
    v.same("mask", what.mask(v.hex("value").decode("utf-8")))
    if what.mask(v.one("mask")) != v.one("mask"):
        raise Mismatch("masking a mask changes it")


# -- chapter 9 ----------------------------------------------------------------

def _columns(v: Vector) -> List[Tuple[str, Form]]:
    found = []
    for line in v.all("column"):
        field, _, form = line.partition(" ")
        found.append((field, form_of(form)))
    return found


def index_info(v: Vector) -> bytes:
    """The info of an index key."""
    columns = [(field, form.key_name) for field, form in _columns(v)]
    return index.info(v.one("registry"), v.one("table"), v.one("index"), columns)


def index_key(v: Vector, secret: bytes) -> bytes:
    """The index key of a vector."""
    columns = [(field, form.key_name) for field, form in _columns(v)]
    return index.derive(secret, v.one("registry"), v.one("table"), v.one("index"), columns)


def _several(v: Vector, key: str, got: Sequence[bytes]) -> None:
    if v.all(key) != [data.hex() for data in got]:
        raise Mismatch("`%s` computed %s" % (key, [data.hex() for data in got]))


def _index_term(v: Vector) -> None:
    columns, bits = _columns(v), int(v.one("bits"))
    values = [normal.normalize(form, typed(line))
              for (_, form), line in zip(columns, v.all("value"))]
    keyset = keys_of(v, "index")
    terms = index.query(keyset, v.one("registry"), v.one("table"), v.one("index"),
                        [(field, form.key_name) for field, form in columns], bits, values)
    opening = [key for key in keyset if keys.STATES[key.state].open]
    found = [index_key(v, key.secret or b"") for key in opening]
    v.same("info", index_info(v).hex())
    _several(v, "normal", values)
    v.same("pae", pae(*values).hex())
    _several(v, "tag", [key.id[:1] for key in opening])
    _several(v, "index-key", found)
    _several(v, "mac", [index.mac(key, values) for key in found])
    _several(v, "term", terms)


# -- chapter 10 ---------------------------------------------------------------

def _token_text(v: Vector) -> None:
    token = tokens.parse(v.one("text"))
    v.same("kind-of-token", token.kind)
    v.same("epoch", str(token.epoch))
    v.same("recipient", token.audience.recipient)
    v.same("token-purpose", token.audience.purpose)
    v.same("header", token.header)
    v.same("data", token.data.hex())
    v.same("text", token.encode())


def token_lines(v: Vector, key: Key, registry: str, token: tokens.Token, form: Form,
                read: bytes) -> List[Tuple[str, str]]:
    """Every intermediate value of a good token; `read` is the normal form."""
    token_key = tokens.derive(key, registry, token.kind, token.audience)
    out: List[Tuple[str, object]] = [
        ("kind-of-token", token.kind), ("epoch", str(token.epoch)), ("header", token.header),
        ("data", token.data), ("key-id", key.id), ("token-key", token_key), ("normal", read)]
    name = form.key_name
    if token.kind == "pairwise":
        out += [("pae", pae(name.encode("ascii"), read)),
                ("body", token.data[:16]), ("proof", token.data[16:])]
        again = tokens.pairwise(token_key, name, read)
    elif token.kind == "vaulted":
        body = token.data[:16]
        vault = keys.new_key(v.hex("index-secret"), "index")
        columns = [(token.audience.purpose, name)]
        table = (registry, tokens.VAULT, tokens.vault_index(token))
        scope = token.header + name
        out += [("body", body), ("proof", token.data[16:]), ("scope", scope),
                ("vault-info", index.info(*table, columns)),
                ("vault-term", index.term(vault, *table, columns, 128, [read])),
                ("record-id", tokens.vault_record_id(scope, body))]
        again = tokens.vaulted(token_key, body)
    elif token.kind == "reversible":
        out += [("ad", envelope.associated_data(token.data[:18], b"")),
                ("padded", value.pad(tokens.as_value(read), 16))]
        again = tokens.reversible(token_key, key.id, read)
    elif token.kind == "expiring":
        out += [("expiry", str(int.from_bytes(token.data[:5], "big"))),
                ("nonce", token.data[5:16]), ("padded", value.pad(tokens.as_value(read), 16))]
        again = tokens.expiring(token_key, token.header, int.from_bytes(token.data[:5], "big"),
                                token.data[5:16], read)
    else:
        tool = tokens.Preserving(token_key, token.audience, name, what_of(form))
        made, way = tool.make(read.decode("ascii"))
        out += [("size", str(tool.size)), ("digits", str(tool.digits)),
                ("rank", str(tool.what.rank(read.decode("ascii")))),
                ("tweak-info", tool.tweak_info), ("tweak", tool.tweak),
                *(("step", str(step)) for step in way)]
        again = made.encode("ascii")
    if again != token.data:
        raise Mismatch("making the token again gives another one")
    return [(key_, item.hex() if isinstance(item, bytes) else str(item)) for key_, item in out]


def what_of(form: Form) -> identifier.Identifier:
    """The identifier of a form."""
    if form.described is None:
        raise normal.Schema("the form is not of an identifier")
    return form.described


def _token(v: Vector) -> None:
    registry, form = v.one("registry"), form_of(v.one("form"))
    keyset, token = keys_of(v, "token"), tokens.parse(v.one("text"))
    audience = Audience(v.one("recipient"), v.one("token-purpose"))
    if token.audience != audience:
        raise tokens.Unauthentic("the token is of another audience")
    now = int(v.get("now") or "0")
    found = tokens.open_token(keyset, registry, token, form, now)
    read = normal.normalize(form, typed(v.one("value")))
    if found not in (None, read):
        raise Mismatch("another value")
    key = tokens.key_at(keyset, token.epoch)
    lines = token_lines(v, key, registry, token, form, read)
    for name in dict(lines):
        if v.all(name) != [text for other, text in lines if other == name]:
            raise Mismatch("`%s` computed %s" % (name, dict(lines)[name]))
    if token.kind == "vaulted":
        _vault_entry(v, registry, audience, token.data[:16], read)


def _vault_entry(v: Vector, registry: str, audience: Audience, body: bytes, read: bytes) -> None:
    key = keys.new_key(v.hex("field-secret"), "field")
    where, record = envelope.Field(registry, tokens.VAULT, "value"), v.hex("record-id")
    item = envelope.open_field([key], where, record, v.hex("envelope"))
    if item != tokens.as_value(read):
        raise Mismatch("the vault holds another value")


def _ff1(v: Vector) -> None:
    def numerals(name: str) -> List[int]:
        return [int(text) for text in v.one(name).split(" ")]
    ff1, radix, tweak = Ff1(v.hex("aes-key")), int(v.one("radix")), v.hex("tweak")
    got = ff1.encrypt(radix, tweak, numerals("plain"))
    v.same("sealed", " ".join(str(n) for n in got))
    if ff1.decrypt(radix, tweak, got) != numerals("plain"):
        raise Mismatch("decrypting gives other numerals")


def _translation(v: Vector) -> None:
    registry, audience = v.one("registry"), Audience(v.one("recipient"), v.one("token-purpose"))
    private = tokens.read_recipient_key(v.one("recipient-key") + "\n")
    token = tokens.open_translation(private, registry, audience, v.one("text"))
    v.same("token", token)
    v.same("public", hpke.public_key(private).hex())
    v.same("public-text", tokens.public_text(hpke.public_key(private)))
    text, schedule = tokens.seal_translation(v.hex("ephemeral"), v.hex("public"), registry,
                                             audience, token)
    v.same("text", text)
    v.same("info", tokens.translation_info(registry, audience).hex())
    v.same("shared-secret", schedule.shared_secret.hex())
    v.same("hpke-key", schedule.key.hex())
    v.same("base-nonce", schedule.base_nonce.hex())


def _receipt(v: Vector) -> None:
    found = receipt.read(v.file, keys_of(v, "token"))
    v.same("key-id", found["key"])
    v.same("mac-key", receipt.mac_key(v.hex("secret"), found["registry"]).hex())


# -- JSON Lines that another implementation wrote -----------------------------

def _open_keyring(folder: str, head: Dict[str, str]) -> Tuple[str, List[Key]]:
    with open(os.path.join(folder, head["keyring"]), "rb") as file:
        ring = keyring.parse(file.read(keyring.MAX_KEYRING_BYTES + 1))
    return ring.registry, keyring.unlock(ring, head["passphrase"])


def _same(name: str, wanted: object, got: object) -> None:
    if wanted != got:
        raise Mismatch("%s: %r, computed %r" % (name, wanted, got))


def _refusal(case: Dict[str, Any], run: Callable[[], object]) -> bool:
    """Whether a line says that the value is refused; it must be, in its class."""
    if "class" not in case:
        return False
    try:
        run()
    except Refusal as refusal:
        _same("class", case["class"], refusal.result)
        return True
    raise Mismatch("not refused; expected %s" % case["class"])


def _line_token(registry: str, keyset: List[Key], case: Dict[str, Any]) -> None:
    form, token = form_of(case["form"]), tokens.parse(case["text"])
    read = normal.normalize(form, typed("%s %s" % (case["type"], case["value_hex"])))
    found = tokens.open_token(keyset, registry, token, form, case.get("now", 0))
    if found is not None:
        _same("value", found, read)
    key = tokens.key_at(keyset, token.epoch)
    token_key = tokens.derive(key, registry, token.kind, token.audience)
    if token.kind == "pairwise":
        _same("data", token.data, tokens.pairwise(token_key, form.key_name, read))
    elif token.kind == "reversible":
        _same("data", token.data, tokens.reversible(token_key, key.id, read))
    elif token.kind == "preserving":
        made = tokens.Preserving(token_key, token.audience, form.key_name, what_of(form))
        _same("data", token.data.decode("ascii"), made.make(read.decode("ascii"))[0])
    elif token.kind == "vaulted":
        entry, columns = case["entry"], [(token.audience.purpose, form.key_name)]
        _same("scope", entry["scope"], token.header + form.key_name)
        terms = index.query(keyset, registry, tokens.VAULT, tokens.vault_index(token), columns,
                            128, [read])
        if bytes.fromhex(entry["term"]) not in terms:
            raise Mismatch("the vault's term")
        item = envelope.open_field(
            keyset, envelope.Field(registry, tokens.VAULT, "value"),
            tokens.vault_record_id(entry["scope"], token.data[:16]),
            bytes.fromhex(entry["envelope_hex"]))
        _same("entry", item, tokens.as_value(read))
    else:
        try:
            tokens.open_expiring(token_key, token, case["now"] + 1)
        except Expired:
            return
        raise Mismatch("opens after its expiry")


def _line(registry: str, keyset: List[Key], case: Dict[str, Any]) -> None:
    if case["op"] == "token":
        _line_token(registry, keyset, case)
    elif case["op"] == "refused":
        item = typed("%s %s" % (case["type"], case["value_hex"]))
        _refusal(case, lambda: normal.normalize(form_of(case["form"]), item))
    elif case["op"] == "identifier":
        what, text = what_of(form_of(case["form"])), bytes.fromhex(case["value_hex"]).decode()
        _same("mask", case["mask"], what.mask(text))
        if not _refusal(case, lambda: what.read(text)):
            _same("normal", case["normal"], what.read(text))
            _same("display", case["display"], what.display(case["normal"]))
            _same("strict", case["strict"], strict(what, text))
    elif case["op"] == "term":
        forms = [(field, form_of(form)) for field, form in case["columns"]]
        values = [normal.normalize(form, Value(TEXT, text.encode("utf-8")))
                  for (_, form), text in zip(forms, case["values"])]
        names = [(field, form.key_name) for field, form in forms]
        got = index.query(keyset, registry, case["table"], case["index"], names, case["bits"],
                          values)
        _same("terms", sorted(case["terms"]), sorted(term.hex() for term in got))
    else:
        ff1 = Ff1(bytes.fromhex(case["key"]))
        tweak = bytes.fromhex(case["tweak"])
        _same("sealed", case["sealed"], ff1.encrypt(case["radix"], tweak, case["plain"]))
        _same("plain", case["plain"], ff1.decrypt(case["radix"], tweak, case["sealed"]))


def check_lines(path: str) -> int:
    """Check what another implementation made of values; the first line names its keyring."""
    count = wrong = 0
    operations: Counter[str] = Counter()
    with open(path, encoding="utf-8") as lines:
        head = json.loads(next(lines))
        registry, keyset = _open_keyring(os.path.dirname(os.path.abspath(path)), head)
        for number, line in enumerate(lines, 2):
            case = json.loads(line)
            count += 1
            operations[case["op"]] += 1
            try:
                _line(registry, keyset, case)
            except (Mismatch, Refusal) as problem:
                wrong += 1
                if wrong <= 20:
                    print("line %d: %s: %s" % (number, problem, line.strip()[:300]))
    for name, number in sorted(operations.items()):
        print("%s: %d" % (name, number))
    print("%d lines, %d do not agree" % (count, wrong))
    return wrong if count else 1


KINDS: Dict[str, Callable[[Vector], None]] = {
    "normal": _normal, "identifier": _identifier, "mask": _mask, "index-term": _index_term,
    "token": _token, "token-text": _token_text, "ff1": _ff1, "translation": _translation,
    "receipt": _receipt,
}
