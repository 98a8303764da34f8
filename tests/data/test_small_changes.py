"""Each test fails with one small change of a reader that no other test noticed: more of `test_edges`."""

import io
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data import (
    arrow,
    colour,
    convert,
    csv_label,
    formats,
    frames,
    kinds,
    libsvm,
    listing,
    mat,
    named,
    paper,
    pictures,
    preprocess,
    strokes,
    turn,
    web,
)
from fnnet.data.reader import Wanted, read_as
from fnnet.errors import DataError
from tests.campaigns.fuzz.build import chunk, deflated
from tests.data.test_arff import arff_of
from tests.tools.samples import write
from tests.tools.written import parquet


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
    names = [f"a{number}" for number in range(listing.SHOWN)]
    assert "more" not in listing.shown(names)
    assert listing.shown([*names, "b"]).endswith("and 1 more")


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


@pytest.mark.parametrize(("colour", "samples"), [(0, 1), (2, 3)])
def test_of_a_png_s_transparent_colour_only_the_low_bits_count(colour, samples, tmp_path):
    def read(key):
        header = struct.pack(">IIBBBBB", 3, 1, 8, colour, 0, 0, 0)
        content = b"\0" + b"".join(bytes((level,)) * samples for level in (5, 200, 200))
        parts = chunk(b"IHDR", header), chunk(b"tRNS", key * samples), chunk(b"IDAT", deflated(content, 15))
        png = b"\x89PNG\r\n\x1a\n" + b"".join((*parts, chunk(b"IEND", b"")))
        return data.read_images(write(tmp_path / "a.png", png), (1, 3)).tolist()

    # Ink of one colour on a transparent ground is its opacity, whatever its colour is.
    assert read(b"\0\5") == read(b"\1\5") == [[0, 255, 255]]
    assert read(b"\0\6") == [[5, 200, 200]]


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


def test_labels_by_name_in_the_second_column_of_arff(tmp_path):
    x = np.random.default_rng(1).integers(0, 10, (40, 64))
    labels = np.arange(40) * 7 % 10
    content = arff_of(x, labels, list("abcdefghij"), 1)
    train = data.load(write(tmp_path / "a.arff", content)).train
    assert train.x.tolist() == x.tolist()
    assert train.labels.tolist() == labels.tolist()


@pytest.mark.usefixtures("inside")
def test_a_changed_byte_of_parquet_is_seen_by_its_checksum(tmp_path):
    pa = pytest.importorskip("pyarrow")
    x = np.random.default_rng(1).integers(0, 256, (40, 64), dtype=np.uint8)
    columns = {"label": np.arange(40) % 10, **{f"pixel{at}": x[:, at].astype(np.int32) for at in range(64)}}
    options = {"write_page_checksum": True, "use_dictionary": False, "compression": "none"}
    content = parquet(pa.table(columns), **options)
    assert data.load(write(tmp_path / "a.parquet", content)).train.x.tolist() == x.tolist()
    stored = x[:, 20].astype("<i4").tobytes()
    assert content.count(stored) == 1
    at = content.index(stored)
    damaged = content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :]
    with pytest.raises(DataError, match="damaged"):
        data.load(write(tmp_path / "b.parquet", damaged))


def test_labels_are_found_beside_two_pixels():
    labels = np.arange(200) * 7 % 10
    pixels = np.zeros((200, 2), np.uint8)
    pixels[::9] = 250
    edge = pixels[:, 0].astype(np.float64)
    assert csv_label.label_column(labels.astype(np.float64), edge, pixels) == "first"
    assert csv_label.label_column(edge, labels.astype(np.float64), pixels) == "last"


@pytest.mark.parametrize(("brightest", "expected"), [(15, None), (16, "first"), (19, "first"), (20, "first")])
def test_uneven_labels_are_told_from_pixels_by_how_bright_these_are(brightest, expected):
    """Labels up to 4 are hardly pixels where those go to 16 or more."""
    labels = np.where(np.arange(400) < 4, 4, np.arange(400) % 4)[np.random.default_rng(1).permutation(400)]
    pixels = np.zeros((400, 8), np.uint8)
    pixels[::9] = brightest
    edge = pixels[:, 0].astype(np.float64)
    assert csv_label.label_column(labels.astype(np.float64), edge, pixels) == expected


def test_a_comma_among_semicolons_parts_no_cells(tmp_path):
    lines = [";".join([str(number % 10), *["7"] * 64]) for number in range(20)]
    assert data.load(write(tmp_path / "a.csv", "\n".join(lines).encode())).image_shape == (8, 8)
    lines[-1] = lines[-1][::-1].replace(";", ",", 1)[::-1]
    with pytest.raises(DataError, match="line 20"):
        data.load(write(tmp_path / "b.csv", "\n".join(lines).encode()))


@pytest.mark.parametrize("off", [64, 65])
def test_ink_of_one_kind_is_told_by_how_much_its_greys_differ(off, tmp_path):
    image = np.zeros((28, 28, 4), np.uint8)
    image[10:18, 10:18] = 100, 100, 100, 255
    image[10:18, 10:14, :3] += off  # half of the ink: their standard deviation is half of this
    into = io.BytesIO()
    Image.fromarray(image).save(into, "PNG")
    found = formats.read_picture(write(tmp_path / "a.png", into.getvalue())).x.reshape(28, 28)
    of_opacity = off == 64
    assert found[12, 11] == (255 if of_opacity else 100 + off)
    assert found[12, 16] == (255 if of_opacity else 100)


@pytest.mark.parametrize("size", [127, 128, 2**14])
def test_a_record_s_length_may_have_any_bits(size):
    field, rest = b"", size
    while rest > 127:
        field, rest = field + bytes((rest & 127 | 128,)), rest >> 7
    field += bytes((rest,))
    head = struct.pack("<Q", 1 + len(field) + size) + b"crc!" + b"\n" + field + b"\0" * 9
    assert kinds.kind_of(head)[0] == "a TFRecord file"


@pytest.mark.parametrize("first", [0, 1])
def test_libsvm_s_first_pixel_may_have_ink(first, tmp_path):
    content = f"3 {first}:9 {first + 2}:8\n4 {first + 1}:7\n".encode()
    wanted = Wanted(labelled=True, shape=(1, 3), first_index=first)
    assert read_as((libsvm.FORMAT,), write(tmp_path / "a", content), wanted).x.tolist() == [[9, 0, 8], [0, 7, 0]]


def test_the_last_name_of_a_long_path_says_whether_it_is_of_labels():
    there = ["images/train/x", "images/train/labels"]
    names = named.choose(there, True, "a").names
    assert {role.labels: name for role, name in names.items()} == {False: there[0], True: there[1]}
    assert {role.part for role in names} == {"train"}


def test_a_dtype_that_numpy_does_not_know_is_shown_as_it_is_stored(tmp_path):
    into = io.BytesIO()
    np.savez(into, x_test=np.zeros((2, 8, 8), np.uint8))
    content = into.getvalue()
    assert b"'|u1'" in content
    into = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(into, "w") as new:
        new.writestr("x_test.npy", old.read("x_test.npy").replace(b"'|u1'", b"'|w1'"))
    with pytest.raises(DataError, match=r"found \|w1"):
        data.read_images(write(tmp_path / "a.npz", into.getvalue()), (8, 8))


@pytest.mark.parametrize("level", [0, 100, 255])
def test_an_empty_page_is_not_ink_on_paper(level):
    dark, on_paper = paper.dark_on_paper(np.full((1, 784), level, np.uint8), (28, 28))
    assert (dark.tolist(), on_paper.tolist()) == ([False], [False])


@pytest.mark.usefixtures("inside")
def test_a_picture_s_file_may_have_as_many_bytes_as_are_said(monkeypatch, tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (28, 28), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "a.bmp")
    size = (tmp_path / "a.bmp").stat().st_size
    monkeypatch.setattr(pictures, "MAX_FILE", size)
    assert formats.read_picture(tmp_path / "a.bmp").x.tolist() == [image.ravel().tolist()]
    monkeypatch.setattr(pictures, "MAX_FILE", size - 1)
    with pytest.raises(DataError, match="file too large"):
        formats.read_picture(tmp_path / "a.bmp")


@pytest.mark.parametrize("light", [14, 15])
def test_more_than_half_of_the_lines_inside_a_black_border_is_paper(light):
    image = np.full((28, 28), 255, np.uint8)
    image[0] = 0
    image[1, light:] = 40
    found = strokes._framed(image[None])
    assert [inside.shape for _, inside in found] == ([(27, 28)] if light > 14 else [])


def test_a_zip_archive_of_one_table_may_have_a_comment(tmp_path):
    table = "\n".join(",".join([str(number % 10), *["7"] * 64]) for number in range(20)).encode()
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        archive.writestr("a.csv", table)
        archive.comment = b"made by hand"
    assert len(data.load(write(tmp_path / "a.zip", into.getvalue())).train.x) == 20
