#!/usr/bin/env bash
# Guess: a TIFF of signed bytes (SampleFormat 2) opens in Pillow with its numbers, as one of signed 16 bits does (mode I), or
# is refused, as one of half floats is.
# Really: it opens in mode L: -1 is 255, -128 is 128, without a warning; what was darkest is brighter than all that was
# above 0.
# Versions: Pillow 13.0.0, tifffile 2026.3.3, NumPy 2.4.6, CPython 3.11.
# Source: PIL/TiffImagePlugin.py, OPEN_INFO: (II, 1, (2,), 1, (8,), ()) is ("L", "L"), (II, 1, (2,), 1, (16,), ()) is "I".
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check 'pillow==13.0.0' 'tifffile==2026.3.3' 'numpy==2.4.6' 2>/dev/null

cat >show.py <<'PYTHON'
import numpy as np
import PIL
import tifffile
from PIL import Image

print("Pillow", PIL.__version__, "tifffile", tifffile.__version__)
for dtype in (np.int8, np.int16):
    tifffile.imwrite("a.tif", np.array([[-128, -1, 0, 127]], dtype))
    with Image.open("a.tif") as image:
        print(np.dtype(dtype).name, image.mode, np.asarray(image).tolist())
PYTHON
found=$(venv/bin/python -W error show.py)
echo "$found"
grep -qF "int8 L [[128, 255, 0, 127]]" <<<"$found" && grep -qF "int16 I [[-128, -1, 0, 127]]" <<<"$found"
