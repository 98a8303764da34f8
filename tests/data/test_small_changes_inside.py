"""Each test fails with one small change inside a reader: more of `test_small_changes`, of single functions."""

import bz2
import io
import itertools
import os
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data import (
    Reading,
    blank,
    bounds,
    child,
    colour,
    csv_label,
    csv_lines,
    csv_numbers,
    filled,
    grey,
    hdf5_links,
    kaggle_csv,
    mat,
    mnist,
    png_samples,
    preprocess,
    sparse,
    unlike,
)
from fnnet.data.csv_numbers import Part
from fnnet.errors import DataError
from tests.data.test_arff import arff_of
from tests.tools.samples import write

MIB = 2**20
DIGITS = data.load("digits").train
few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_a_frame_stored_column_by_column_has_an_image_s_other_sides():
    pandas = pytest.importorskip("pandas")
    x = np.arange(24).reshape(4, 6)
    frame = pandas.DataFrame({"label": [0, 1, 2, 3], **{f"pixel{at}": x[:, at] for at in range(6)}})
    found = data.from_frame(frame, flat=(2, 3), reading=Reading(transpose=True))
    assert found.image_shape == (2, 3)
    assert found.train.x.tolist() == x.reshape(4, 3, 2).transpose(0, 2, 1).reshape(4, 6).tolist()


def test_a_table_whose_names_say_row_and_column_is_read_by_them_whatever_the_file_is_called(tmp_path):
    x = np.arange(18).reshape(3, 6)
    names = [f"{row}x{column}" for row in (1, 2) for column in (1, 2, 3)]
    lines = [",".join(["label", *names]), *(",".join(map(str, (row % 3, *each))) for row, each in enumerate(x))]
    content = "\n".join(lines).encode()
    for name, transpose in (("emnist-mnist-train.csv", None), ("a.csv", None), ("a.csv", False)):
        found = data.load(write(tmp_path / name, content), reading=Reading(transpose=transpose))
        assert found.image_shape == (2, 3)
        assert found.train.x.tolist() == x.tolist()
        assert not [note for note in found.notes if note.code.startswith("transpose")]


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="one thread reads all")
@few
@given(st.integers(1, 60), st.integers(1, 9))
def test_each_thread_reads_a_part_of_its_own(tmp_path, size, available):
    """As many parts as there are threads, of SHARE bytes at least, and none is read twice."""
    write(tmp_path / "a", bytes(range(size)))
    read, parts, share = filled._read_at, [], 10

    def noted(file, payload, first, last):
        parts.append((first, last))
        return read(file, payload, first, last)

    with pytest.MonkeyPatch.context() as patch, open(tmp_path / "a", "rb") as file:
        patch.setattr(filled, "SHARE", share)
        patch.setattr(filled, "available_threads", lambda: available)
        patch.setattr(filled, "_read_at", noted)
        assert filled.fill(file, np.zeros(size, np.uint8)) == size
    threads = max(1, min(filled.MOST, available, size // share))
    cuts = [size * number // threads for number in range(threads + 1)]
    assert sorted(parts) == list(itertools.pairwise(cuts))


def structure(levels, **arrays):
    """Structures within one another, with the arrays in the innermost."""
    for _ in range(levels):
        arrays = {"data": arrays}
    return arrays


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("levels", [1, mat.DEEPEST, mat.DEEPEST + 1])
def test_matlab_s_structures_are_read_as_deep_as_is_said(levels, tmp_path):
    x = np.random.default_rng(1).integers(0, 256, (8, 8, 30), dtype=np.uint8)
    savemat(tmp_path / "a.mat", structure(levels, images=x, labels=np.arange(30.0) % 10))
    if levels > mat.DEEPEST:
        with pytest.raises(DataError, match="found no arrays"):
            data.load(tmp_path / "a.mat")
    else:
        assert data.load(tmp_path / "a.mat").train.x.tolist() == np.moveaxis(x, -1, 0).reshape(30, -1).tolist()


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("levels", [0, 1, 2])
def test_what_matlab_s_structures_unpack_to_is_bounded(levels, tmp_path, monkeypatch):
    arrays = {"images": np.zeros((8, 8, 3000), np.uint8), "labels": np.arange(3000.0) % 10}
    savemat(tmp_path / "a.mat", structure(levels, **arrays), do_compression=True)
    assert len(data.load(tmp_path / "a.mat").train.x) == 3000
    monkeypatch.setattr(bounds, "FREE", 1000)
    monkeypatch.setattr(bounds, "RATIO", 20)
    with pytest.raises(DataError, match="expands to far more than its size on disk"):
        data.load(tmp_path / "a.mat")


@pytest.mark.parametrize("groups", [0, hdf5_links.DEEPEST - 1, hdf5_links.DEEPEST])
def test_groups_are_looked_into_as_deep_as_is_said(groups):
    h5py = pytest.importorskip("h5py")
    name = "/".join(["g"] * groups + ["x"])
    with h5py.File("a", "w", driver="core", backing_store=False) as archive:
        archive[name] = np.zeros(3)
        assert list(hdf5_links.find(archive, "a").datasets) == ([name] if groups < hdf5_links.DEEPEST else [])


def test_a_line_may_have_as_many_bytes_as_are_said():
    csv_lines.check_line(b"1" * csv_lines.MAX_LINE, 7, "a")
    with pytest.raises(DataError, match="line 7: line too long; expected at most 65,536 bytes, found 65,537"):
        csv_lines.check_line(b"1" * (csv_lines.MAX_LINE + 1), 7, "a")


def test_text_in_bzip2_is_known_by_more_than_its_first_bytes(tmp_path):
    """A block is unpacked whole or not at all."""
    x, labels = np.random.default_rng(1).integers(0, 256, (60, 64)), np.arange(60) % 10
    packed = bz2.compress(arff_of(x, labels, list("abcdefghij")))
    assert len(packed) > 4 * 512
    found = data.load(write(tmp_path / "a", packed))
    assert (found.train.x.tolist(), found.classes) == (x.tolist(), tuple("abcdefghij"))


def test_libsvm_s_message_counts_the_pixels_that_are_left_out():
    parts = [sparse.parse_pairs(b"3 1:0.5 2:200\n4 2:100\n", 5, "a")]
    with pytest.raises(DataError, match=r"line 5, index 1.*found 0\.5, and others from 0 to 200"):
        sparse.dense(parts, 1, 2, "a", 100, "")


@pytest.mark.parametrize("training", [None, DIGITS.x])
def test_the_note_on_other_ink_says_whose_it_is_not(training):
    (note,) = unlike.other_ink(preprocess.spread(255 - DIGITS.x), (28, 28), "test", training)
    trained = "those that the model was trained on" if training is None else "those of training"
    assert note == f"the test images show ink of the other kind than {trained}, dark for light or light for dark"


@pytest.mark.parametrize("low", [0, 100, 128])
@pytest.mark.parametrize("span", [preprocess.LOW, preprocess.LOW - 30, preprocess.LOW + 1])
def test_how_dim_images_are_is_how_much_their_pixels_differ(low, span):
    sample = np.full((30, 784), min(low, 255 - span), np.uint8)
    sample[:, ::9] += np.uint8(span)
    notes = list(unlike.dim_in(sample, sample, "test", Preprocessing(), DIGITS.x))
    assert [note.code for note in notes] == (["dim-pixels"] if span <= preprocess.LOW else [])


def test_why_the_bundled_digits_are_read_in_place_of_mnist_is_said(monkeypatch):
    monkeypatch.setattr(mnist, "find", lambda folder, notify: None)
    monkeypatch.setattr(mnist, "offline", lambda: False)
    monkeypatch.setattr(mnist, "reachable", lambda: ())
    notices = []
    assert data.load("auto", notify=notices.append).name == "digits"
    why = "cannot be downloaded (no mirror of MNIST can be reached); using the bundled digits"
    assert [each for each in notices if each.startswith("MNIST is not on this machine") and each.endswith(why)]


def test_the_16_bits_of_grey_and_of_opacity_in_a_png_are_told_apart():
    samples = np.random.default_rng(1).integers(0, 256, (3, 5, 4), dtype=np.uint8)
    png = png_samples.Png(bytes(8) + bytes((16, 4, 0, 0, 0)), b"", b"", b"")
    value, alpha = png_samples.colours_of(samples, png, True)
    whole = samples.astype(np.float64)
    assert value.tolist() == (whole[..., :1] + whole[..., 1:2] / 256).tolist()
    assert alpha.tolist() == samples[..., 2].tolist()


@pytest.mark.parametrize("least", [0, 1])
@pytest.mark.parametrize("of", [1, 9])
def test_labels_from_0_or_from_1_may_be_of_any_number_of_classes(least, of):
    """Each is there, so none is looked for beyond them."""
    labels = least + np.arange(1000.0) % (of + 1)
    assert csv_label._may_be_label(labels)
    assert not csv_label._may_be_label(labels + 2 - least)
    rare = np.append(labels, 40.0)
    assert not csv_label._may_be_label(rare)


@pytest.mark.parametrize("lowest", [None, 0, -1])
@pytest.mark.parametrize("first", [True, False])
def test_a_pixel_at_the_edge_is_compared_with_the_bytes_that_it_becomes(lowest, first):
    """A stripe at the edge of images, as the file has it."""
    rng = np.random.default_rng(2)
    stripe = rng.integers(0, 256, 300).astype(np.uint8)
    pixels = np.repeat(stripe[:, None], 8, axis=1)
    edge = stripe.astype(np.float64)
    edge = edge if lowest is None else edge / 255 * (1 - lowest) + lowest
    labels = rng.permutation(np.arange(300) % 10).astype(np.float64)
    columns = (labels, edge) if first else (edge, labels)
    assert csv_label.label_column(*columns, pixels, lowest) == ("first" if first else "last")


def test_a_pixel_is_compared_with_how_its_neighbour_is_like_the_next():
    """A column of noise beside noise may be pixels, and beside three columns that are alike it may not."""
    rng = np.random.default_rng(3)
    values, noise, rows = rng.integers(0, 256, 400).astype(np.float64), rng.integers(0, 256, (400, 4)), np.arange(400)
    assert csv_label._may_be_pixel(values, rows, noise)
    first_three, last_three = noise[:, [0, 0, 0, 1]], noise[:, [0, 1, 1, 1]]
    assert not csv_label._may_be_pixel(values, rows, first_three)
    assert csv_label._may_be_pixel(values, rows, last_three)
    assert csv_label._may_be_pixel(noise[:, 0].astype(np.float64), rows, first_three)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("width", [27, 28])
def test_libsvm_s_images_of_another_width_than_is_said_are_refused(width, known, tmp_path):
    x = DIGITS.x[:40].reshape(-1, 28, 28)[:, :27, :width].reshape(40, -1)
    lines = [
        f"{label} " + " ".join(f"{at}:{value}" for at, value in enumerate(row, 1) if value) + "\n"
        for label, row in zip(DIGITS.labels[:40].tolist(), x.tolist(), strict=True)
    ]
    path = write(tmp_path / "a", "".join(lines).encode())
    reading, model = Reading(first_index=1), Preprocessing() if known else None
    if width == 28:
        x = DIGITS.x[:40].reshape(-1, 28, 28).copy()
        x[:, 27] = 0
        found = data.load(path, flat=(28, 28), reading=reading, preprocessing=model)
        assert found.train.x.tolist() == x.reshape(40, -1).tolist()
    else:
        with pytest.raises(DataError, match=r"image size does not fit.*rows that look 27 wide"):
            data.load(path, flat=(28, 28), reading=reading, preprocessing=model)


@pytest.mark.parametrize("ground", [0, 255])
@pytest.mark.parametrize("faint", [0, 5])
def test_specks_of_dust_on_an_empty_page_are_passed_over(ground, faint):
    page = np.full((4, 784), ground, np.uint8)
    for row, specks in enumerate((0, blank.SPECKS, blank.SPECKS + 1)):
        page[row, 100 : 100 + specks] = 255 - ground
    page[3, :300] = abs(ground - faint)  # as faint as is passed over
    assert blank.is_blank(page, (28, 28), faint).tolist() == [True, True, False, True]


@pytest.mark.parametrize("lowest", [None, 0, -1])
@pytest.mark.parametrize("at", [-1, 0])
def test_a_column_apart_is_scaled_as_the_others_are(at, lowest):
    levels = np.arange(0, 256, 15)
    x = np.repeat(levels[:, None], 3, axis=1).astype(np.uint8)
    edge = levels.astype(np.float64)
    edge = edge if lowest is None else edge / 255 * (1 - lowest) + lowest
    parts = [Part(*([x] + [None] * (len(Part._fields) - 1)))]
    assert kaggle_csv._with_edge(parts, edge, at, lowest).tolist() == np.repeat(levels[:, None], 4, axis=1).tolist()


def test_lightness_is_no_colour():
    """Images of two classes, in one hue, lighter in one of them: in grey the same, as they are given here."""
    rng = np.random.default_rng(4)
    labels = np.arange(60) % 2
    images = rng.integers(0, 256, (60, 784), dtype=np.uint8)
    colours = np.zeros((60, grey.POINTS, grey.POINTS, 3), np.uint8)
    colours[...] = rng.integers(0, 60, (60, 1, 1, 1))
    colours[labels == 1] += np.uint8(100)
    colours[..., 0] += np.uint8(60)
    assert colour.colour_notes(images, (28, 28), colours, labels, "a") == []
    colours[labels == 1, :, :, 0] -= np.uint8(60)
    assert [note.code for note in colour.colour_notes(images, (28, 28), colours, labels, "a")] == ["colour"]


@pytest.mark.parametrize(
    ("packed", "available", "memory", "seconds"),
    [
        (1000, 2**40, 512 * MIB + 3 * 64 * MIB, 10 + 4),
        (MIB, 2**40, 512 * MIB + 3 * 100 * MIB, 10 + 6),
        (2**40, 2**40, 512 * MIB + 3 * 4096 * MIB, 10 + 256),
        (MIB, 600 * MIB, 600 * MIB, 10 + 6),
    ],
)
def test_what_reading_a_file_may_take(packed, available, memory, seconds):
    assert child.limits_of(packed, available) == (memory, seconds)


def test_an_orientation_that_is_no_number_turns_nothing(tmp_path):
    image = np.zeros((20, 30), np.uint8)
    image[:10, :15] = 200
    head = b"Exif\0\0MM\0*\0\0\0\x08\0\1"
    for entry, seen in (
        (struct.pack(">HHI4s", 274, 2, 2, b"6\0"), image),
        (struct.pack(">HHIHH", 274, 3, 1, 2, 0), image[:, ::-1]),
    ):
        into = io.BytesIO()
        Image.fromarray(image).save(into, "WEBP", lossless=True, exif=head + entry + bytes(4))
        found = data.read_images(write(tmp_path / "a.webp", into.getvalue()), (20, 30))
        assert found.tolist() == [seen.ravel().tolist()]


def test_a_header_that_names_no_column_is_not_that_of_a_table_whose_rows_have_names(tmp_path):
    """R leaves the name of the rows' names out; a header that has an empty one lacks another."""
    header = ",".join(['""', *(f'"{number}"' for number in range(1, 66))])
    rows = [",".join([f'"r{row}"', str(row % 10), *["7"] * 65]) for row in range(20)]
    with pytest.raises(DataError, match="column named twice"):
        data.load(write(tmp_path / "a.csv", "\n".join([header, *rows]).encode()))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_plain_numbers_of_any_kind_are_read_many_at_a_time(separator, tmp_path, monkeypatch):
    """Cell by cell would read the same, and be slower."""
    x = np.random.default_rng(1).integers(0, 256, (40, 64))
    lines = [["label", *(f"pixel{at}" for at in range(64))]]
    lines += [[str(row % 10), *(repr(value / 255) for value in each)] for row, each in enumerate(x.tolist())]
    path = write(tmp_path / "a.csv", "\n".join(map(separator.join, lines)).encode())
    monkeypatch.setattr(csv_numbers, "_parse_cells", None)
    assert data.load(path).train.x.tolist() == x.tolist()


@pytest.mark.parametrize("digits", [1, 2, 6, 7])
def test_pixels_with_numbers_of_up_to_seven_digits_are_read_many_at_a_time(digits, monkeypatch):
    monkeypatch.setattr(sparse, "_parse_lines", None)
    index = 10 ** (digits - 1)
    found = sparse.parse_pairs(f"3 {index}:7 {index + 1}:0.25\n".encode(), 1, "a")
    assert found.numbers.tolist() == [index, index + 1]
    assert found.values.tolist() == [7, 0.25]
