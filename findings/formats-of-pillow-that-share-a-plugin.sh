#!/usr/bin/env bash
# Guess: Image.open(file, formats=("JPEG", "MPO")) is the list for photos of phones, whose .jpg is an MPO of two pictures;
# any other image raises UnidentifiedImageError, as with formats=("JPEG",).
# Really: an MPO is read with formats=("JPEG",) alone, as its plugin shares JPEG's entry and has none of its own; naming
# it makes every file that is no JPEG fail with KeyError: 'MPO', which no caller expects and which is no OSError.
# Versions: Pillow 12.0.0, CPython 3.11 to 3.13.
# Source: PIL/MpoImagePlugin.py, at its end (no register_open), and PIL/Image.py, open (OPEN[i] for each named format).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check 'pillow==12.0.0' 2>/dev/null

cat >show.py <<'PYTHON'
import io
import sys

import PIL
from PIL import Image

picture = Image.new("L", (8, 8), 7)


def file(kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out


def opened(kind, formats, **options):
    try:
        with Image.open(file(kind, **options), formats=formats) as image:
            return f"{image.format} of {getattr(image, 'n_frames', 1)}"
    except Exception as error:
        return f"{type(error).__name__}, OSError: {isinstance(error, OSError)}"


print("Pillow", PIL.__version__, "Python", sys.version.split()[0])
two = {"save_all": True, "append_images": [picture]}
print("MPO as JPEG:", opened("MPO", ("JPEG",), **two))
print("PNG as JPEG:", opened("PNG", ("JPEG",)))
print("PNG as JPEG or MPO:", opened("PNG", ("JPEG", "MPO")))
PYTHON
found=$(venv/bin/python show.py)
echo "$found"
grep -q "MPO as JPEG: MPO of 2" <<<"$found" && grep -q "PNG as JPEG or MPO: KeyError, OSError: False" <<<"$found"
