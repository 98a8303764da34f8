"""Pictures are turned as EXIF says, in PNG as in other formats; damaged EXIF turns nothing and harms nothing."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from fnnet import data
from fnnet.data.png import read_png
from fnnet.data.turn import ORIENTATION, orientation_in, turned
from fnnet.errors import DataError
from tests.tools.samples import chunk, write

sizes = st.tuples(st.integers(1, 6), st.integers(1, 6))


def exif_of(orientation, order, kind, before=0, after=0, at=8):
    """EXIF as cameras write it: an entry of the orientation among others."""
    number = {"II": "little", "MM": "big"}[order]

    def entry(tag, kind, value):
        size = 2 if kind == 3 else 4
        head = tag.to_bytes(2, number) + kind.to_bytes(2, number) + (1).to_bytes(4, number)
        return head + value.to_bytes(size, number).ljust(4, b"\0")

    entries = [entry(256 + each, 3, 9) for each in range(before)] + [entry(ORIENTATION, kind, orientation)]
    entries += [entry(300 + each, 4, 9) for each in range(after)]
    head = order.encode() + (42).to_bytes(2, number) + at.to_bytes(4, number)
    return head.ljust(at, b"\0") + len(entries).to_bytes(2, number) + b"".join(entries) + bytes(4)


few = st.integers(0, 3)
exifs = st.builds(
    exif_of, st.integers(0, 9), st.sampled_from(["II", "MM"]), st.sampled_from([3, 4]), few, few, st.integers(8, 20)
)


def png_of(image, exif, late=False, colour="L"):
    """A PNG with a chunk of EXIF before or after the image."""
    content = io.BytesIO()
    Image.fromarray(image).convert(colour).save(content, "PNG")
    found = content.getvalue()
    at = len(found) - 12 if late else 33
    return found[:at] + chunk(b"eXIf", exif) + found[at:]


@given(sizes, exifs, st.booleans(), st.sampled_from(["L", "RGB", "RGBA"]), st.integers(0, 2**31))
def test_png_is_turned_as_pillow_turns_it(tmp_path_factory, shape, exif, late, colour, seed):
    image = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    content = png_of(image, exif, late, colour)
    path = write(tmp_path_factory.mktemp("a") / "a.png", content)
    with Image.open(io.BytesIO(content)) as opened:
        opened.load()
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("L"))
    np.testing.assert_array_equal(read_png(path), expected)
    np.testing.assert_array_equal(read_png(path, expected.shape), expected)
    if expected.shape[0] != expected.shape[1]:
        with pytest.raises(DataError, match=f"found {expected.shape[1]}x{expected.shape[0]}"):
            read_png(path, expected.shape[::-1])


@given(exifs, st.data())
def test_cut_or_changed_exif_gives_some_orientation(exif, draw):
    assert 1 <= orientation_in(exif[: draw.draw(st.integers(0, len(exif)))]) <= 8
    at = draw.draw(st.integers(0, len(exif) - 1))
    assert 1 <= orientation_in(exif[:at] + draw.draw(st.binary(max_size=40)) + exif[at:]) <= 8
    assert 1 <= orientation_in(draw.draw(st.binary(max_size=80))) <= 8


@pytest.mark.parametrize("exif", [b"", b"Exif", b"II*\0\xff\xff\xff\xff" + bytes(40), b"XX" + bytes(60)])
def test_damaged_exif_turns_nothing(exif, tmp_path):
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(read_png(write(tmp_path / "a.png", png_of(image, exif))), image)


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_every_orientation_of_a_class_folder(prefix, tmp_path):
    """One picture as eight cameras hold it: all are read alike."""
    image = np.random.default_rng(0).integers(0, 256, (5, 5), np.uint8)
    for orientation in range(1, 9):
        folder = tmp_path / str(orientation % 2)
        folder.mkdir(exist_ok=True)
        ways = (np.rot90(each, k) for each in (image, image[:, ::-1]) for k in range(4))
        stored = next(each for each in ways if np.array_equal(turned(each, orientation), image))
        content = png_of(np.ascontiguousarray(stored), prefix + exif_of(orientation, "MM", 3))
        (folder / f"{orientation}.png").write_bytes(content)
    assert (data.load(tmp_path).train.x == image.ravel()).all()
