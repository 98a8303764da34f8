#!/usr/bin/env bash
# Guess: h5py.File(file object) reads what h5py.File(path) reads; a virtual dataset, whose numbers lie in another file, is
# read too, or raises an OSError, as a file object cannot name another file.
# Really: HDF5 looks for the source in the file object itself, whatever its name is: all numbers are 0, without a word, or
# those of a dataset of the source's name there. h5py crashed in another case of this kind, which is left out here. A
# dataset in external storage, outside the file too, is read.
# Versions: h5py 3.16.0 (HDF5 2.0.0), NumPy 2.4.6, CPython 3.11.
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

x = np.arange(1, 6, dtype=np.uint8)
with h5py.File("source.h5", "w") as file:
    file["y"], file["z"] = x, x
with h5py.File("a.h5", "w") as file:
    for name, of in (("other", "z"), ("mixed", "y")):
        layout = h5py.VirtualLayout(x.shape, "u1")
        layout[:] = h5py.VirtualSource(os.path.abspath("source.h5"), of, x.shape)
        file.create_virtual_dataset(name, layout)
    file["y"] = x + 100

name = sys.argv[1]
with h5py.File("a.h5", "r") as file:
    print("h5py", h5py.__version__, "HDF5", h5py.version.hdf5_version, name, "by path", file[name][:].tolist(), flush=True)
with open("a.h5", "rb") as opened, h5py.File(opened, "r") as file:
    print(name, "by file object", file[name][:].tolist(), flush=True)
PYTHON
for name in other mixed; do
  found=$(venv/bin/python show.py "$name")
  echo "$found"
  grep -qF "$name by path [1, 2, 3, 4, 5]" <<<"$found"
  case $name in
    other) grep -qF "by file object [0, 0, 0, 0, 0]" <<<"$found" ;;
    mixed) grep -qF "by file object [101, 102, 103, 104, 105]" <<<"$found" ;;
  esac
done
