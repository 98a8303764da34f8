#!/usr/bin/env bash
# Guess: no infinity is at most 999999, so `x.max() <= 999999` keeps infinity out, whatever the dtype.
# Really: np.float16("inf") <= 999999 is True in NumPy 2, with a RuntimeWarning that programs often ignore: the whole
# number becomes a float16, which is infinity, and infinity is at most infinity. It was False in NumPy 1, and is False
# for float32 and float64. So is a bound that no finite float16 can reach a bound that infinity passes.
# Versions: NumPy 1.26.4 and 2.4.6, CPython 3.11.
# Source: NEP 50 (a Python int takes the dtype of the other side); numpy/_core/src/umath/special_integer_comparisons.cpp,
# which compares with Python ints out of range rightly, is for integer dtypes only.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >show.py <<'PYTHON'
import sys
import warnings

import numpy as np

for dtype in ("float16", "float32", "float64"):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        scalar = np.dtype(dtype).type("inf") <= 999999
        array = (np.array([7, np.inf], dtype) <= 999999).tolist()
    print(np.__version__, sys.version.split()[0], dtype, scalar, array, "warnings:", len(told))
PYTHON
found=""
for package in numpy==1.26.4 numpy==2.4.6; do
  python3 -m venv "$package"
  "$package/bin/pip" install -q --disable-pip-version-check "$package" 2>/dev/null
  lines=$("$package/bin/python" show.py)
  echo "$lines"
  found+="$lines"$'\n'
done
[ "$(grep -c "float16 True \[True, True\]" <<<"$found")" = 1 ]
[ "$(grep -c "\[True, False\]" <<<"$found")" = 5 ]
