"""PNG images and class folders of them."""

import contextlib

import numpy as np
import pytest
from PIL import Image

from fnnet import data, images
from fnnet.errors import DataError
from tests.samples import png, write


def test_class_folders(tmp_path, small_images):
    for part, rows in (("train", slice(0, 50)), ("test", slice(50, 60))):
        for number, (image, label) in enumerate(zip(*(each[rows] for each in small_images), strict=True)):
            png(tmp_path / "set" / part / f"{label + 2}" / f"{number:03}.png", image)
    dataset = data.load(str(tmp_path / "set"))
    assert dataset.classes == ("2", "3", "4", "5", "6", "7", "8", "9", "10", "11")
    assert (len(dataset.train.labels), len(dataset.test.labels)) == (50, 10)
    np.testing.assert_array_equal(dataset.train.x[0].reshape(28, 28), small_images[0][0])


def test_class_folders_without_test(tmp_path):
    for name in ("cat", "dog"):
        png(tmp_path / "set" / name / "1.PNG", np.full((4, 6), len(name)))
    dataset = data.load(str(tmp_path / "set"))
    assert dataset.classes == ("cat", "dog")
    assert dataset.image_shape == (4, 6)
    assert dataset.test is None
    png(tmp_path / "set" / "dog" / "2.png", np.zeros((5, 6)))
    with pytest.raises(DataError, match=r"2\.png: image size does not fit; expected 6x4 pixels, found 6x5"):
        data.load(str(tmp_path / "set"))


def test_empty_folder(tmp_path):
    with pytest.raises(DataError, match="no data set"):
        data.load(str(tmp_path))


def test_png_conversions(tmp_path):
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16
    for mode in ("L", "RGB", "P", "RGBA", "LA"):
        np.testing.assert_array_equal(images.read_png(png(tmp_path / f"{mode}.png", grey, mode)), grey)
    black_and_white = np.where(grey > 100, 255, 0)
    np.testing.assert_array_equal(images.read_png(png(tmp_path / "1.png", black_and_white, "1")), black_and_white)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    deep.save(tmp_path / "deep.png")
    np.testing.assert_array_equal(images.read_png(tmp_path / "deep.png"), grey)
    dark = Image.fromarray(np.full((2, 2), 255, np.uint16))
    dark.save(tmp_path / "dark.png")
    assert (images.read_png(tmp_path / "dark.png") == 1).all()  # 255 of 65,535 is nearer 1 than 0 of 255
    half = np.dstack([np.full((2, 2), 200), np.full((2, 2), 128)]).astype(np.uint8)
    Image.fromarray(half).save(tmp_path / "half.png")
    assert (images.read_png(tmp_path / "half.png") == 100).all()


def test_every_truncation_and_every_flipped_bit_of_a_png_is_refused(tmp_path):
    """Damage within the empty end chunk, the last 12 bytes, may also leave the image as it is."""
    right = np.random.default_rng(0).integers(0, 256, (6, 6)).astype(np.uint8)
    content = png(tmp_path / "a.png", right).read_bytes()
    spoiled = [(length, content[:length]) for length in range(len(content))]
    for at in range(len(content)):
        flips = (content[at] ^ 1 << bit for bit in range(8))
        spoiled += [(at, content[:at] + bytes([flipped]) + content[at + 1 :]) for flipped in flips]
    for at, each in spoiled:
        write(tmp_path / "b.png", each)
        if at < len(content) - 12:
            with pytest.raises(DataError, match=r"b\.png"):
                images.read_png(tmp_path / "b.png")
        else:
            with contextlib.suppress(DataError):
                np.testing.assert_array_equal(images.read_png(tmp_path / "b.png"), right)


def test_too_many_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 30)
    with pytest.raises(DataError, match="image too large; expected at most 30 pixels, found 6x6"):
        images.read_png(png(tmp_path / "a.png", np.zeros((6, 6))))


def test_class_folders_without_images_or_that_differ(tmp_path):
    for name in ("train/a", "train/b", "test/a", "test/b"):
        png(tmp_path / "set" / name / "1.png", np.zeros((4, 4)))
    (tmp_path / "set" / "train" / ".cache").mkdir()
    assert data.load(str(tmp_path / "set")).classes == ("a", "b")
    (tmp_path / "set" / "test" / "c").mkdir()
    with pytest.raises(DataError, match="classes of test and train differ; expected a, b, found a, b, c"):
        data.load(str(tmp_path / "set"))
    (tmp_path / "set" / "train" / "c").mkdir()
    with pytest.raises(DataError, match=r"train/c: class without images|train.c: class without images"):
        data.load(str(tmp_path / "set"))


def test_more_classes_than_a_byte_can_count(tmp_path):
    for number in range(300):
        png(tmp_path / "set" / str(number) / "1.png", np.zeros((2, 2)))
    dataset = data.load(str(tmp_path / "set"))
    assert dataset.train.labels.tolist() == list(range(300))


def test_other_images_are_refused(tmp_path):
    Image.new("L", (28, 28)).save(tmp_path / "a.gif")
    with pytest.raises(DataError, match="not a PNG image; expected PNG, found b'GIF"):
        images.read_png(tmp_path / "a.gif")
    with pytest.raises(DataError, match="one image is no data set"):
        data.load(str(png(tmp_path / "a.png", np.zeros((28, 28)))))
