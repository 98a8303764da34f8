#!/usr/bin/env bash
# One would guess that a RecordBatch that can be sliced, and that comes back from a Parquet file as it was written, gives
# some of its rows by take() and filter() too, whatever the types of its columns: rows are copied, not computed with.
#
# What happens: with a column of string_view or binary_view beside them, numbers cannot be taken either: take() and
# filter() of the batch, of a table and of the column raise ArrowNotImplementedError ("no kernel"), and sort_by()
# raises ArrowTypeError. slice(), to_pylist() and a round trip through Parquet work, and cast() to string makes the
# rest work. A reader that copies rows out of a batch, to let go of the batch, fails for such files alone.
#
# Versions: pyarrow 26.0.1. Source: tried; the kernels' lists are in the documentation of pyarrow.compute.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check pyarrow==26.0.1
cat > "$work/try.py" <<'P'
import sys
import pyarrow as pa
import pyarrow.parquet as pq

folder = sys.argv[1]
print("pyarrow", pa.__version__, "python", sys.version.split()[0])
seen = {}
for kind in (pa.string(), pa.string_view(), pa.binary(), pa.binary_view()):
    values = ["b", "a", "c"] if "string" in str(kind) else [b"b", b"a", b"c"]
    plain = pa.string() if "string" in str(kind) else pa.binary()
    pq.write_table(pa.table({"x": pa.array(values, kind), "n": [1, 2, 3]}), f"{folder}/a.parquet")
    table = pq.read_table(f"{folder}/a.parquet")
    assert table.schema.field("x").type == kind, table.schema
    batch = table.to_batches()[0]
    ways = {
        "batch.take": lambda: batch.take(pa.array([2, 0]))["n"].to_pylist(),
        "table.take": lambda: table.take(pa.array([2, 0]))["n"].to_pylist(),
        "column.take": lambda: len(batch["x"].take(pa.array([2, 0]))),
        "batch.filter": lambda: batch.filter(pa.array([False, True, True]))["n"].to_pylist(),
        "table.sort_by": lambda: table.sort_by("x")["n"].to_pylist(),
        "batch.slice": lambda: batch.slice(1, 2)["n"].to_pylist(),
        "cast, then take": lambda: len(batch["x"].cast(plain).take(pa.array([2, 0]))),
    }
    for name, way in ways.items():
        try:
            seen[str(kind), name] = str(way())
        except Exception as error:
            seen[str(kind), name] = type(error).__name__
        print(f"{kind!s:12} {name:16} {seen[str(kind), name]}")
plain = {"batch.take": "[3, 1]", "table.take": "[3, 1]", "column.take": "2", "batch.filter": "[2, 3]",
         "table.sort_by": "[2, 1, 3]", "batch.slice": "[2, 3]", "cast, then take": "2"}
no_kernel = dict.fromkeys(("batch.take", "table.take", "column.take", "batch.filter"), "ArrowNotImplementedError")
views = plain | no_kernel | {"table.sort_by": "ArrowTypeError"}
expected = {(kind, name): value for kinds, each in ((("string", "binary"), plain), (("string_view", "binary_view"), views))
            for kind in kinds for name, value in each.items()}
sys.exit(0 if seen == expected else 1)
P
"$work/venv/bin/python" "$work/try.py" "$work" || { echo "changed"; exit 1; }
