# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reading and checking the files of tests/vectors (format: its README.md)."""
from __future__ import annotations

import json
import os
from collections import Counter
from typing import Callable, Dict, List, Tuple

from . import aead, envelope, keyring, keys, run_plan, surrogates, value
from .errors import Refusal
from .value import Value
from .vector import Mismatch, Vector
from .wire import pae

MAX_VECTOR_BYTES = 4 << 20


def trace(data: bytes, key: bytes, record_id: bytes) -> Dict[str, str]:
    """Intermediate values of opening; `key` is the field or token key."""
    parsed = envelope.parse(data)
    ad = envelope.associated_data(parsed.header, record_id)
    out, nonce = {"ad": ad}, parsed.body[:24]
    if parsed.suite == envelope.XAES:
        x = aead.xaes_derive(key, nonce)
        out.update({"xaes-l": x.l, "xaes-k1": x.k1, "xaes-kx": x.kx, "xaes-nx": x.nx})
    elif parsed.suite == envelope.XCHACHA:
        out["xchacha-subkey"] = aead.hchacha20(key, nonce[:16])
    elif parsed.suite == envelope.COBBLESTONE:
        c = aead.cobblestone_derive(key, nonce, ad)
        out.update({"prk-info": c.info, "chunk-key": c.key, "base-nonce": c.base_nonce,
                    "commitment": c.commitment})
    return {name: data.hex() for name, data in out.items()}


def _pae(v: Vector) -> None:
    v.same("pae", pae(*(bytes.fromhex(part) for part in v.all("part"))).hex())


def _key_id(v: Vector) -> None:
    v.same("key-id", keys.key_id(v.hex("secret"), v.one("purpose")).hex())


def _derived_key(v: Vector) -> None:
    label = v.one("label")
    if label == "amanat/v1/field":
        names = (v.one("registry"), v.one("table"), v.one("field"))
        info, length = keys.field_info(v.hex("suite")[0], *names), 32
        key = keys.field_key(v.hex("secret"), v.hex("suite")[0], *names)
        v.same("purpose", "field")
    elif label == "amanat/v1/token":
        token = [v.one(n) for n in ("registry", "kind-of-token", "recipient", "token-purpose")]
        info, length = keys.token_info(*token), keys.TOKEN_KEY_BYTES[token[1]]
        key = keys.token_key(v.hex("secret"), *token)
        v.same("purpose", "token")
    elif label == "amanat/v1/index":
        info = surrogates.index_info(v)
        length, key = 32, surrogates.index_key(v, v.hex("secret"))
        v.same("purpose", "index")
    elif label == "amanat/v1/kek-id":
        info, length, key = pae(label.encode()), 16, keys.kek_id(v.hex("secret"))
    else:
        derive = {"amanat/v1/wrap": keys.wrapping_key,
                  "amanat/v1/keyring-mac": keys.file_mac_key}[label]
        info, length = pae(label.encode(), v.one("registry").encode()), 32
        key = derive(v.hex("secret"), v.one("registry"))
    v.same("info", info.hex())
    v.same("key", key.hex())
    if key != keys.kdf(v.hex("secret"), info, length):
        raise Mismatch("the key does not come from the info")


def _value(v: Vector) -> None:
    item = value.unpad(v.hex("padded"))
    v.same("type", "%02x" % item.type)
    v.same("value", item.data.hex())
    v.same("padded", value.pad(item, int(v.one("bucket"))).hex())


def _envelope_parse(v: Vector) -> None:
    parsed = envelope.parse(v.hex("envelope"))
    v.same("suite", "%02x" % parsed.suite)
    v.same("key-id", parsed.key_id.hex())
    v.same("padded-length", str(parsed.padded_length()))
    v.same("envelope", parsed.encode().hex())


def _envelope_text(v: Vector) -> None:
    v.same("envelope", envelope.from_text(v.one("text")).hex())
    v.same("text", envelope.to_text(v.hex("envelope")))


def _compare_opened(v: Vector, item: Value, key: bytes, record_id: bytes) -> None:
    """The value, every intermediate, and sealing again with the same nonce."""
    data = v.hex("envelope")
    if item != v.value():
        raise Mismatch("another value")
    for name, text in trace(data, key, record_id).items():
        v.same(name, text)
    v.same("key-id", data[2:18].hex())
    padded = value.pad(item, int(v.one("bucket")))
    if v.get("padded") is not None:
        v.same("padded", padded.hex())
    if v.get("text") is not None:
        v.same("text", envelope.to_text(data))
    nonce = b"" if data[1] == envelope.SIV else data[18:42]
    if envelope.seal_padded(key, data[:18], nonce, padded, record_id) != data:
        raise Mismatch("sealing again gives another envelope")


def _keyset(v: Vector, purpose: str) -> List[keys.Key]:
    state = v.get("state") or "active"
    key = keys.new_key(v.hex("secret"), purpose, state)
    if state == "destroyed":
        key = keys.Key(key.purpose, key.id, state, False, None)
    return [key]


def _open(v: Vector) -> None:
    keyset = _keyset(v, "field")
    where = envelope.Field(v.one("registry"), v.one("table"), v.one("field"))
    record_id, data = v.hex("record-id"), v.hex("envelope")
    item = envelope.open_field(keyset, where, record_id, data, v.get("by-name") == "yes")
    key = keys.field_key(v.hex("secret"), data[1], *where)
    v.same("field-key", key.hex())
    _compare_opened(v, item, key, record_id)


def _open_token(v: Vector) -> None:
    keyset = _keyset(v, "token")
    token = (v.one("registry"), v.one("recipient"), v.one("token-purpose"))
    item = envelope.open_token(keyset, *token, v.hex("envelope"), v.get("by-name") == "yes")
    key = keys.token_key(v.hex("secret"), token[0], "reversible", *token[1:])
    v.same("token-key", key.hex())
    _compare_opened(v, item, key, b"")


def _keyring(v: Vector) -> None:
    pin_text, key_file = v.get("pin"), v.get("key-file")
    pin = keyring.parse_pin(pin_text.encode() + b"\n") if pin_text is not None else None
    found = keyring.unlock(keyring.parse(v.file), v.get("passphrase"),
                           key_file + "\n" if key_file is not None else None, pin)
    got = ["%s %s %s %s" % (key.purpose, key.id.hex(), key.state,
                            key.secret.hex() if key.secret else "-") for key in found]
    if got != v.all("key"):
        raise Mismatch("the keys are not those listed")


def _run_plan(v: Vector) -> None:
    plan = run_plan.parse(v.file)
    v.same("id", plan["id"])
    v.same("primary", plan["primary"])


KINDS: Dict[str, Callable[[Vector], None]] = {
    "pae": _pae, "key-id": _key_id, "derived-key": _derived_key, "value": _value,
    "envelope-parse": _envelope_parse, "envelope-text": _envelope_text, "open": _open,
    "open-token": _open_token, "keyring": _keyring, "keyring-pin": _keyring,
    "run-plan": _run_plan, **surrogates.KINDS,
}


def check(name: str, data: bytes) -> Tuple[str, str]:
    """Run one vector; returns its kind and its class, or raises Mismatch."""
    v = Vector(name, data)
    kind, expect = v.one("kind"), v.one("expect")
    v.one("about")
    if kind not in KINDS or (kind == "keyring-pin") != (v.get("pin") is not None):
        raise Mismatch("kind `%s`" % kind)
    try:
        KINDS[kind](v)
        got = "success"
        v.done()
    except Refusal as refusal:
        got = refusal.result
        if expect != got:
            raise Mismatch("expected %s, got %s (%s)" % (expect, got, refusal)) from None
    if expect != got:
        raise Mismatch("expected %s, got success" % expect)
    return kind, expect


def check_folder(folder: str) -> int:
    """Run every .txt file of a folder; returns the number of mismatches."""
    kinds: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    wrong = 0
    for name in sorted(n for n in os.listdir(folder) if n.endswith(".txt")):
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read(MAX_VECTOR_BYTES)
        try:
            kind, expect = check(name, data)
        except (Mismatch, ValueError, KeyError, IndexError) as error:
            print("%s: %s" % (name, error))
            wrong += 1
            continue
        kinds[kind] += 1
        classes[expect] += 1
    for title, counts in (("kind", kinds), ("expect", classes)):
        for name, count in sorted(counts.items()):
            print("%s %s: %d" % (title, name, count))
    print("%d agree, %d do not" % (sum(kinds.values()), wrong))
    return wrong if kinds else 1


def check_batch(path: str) -> int:
    """Open envelopes that another implementation sealed; JSON Lines."""
    folder, rings = os.path.dirname(os.path.abspath(path)), {}
    count = wrong = 0
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            case = json.loads(line)
            source = (os.path.join(folder, case["keyring"]), case["passphrase"])
            try:
                if source not in rings:
                    with open(source[0], "rb") as file:
                        ring = keyring.parse(file.read(keyring.MAX_KEYRING_BYTES + 1))
                    rings[source] = ring.registry, keyring.unlock(ring, source[1])
                registry, found = rings[source]
                item = envelope.open_field(
                    found, envelope.Field(registry, case["table"], case["field"]),
                    bytes.fromhex(case["record_id_hex"]), bytes.fromhex(case["envelope_hex"]))
                kind = case["type"]
                kind = kind if isinstance(kind, int) else (
                    value.TYPE_NAMES.index(kind) if kind in value.TYPE_NAMES else int(kind, 16))
                wanted = Value(kind, bytes.fromhex(case["value_hex"]))
                problem = "" if item == wanted else "another value"
            except (Refusal, OSError) as error:
                problem = "%s (%s)" % (getattr(error, "result", "file"), error)
            count += 1
            if problem:
                print("line %d: %s" % (number, problem))
                wrong += 1
    print("%d envelopes, %d do not agree" % (count, wrong))
    return wrong if count else 1
