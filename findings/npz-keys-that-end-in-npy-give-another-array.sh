#!/usr/bin/env bash
# Guess: what numpy.savez was given under a name is what numpy.load gives under it.
# Really: with arrays "x" and "x.npy" in one file, both names give the array that was saved as "x"; the other cannot be
# read by its name, iterating over the items gives the first one twice, and nothing warns. Members of an NPZ file are
# called by the name and ".npy": the one saved as "x" is the member "x.npy", and names of members are looked up before
# names of arrays. Names taken from file names, as of a folder of .npy files, meet it.
# Versions: numpy 1.26.4 and 2.4.6, CPython 3.11.
# Source: numpy/lib/npyio.py (1.26) and numpy/lib/_npyio_impl.py, NpzFile.__getitem__.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
found=""
for package in numpy==1.26.4 numpy==2.4.6; do
  python3 -m venv "$package"
  "$package/bin/pip" install -q --disable-pip-version-check "$package" 2>/dev/null
  line=$("$package/bin/python" -W error -c '
import numpy as np
np.savez("both.npz", **{"x": np.array(1), "x.npy": np.array(2)})
with np.load("both.npz") as saved:
    print(np.__version__, *saved.files, *(int(array) for _, array in saved.items()), int(saved["x.npy.npy"]))
')
  echo "$line"
  found="$found$line;"
done
[ "$found" = "1.26.4 x x.npy 1 1 2;2.4.6 x x.npy 1 1 2;" ]
