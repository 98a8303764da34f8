#!/usr/bin/env bash
# Guess: whether a TIFF image of floats is packed says nothing about its pixels: Pillow reads the same numbers.
# Really: libtiff hands out unpacked samples in the order of bytes of the machine, and Pillow takes those of a big-endian
# file as big-endian once more: packed (deflate, LZW), floats and signed whole numbers of 16 and 32 bits come with their
# bytes exchanged, without a word. The same file not packed, or little-endian, is right, and tifffile reads all four.
# Versions: Pillow 13.0.0, tifffile 2026.3.3, imagecodecs 2026.3.6, NumPy 2.4.6, CPython 3.11, on a little-endian machine.
# Source: Pillow's TiffImagePlugin, _setup: rawmode is made native for libtiff only where it is I;16B.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check 'pillow==13.0.0' 'tifffile==2026.3.3' 'imagecodecs==2026.3.6' \
  'numpy==2.4.6' 2>/dev/null

cat >show.py <<'PYTHON'
import numpy as np
import PIL
import tifffile
from PIL import Image

print("Pillow", PIL.__version__, "tifffile", tifffile.__version__)
for dtype in ("float32", "int32", "int16"):
    pixels = np.array([[1, 2, 100]], dtype)
    for order in "<>":
        for packing in (None, "zlib", "lzw"):
            tifffile.imwrite("a.tif", pixels, byteorder=order, compression=packing)
            assert tifffile.imread("a.tif").tolist() == [[1, 2, 100]]
            with Image.open("a.tif") as image:
                found = np.asarray(image).tolist()
            print(dtype, "big" if order == ">" else "little", packing, "right" if found == [[1, 2, 100]] else found)
PYTHON
found=$(venv/bin/python -W error show.py)
echo "$found"
grep -qF "float32 big None right" <<<"$found" && grep -qF "int16 big None right" <<<"$found" &&
  grep -qF "float32 little zlib right" <<<"$found" && grep -qF "float32 big zlib [[4.6" <<<"$found" &&
  grep -qF "int32 big lzw [[16777216, 33554432, 1677721600]]" <<<"$found" && grep -qF "int16 big zlib [[256, 512" <<<"$found"
