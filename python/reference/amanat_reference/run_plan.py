# SPDX-License-Identifier: MIT OR Apache-2.0
"""SPEC.md 11.3: the plan of a run."""
from __future__ import annotations

import json
from typing import Any, Dict

from .errors import Limit, Malformed, Unsupported
from .keyring import _list, _members, _no_duplicates
from .wire import check_name, check_time, unhex

MAX_BYTES = 4 << 20
FORMAT = "amanat-run/1"
MEMBERS = ("format", "id", "verb", "registry", "table", "store_table", "schema", "former_schema",
           "source", "remade", "foreign", "primary", "planned")
VERBS = ("protect", "rotate", "migrate")
SOURCES = ("any", "sealed")


def encode(document: Dict[str, Any]) -> bytes:
    """The one form."""
    try:
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("run plan: half a surrogate pair") from None


def _text(item: Any) -> str:
    if not isinstance(item, str):
        raise Malformed("run plan: a text is expected")
    return item


def parse(raw: bytes) -> Dict[str, Any]:
    """A plan that a writer would have written."""
    if len(raw) > MAX_BYTES:
        raise Limit("run plan: more than 4 MiB")
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError):
        raise Malformed("run plan: not JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise Malformed("run plan: no object")
    if _text(document.get("format")) != FORMAT:
        raise Unsupported("run plan: another format")
    _members(document, MEMBERS)
    unhex(_text(document["id"]), 16)
    unhex(_text(document["primary"]), 16)
    if _text(document["verb"]) not in VERBS or _text(document["source"]) not in SOURCES:
        raise Malformed("run plan: verb or source")
    for name in ("registry", "table"):
        check_name(_text(document[name]))
    for member in ("remade", "foreign"):
        for item in _list(document[member], MAX_BYTES):
            check_name(_text(item))
    _text(document["store_table"])
    _text(document["schema"])
    if document["former_schema"] is not None:
        _text(document["former_schema"])
    check_time(_text(document["planned"]))
    if encode(document) != raw:
        raise Malformed("run plan: not in its one form")
    return document
