# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes the vectors of chapter 11."""
from __future__ import annotations

from typing import Callable, Dict, Sequence, Tuple

from . import run_plan
from .make_vectors import REGISTRY, TABLE, Files, put, stream

SCHEMA = 'format = "amanat-schema"\nversion = 1\n'
AWKWARD = 'registry."Citizens\u2028\t\x01\x7f \u0634\u06c1\u0631\\" \U0001f4c7'


def make_plans(files: Files) -> None:
    """Plans of runs."""
    take = stream("run-plan")
    plan: Dict[str, object] = dict(zip(run_plan.MEMBERS, (
        run_plan.FORMAT, take(16).hex(), "rotate", REGISTRY, TABLE, "citizens", SCHEMA, None,
        "sealed", [], [], take(16).hex(), "2026-11-24T01:00:00Z")))
    good = run_plan.encode(plan)
    for case, about, changed in (
            ("rotate", "a rotation", plan),
            ("protect", "a first protection, of one field that another tool had sealed", dict(plan, verb="protect", source="any", foreign=["phone"])),
            ("migrate", "a change of schema, two names made anew",
             dict(plan, verb="migrate", former_schema=SCHEMA + "# the old one\n", remade=["cnic", "name-index"])),
            ("escapes", "a name of a table with characters that JSON escapes and some that it does not",
             dict(plan, store_table=AWKWARD))):
        put(files, "run_plan_" + case, "run-plan", "success", "The plan of %s." % about,
            [("id", changed["id"]), ("primary", changed["primary"])], run_plan.encode(changed))
    refused: Sequence[Tuple[str, str, str, bytes]] = (
        ("format_2", "unsupported", "another version", run_plan.encode(dict(plan, format="amanat-run/2"))),
        ("no_format", "malformed", "no format",
         run_plan.encode({name: item for name, item in plan.items() if name != "format"})),
        ("verb", "malformed", "an unknown verb", run_plan.encode(dict(plan, verb="shred"))),
        ("source", "malformed", "an unknown source", run_plan.encode(dict(plan, source="plain"))),
        ("member_missing", "malformed", "a member is missing",
         run_plan.encode({name: item for name, item in plan.items() if name != "remade"})),
        ("member_more", "malformed", "an unknown member", run_plan.encode(dict(plan, note="x"))),
        ("member_twice", "malformed", "a member stands there twice",
         good[:-1] + b',"planned":"2026-11-24T01:00:00Z"}'),
        ("order", "malformed", "two members in another order",
         run_plan.encode(dict([("format", plan["format"]), ("verb", plan["verb"])], **plan))),
        ("white_space", "malformed", "a space between tokens", good.replace(b'":', b'": ', 1)),
        ("line_end", "malformed", "a line end after it", good + b"\n"),
        ("escape", "malformed", "a character escaped without need", good.replace(b"citizens", b"\\u0063itizens")),
        ("id_upper_case", "malformed", "an id in upper case", run_plan.encode(dict(plan, id="AB" * 16))),
        ("id_short", "malformed", "an id of 15 bytes", run_plan.encode(dict(plan, id="ab" * 15))),
        ("time", "malformed", "an impossible time", run_plan.encode(dict(plan, planned="2026-02-30T00:00:00Z"))),
        ("name", "malformed", "an empty name of the table", run_plan.encode(dict(plan, table=""))),
        ("remade", "malformed", "a text in place of a list", run_plan.encode(dict(plan, remade="cnic"))),
        ("no_json", "malformed", "no JSON", b"amanat-run/1"))
    for case, expect, about, raw in refused:
        put(files, "run_plan_refused_" + case, "run-plan", expect, "Refused: %s." % about, [], raw)


PARTS: Sequence[Callable[[Files], None]] = (make_plans,)
