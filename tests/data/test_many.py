"""Plain PNG files are unpacked together: the same pixels as one by one, and the same refusals."""

import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fnnet import data
from fnnet.data import formats, many
from fnnet.errors import DataError, StorageError
from tests.tools.samples import png_bytes, write

RNG = np.random.default_rng(1)


def paeth(a, b, c):
    """As the standard writes it."""
    p = a + b - c
    return min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]


def filtered(image, kinds):
    """The rows of an image, each with its filter, as an encoder makes them."""
    out, image = b"", image.astype(int)
    for r, kind in enumerate(kinds):
        above = image[r - 1] if r else np.zeros(image.shape[1], int)
        left, corner = np.roll(image[r], 1), np.roll(above, 1)
        left[0] = corner[0] = 0
        guess = [0 * left, left, above, (left + above) // 2, np.array(list(map(paeth, left, above, corner)))][kind]
        out += bytes([kind]) + ((image[r] - guess) % 256).astype(np.uint8).tobytes()
    return out


def plain(image, kinds):
    return png_bytes(image.shape[1], image.shape[0], 0, 8, zlib.compress(filtered(image, kinds)))


def pillow(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


shapes = st.tuples(st.integers(1, 6), st.integers(1, 6))


@given(
    shapes, st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=5), st.integers(0, 2**31)
)
def test_every_filter_in_any_order_gives_pillow_s_pixels(tmp_path_factory, shape, kinds, seed):
    folder, rng = tmp_path_factory.mktemp("a"), np.random.default_rng(seed)
    images = [rng.integers(0, 256, shape, dtype=np.uint8) for _ in kinds]
    contents = [plain(image, each[: shape[0]]) for image, each in zip(images, kinds, strict=True)]
    paths = [write(folder / f"{number}.png", content) for number, content in enumerate(contents)]
    assert all(many._plain(path) for path in paths)
    found = many.read_pictures(paths)
    assert (found.shape, found.lossy) == (shape, False)
    for row, image, content in zip(found.x, images, contents, strict=True):
        np.testing.assert_array_equal(row.reshape(shape), image)
        np.testing.assert_array_equal(pillow(content), image)


def test_plain_files_and_others_keep_their_order(monkeypatch, tmp_path):
    monkeypatch.setattr(many, "BATCH", 3)
    images = RNG.integers(0, 256, (10, 4, 5), dtype=np.uint8)
    paths = []
    for number, image in enumerate(images):
        mode, kind = (None, "PNG") if number % 3 else (("RGB", "PNG") if number % 2 else (None, "BMP"))
        path = tmp_path / f"{number}"
        picture = Image.fromarray(image)
        (picture.convert(mode) if mode else picture).save(path, kind)
        paths.append(path)
    assert [many._plain(path) is None for path in paths] == [number % 3 == 0 for number in range(10)]
    np.testing.assert_array_equal(many.read_pictures(paths).x, images.reshape(10, -1))


def test_lossy_pictures_are_told(tmp_path):
    Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / "a.jpg")
    assert many.read_pictures([tmp_path / "a.jpg"]).lossy


IMAGE = RNG.integers(0, 256, (3, 4), dtype=np.uint8)
GOOD = plain(IMAGE, [0, 1, 4])


def test_every_flipped_bit_and_every_cut_is_read_as_alone(tmp_path):
    """What is not whole and plain goes to the reader of single pictures, which says what is wrong."""
    first = write(tmp_path / "0.png", GOOD)
    for at in range(8 * len(GOOD)):
        content = bytearray(GOOD)
        content[at // 8] ^= 1 << at % 8
        path = write(tmp_path / "1.png", bytes(content))
        assert many._plain(path) is None, at
    for content in (GOOD[:length] for length in range(len(GOOD))):
        path = write(tmp_path / "1.png", content)
        assert many._plain(path) is None
        with pytest.raises(DataError):
            many.read_pictures([first, path])
    path = write(tmp_path / "1.png", GOOD + b"\0")
    assert many._plain(path) is None
    first, second = many.read_pictures([first, path]).x
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (filtered(IMAGE, [0, 0, 0])[:-1], "too few"),
        (filtered(IMAGE, [0, 0, 0]) + b"\0", "too many"),
        (b"\5" + filtered(IMAGE, [0, 0, 0])[1:], "a filter that there is not"),
    ],
)
def test_rows_that_do_not_fit_are_left_to_the_reader(rows, why, tmp_path):
    path = write(tmp_path / "a.png", png_bytes(4, 3, 0, 8, zlib.compress(rows)))
    assert many._plain(path) is None, why
    with pytest.raises(DataError):
        many.read_pictures([path])


def test_rows_that_are_not_deflated_are_left_to_the_reader(tmp_path):
    path = write(tmp_path / "a.png", png_bytes(4, 3, 0, 8, b"not deflated"))
    assert many._plain(path) is None
    with pytest.raises(DataError, match="damaged PNG: IDAT"):
        many.read_pictures([path])


@pytest.mark.parametrize("size", [(0, 3), (4, 0), (300, 300)])
def test_sizes_that_are_left_to_the_reader(size, tmp_path):
    width, height = size
    path = write(tmp_path / "a.png", png_bytes(width, height, 0, 8, zlib.compress(bytes(height * (width + 1)))))
    assert many._plain(path) is None


def test_another_size_is_refused_with_its_file(tmp_path):
    paths = [write(tmp_path / "0.png", GOOD), write(tmp_path / "1.png", plain(IMAGE[:2], [0, 0]))]
    with pytest.raises(DataError, match=r"1\.png: byte 16: image size does not fit; expected 4x3 pixels, found 4x2"):
        many.read_pictures(paths)


def test_files_that_cannot_be_read(monkeypatch, tmp_path):
    (tmp_path / "a.png").mkdir()
    for path in (tmp_path / "a.png", tmp_path / "none.png"):
        assert many._plain(path) is None
        with pytest.raises(StorageError):
            many.read_pictures([path])

    def fail(*arguments):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.read", fail)
    assert many._plain(write(tmp_path / "b.png", GOOD)) is None


def test_class_folders_are_read_so(monkeypatch, tmp_path):
    images = RNG.integers(0, 256, (6, 5, 5), dtype=np.uint8)
    for number, image in enumerate(images):
        (tmp_path / str(number % 2)).mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / str(number % 2) / f"{number}.png")
    expected = data.load(tmp_path).train
    monkeypatch.setattr(many, "_plain", lambda path: None)
    alone = data.load(tmp_path).train
    np.testing.assert_array_equal(expected.x, alone.x)
    np.testing.assert_array_equal(expected.labels, alone.labels)
    np.testing.assert_array_equal(expected.x, images[[0, 2, 4, 1, 3, 5]].reshape(6, -1))
    assert formats.picture_suffixes() >= {".png"}
