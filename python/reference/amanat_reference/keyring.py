# SPDX-License-Identifier: MIT OR Apache-2.0
"""SPEC.md chapter 6: the keyring file, its slots, its MAC and its pin."""
from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Dict, List, NamedTuple, NoReturn, Optional, Sequence, Tuple

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from . import aead, keys
from .errors import KeyUnusable, Limit, Malformed, Refusal, Rollback, Unauthentic, Unsupported
from .wire import (MAX_ARGON2_LANES, MAX_ARGON2_MEMORY_KIB, MAX_ARGON2_PASSES, MAX_KEYRING_BYTES,
                   MAX_KEYS, MAX_LABEL_BYTES, MAX_MESSAGES_PER_KEY, MAX_PARAM_BYTES, MAX_PARAMS,
                   MAX_PASSPHRASE_BYTES, MAX_SLOTS, MIN_ARGON2_MEMORY_KIB, b64, check_name, check_time, pae, unb64, unhex)

MEMBERS = ("format", "version", "registry", "generation", "created", "updated", "slot_count",
           "key_count", "slots", "keysets", "mac")
SLOT_MEMBERS = ("id", "label", "provider", "created", "params", "wrapped")
DATES = ("activated", "suspended", "deactivated", "compromised", "destroyed")
KEY_MEMBERS = ("id", "state", "primary", "created") + DATES + (
    "cryptoperiod_days", "messages", "wrapped")
PIN_MEMBERS = ("format", "version", "registry", "generation", "mac")
KEY_FILE_PREFIX = "amanat-key-file-v1:"
MAX_INTEGER = (1 << 53) - 1
MAX_INDEX_KEYS = 192
MAX_DAYS = (1 << 32) - 1
MAX_PIN_BYTES = 1024
WRAPPED_SECRET = 104
WRAPPED_KEY = 72


# -- reading JSON -------------------------------------------------------------

def _no_duplicates(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise Malformed("JSON: a member stands twice")
    return dict(pairs)


def _integer(text: str) -> int:
    if len(text) > 20:
        raise Malformed("JSON: number too long")
    return int(text)


def _no_number(text: str) -> NoReturn:
    raise Malformed("JSON: only integers are used here")


def _parse_json(raw: bytes) -> Any:
    if len(raw) > MAX_KEYRING_BYTES:
        raise Limit("keyring: more than 1 MiB")
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_no_duplicates,
                          parse_int=_integer, parse_float=_no_number, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Malformed("keyring: not JSON in UTF-8") from None


def encode(document: Dict[str, Any]) -> bytes:
    """The one form of a keyring, SPEC 6.1. No string holds a control
    character, so `"` and backslash are the only ones that are escaped."""
    try:
        return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("JSON: half a surrogate pair") from None


def _members(item: Any, names: Sequence[str]) -> Dict[str, Any]:
    if not isinstance(item, dict) or tuple(item) != tuple(names):
        raise Malformed("members: exactly %s expected" % ", ".join(names))
    return item


def _text(item: Any) -> str:
    if not isinstance(item, str):
        raise Malformed("a text is expected")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in item):
        raise Malformed("text: control character")
    return item


def _count(item: Any, least: int = 0) -> int:
    if type(item) is not int or not least <= item <= MAX_INTEGER:
        raise Malformed("an integer from %d is expected" % least)
    return item


def _list(item: Any, most: int) -> List[Any]:
    if not isinstance(item, list):
        raise Malformed("a list is expected")
    if len(item) > most:
        raise Limit("list: more than %d items" % most)
    return item


# -- the file -----------------------------------------------------------------

@dataclass(frozen=True)
class Slot:
    """One slot, SPEC 6.1 and 6.3."""

    id: str
    provider: str
    params: Dict[str, str]
    wrapped: bytes

    def context(self, registry: str) -> bytes:
        """C of SPEC 6.3."""
        texts = [registry, self.id, self.provider]
        for name, text in self.params.items():
            texts += [name, text]
        return pae(b"amanat/v1/slot", *(t.encode("utf-8") for t in texts))


@dataclass(frozen=True)
class Keyring:
    """A parsed keyring. Nothing in it may be trusted before `unlock`."""

    raw: bytes
    registry: str
    generation: int
    slots: List[Slot]
    keys: List[Tuple[str, Dict[str, Any]]]
    mac: bytes

    def mac_input(self) -> bytes:
        """SPEC 6.2.2: all bytes before the line of the MAC."""
        return self.raw[:self.raw.rindex(b'\n  "mac"') + 1]


def _slot(item: Any) -> Slot:
    slot = _members(item, SLOT_MEMBERS)
    unhex(_text(slot["id"]), 8)
    label = _text(slot["label"]).encode("utf-8")
    if not label:
        raise Malformed("label: empty")
    if len(label) > MAX_LABEL_BYTES:
        raise Limit("label: more than 64 bytes")
    check_name(_text(slot["provider"]))
    check_time(_text(slot["created"]))
    params = slot["params"]
    if not isinstance(params, dict):
        raise Malformed("params: an object is expected")
    if len(params) > MAX_PARAMS:
        raise Limit("params: more than 16")
    for name, text in params.items():
        check_name(name)
        if len(_text(text).encode()) > MAX_PARAM_BYTES:
            raise Limit("params: a value of more than 1,024 bytes")
    if list(params) != sorted(params, key=lambda name: name.encode()):
        raise Malformed("params: not in ascending order")
    return Slot(slot["id"], slot["provider"], params, unb64(_text(slot["wrapped"])))


def _key(item: Any) -> Dict[str, Any]:
    key = _members(item, KEY_MEMBERS)
    unhex(_text(key["id"]), 16)
    if _text(key["state"]) not in keys.STATES:
        raise Malformed("state: no such state")
    if type(key["primary"]) is not bool:
        raise Malformed("primary: true or false expected")
    check_time(_text(key["created"]))
    for name in DATES:
        if key[name] is not None:
            check_time(_text(key[name]))
    if _count(key["cryptoperiod_days"]) > MAX_DAYS:
        raise Malformed("cryptoperiod_days: more than 2^32-1")
    if _count(key["messages"]) > MAX_MESSAGES_PER_KEY:
        raise Limit("messages: more than 2^44")
    if (key["wrapped"] is None) != (key["state"] == "destroyed"):
        raise Malformed("wrapped: a destroyed key has no secret, every other key has one")
    if key["wrapped"] is not None and len(unb64(_text(key["wrapped"]))) != WRAPPED_KEY:
        raise Malformed("wrapped: 72 bytes expected")
    return key


def _keysets(item: Any) -> List[Tuple[str, Dict[str, Any]]]:
    found, order = [], []
    for entry in _list(item, len(keys.PURPOSES)):
        keyset = _members(entry, ("purpose", "keys"))
        if _text(keyset["purpose"]) not in keys.PURPOSES:
            raise Malformed("purpose: no such purpose")
        order.append(keys.PURPOSES.index(keyset["purpose"]))
        members = [_key(key) for key in _list(keyset["keys"], MAX_KEYS)]
        if [key["state"] for key in members if key["primary"]] != ["active"]:
            raise Malformed("keyset: exactly one key must be primary, and it must be active")
        found += [(keyset["purpose"], key) for key in members]
    if order != sorted(set(order)):
        raise Malformed("keysets: each purpose at most once, in order")
    tags = [key["id"][:2] for purpose, key in found if purpose == "index"]
    if len(tags) > MAX_INDEX_KEYS:
        raise Limit("keyset: more than 192 index keys")
    if len(set(tags)) != len(tags):
        raise Malformed("keyset: two index keys have one tag")
    return found


def parse(raw: bytes) -> Keyring:
    """The keyless grammar, SPEC 6.1."""
    document = _parse_json(raw)
    if not isinstance(document, dict) or document.get("format") != "amanat-keyring":
        raise Malformed("keyring: format is not amanat-keyring")
    if _count(document.get("version")) != 1:
        raise Unsupported("keyring: version %d" % document["version"])
    _members(document, MEMBERS)
    check_name(_text(document["registry"]))
    _count(document["generation"], 1)
    check_time(_text(document["created"]))
    check_time(_text(document["updated"]))
    slots = [_slot(item) for item in _list(document["slots"], MAX_SLOTS)]
    if not slots:
        raise Malformed("keyring: no slot")
    found = _keysets(document["keysets"])
    if _count(document["slot_count"]) != len(slots) or _count(document["key_count"]) != len(found):
        raise Malformed("keyring: slot_count or key_count is wrong")
    for ids in ([slot.id for slot in slots], [key["id"] for _, key in found]):
        if len(set(ids)) != len(ids):
            raise Malformed("keyring: an id stands twice")
    mac = unb64(_text(document["mac"]))
    if len(mac) != 32:
        raise Malformed("mac: 32 bytes expected")
    if encode(document) != raw:
        raise Malformed("keyring: not in its one form")
    return Keyring(raw, document["registry"], document["generation"], slots, found, mac)


# -- slots --------------------------------------------------------------------

def wrap_secret(kek: bytes, context: bytes, nonce: bytes, secret: bytes) -> bytes:
    """SPEC 6.3: wrap the keyring secret under a 32-byte KEK."""
    both = keys.kdf(kek, context, 64)
    return both[32:] + nonce + aead.xaes_seal(both[:32], nonce, secret, context)


def _unwrap_secret(kek: bytes, context: bytes, wrapped: bytes) -> bytes:
    if len(wrapped) != WRAPPED_SECRET:
        raise Malformed("slot: 104 bytes expected")
    both = keys.kdf(kek, context, 64)
    if not hmac.compare_digest(both[32:], wrapped[:32]):
        raise Unauthentic("slot: does not open")
    return aead.xaes_open(both[:32], wrapped[32:56], wrapped[56:], context)


def _decimal(text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]*", text):
        raise Malformed("params: a decimal number is expected")
    if not least <= int(text) <= most:
        raise Limit("params: Argon2id outside %d to %d" % (least, most))
    return int(text)


def passphrase_kek(passphrase: str, params: Dict[str, str]) -> bytes:
    """SPEC 6.3, provider `passphrase`. Limits first, then the work."""
    if params.get("kdf", "argon2id") != "argon2id":
        raise Unsupported("params: kdf is not argon2id")
    if tuple(params) != ("kdf", "lanes", "memory_kib", "passes", "salt"):
        raise Malformed("params: not those of the provider passphrase")
    lanes = _decimal(params["lanes"], 1, MAX_ARGON2_LANES)
    passes = _decimal(params["passes"], 1, MAX_ARGON2_PASSES)
    # RFC 9106 section 3.1 asks for at least 8 KiB a lane.
    memory = _decimal(params["memory_kib"], MIN_ARGON2_MEMORY_KIB * lanes, MAX_ARGON2_MEMORY_KIB)
    salt, text = unb64(params["salt"]), passphrase.encode("utf-8")
    if len(salt) != 16:
        raise Malformed("params: a salt of 16 bytes is expected")
    if len(text) > MAX_PASSPHRASE_BYTES:
        raise Limit("passphrase: more than 1,024 bytes")
    return Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes,
                    memory_cost=memory).derive(text)


def parse_key_file(text: str) -> bytes:
    """The KEK of a key file, SPEC 6.3."""
    if not (text.startswith(KEY_FILE_PREFIX) and text.endswith("\n")):
        raise Malformed("key file: not of the form " + KEY_FILE_PREFIX)
    kek = unb64(text[len(KEY_FILE_PREFIX):-1])
    if len(kek) != 32:
        raise Malformed("key file: 32 bytes expected")
    return kek


def read_key_file(path: str) -> str:
    """Read a key file that nobody but its owner may read, SPEC 6.3."""
    with open(path, "rb") as file:
        if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o044:
            raise KeyUnusable("key file: others than its owner may read it")
        return file.read(4096).decode("utf-8", "replace")


def _keyring_secret(ring: Keyring, passphrase: Optional[str], key_file: Optional[str]) -> bytes:
    """Try each slot of the provider that the caller's secret belongs to."""
    kek = parse_key_file(key_file) if key_file is not None else b""
    provider = "key-file" if kek else "passphrase"
    slots = [slot for slot in ring.slots if slot.provider == provider]
    if not slots:
        raise Unsupported("keyring: no slot of the provider " + provider)
    refusal: Refusal = Unauthentic("keyring: no slot opens")
    for slot in slots:
        if kek:
            if tuple(slot.params) != ("kek_id",):
                raise Malformed("params: not those of the provider key-file")
            if unhex(slot.params["kek_id"], 16) != keys.kek_id(kek):
                continue
            slot_kek = kek
        else:
            slot_kek = passphrase_kek(passphrase or "", slot.params)
        try:
            return _unwrap_secret(slot_kek, slot.context(ring.registry), slot.wrapped)
        except Unauthentic as error:
            refusal = error
    raise refusal


# -- keys, MAC, pin -----------------------------------------------------------

def key_context(registry: str, purpose: str, key: Dict[str, Any]) -> bytes:
    """The associated data of a wrapped key, SPEC 6.2.3."""
    texts = [registry, purpose]
    for name in KEY_MEMBERS[:-1]:
        item = key[name]
        texts.append({None: "", True: "true", False: "false"}[item]
                     if item is None or isinstance(item, bool) else str(item))
    return pae(b"amanat/v1/wrapped-key", *(t.encode("ascii") for t in texts))


def make_mac(secret: bytes, registry: str, covered: bytes) -> bytes:
    """SPEC 6.2.2."""
    return hmac.new(keys.file_mac_key(secret, registry), covered, hashlib.sha256).digest()


class Pin(NamedTuple):
    """What a machine remembers of a keyring, SPEC 6.4."""

    registry: str
    generation: int
    mac: bytes

    def encode(self) -> bytes:
        """One line of JSON without spaces."""
        document = dict(zip(PIN_MEMBERS, (
            "amanat-keyring-pin", 1, self.registry, self.generation, b64(self.mac))))
        return (json.dumps(document, separators=(",", ":")) + "\n").encode("ascii")


def parse_pin(raw: bytes) -> Pin:
    """SPEC 6.4."""
    if len(raw) > MAX_PIN_BYTES:
        raise Malformed("pin: too long")
    document = _parse_json(raw)
    if not isinstance(document, dict) or document.get("format") != "amanat-keyring-pin":
        raise Malformed("pin: format is not amanat-keyring-pin")
    if _count(document.get("version")) != 1:
        raise Unsupported("pin: version %d" % document["version"])
    _members(document, PIN_MEMBERS)
    check_name(_text(document["registry"]))
    pin = Pin(document["registry"], _count(document["generation"], 1),
              unb64(_text(document["mac"])))
    if len(pin.mac) != 32 or pin.encode() != raw:
        raise Malformed("pin: not in its one form")
    return pin


def check_pin(ring: Keyring, pin: Pin) -> None:
    """SPEC 6.4."""
    if pin.registry != ring.registry:
        raise Rollback("pin: another registry")
    if ring.generation < pin.generation:
        raise Rollback("pin: the keyring is older")
    if ring.generation == pin.generation and not hmac.compare_digest(ring.mac, pin.mac):
        raise Rollback("pin: another keyring of the same generation")


def unlock(ring: Keyring, passphrase: Optional[str] = None, key_file: Optional[str] = None,
           pin: Optional[Pin] = None) -> List[keys.Key]:
    """All keys of a keyring, SPEC 6.2.4. `key_file` is the text of the file."""
    secret = _keyring_secret(ring, passphrase, key_file)
    wrapping, found = keys.wrapping_key(secret, ring.registry), []
    for purpose, key in ring.keys:
        key_secret, key_id = None, bytes.fromhex(key["id"])
        if key["wrapped"] is not None:
            wrapped = unb64(key["wrapped"])
            key_secret = aead.xaes_open(wrapping, wrapped[:24], wrapped[24:],
                                        key_context(ring.registry, purpose, key))
            if keys.key_id(key_secret, purpose) != key_id:
                raise Unauthentic("keyring: an id does not fit its secret")
        found.append(keys.Key(purpose, key_id, key["state"], key["primary"], key_secret))
    if not hmac.compare_digest(make_mac(secret, ring.registry, ring.mac_input()), ring.mac):
        raise Unauthentic("keyring: the MAC does not fit")
    if pin is not None:
        check_pin(ring, pin)
    return found
