#!/usr/bin/env bash
# Guess: h5py.File(file object) reads what h5py.File(path) reads; a virtual dataset, whose numbers lie in other files, is read
# too, or raises an OSError, as the file object cannot name another file.
# Really: with the absolute path of the other file the process ends by a segmentation fault at the first read, with a
# relative one all numbers are 0, without a word. A dataset in external storage, outside the file too, is read.
# Versions: h5py 3.16.0 (HDF5 as in its wheel), NumPy 2.4.6, CPython 3.11.
# Source: h5py/h5fd.pyx: the driver of file objects, which HDF5 opens once more for the source of a virtual dataset.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check 'h5py==3.16.0' 'numpy==2.4.6' 2>/dev/null

cat >show.py <<'PYTHON'
import os
import sys

import h5py
import numpy as np

x = np.arange(5, dtype=np.uint8)
x.tofile("raw")
with h5py.File("source.h5", "w") as file:
    file["x"] = x
with h5py.File("a.h5", "w") as file:
    for name, source in (("absolute", os.path.abspath("source.h5")), ("relative", "source.h5")):
        layout = h5py.VirtualLayout(x.shape, "u1")
        layout[:] = h5py.VirtualSource(source, "x", x.shape)
        file.create_virtual_dataset(name, layout)
    file.create_dataset("external", x.shape, "u1", external=[("raw", 0, x.nbytes)])

name = sys.argv[1]
with h5py.File("a.h5", "r") as file:
    print("h5py", h5py.__version__, "HDF5", h5py.version.hdf5_version, name, "by path", file[name][:].tolist(), flush=True)
with open("a.h5", "rb") as opened, h5py.File(opened, "r") as file:
    print(name, "by file object", file[name][:].tolist(), flush=True)
PYTHON
venv/bin/python show.py external
relative=$(venv/bin/python show.py relative)
echo "$relative"
code=0
absolute=$(venv/bin/python show.py absolute) || code=$?
echo "$absolute, then exit code $code"
grep -qF "relative by path [0, 1, 2, 3, 4]" <<<"$relative" && grep -qF "by file object [0, 0, 0, 0, 0]" <<<"$relative"
grep -qF "absolute by path [0, 1, 2, 3, 4]" <<<"$absolute" && [ "$code" = 139 ]
