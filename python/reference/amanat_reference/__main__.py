# SPDX-License-Identifier: MIT OR Apache-2.0
"""Command line: open, inspect, explain, vectors, check-batch, check-surrogates."""
from __future__ import annotations

import argparse
import sys

from . import envelope, keyring, surrogates, tokens, vectors, wire
from .errors import Limit, Refusal
from .value import TYPE_NAMES


def _read(path: str, most: int) -> bytes:
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise Limit("%s: more than %d bytes" % (path, most))
    return data


def _open(args: argparse.Namespace) -> int:
    ring = keyring.parse(_read(args.keyring, wire.MAX_KEYRING_BYTES))
    passphrase = key_file = None
    if args.passphrase_file:
        # One line end after the passphrase belongs to the file, not to it.
        text = _read(args.passphrase_file, 2048).decode("utf-8")
        passphrase = text[:-1] if text.endswith("\n") else text
    else:
        key_file = keyring.read_key_file(args.key_file)
    found = keyring.unlock(ring, passphrase, key_file)
    data = (envelope.from_text(args.text) if args.text is not None
            else _read(args.file, envelope.MAX_ENVELOPE))
    where = envelope.Field(ring.registry, args.table, args.field)
    item = envelope.open_field(found, where, wire.record_id_of(args.record_id), data)
    print("%s %s" % (TYPE_NAMES[item.type], item.show()))
    return 0


def _inspect(args: argparse.Namespace) -> int:
    data = envelope.from_text(args.envelope)
    parsed = envelope.parse(data)
    print("version %d" % envelope.VERSION)
    print("suite %02x %s" % (parsed.suite, envelope.SUITE_NAMES[parsed.suite]))
    print("key id %s" % parsed.key_id.hex())
    print("envelope %d bytes, padded value %d bytes" % (len(data), parsed.padded_length()))
    return 0


def _explain(args: argparse.Namespace) -> int:
    for name, text in tokens.explain(args.token).items():
        print("%s %s" % (name, text))
    return 0


def _vectors(args: argparse.Namespace) -> int:
    if args.make:
        from .make_vectors import make
        print("%d files written" % make(args.folder))
        return 0
    return 1 if vectors.check_folder(args.folder) else 0


def main() -> int:
    """Parse the command line and run one command."""
    parser = argparse.ArgumentParser(prog="amanat_reference", description=__doc__)
    commands = parser.add_subparsers(required=True)
    p = commands.add_parser("open", help="open an envelope and print its value")
    p.add_argument("--keyring", required=True)
    secret = p.add_mutually_exclusive_group(required=True)
    secret.add_argument("--passphrase-file")
    secret.add_argument("--key-file")
    p.add_argument("--table", required=True)
    p.add_argument("--field", required=True)
    p.add_argument("--record-id", required=True, action="append",
                   help="once for each column of the record id")
    source = p.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", help="the envelope in text form")
    source.add_argument("--file", help="a file that holds the envelope's bytes")
    p.set_defaults(run=_open)
    p = commands.add_parser("inspect", help="print what an envelope says without a key")
    p.add_argument("envelope", help="the envelope in text form")
    p.set_defaults(run=_inspect)
    p = commands.add_parser("explain", help="print what a token says without a key")
    p.add_argument("token", help="the text of a token")
    p.set_defaults(run=_explain)
    p = commands.add_parser("vectors", help="check or write test vectors")
    p.add_argument("folder")
    mode = p.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true")
    mode.add_argument("--make", action="store_true")
    p.set_defaults(run=_vectors)
    p = commands.add_parser("check-batch", help="open envelopes listed in a JSON Lines file")
    p.add_argument("file")
    p.set_defaults(run=lambda args: 1 if vectors.check_batch(args.file) else 0)
    p = commands.add_parser("check-surrogates",
                            help="make again the terms and tokens listed in a JSON Lines file")
    p.add_argument("file")
    p.set_defaults(run=lambda args: 1 if surrogates.check_lines(args.file) else 0)
    args = parser.parse_args()
    try:
        return int(args.run(args))
    except Refusal as refusal:
        print("%s: %s" % (refusal.result, refusal), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
