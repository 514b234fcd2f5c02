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

from amanat_reference import (aead, bech32m, envelope, ff1, hpke, identifier, keyring,  # noqa: E402
                              keys, surrogates, tokens, vectors, wire)
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


class Standards(unittest.TestCase):
    """FF1, HPKE, Bech32m and check digits against what others published."""

    def test_ff1_nist(self) -> None:
        letters = "0123456789abcdefghijklmnopqrstuvwxyz"
        with open(os.path.join(VECTORS, "foreign", "ff1_nist.txt"), encoding="ascii") as file:
            samples = [line.split() for line in file if not line.startswith("#")]
        self.assertEqual(len(samples), 9)
        for key, tweak, radix, plain, sealed in samples:
            cipher = ff1.Ff1(bytes.fromhex(key))
            data = bytes.fromhex("" if tweak == "-" else tweak)
            numerals = [letters.index(letter) for letter in plain]
            got = cipher.encrypt(int(radix), data, numerals)
            self.assertEqual("".join(letters[n] for n in got), sealed)
            self.assertEqual(cipher.decrypt(int(radix), data, got), numerals)

    def test_hpke_rfc_9180(self) -> None:
        """RFC 9180 appendix A.1.1, encryption 0: the same suite with AES-128-GCM."""
        ephemeral = bytes.fromhex(
            "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736")
        private = bytes.fromhex(
            "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8")
        info, text = b"Ode on a Grecian Urn", b"Beauty is truth, truth beauty"
        encapsulated, sealed, schedule = hpke.seal(
            ephemeral, hpke.public_key(private), info, b"Count-0", text, hpke.AES_128_GCM)
        self.assertEqual(encapsulated.hex(),
                         "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431")
        self.assertEqual(schedule.key.hex(), "4531685d41d65f03dc48f6b8302c05b0")
        self.assertEqual(schedule.base_nonce.hex(), "56d890e5accaaf011cff4b7d")
        self.assertEqual(sealed.hex(), "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218"
                                       "a355a96d8770ac83d07bea87e13c512a")
        self.assertEqual(
            hpke.open_sealed(private, encapsulated, info, b"Count-0", sealed, hpke.AES_128_GCM),
            text)

    def test_bech32m_bip_350(self) -> None:
        for text in ("a1lqfn3a", "?1v759aa", "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
                     "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx"):
            header, _, symbols = text.rpartition("1")
            values = bech32m.check_symbols(header, symbols)
            self.assertEqual(bech32m.encode_groups(header, values), text)
        for text in ("y1b0jsk6g", "lt1igcx5c0", "in1muywd", "mm1crxm3i", "au1s5cgom", "m1vpyv2q"):
            header, _, symbols = text.rpartition("1")
            with self.assertRaises(Malformed):
                bech32m.check_symbols(header, symbols)

    def test_check_digits(self) -> None:
        """Verhoeff: 236 takes 3; Luhn: ISO's 7992739871 takes 3; ICAO 9303-3's and -4's samples."""
        self.assertEqual(identifier.CHECKS["verhoeff"]("236"), "3")
        self.assertEqual(identifier.CHECKS["luhn"]("7992739871"), "3")
        self.assertEqual(identifier.icao("520727"), "3")
        zone = ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<"
                "L898902C36UTO7408122F1204159ZE184226B<<<<<10")
        self.assertEqual(identifier.of("mrz").read(zone), zone)

    def test_verhoeff_catches_every_wrong_digit_and_every_swap(self) -> None:
        check = identifier.CHECKS["verhoeff"]
        for number in range(0, 1000, 7):
            rest = "%04d" % number
            good = rest + str(check(rest))
            for at in range(5):
                for digit in "0123456789":
                    other = good[:at] + digit + good[at + 1:]
                    self.assertEqual(check(other[:-1]) == other[-1], other == good)
            for at in range(4):
                other = good[:at] + good[at + 1] + good[at] + good[at + 2:]
                self.assertEqual(check(other[:-1]) == other[-1], other == good)


class Lines(unittest.TestCase):
    """check-surrogates, with a keyring of the vectors."""

    def test_a_wrong_line_is_noticed(self) -> None:
        v = vectors.Vector("keyring_six_purposes", load("keyring_six_purposes"))
        key = {"op": "ff1", "key": "00" * 32, "radix": 10, "tweak": "", "plain": [1] * 6}
        sealed = ff1.Ff1(bytes(32)).encrypt(10, b"", [1] * 6)
        secret = bytes.fromhex(v.all("key")[2].split(" ")[3])
        audience = tokens.Audience("tax-office", "matching")
        token_key = keys.token_key(secret, "demo-registry", "pairwise", *audience)
        data = tokens.pairwise(token_key, "cnic/v1", b"0000012345678")
        token = {"op": "token", "form": "cnic/v1", "type": "01",
                 "text": tokens.Token("pairwise", 1, audience, data).encode()}
        cases = [(dict(key, sealed=sealed), 0), (dict(key, sealed=[1] * 6), 1),
                 (dict(token, value_hex=b"00000-1234567-8".hex()), 0),
                 (dict(token, value_hex=b"0000012345679".hex()), 1),
                 ({"op": "refused", "form": "digits/v1", "type": "01", "value_hex": b"x".hex(),
                   "class": "malformed"}, 0),
                 ({"op": "refused", "form": "digits/v1", "type": "01", "value_hex": b"1".hex(),
                   "class": "malformed"}, 1)]
        head = {"keyring": "ring.json", "passphrase": v.one("passphrase")}
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "ring.json"), "wb") as file:
                file.write(v.file)
            path = os.path.join(folder, "lines.jsonl")
            for case, wrong in cases:
                with open(path, "w", encoding="utf-8") as lines:
                    lines.write(json.dumps(head) + "\n" + json.dumps(case) + "\n")
                with contextlib.redirect_stdout(io.StringIO()):
                    self.assertEqual(surrogates.check_lines(path), wrong, case["op"])


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
