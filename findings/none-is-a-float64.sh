#!/usr/bin/env bash
# Guess: `dtype in (np.dtype("float32"), np.dtype("float64"))` is False where no dtype is known and `dtype` is None.
# Really: it is True, without a warning. Comparing a dtype with anything converts the other side as np.dtype() does, and
# np.dtype(None) is float64; so "not found" passes for double precision, while float32 and integers say no. Other things
# that np.dtype() refuses, such as a list of text, compare unequal instead of raising.
# Versions: numpy 1.26.4 and 2.4.6, CPython 3.11.
# Source: numpy/_core/src/multiarray/descriptor.c, arraydescr_richcompare.
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
floats = np.dtype("float32"), np.dtype("float64")
print(np.__version__, None in floats, floats[0] == None, floats[1] == None, np.dtype("int64") == None, floats[1] == ["x"])
')
  echo "$line"
  found="$found$line;"
done
[ "$found" = "1.26.4 True False True False False;2.4.6 True False True False False;" ]
