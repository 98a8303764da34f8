"""PNG images and class folders of them."""

import zlib

import numpy as np
import pytest
from PIL import Image

from fnnet import data
from fnnet.data import many
from fnnet.data import png as reader
from fnnet.data.paper import GREY, dark_on_light
from fnnet.errors import DataError
from tests.tools.png import KINDS, encode, grey, key_chunk, noise, palette_chunks
from tests.tools.samples import chunk, missing_parts, png, png_bytes, write


def test_class_folders(tmp_path, small_images):
    for part, rows in (("train", slice(0, 50)), ("test", slice(50, 60))):
        for number, (image, label) in enumerate(zip(*(each[rows] for each in small_images), strict=True)):
            png(tmp_path / "set" / part / f"{label + 2}" / f"{number:03}.png", image)
    dataset = data.load(str(tmp_path / "set"))
    assert dataset.classes == ("2", "3", "4", "5", "6", "7", "8", "9", "10", "11")
    assert (len(dataset.train.labels), len(dataset.test.labels)) == (50, 10)
    np.testing.assert_array_equal(dataset.train.x[0].reshape(28, 28), small_images[0][0])


def test_f14_class_folders_without_test(tmp_path):
    for name in ("cat", "dog"):
        png(tmp_path / "set" / name / "1.PNG", np.full((4, 6), len(name)))
    dataset = data.load(str(tmp_path / "set"))
    assert dataset.classes == ("cat", "dog")
    assert dataset.image_shape == (4, 6)
    assert dataset.test is None
    png(tmp_path / "set" / "dog" / "2.png", np.zeros((5, 6)))
    with pytest.raises(DataError, match=r"2\.png: byte 16: image size does not fit; expected 6x4 pixels, found 6x5"):
        data.load(str(tmp_path / "set"))


def test_empty_folder(tmp_path):
    with pytest.raises(DataError, match="no data set"):
        data.load(str(tmp_path))


def test_f30_png_conversions(tmp_path):
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16
    for mode in ("L", "RGB", "P", "RGBA", "LA"):
        np.testing.assert_array_equal(reader.read_png(png(tmp_path / f"{mode}.png", grey, mode)), grey)
    black_and_white = np.where(grey > 100, 255, 0)
    np.testing.assert_array_equal(reader.read_png(png(tmp_path / "1.png", black_and_white, "1")), black_and_white)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    deep.save(tmp_path / "deep.png")
    np.testing.assert_array_equal(reader.read_png(tmp_path / "deep.png"), grey)
    dark = Image.fromarray(np.array([[255, 65535]], np.uint16))
    dark.save(tmp_path / "dark.png")
    assert reader.read_png(tmp_path / "dark.png").tolist() == [[1, 255]]  # 255 of 65,535 is nearer 1 than 0 of 255
    half = np.dstack([np.full((2, 2), 200), np.full((2, 2), 128)]).astype(np.uint8)
    Image.fromarray(half).save(tmp_path / "half.png")
    assert (reader.read_png(tmp_path / "half.png") == 100).all()


@pytest.mark.parametrize(("colour", "depth"), [(0, 1), (0, 2), (0, 4), (0, 8), (2, 8)])
def test_f30_of_a_colour_key_the_bits_of_a_sample_count(colour, depth, tmp_path):
    samples = noise(colour, depth, 5, 7)
    key = tuple(samples[3, 4].tolist())
    above = tuple(each | 2**depth | 0xE000 for each in key)
    content = [encode(samples, colour, depth, before=key_chunk(each)) for each in (key, above)]
    found = [reader.read_png(write(tmp_path / "a.png", each)) for each in content]
    assert np.array_equal(*found)
    assert found[0][3, 4] == 0


def test_f33_too_many_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "MAX_PIXELS", 30)
    with pytest.raises(DataError, match="image too large; expected at most 30 pixels, 32,768 a side, found 6x6"):
        reader.read_png(png(tmp_path / "a.png", np.zeros((6, 6))))


def test_class_folders_without_images_or_that_differ(tmp_path):
    for name in ("train/a", "train/b", "test/a", "test/b"):
        png(tmp_path / "set" / name / "1.png", np.zeros((4, 4)))
    (tmp_path / "set" / "train" / ".cache").mkdir()
    assert data.load(str(tmp_path / "set")).classes == ("a", "b")
    (tmp_path / "set" / "test" / "c").mkdir()
    with pytest.raises(DataError, match="classes of test and train differ; expected a, b, found a, b, c"):
        data.load(str(tmp_path / "set"))
    (tmp_path / "set" / "train" / "c").mkdir()
    with pytest.raises(DataError, match=r"train.c: the folder: class without images"):
        data.load(str(tmp_path / "set"))


def test_more_classes_than_a_byte_can_count(tmp_path):
    for number in range(300):
        png(tmp_path / "set" / str(number) / "1.png", np.zeros((2, 2)))
    dataset = data.load(str(tmp_path / "set"))
    assert dataset.train.labels.tolist() == list(range(300))


def test_f35_other_images_are_refused(tmp_path):
    Image.new("L", (28, 28)).save(tmp_path / "a.gif")
    with pytest.raises(DataError, match="unknown kind of image; expected PNG, found a GIF image"):
        reader.read_png(tmp_path / "a.gif")
    with pytest.raises(
        DataError,
        match=r"byte 0: a single image is not a data set; expected a folder .* for each class, found one PNG image",
    ):
        data.load(str(png(tmp_path / "a.png", np.zeros((28, 28)))))


# Every kind of PNG


@pytest.mark.parametrize(("colour", "depth"), KINDS)
def test_f30_f36_every_colour_type_depth_and_interlacing(colour, depth, tmp_path):
    """Compared with pixels computed in fractions; gamma, profiles and text change nothing."""
    palette = np.random.default_rng(1).integers(0, 256, (2**depth, 3)).tolist() if colour == 3 else None
    aside = chunk(b"gAMA", b"\0\0\0\1") + chunk(b"tEXt", b"a\0b") + chunk(b"tIME", bytes(7))
    for height, width in ((1, 1), (2, 3), (5, 9), (9, 5), (13, 17)):
        samples = noise(colour, depth, height, width)
        before = aside + (palette_chunks(palette) if palette else b"")
        for interlace in (0, 1):
            path = write(tmp_path / "a.png", encode(samples, colour, depth, interlace, before))
            np.testing.assert_array_equal(reader.read_png(path), grey(samples, colour, depth, palette))


EXIF_ROTATED = b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"


@pytest.mark.parametrize(("colour", "depth"), [kind for kind in KINDS if kind[0] in (0, 2, 3)])
def test_f30_transparency_is_laid_over_black(colour, depth, tmp_path):
    samples = noise(colour, depth, 7, 9)
    key = tuple(samples[3, 4].tolist())
    palette = np.random.default_rng(1).integers(0, 256, (2**depth, 3)).tolist() if colour == 3 else None
    alphas = np.random.default_rng(2).integers(0, 256, (2**depth + 1) // 2).tolist() if colour == 3 else ()
    before = palette_chunks(palette, alphas) if palette else key_chunk(key)
    path = write(tmp_path / "a.png", encode(samples, colour, depth, 0, before))
    wanted = grey(samples, colour, depth, palette, None if palette else key, alphas)
    found = reader.read_png(path)
    np.testing.assert_array_equal(found, wanted)
    assert palette or found[3, 4] == 0


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("colour", [0, 2, 4, 6])
def test_bytes_in_16_bits_are_refused(colour, interlace, tmp_path):
    """So are 12 bits in 16: the largest would be 15 of 255. What has other levels of opacity is meant by these."""
    path, samples = tmp_path / "a.png", noise(colour, 16, 23, 4)
    for most in (255, 4095):
        low = samples * most // 65535
        low[0, 0] = most
        for alpha in (low[..., -1], 65535):
            if colour in (4, 6):
                low[..., -1] = alpha
            write(path, encode(low, colour, 16, interlace))
            message = rf"the pixels: samples of more than 8 bits, nearly black; .* found at most {most:,}; save it"
            with pytest.raises(DataError, match=message):
                reader.read_png(path)
    if colour in (4, 6):
        low[..., -1] = samples[..., -1]
        assert reader.read_png(write(path, encode(low, colour, 16, interlace))).size
    low = samples // 15
    low[0, 0] = 4370
    assert reader.read_png(write(path, encode(low, colour, 16, interlace))).size
    black = np.zeros_like(samples)
    assert not reader.read_png(write(path, encode(black, colour, 16, interlace))).any()


@pytest.mark.parametrize("strip", [1, 5, 10**6])
@pytest.mark.parametrize("colour", [2, 6])
def test_f30_sixteen_bits_of_colour_in_strips(colour, strip, monkeypatch, tmp_path):
    """A row may refer to the last one of the strip before."""
    monkeypatch.setattr(reader, "STRIP", strip)
    monkeypatch.setattr(reader, "PIECE", 7)
    samples = noise(colour, 16, 23, 4)
    for interlace in (0, 1):
        path = write(tmp_path / "a.png", encode(samples, colour, 16, interlace))
        np.testing.assert_array_equal(reader.read_png(path), grey(samples, colour, 16))


def _bad_sum(packed):
    return packed[:-1] + bytes([packed[-1] ^ 1])


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda raw: zlib.compress(raw[:-1]), "expected 340 bytes unpacked, found"),
        (lambda raw: zlib.compress(raw + b"\0"), "expected 340 bytes unpacked, found more"),
        (lambda raw: zlib.compress(raw) + b"\0", "expected 340 bytes unpacked, found more"),
        (lambda raw: zlib.compress(raw)[:-1], "expected 340 bytes unpacked, found"),
        (lambda raw: zlib.compress(raw)[:-9], "expected 340 bytes unpacked, found"),
        (lambda raw: _bad_sum(zlib.compress(raw)), "expected a zlib stream, found Error -3"),
        (lambda raw: b"\0" + zlib.compress(raw), "expected a zlib stream, found Error -3"),
        (lambda raw: b"", "expected 340 bytes unpacked, found 0"),
        (lambda raw: zlib.compress(raw) + bytes(2**17), "expected at most 66,216 bytes for 340 bytes of image"),
    ],
)
@pytest.mark.parametrize(("colour", "depth", "width"), [(2, 16, 14), (0, 8, 84), (6, 8, 21)])
def test_f35_data_of_another_length_than_the_image_are_refused(colour, depth, width, damage, found, tmp_path):
    """16 bits of colour are verified as they are unpacked, all else before: the messages are the same."""
    raw = np.random.default_rng(0).integers(0, 256, (4, 85), np.uint8)
    raw[:, 0] = 0
    write(tmp_path / "a.png", png_bytes(width, 4, colour, depth, zlib.compress(raw.tobytes())))
    assert reader.read_png(tmp_path / "a.png").shape == (4, width)
    write(tmp_path / "a.png", png_bytes(width, 4, colour, depth, damage(raw.tobytes())))
    with pytest.raises(DataError, match=found) as raised:
        reader.read_png(tmp_path / "a.png")
    assert "damaged PNG: IDAT" in str(raised.value)
    assert missing_parts(raised.value) == []


def test_f30_sixteen_bits_are_scaled_and_rounded(tmp_path):
    every = np.arange(2**16).reshape(256, 256, 1)
    path = write(tmp_path / "a.png", encode(every, 0, 16))
    np.testing.assert_array_equal(reader.read_png(path), np.floor(every[..., 0] / 257 + 0.5))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"GIF89a", "a GIF image"),
        (b"\xff\xd8\xff\xe0", "a JPEG image"),
        (b"BM\0\0", "a BMP image"),
        (b"II*\0", "a TIFF image"),
        (b"MM\0*", "a TIFF image"),
        (b"RIFF\0\0\0\0WEBP", "a WebP image"),
        (b"\0\0\1\0\1\0", "an icon"),
        (b"<svg xmlns", "an SVG drawing"),
        (b"<?xml", "an XML or SVG file"),
        (b"%PDF-1.7", "a PDF file"),
        (b"\xff\xfe,", "UTF-16 text"),
        (b"PK\3\4", "a ZIP archive"),
    ],
)
def test_f35_other_kinds_by_any_name_are_named_and_refused(content, kind, tmp_path):
    path = write(tmp_path / "a.png", content + bytes(100))
    fix = {"UTF-16 text": "save it as CSV", "a ZIP archive": "unpack it"}.get(kind, "save it as PNG")
    with pytest.raises(DataError, match=f"byte 0: unknown kind of image; expected PNG, found {kind}; {fix}"):
        reader.read_png(path)


def test_f33_f34_limits_on_what_is_beside_the_image(tmp_path, monkeypatch):
    content = png_bytes(2, 2, 0, 8, zlib.compress(bytes(6)), 0, chunk(b"tEXt", b"a\0" + bytes(50)) * 3)
    path = write(tmp_path / "a.png", content)
    reader.read_png(path)
    for name, most, message in (("MAX_ASIDE", 100, "at most 100 bytes beside"), ("MAX_CHUNKS", 4, "too many chunks")):
        with monkeypatch.context() as patch:
            patch.setattr(reader, name, most)
            with pytest.raises(DataError, match=message) as raised:
                reader.read_png(path)
        assert missing_parts(raised.value) == []


def test_f31_dark_ink_on_light_paper_is_seen():
    digits = data.load("digits").test.x
    assert not dark_on_light(digits, (28, 28)).any()
    assert dark_on_light(255 - digits, (28, 28)).all()
    faded = (150 - digits * 0.4).astype(np.uint8)
    assert dark_on_light(faded, (28, 28)).all()
    noisy = np.maximum(digits, np.random.default_rng(0).integers(0, 40, digits.shape, dtype=np.uint8))
    assert not dark_on_light(noisy, (28, 28)).any()
    assert dark_on_light(np.array([[255, 255], [0, 0]], np.uint8), (1, 2)).tolist() == [True, False]
    bright = np.pad(np.full((9, 9), 200, np.uint8), 2, constant_values=100)
    assert not dark_on_light(bright.reshape(1, -1), (13, 13)).any()


@pytest.mark.parametrize("turns", [0, 1])
def test_paper_is_known_by_all_four_edges(turns):
    """Two light edges and the ends of the others are 18 of 28 pixels, one edge and two ends are 9."""
    image = np.zeros((7, 7), np.uint8)
    for light in (0, -1):
        image[light] = 200
        wanted = light == -1
        for turned in (np.rot90(image, turns), np.rot90(image, turns + 2)):
            assert dark_on_light(np.ascontiguousarray(turned).reshape(1, -1), (7, 7)).tolist() == [wanted]


def test_paper_as_dark_as_the_mean_and_as_grey_as_can_be():
    for value, light in ((GREY, True), (GREY - 1, False)):
        assert dark_on_light(np.full((1, 25), value, np.uint8), (5, 5)).tolist() == [light]


@pytest.mark.parametrize("behind", [b"\n", b"\0" * 9, "itself"])
def test_what_is_behind_an_image_is_passed_over(behind, tmp_path):
    """As libpng does, and as other formats are read."""
    x = np.random.default_rng(4).integers(0, 256, (5, 6), dtype=np.uint8)
    Image.fromarray(x).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    write(tmp_path / "a.png", content + (content if behind == "itself" else behind))
    np.testing.assert_array_equal(reader.read_png(tmp_path / "a.png"), x)
    np.testing.assert_array_equal(many.read_pictures([tmp_path / "a.png"]).x.reshape(5, 6), x)
