#!/usr/bin/env bash
# Guess: a mask of truth values that tifffile writes shows True as white, as it does with bytes of 0 and 255, and as Pillow
# writes it.
# Really: tifffile.imwrite marks arrays of bool, and of no other dtype, as min is white unless photometric= is given: every
# reader that heeds the tag (Pillow, viewers) shows True as black, and only tifffile.imread gives the mask back.
# Versions: tifffile 2026.3.3, Pillow 13.0.0, NumPy 2.4.6, CPython 3.11.
# Source: tifffile/tifffile.py, TiffWriter.write: photometric = MINISWHITE for one bit.
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
mask = np.array([[True, False]])
tifffile.imwrite("tifffile.tif", mask)
tifffile.imwrite("bytes.tif", mask * np.uint8(255))
Image.fromarray(mask).save("pillow.tif")
for name in ("tifffile", "bytes", "pillow"):
    with Image.open(f"{name}.tif") as image:
        print(f"{name}, by Pillow: {np.asarray(image.convert(chr(76))).tolist()}")
print("tifffile, by tifffile:", tifffile.imread("tifffile.tif").tolist())
PYTHON
found=$(venv/bin/python -W error show.py)
echo "$found"
grep -qF "tifffile, by Pillow: [[0, 255]]" <<<"$found" && grep -qF "bytes, by Pillow: [[255, 0]]" <<<"$found" &&
  grep -qF "pillow, by Pillow: [[255, 0]]" <<<"$found" && grep -qF "tifffile, by tifffile: [[True, False]]" <<<"$found"
