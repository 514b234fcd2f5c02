# SPDX-License-Identifier: MIT OR Apache-2.0
"""SPEC.md 10.9: receipts of exports."""
from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any, Dict, Sequence

from . import keyring, keys, tokens
from .errors import KeyUnusable, Malformed, Unauthentic, UnknownKey, Unsupported
from .keys import Key
from .keyring import _count, _list, _members, _parse_json, _text
from .wire import check_name, check_time, pae, unb64, unhex

MEMBERS = ("format", "version", "registry", "recipient", "table", "created", "schema_sha256",
           "tokens", "revealed", "masked", "rows", "refused", "file_bytes", "file_sha256", "key",
           "mac")
TOKEN_MEMBERS = ("name", "kind", "purpose", "epoch", "key", "field", "expires")


def mac_key(secret: bytes, registry: str) -> bytes:
    """SPEC 10.9.3."""
    return keys.kdf(secret, pae(b"amanat/v1/receipt", check_name(registry)), 32)


def make_mac(key: bytes, covered: bytes) -> bytes:
    """Over all bytes before the line of the MAC."""
    return hmac.new(key, covered, hashlib.sha256).digest()


def covered(raw: bytes) -> bytes:
    """All bytes before the line of the MAC."""
    return raw[:raw.rindex(b'\n  "mac"') + 1]


def _token(item: Any) -> None:
    token = _members(item, TOKEN_MEMBERS)
    for name in ("name", "purpose", "field"):
        check_name(_text(token[name]))
    if _text(token["kind"]) not in tokens.KINDS:
        raise Unsupported("receipt: another kind")
    if not 1 <= _count(token["epoch"]) <= tokens.MAX_EPOCH:
        raise Malformed("receipt: epoch")
    unhex(_text(token["key"]), 16)
    if token["expires"] is not None:
        check_time(_text(token["expires"]))


def parse(raw: bytes) -> Dict[str, Any]:
    """The keyless grammar."""
    document = _parse_json(raw)
    if not isinstance(document, dict) or document.get("format") != "amanat-receipt":
        raise Malformed("receipt: format is not amanat-receipt")
    if _count(document.get("version")) != 1:
        raise Unsupported("receipt: version %d" % document["version"])
    _members(document, MEMBERS)
    for name in ("registry", "recipient", "table"):
        check_name(_text(document[name]))
    check_time(_text(document["created"]))
    for name in ("schema_sha256", "file_sha256"):
        unhex(_text(document[name]), 32)
    if not _list(document["tokens"], 1 << 20):
        raise Malformed("receipt: no token")
    for item in document["tokens"]:
        _token(item)
    for name in ("revealed", "masked"):
        for item in _list(document[name], 1 << 20):
            check_name(_text(item))
    for name in ("rows", "refused", "file_bytes"):
        _count(document[name])
    unhex(_text(document["key"]), 16)
    if len(unb64(_text(document["mac"]))) != 32 or keyring.encode(document) != raw:
        raise Malformed("receipt: not in its one form")
    return document


def read(raw: bytes, keyset: Sequence[Key]) -> Dict[str, Any]:
    """A receipt whose MAC fits, SPEC 10.9.3 and 10.9.4."""
    document = parse(raw)
    found = [key for key in keyset
             if key.purpose == "token" and key.id.hex() == document["key"]]
    if not found:
        raise UnknownKey("receipt: no such key")
    if found[0].state not in ("active", "deactivated") or found[0].secret is None:
        raise KeyUnusable("receipt: the key is " + found[0].state)
    mac = make_mac(mac_key(found[0].secret, document["registry"]), covered(raw))
    if not hmac.compare_digest(mac, unb64(document["mac"])):
        raise Unauthentic("receipt: the MAC does not fit")
    return document
