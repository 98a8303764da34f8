#!/usr/bin/env bash
# Guess: load_svmlight_file reads what dump_svmlight_file wrote, both with their defaults; its documentation says that
# zero_based="auto", the default, "should always be safe when no offset or length is passed".
# Really: dump numbers columns from 0, and load takes a file for numbered from 1 if no row has a number in column 0: all
# columns move left by one. Pictures are like that: their first pixel is blank. With n_features= given, the shape is
# right, too, and nothing shows it.
# Versions: scikit-learn 1.9.1, SciPy 1.17.1, NumPy 2.4.6, CPython 3.11.
# Source: sklearn/datasets/_svmlight_format_io.py, load_svmlight_files: indices -= 1 if np.min(indices) > 0 in every row.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check 'scikit-learn==1.9.1' 'scipy==1.17.1' 'numpy==2.4.6' 2>/dev/null

cat >show.py <<'PYTHON'
import sys

import numpy as np
import scipy
import sklearn
from sklearn.datasets import dump_svmlight_file, load_digits, load_svmlight_file

print("scikit-learn", sklearn.__version__, "SciPy", scipy.__version__, "NumPy", np.__version__, sys.version.split()[0])
x, y = load_digits(return_X_y=True)
print("first pixels:", np.unique(x[:, 0]))
dump_svmlight_file(x, y, "digits.txt")
for options in ({}, {"n_features": 64}, {"n_features": 64, "zero_based": True}):
    found = load_svmlight_file("digits.txt", **options)[0].toarray()
    moved = found.shape[1] >= 63 and bool((found[:, :63] == x[:, 1:]).all())
    print(options, found.shape, "as dumped:", np.array_equal(found, x), "moved left:", moved)
PYTHON
found=$(venv/bin/python show.py)
echo "$found"
grep -qF "{} (1797, 63) as dumped: False moved left: True" <<<"$found"
grep -qF "{'n_features': 64} (1797, 64) as dumped: False moved left: True" <<<"$found"
grep -qF "'zero_based': True} (1797, 64) as dumped: True moved left: False" <<<"$found"
