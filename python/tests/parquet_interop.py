# SPDX-License-Identifier: MIT OR Apache-2.0
"""Parquet files between pyarrow and amanat: what pyarrow writes is protected, pyarrow reads that, and what is revealed is what it wrote.

Usage: python parquet_interop.py AMANAT, the built program. Needs pyarrow. All records are invented.
"""

import datetime
import pathlib
import subprocess
import sys
import tempfile

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 3_000
SCHEMA = """
format = "amanat-schema"
version = 1

[[table]]
name = "citizens"
record_id = ["id"]
encoding = "ENCODING"
field = [
  { name = "name", mode = "sealed" },
  { name = "cnic", mode = "sealed" },
  { name = "note", mode = "sealed", absence = "visible", pad = 64 },
  { name = "born", mode = "sealed", type = "date" },
  { name = "children", mode = "sealed", type = "integer" },
  { name = "alive", mode = "sealed", type = "boolean" },
  { name = "photo", mode = "sealed", type = "bytes" },
  { name = "districts", mode = "clear" },
  { name = "seen", mode = "clear" },
]
"""
SEALED = ("name", "cnic", "note", "born", "children", "alive", "photo")


def table():
    """A table of every type that is sealed, with NULLs, nested clear columns and metadata."""
    day = datetime.date(1957, 3, 1)
    columns = {
        "id": pa.array(range(ROWS), pa.int64()),
        "name": pa.array([None if n % 5 == 1 else f"invented {n % 50}" for n in range(ROWS)]).dictionary_encode(),
        "cnic": pa.array([f"35202{n:08d}" for n in range(ROWS)]),
        "note": pa.array([None if n % 2 else f"PLAIN-NOTE {n}" for n in range(ROWS)], pa.large_string()),
        "born": pa.array([None if n % 7 == 3 else day + datetime.timedelta(days=n) for n in range(ROWS)]),
        "children": pa.array([None if n % 4 == 3 else n % 9 for n in range(ROWS)], pa.int8()),
        "alive": pa.array([None if n % 6 == 3 else n % 2 == 0 for n in range(ROWS)]),
        "photo": pa.array([None if n % 3 == 1 else b"PLAIN-PHOTO" * (n % 4) for n in range(ROWS)], pa.large_binary()),
        "districts": pa.array([["a", None], [], None] * (ROWS // 3), pa.list_(pa.string())),
        "seen": pa.array([None if n % 9 == 1 else n * 1_000_003 for n in range(ROWS)], pa.timestamp("us", "UTC")),
    }
    return pa.table(columns).replace_schema_metadata({"registry": "synthetic"})


def check(amanat, folder, encoding, compression):
    """One way through both programs."""
    (folder / "schema.toml").write_text(SCHEMA.replace("ENCODING", encoding))
    plain, sealed, revealed = (folder / name for name in ("plain.parquet", "sealed.parquet", "revealed.parquet"))
    pq.write_table(table(), plain, row_group_size=ROWS // 3, compression=compression)
    keys = ["--keyring", "r.keyring", "--key-file", "k.key", "--schema", "schema.toml", "--force", "--quiet"]
    for verb, source, target in (("protect", plain, sealed), ("reveal", sealed, revealed)):
        subprocess.run([amanat, verb, *keys, source, "--output", target], cwd=folder, check=True)
    before, between, after = pq.read_table(plain), pq.read_table(sealed), pq.read_table(revealed)
    assert before.schema.equals(after.schema, check_metadata=True), (before.schema, after.schema)
    assert before.to_pylist() == after.to_pylist()
    assert between.column("districts").equals(before.column("districts"))
    for name in SEALED:
        for cell in between.column(name).drop_null().to_pylist():
            assert cell.startswith("amn1.") if encoding == "text" else cell.startswith(b"\x01\x01"), name
    footer = pq.ParquetFile(sealed).metadata
    assert footer.num_row_groups == 3
    for group in range(3):
        for place in range(footer.num_columns):
            column = footer.row_group(group).column(place)
            if column.path_in_schema in SEALED:
                assert not column.is_stats_set and not column.has_dictionary_page, column
    assert b"PLAIN-" not in sealed.read_bytes()


def main():
    amanat = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        init = "init --registry test --keyring r.keyring --key-file k.key --new-key-file"
        subprocess.run([amanat, *init.split()], cwd=folder, check=True, capture_output=True)
        for encoding in ("text", "binary"):
            for compression in ("zstd", "snappy", "none"):
                check(amanat, folder, encoding, compression)
                print(f"pyarrow {pa.__version__}: {encoding}, {compression}: {ROWS} rows there and back")


if __name__ == "__main__":
    main()
