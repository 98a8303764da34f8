#!/usr/bin/env bash
# Guess: a masked array is saved with its mask, or every writer refuses it, or at least all write the same numbers.
# Really: the place that is masked, 20 among uint8 10, 20, 30, 40, is read again as
#   20 from h5py, numpy.savez and numpy.save into memory, which write what lies under the mask;
#   63 from scipy.io.savemat, which writes the fill value, 999999, cut to a byte that looks like any other;
#   null from pyarrow, which alone keeps the mask.
# numpy.save into a file raises NotImplementedError, so that the same call fails or not by what it writes to. No other
# warns.
# Versions: numpy 2.4.6, scipy 1.17.1, h5py 3.16.0, pyarrow 26.0.1, CPython 3.11 and later.
# Source: numpy/lib/_format_impl.py, write_array: tofile for files, else what nditer gives; numpy/ma/core.py, tofile;
# scipy/io/matlab/_mio5.py, which writes array.tobytes(), where masked arrays are filled.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 h5py==3.16.0 pyarrow==26.0.1 2>/dev/null
cat > masked.py <<'PYTHON'
import io

import h5py
import numpy as np
import pyarrow
import scipy
from scipy.io import loadmat, savemat

masked = np.ma.masked_array(np.array([10, 20, 30, 40], np.uint8), mask=[0, 1, 0, 0])


def written(write, read):
    """What is read where 20 was, from a file in memory."""
    file = io.BytesIO()
    write(file)
    file.seek(0)
    return np.ravel(read(file))[1].item()


def in_hdf5(file):
    with h5py.File(file, "w") as made:
        made["m"] = masked


print("numpy.savez:", written(lambda file: np.savez(file, m=masked), lambda file: np.load(file)["m"]))
print("h5py:", written(in_hdf5, lambda file: h5py.File(file)["m"][()]))
print("numpy.save, memory:", written(lambda file: np.save(file, masked), np.load))
print("scipy.io.savemat:", written(lambda file: savemat(file, {"m": masked}), lambda file: loadmat(file)["m"]))
print("pyarrow:", pyarrow.array(masked)[1].as_py())
try:
    np.save("masked.npy", masked)
    print("numpy.save, file:", np.load("masked.npy")[1])
except NotImplementedError:
    print("numpy.save, file: NotImplementedError")
PYTHON
venv/bin/python -c 'import h5py, numpy, pyarrow, scipy; print(*(m.__version__ for m in (numpy, scipy, h5py, pyarrow)))'
found=$(venv/bin/python -W error masked.py)
echo "$found"
[ "$found" = "numpy.savez: 20
h5py: 20
numpy.save, memory: 20
scipy.io.savemat: 63
pyarrow: None
numpy.save, file: NotImplementedError" ]
