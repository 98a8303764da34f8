"""Colour that carries the class is noted where grey does not show it; grey, tints and colours by chance are not."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fnnet import data
from fnnet.data.canvas import Canvas
from fnnet.data.colour import colour_notes
from fnnet.data.grey import POINTS, colours_at, points, weighed
from tests.tools.samples import write

DIGITS = data.load("digits").train.x.reshape(-1, 28, 28)
RED, GREEN = (255, 0, 0), (0, 130, 0)  # of the same luma
WEIGHTS = np.array([0.299, 0.587, 0.114])
seeds = st.integers(0, 2**32 - 1)


def noted(images, labels):
    """Whether images (n, height, width, 3 or 4) are noted."""
    grey = ((weighed(images) + 2**15) // 2**16).astype(np.uint8).reshape(len(images), -1)
    notes = colour_notes(grey, images.shape[1:3], colours_at(images), np.asarray(labels), "a")
    assert [note.code for note in notes] in ([], ["colour"])
    return bool(notes)


def inked(shapes, inks, paper=(0, 0, 0)):
    """Shapes in inks on paper, all (n, 3)."""
    alpha, inks, paper = shapes[..., None] / 255, np.asarray(inks)[:, None, None], np.asarray(paper)
    return np.rint(inks * alpha + (paper if paper.ndim == 1 else paper[:, None, None]) * (1 - alpha)).astype(np.uint8)


def of_luma(colour, luma):
    """The colour, lighter or darker, of that luma as near as it may be."""
    return np.clip(np.array(colour) * luma / max(1.0, float(np.dot(WEIGHTS, colour))), 0, 255)


@given(st.integers(30, 120), st.integers(0, 5), st.integers(1, 5), st.integers(40, 200), st.booleans(), seeds)
def test_ink_of_two_colours_and_equal_luma_is_noted(luma, first, turn, n, on_paper, seed):
    """Whatever is drawn, on black or on white. In one of a hundred draws of 12 images, grey tells the classes too."""
    hues = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1)]
    inks = [of_luma(np.array(hues[k % 6]) * 255, luma) for k in (first, first + turn)]
    apart = np.abs(np.subtract(*[ink - np.dot(WEIGHTS, ink) for ink in inks])).max()
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    shapes = DIGITS[rng.integers(0, len(DIGITS), n)]
    found = noted(inked(shapes, [inks[label] for label in labels], (255, 255, 255) if on_paper else (0, 0, 0)), labels)
    equal = abs(np.dot(WEIGHTS, inks[0]) - np.dot(WEIGHTS, inks[1])) < 1
    if equal and apart > 60 and all(np.ptp(ink) > 60 for ink in inks):
        assert found


@given(st.integers(2, 10), st.integers(30, 300), seeds)
def test_colours_by_chance_are_not_noted(classes, n, seed):
    rng = np.random.default_rng(seed)
    inks = rng.integers(0, 256, (n, 3))
    assert not noted(inked(DIGITS[rng.integers(0, len(DIGITS), n)], inks), rng.integers(0, classes, n))


def test_few_images_of_colours_by_chance_are_hardly_ever_noted():
    rng = np.random.default_rng(0)
    labels, count = np.arange(12) % 2, 0
    for _ in range(200):
        count += noted(inked(DIGITS[rng.integers(0, len(DIGITS), 12)], rng.integers(0, 256, (12, 3))), labels)
    assert count <= 8


@given(st.integers(2, 10), st.integers(20, 300), st.integers(0, 24), seeds)
def test_grey_saved_as_colours_and_slight_tints_are_not_noted(classes, n, tint, seed):
    """Of the paper or of the ink, alike in a class: two scanners."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    tints = rng.integers(-tint, tint + 1, (2, classes, 3))[:, labels]
    shapes = DIGITS[rng.integers(0, len(DIGITS), n)]
    images = inked(shapes, (60 + tints[0]), 220 + tints[1])
    assert not noted(images, labels)


@given(st.integers(24, 120), seeds)
def test_colours_that_grey_shows_are_not_noted(n, seed):
    """By their luma, or because the shapes differ as well."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    shapes = DIGITS[rng.integers(0, len(DIGITS), n)]
    assert not noted(inked(shapes, [[(0, 0, 200), (230, 230, 0)][label] for label in labels]), labels)
    halves = np.zeros((n, 28, 28), np.uint8)
    for half, label in zip(halves, labels, strict=True):
        half[:, 14 * label : 14 * label + 14] = rng.integers(100, 256)
    assert not noted(inked(halves, [[RED, GREEN][label] for label in labels]), labels)


@given(st.sampled_from([0, 9, 20]), st.sampled_from([0, 9, 20]), seeds)
def test_a_coloured_mark_anywhere_is_noted(top, left, seed):
    """A lamp, red or green, in otherwise alike pictures."""
    rng = np.random.default_rng(seed)
    images = rng.integers(100, 140, (60, 28, 28, 1)).repeat(3, axis=3).astype(np.uint8)
    labels = np.arange(60) % 2
    images[:, top : top + 7, left : left + 7] = np.array([RED, GREEN])[labels][:, None, None]
    assert noted(images, labels)
    assert not noted(images, rng.permutation(labels))


def test_few_images_show_nothing():
    labels = np.arange(9) % 2
    images = inked(DIGITS[:9], np.array([RED, GREEN])[labels])
    assert not noted(images, labels)
    assert noted(images[[*range(9), 1]], [*labels, 1])
    assert not noted(np.repeat(images, 3, axis=0), np.zeros(27, int))
    assert not noted(np.repeat(images, 3, axis=0), np.arange(27))


def folders(folder, images, labels, suffix, mode="RGB"):
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / f"class{label}").mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(image)
        picture = picture.quantize(64) if mode == "P" else picture.convert(mode)
        picture.save(folder / f"class{label}" / f"{number}.{suffix}")
    return folder


def colour_codes(notes):
    return [note.code for note in notes if note.code not in ("dim-pixels", "unit-pixels")]


LABELS = np.arange(40) % 2
COLOURED = inked(DIGITS[:40], np.array([RED, GREEN])[LABELS])


@pytest.mark.parametrize(("suffix", "mode"), [("png", "RGB"), ("png", "RGBA"), ("png", "P"), ("gif", "RGB"),
                                              ("bmp", "RGB"), ("webp", "RGB"), ("jpg", "RGB")])  # fmt: skip
def test_class_folders_of_every_format(suffix, mode, tmp_path):
    found = data.load(folders(tmp_path / "in", COLOURED, LABELS, suffix, mode))
    text = f"{tmp_path / 'in'}: the classes differ in colour more than in grey, and only grey is read: what colours "
    assert [(note.code, note) for note in found.notes if note.code == "colour"] == [("colour", f"{text}show is lost")]
    grey = folders(tmp_path / "grey", DIGITS[:40], LABELS, suffix, mode)
    assert colour_codes(data.load(grey).notes) == []


def test_red_and_black_ink_on_a_transparent_ground(tmp_path):
    """Grey is the opacity of both."""
    images = np.zeros((40, 28, 28, 4), np.uint8)
    images[..., 3], images[LABELS == 1, ..., 0] = DIGITS[:40], 255
    assert colour_codes(data.load(folders(tmp_path, images, LABELS, "png", "RGBA")).notes) == ["colour"]


def test_one_class_of_grey_and_one_of_coloured_pictures(tmp_path):
    """Plain PNG files beside others."""
    folders(tmp_path, DIGITS[:40:2] // 4, LABELS[::2], "png", "L")
    folders(tmp_path, inked(DIGITS[1:40:2], [(210, 0, 0)] * 20), LABELS[1::2], "png")
    assert colour_codes(data.load(tmp_path).notes) == ["colour"]


@pytest.mark.parametrize("scale", [1, 255])
@pytest.mark.parametrize("first", [False, True])
def test_arrays_with_channels(first, scale, tmp_path, run):
    x = np.moveaxis(COLOURED, 3, 1) if first else COLOURED
    np.savez(tmp_path / "a.npz", x_train=x / 255 if scale == 255 else x, y_train=LABELS, x_test=x, y_test=LABELS)
    document = run("data", "info", "--data", "a.npz", "--json").json
    assert sum(note["code"] == "colour" for note in document["notes"]) == 1
    grey = np.repeat(DIGITS[:40, ..., None], 3, axis=3)
    np.savez(tmp_path / "b.npz", x_train=grey, y_train=LABELS)
    assert colour_codes(data.load(tmp_path / "b.npz", classes=("a", "b")).notes) == []


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), seeds)
def test_pieces_of_a_canvas_give_the_colours_of_the_whole(height, width, step, seed):
    """Rows at a time, and the passes of an interlaced image."""
    image = np.random.default_rng(seed).integers(0, 256, (1, height, width, 3), np.uint8)
    expected = colours_at(image)[0]
    assert expected.shape == (POINTS, POINTS, 3)
    assert points(height) == sorted(points(height))
    rows, passes = Canvas((height, width), True), Canvas((height, width), True)
    for top in range(0, height, step):
        where = slice(top, min(top + step, height)), slice(None)
        rows.put(where, image[0][where][..., 0], image[0][where])
    for top in range(min(2, height)):
        for left in range(min(3, width)):
            where = slice(top, height, 2), slice(left, None, 3)
            passes.put(where, image[0][where][..., 0], image[0][where])
    for canvas in (rows, passes):
        np.testing.assert_array_equal(canvas.colours, expected)
        np.testing.assert_array_equal(canvas.content("").x[0], image[0, ..., 0].ravel())


def test_a_turned_picture_has_its_colours_turned(tmp_path):
    from fnnet.data import formats, pictures

    image = np.kron(np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[pictures.ORIENTATION] = orientation
        out = io.BytesIO()
        Image.fromarray(image).save(out, "WEBP", lossless=True, exif=exif)
        content = formats.read_picture(write(tmp_path / "a.webp", out.getvalue()), colours=True)
        grey = weighed(content.colours)
        there = content.x.reshape(32, 32)[1::2, 1::2]
        np.testing.assert_array_equal(((grey + 2**15) // 2**16).astype(np.uint8), there)


COLOURS = {"colour": [(200, 0, 0), (0, 102, 0)], "ink": [(0, 0, 0), (255, 255, 255)], "neither": [(200, 200, 200)] * 2}


@pytest.mark.parametrize("form", ["folder", "parquet", "stream"])
@pytest.mark.parametrize("what", ["colour", "ink", "neither"])
def test_packed_pictures_are_looked_at_as_files_are(form, what, monkeypatch, tmp_path):
    """Red and green of one luma; and black and white ink on a transparent ground, whose opacity is alike."""
    if form != "folder":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet
    rng, labels, pictures = np.random.default_rng(0), np.arange(60) % 2, []
    for label in labels:
        image = np.zeros((16, 16, 4), np.uint8)
        row, column = rng.integers(2, 8, 2)
        colour = COLOURS[what]
        image[row : row + 6, column : column + 6] = *colour[label], 255
        content = io.BytesIO()
        Image.fromarray(image if what == "ink" else image[..., :3]).save(content, "PNG")
        pictures.append(content.getvalue())
    path = tmp_path / "a"
    if form == "folder":
        for number, (label, content) in enumerate(zip(labels, pictures, strict=True)):
            (path / str(label)).mkdir(parents=True, exist_ok=True)
            (path / str(label) / f"{number}.png").write_bytes(content)
    else:
        table = pyarrow.table({"image": pictures, "label": labels})
        if form == "parquet":
            parquet.write_table(table, path)
        else:
            with pyarrow.ipc.new_stream(path, table.schema) as file:
                for at in range(0, 60, 20):
                    file.write_batch(table.slice(at, 20).to_batches()[0])
    notes = data.load(path, classes=("0", "1")).notes
    assert [note.code for note in notes if note.code != "dim-pixels"] == ["colour"] * (what != "neither")
