#!/usr/bin/env bash
# Guess: Pillow inverts a TIFF whose PhotometricInterpretation is 0 (min is white), at any depth, or at none.
# Really: it inverts 1 to 8 bits, and gives 16 bits and floats of 32 bits as they are stored, in the modes of min is
# black: the same picture, saved with more bits, is its negative. The big-endian one of 16 bits cannot be opened at all.
# Versions: Pillow 13.0.0, tifffile 2026.3.3, NumPy 2.4.6, CPython 3.11.
# Source: PIL/TiffImagePlugin.py, OPEN_INFO: (II, 0, (1,), 1, (8,), ()) is "L;I", (II, 0, (1,), 1, (16,), ()) is "I;16".
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
for dtype, order, scale in ((np.uint8, "<", 1), (np.uint16, "<", 257), (np.float32, "<", 1 / 255), (np.uint16, ">", 257)):
    white_at_0 = (np.array([[0, 255]]) * scale).astype(dtype)
    tifffile.imwrite("a.tif", white_at_0, photometric="miniswhite", byteorder=order)
    try:
        with Image.open("a.tif") as image:
            found = f"{image.mode} {np.asarray(image).tolist()}"
    except Exception as error:
        found = type(error).__name__
    print(f"{np.dtype(dtype).name}{order}: {found}")
PYTHON
found=$(venv/bin/python -W error show.py)
echo "$found"
grep -qF "uint8<: L [[255, 0]]" <<<"$found" && grep -qF "uint16<: I;16 [[0, 65535]]" <<<"$found" &&
  grep -qF "float32<: F [[0.0, 1.0]]" <<<"$found" && grep -qF "uint16>: UnidentifiedImageError" <<<"$found"
