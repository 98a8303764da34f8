"""Each test fails with one small change of a reader that no other test noticed: more of `test_edges`."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data import (
    arrow,
    colour,
    convert,
    formats,
    frames,
    kinds,
    layout,
    libsvm,
    mat,
    preprocess,
    strokes,
    turn,
    web,
)
from fnnet.data.reader import Wanted, read_as
from fnnet.errors import DataError
from tests.campaigns.fuzz.build import chunk, deflated
from tests.tools.samples import write


def codes(dataset):
    return [note.code for note in dataset.notes]


def test_verified_images_are_compared_with_a_model_of_other_images():
    assert "other-ink" in codes(data.load("digits", preprocessing=Preprocessing(paper=255, ink=0)))
    assert codes(data.load("digits", preprocessing=Preprocessing())) == []


def test_a_folder_s_name_may_be_as_long_as_systems_allow(tmp_path):
    dataset = data.load("digits")
    longest = dataset._replace(classes=("a" * convert.LONGEST_NAME, *dataset.classes[1:]))
    convert.convert(longest, tmp_path / "out", "png")
    assert (tmp_path / "out" / "train" / longest.classes[0]).is_dir()
    with pytest.raises(Exception, match="class name"):
        convert.convert(
            dataset._replace(classes=("a" + longest.classes[0], *dataset.classes[1:])), tmp_path / "b", "png"
        )


@pytest.mark.parametrize("option", frames.ARGUMENTS)
def test_an_option_is_named_whole_where_another_is_its_beginning(option):
    found = frames.OPTION.search(f"say {option} ")
    assert found
    assert found[0] == option


def test_as_many_names_as_are_shown_leave_none_out():
    names = [f"a{number}" for number in range(layout.SHOWN)]
    assert "more" not in layout.shown(names)
    assert layout.shown([*names, "b"]).endswith("and 1 more")


@pytest.mark.parametrize("size", [(2**15 + 1, 1), (1, 2**15 + 1)])
def test_a_picture_s_longest_side_is_bounded_whatever_its_area(size, tmp_path):
    Image.new("L", size).save(tmp_path / "a.bmp")
    with pytest.raises(DataError, match=r"at most 16,777,216 pixels, 32,768 a side"):
        formats.read_picture(tmp_path / "a.bmp")


def test_sizes_of_numbers_are_those_of_their_types():
    dtypes = {"double": "f8", "single": "f4", "logical": "u1"}
    assert {name: np.dtype(dtypes.get(name, name)).itemsize for name in mat.ITEMS} == mat.ITEMS
    columns = {"BOOLEAN": "?", "INT32": "i4", "INT64": "i8", "FLOAT": "f4", "DOUBLE": "f8"}
    assert {name: np.dtype(dtype).itemsize for name, dtype in columns.items()} == arrow.SIZES


@pytest.mark.parametrize("images", [preprocess.FEW - 1, preprocess.FEW])
def test_how_many_images_show_the_ink_by_their_strokes(images):
    page = np.tile(np.linspace(60, 255, 28), (28, 1))
    page[:4] = page[-4:] = 0  # a border, which the edge shows as black
    page[10:18, 12:15] *= 0.2
    x = np.repeat(page.astype(np.uint8).reshape(1, -1), images, axis=0)
    assert (strokes.strokes(x, (28, 28)) == -1).all()
    found, _ = preprocess.measure(preprocess.Reading(), x, (28, 28))
    assert (found.ink < found.paper) == (images == preprocess.FEW)


@pytest.mark.parametrize(("values", "text"), [("-1 2:1 3:0.5", "from -1 to 1"), ("0.25 2:1 3:0.5", "from 0 to 1")])
def test_libsvm_s_note_says_the_range(values, text, tmp_path):
    write(tmp_path / "a", f"3 1:{values}\n".encode())
    content = read_as((libsvm.FORMAT,), tmp_path / "a", Wanted(labelled=True, shape=(1, 3)))
    (note,) = (each for each in content.notes if each.code == "unit-pixels")
    assert text in note
    assert ("half grey" in note) == (text == "from -1 to 1")


def test_an_entry_of_exif_that_is_cut_short_is_none():
    whole = b"MM\0*\0\0\0\x08\0\2" + struct.pack(">HHII", 256, 4, 1, 3) + struct.pack(">HHIHH", 274, 3, 1, 6, 0)
    assert turn.orientation_in(whole) == 6
    assert turn.orientation_in(whole[:-2]) == 1


def test_a_download_needs_time_left():
    with pytest.raises(DataError, match="expected time left"):
        web.fetch("file:///nowhere", 0, 10)


def test_a_record_s_length_has_32_bits():
    def head(length):
        size, field = length - 6, b""
        while size > 127:
            field, size = field + bytes((size & 127 | 128,)), size >> 7
        return struct.pack("<Q", length) + b"crc!" + b"\n" + field + bytes((size,)) + b"\0" * 9

    assert kinds.kind_of(head(2**32 - 1))[0] == "a TFRecord file"
    assert kinds.kind_of(head(2**32 + 1)) is None


def test_of_a_png_s_transparent_grey_only_the_low_bits_count(tmp_path):
    def png(key):
        header = struct.pack(">IIBBBBB", 3, 1, 8, 0, 0, 0, 0)
        parts = chunk(b"IHDR", header), chunk(b"tRNS", key), chunk(b"IDAT", deflated(b"\0\5\xc8\xc8", 15))
        return b"\x89PNG\r\n\x1a\n" + b"".join((*parts, chunk(b"IEND", b"")))

    found = [
        data.read_images(write(tmp_path / f"{number}.png", png(key)), (1, 3)).tolist()
        for number, key in enumerate((b"\0\5", b"\1\5"))
    ]
    assert found[0] == found[1]
    other = data.read_images(write(tmp_path / "other.png", png(b"\0\6")), (1, 3)).tolist()
    assert other != found[0]


def test_what_classes_explain_is_as_computed_by_hand():
    features = np.random.default_rng(0).normal(0, 40, (30, 1)).astype(np.float32)
    labels = np.arange(30) % 3
    features[labels == 1] += 90
    means = [features[labels == k].mean() for k in range(3)]
    within = sum(((features[labels == k] - means[k]) ** 2).sum() for k in range(3)) / 27 + colour.LEVELS**2
    between = sum(10 * (mean - features.mean()) ** 2 for mean in means) / 2
    fraction, ratio = colour._explained(features, labels)
    assert fraction == pytest.approx(1 - within / ((within * 27 + between * 2) / 29), rel=1e-5)
    assert ratio == pytest.approx(between / within, rel=1e-5)


def test_animations_of_two_frames_are_refused_and_one_frame_is_read(tmp_path):
    into = io.BytesIO()
    frames_ = [Image.new("L", (28, 28), level) for level in (10, 200)]
    frames_[0].save(into, "GIF", save_all=True, append_images=frames_[1:])
    with pytest.raises(DataError, match="an animation"):
        data.read_images(write(tmp_path / "a.gif", into.getvalue()), (28, 28))
