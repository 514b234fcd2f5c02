# SPDX-License-Identifier: MIT OR Apache-2.0
"""Run with `python3 -m unittest discover -s tests` in python/reference."""
from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from amanat_reference import aead, envelope, keyring, keys, vectors, wire  # noqa: E402
from amanat_reference.errors import Limit, Malformed, Refusal, Unauthentic  # noqa: E402
from amanat_reference.make_vectors import make  # noqa: E402

VECTORS = os.path.join(HERE, "..", "..", "..", "tests", "vectors")


def load(name: str) -> bytes:
    with open(os.path.join(VECTORS, name + ".txt"), "rb") as file:
        return file.read()


class Published(unittest.TestCase):
    """Vectors that others published."""

    def test_xaes_c2sp(self) -> None:
        nonce, text = b"ABCDEFGHIJKLMNOPQRSTUVWX", b"XAES-256-GCM"
        for key, ad, sealed in (
                (b"\x01" * 32, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
                (b"\x03" * 32, b"c2sp.org/XAES-256-GCM",
                 "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d")):
            self.assertEqual(aead.xaes_seal(key, nonce, text, ad).hex(), sealed)
            self.assertEqual(aead.xaes_open(key, nonce, bytes.fromhex(sealed), ad), text)

    def test_xaes_c2sp_accumulated(self) -> None:
        # 10,000 rounds read at most 568 bytes each.
        random, out = wire.Reader(hashlib.shake_128(b"").digest(568 * 10_000)), hashlib.shake_128()
        for _ in range(10_000):
            key, nonce = random.take(32), random.take(24)
            text = random.take(random.uint(1))
            ad = random.take(random.uint(1))
            sealed = aead.xaes_seal(key, nonce, text, ad)
            out.update(sealed)
        self.assertEqual(out.hexdigest(32),
                         "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939")

    def test_hchacha20_draft(self) -> None:
        """draft-irtf-cfrg-xchacha-03 section 2.2.1."""
        nonce = bytes.fromhex("000000090000004a0000000031415927")
        self.assertEqual(aead.hchacha20(bytes(range(32)), nonce).hex(),
                         "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc")

    def test_xchacha_draft(self) -> None:
        """draft-irtf-cfrg-xchacha-03 appendix A.3.1."""
        text = (b"Ladies and Gentlemen of the class of '99: If I could offer you "
                b"only one tip for the future, sunscreen would be it.")
        key, nonce = bytes(range(0x80, 0xA0)), bytes(range(0x40, 0x58))
        ad = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
        sealed = bytes.fromhex(
            "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
            "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
            "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
            "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49")
        self.assertEqual(aead.xchacha_seal(key, nonce, text, ad), sealed)
        self.assertEqual(aead.xchacha_open(key, nonce, sealed, ad), text)


class Vectors(unittest.TestCase):
    """The files of tests/vectors."""

    def test_every_file(self) -> None:
        names = [name for name in os.listdir(VECTORS) if name.endswith(".txt")]
        self.assertGreater(len(names), 100)
        for name in names:
            with self.subTest(name):
                vectors.check(name, load(name[:-4]))

    def test_making_again_gives_the_same_files(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            make(folder)
            made = sorted(os.listdir(folder))
            self.assertEqual(made, sorted(n for n in os.listdir(VECTORS) if n.endswith(".txt")))
            for name in made:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertEqual(file.read(), load(name[:-4]), name)

    def test_a_wrong_line_is_noticed(self) -> None:
        data = load("open_suite_1_cnic")
        at = data.index(b"xaes-kx: ") + 9
        other = data[:at] + (b"0" if data[at:at + 1] != b"0" else b"1") + data[at + 1:]
        with self.assertRaises(vectors.Mismatch):
            vectors.check("x", other)
        with self.assertRaises(vectors.Mismatch):
            vectors.check("x", data + b"more: 00\n")

    def test_every_bit_flip_is_refused(self) -> None:
        for name in ("open_suite_1_cnic", "open_suite_2_text", "open_suite_4_empty"):
            v = vectors.Vector(name, load(name))
            keyset, data = [keys.new_key(v.hex("secret"), "field")], v.hex("envelope")
            where = envelope.Field(v.one("registry"), v.one("table"), v.one("field"))
            record_id = v.hex("record-id")
            envelope.open_field(keyset, where, record_id, data)
            for bit in range(8 * len(data)):
                changed = bytearray(data)
                changed[bit // 8] ^= 1 << bit % 8
                with self.assertRaises(Refusal):
                    envelope.open_field(keyset, where, record_id, bytes(changed))

    def test_every_cut_is_refused(self) -> None:
        for name in ("open_suite_1_cnic", "open_suite_2_text", "open_suite_4_small"):
            v = vectors.Vector(name, load(name))
            keyset, data = [keys.new_key(v.hex("secret"), "field")], v.hex("envelope")
            where = envelope.Field(v.one("registry"), v.one("table"), v.one("field"))
            for length in range(len(data)):
                with self.assertRaises((Malformed, Unauthentic)):
                    envelope.open_field(keyset, where, v.hex("record-id"), data[:length])


class Bounds(unittest.TestCase):
    """Limits that would need large files."""

    def test_keyring_too_large(self) -> None:
        with self.assertRaises(Limit):
            keyring.parse(b" " * (wire.MAX_KEYRING_BYTES + 1))

    def test_keyring_nested_deep(self) -> None:
        with self.assertRaises(Malformed):
            keyring.parse(b"[" * 500_000)

    def test_field_envelope_too_long(self) -> None:
        head = b"\x01\x01" + bytes(16 + 40)
        envelope.parse(head + bytes(131_072))
        with self.assertRaises(Malformed):
            envelope.parse(head + bytes(131_088))


class Batch(unittest.TestCase):
    """check-batch, with a vector's keyring."""

    def test_batch(self) -> None:
        v = vectors.Vector("keyring_passphrase", load("keyring_passphrase"))
        secret = bytes.fromhex(v.all("key")[0].split(" ")[3])
        item = vectors.Value(1, b"0000012345678")
        data = envelope.seal(keys.new_key(secret, "field"), 1,
                             envelope.Field("demo-registry", "citizens", "cnic"), b"1001",
                             bytes(24), item)
        case = {"keyring": "ring.json", "passphrase": v.one("passphrase"), "table": "citizens",
                "field": "cnic", "record_id_hex": b"1001".hex(), "envelope_hex": data.hex(),
                "type": "01", "value_hex": item.data.hex()}
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "ring.json"), "wb") as file:
                file.write(v.file)
            for value_hex, wrong in ((item.data.hex(), 0), ("00", 1)):
                path = os.path.join(folder, "batch.jsonl")
                with open(path, "w", encoding="utf-8") as lines:
                    lines.write(json.dumps(dict(case, value_hex=value_hex)) + "\n")
                with contextlib.redirect_stdout(io.StringIO()):
                    self.assertEqual(vectors.check_batch(path), wrong)


if __name__ == "__main__":
    unittest.main()
