"""TIFF as Pillow writes it, and as others do: every kind of samples against the pixels that were stored."""

import io
import itertools
import struct
import zlib

import numpy as np
import PIL
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import COMPRESSION_INFO

from fnnet import data
from fnnet.core.params import freeze
from fnnet.data import child, formats, pictures
from fnnet.data.many import read_pictures
from fnnet.data.reader import Wanted
from fnnet.data.tiff import LOSSY
from fnnet.errors import DataError
from tests.tools.samples import missing_parts, write
from tests.tools.written import tiff

pytestmark = pytest.mark.usefixtures("inside")
drawn = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
rng = np.random.default_rng(5)
GREY = rng.integers(0, 256, (5, 7), dtype=np.uint8)
BITS = np.where(GREY > 127, 255, 0).astype(np.uint8)
TURNED = {
    1: GREY, 2: GREY[:, ::-1], 3: GREY[::-1, ::-1], 4: GREY[::-1],
    5: GREY.T, 6: np.rot90(GREY, -1), 7: np.rot90(GREY, 2).T, 8: np.rot90(GREY),
}  # fmt: skip
"""Orientation in the tag -> the image as it is to be shown."""


def read(path, shape=None):
    content = formats.read_picture(path, shape)
    return content.x.reshape(content.image_shape)


def refused(path, message):
    with pytest.raises(DataError, match=message) as raised:
        read(path)
    assert missing_parts(raised.value) == []


def made(samples, bits, *, order="<", light=None, kind=1, packing=1, extra=None, **tags):
    """A TIFF image of given samples, (height, width) or (height, width, samples), packed to `bits` each."""
    height, width, *depth = samples.shape
    count = depth[0] if depth else 1
    if samples.dtype.kind == "f":
        content = samples.astype(f"{order}f{bits // 8}").tobytes()
    elif bits % 8:
        rows = ["".join(f"{value:0{bits}b}" for value in row) for row in samples.reshape(height, -1).tolist()]
        content = b"".join(int(row.ljust(-(-len(row) // 8) * 8, "0"), 2).to_bytes(-(-len(row) // 8)) for row in rows)
    else:
        content = samples.astype(f"{order}{'i' if kind == 2 else 'u'}{bits // 8}").tobytes()
    content = zlib.compress(content) if packing == 8 else content
    content += bytes(len(content) % 2)
    entries = {
        256: width, 257: height, 258: (bits,) * count, 259: packing, 262: 1 if light is None else light, 273: 8,
        277: count, 278: height, 279: len(content), 339: (kind,) * count,
    }  # fmt: skip
    entries |= {338: extra} if extra is not None else {}
    entries |= {int(tag[1:]): value for tag, value in tags.items()}
    where, aside, table = 8 + len(content), b"", b""
    end = where + 2 + 12 * len(entries) + 4
    for tag, value in sorted(entries.items()):
        values = value if isinstance(value, tuple) else (value,)
        long = tag in (256, 257, 273, 278, 279)
        cell = struct.pack(f"{order}{len(values)}{'I' if long else 'H'}", *values)
        if len(cell) > 4:
            cell, aside = struct.pack(f"{order}I", end + len(aside)), aside + cell
        table += struct.pack(f"{order}HHI", tag, 4 if long else 3, len(values)) + cell.ljust(4, b"\0")
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", where)
    return start + content + struct.pack(f"{order}H", len(entries)) + table + bytes(4) + aside


@drawn
@given(st.sampled_from([1, 2, 4, 8, 12, 16]), st.booleans(), st.sampled_from("<>"), st.sampled_from([1, 8]), st.data())
def test_grey_of_any_depth(tmp_path, bits, white_is_0, order, packing, draw):
    """Scaled from the whole range of the samples, inverted where 0 is white."""
    most = 2**bits - 1
    if bits == 12 and (white_is_0 or order == ">"):
        return  # Pillow does not know these; see below
    stored = np.array(draw.draw(st.lists(st.integers(0, most), min_size=12, max_size=12))).reshape(3, 4)
    stored[0, :2] = 0, most
    path = write(tmp_path / "a", made(stored, bits, order=order, light=0 if white_is_0 else 1, packing=packing))
    wanted = (most - stored if white_is_0 else stored) * 255 / most
    assert np.array_equal(read(path), np.floor(wanted + 0.5))


@drawn
@given(st.booleans(), st.booleans(), st.sampled_from("<>"))
def test_floats_and_integers_of_32_bits(tmp_path, white_is_0, unit, order):
    """From 0 to 1 or from 0 to 255, as in arrays."""
    stored = GREY / np.float32(255) if unit else GREY.astype(np.float32)
    stored = (1 if unit else 255) - stored if white_is_0 else stored
    path = write(tmp_path / "a", made(stored, 32, order=order, kind=3, light=0 if white_is_0 else 1))
    assert np.array_equal(read(path), GREY)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("light", [1, 0], ids=["", "white is 0"])
@pytest.mark.parametrize("packing", [1, 8])
@pytest.mark.parametrize(("kind", "bits"), [(1, 32), (1, 64), (2, 16), (2, 32), (2, 64), (3, 16), (3, 32), (3, 64)])
def test_numbers_of_any_kind(kind, bits, packing, light, order, tmp_path):
    """From 0 to 255, floats also from 0 to 1; half floats have 11 bits, enough for all of 255."""
    stored = GREY if light else 255 - GREY
    options = {"order": order, "light": light, "kind": kind, "packing": packing}
    for each in (stored.astype(float), stored / 255) if kind == 3 else (stored.astype(np.int64),):
        path = write(tmp_path / "a", made(each, bits, **options))
        assert np.array_equal(read(path), GREY)
        noted = ["unit-pixels"] if each.max() <= 1 else []
        assert [note.code for note in formats.read_picture(path).notes] == noted


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("packing", [1, 8])
@pytest.mark.parametrize(("bits", "value"), [(32, 2**31), (32, 2**32 - 1), (32, 70_000), (64, 2**63 + 1)])
def test_numbers_without_a_sign_are_told_as_they_are(bits, value, packing, order, tmp_path):
    stored = GREY.astype(np.uint64)
    stored[2, 3] = value
    path = write(tmp_path / "a", made(stored, bits, order=order, packing=packing))
    refused(path, rf"the pixels\[0, 2, 3\]: value out of range; expected 0 to 255, found {value};")
    if value == 2**31:
        refused(write(path, made(stored, bits, order=order, packing=packing, kind=2)), f"found -{value};")


def strips(samples, bits, rows, **options):
    """A TIFF image whose strips have that many rows, the first of them last in the file."""
    line = samples.shape[1] * bits // 8
    body = made(samples, bits, **options)[8 : 8 + line * len(samples)]
    pieces = [body[top * line : (top + rows) * line] for top in range(0, len(samples), rows)]
    content = b"".join(reversed(pieces))
    starts = tuple(8 + len(b"".join(reversed(pieces[number + 1 :]))) for number in range(len(pieces)))
    tags = {"_273": starts, "_278": rows, "_279": tuple(map(len, pieces))}
    whole = made(samples, bits, **options | tags)
    return whole[:8] + content + whole[8 + len(content) :]


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 99])
def test_strips_are_put_in_their_order(rows, tmp_path):
    for bits, order in ((16, "<"), (64, ">")):
        content = strips(GREY.astype(float), bits, min(rows, 5), kind=3, order=order)
        assert np.array_equal(read(write(tmp_path / "a", content)), GREY)
    content = made(GREY.astype(float), 64, kind=3, _278=rows)
    if rows < 5:
        refused(write(tmp_path / "a", content), r"the tags: strips missing or left over; expected \d strips, found 1;")
    else:
        assert np.array_equal(read(write(tmp_path / "a", content)), GREY)


@pytest.mark.parametrize("packing", [1, 8])
def test_a_strip_that_is_cut_short_is_not_filled(packing, tmp_path):
    content = made(np.zeros((5, 7)), 64, kind=3, packing=packing, **({"_279": 99} if packing == 1 else {}))
    if packing == 8:
        content = made(np.zeros((4, 7)), 64, kind=3, packing=packing, _257=5, _278=5)
    refused(write(tmp_path / "a", content), r"row 0: TIFF cut short; expected a strip of 280 bytes, found (99|224);")


@pytest.mark.parametrize("orientation", TURNED)
def test_floats_of_64_bits_are_turned_as_their_tag_says(orientation, tmp_path):
    path, wanted = write(tmp_path / "a", made(GREY / 255, 64, kind=3, _274=orientation)), TURNED[orientation]
    assert np.array_equal(read(path, wanted.shape), wanted)
    refused_size = f"image size does not fit; expected {wanted.shape[0]}x{wanted.shape[1]} pixels"
    with pytest.raises(DataError, match=refused_size):
        read(path, wanted.shape[::-1])


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "uint32", "int32", "uint64", "int64"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_kinds_of_numbers_that_tifffile_writes(kind, bigtiff, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "a.tif"
    for options in ({}, {"compression": "zlib"}, {"rowsperstrip": 2}, {"byteorder": ">"}):
        if bigtiff and "byteorder" in options:
            continue  # see below
        tifffile.imwrite(path, GREY.astype(kind), bigtiff=bigtiff, **options)
        assert np.array_equal(read(path), GREY), options
    tifffile.imwrite(path, np.stack([GREY, GREY]).astype(kind), bigtiff=bigtiff, photometric="minisblack")
    refused(path, "the header: several images; expected one image, found TIFF of several; save a single image")


@pytest.mark.parametrize(
    "options", [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"compression": "packbits"}]
)
def test_colour_palette_alpha_and_cmyk(options, tmp_path):
    path, colour = tmp_path / "a", np.repeat(GREY[..., None], 3, -1)
    opaque = np.full((5, 7, 1), 255, np.uint8)
    palette = Image.fromarray(GREY)
    palette.putpalette([255 - value for value in range(256) for _ in range(3)])
    ink = Image.fromarray(np.concatenate([255 - colour, 0 * opaque], -1), "CMYK")
    alpha = rng.integers(0, 256, (5, 7), dtype=np.uint8)
    over_black = (GREY.astype(int) * alpha * 2 + 255) // 510
    for image, wanted in (
        (Image.fromarray(GREY), GREY),
        (Image.fromarray(BITS > 0), BITS),
        (Image.fromarray(colour), GREY),
        (Image.fromarray(np.concatenate([colour, opaque], -1)), GREY),
        (Image.fromarray(np.concatenate([colour, alpha[..., None]], -1)), over_black),
        (Image.fromarray(np.stack([GREY, alpha], -1)), over_black),
        (palette, 255 - GREY),
        (ink, GREY),
    ):
        image.save(path, "TIFF", **options)
        assert np.array_equal(read(path), wanted), image.mode


def test_luma_is_that_of_other_pictures(tmp_path):
    colour = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "a.tif")
    Image.fromarray(colour).save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.tif"), read(tmp_path / "a.png"))
    high = made(colour.astype(np.uint16) * 257, 16, light=2)
    assert np.array_equal(read(write(tmp_path / "b.tif", high)), read(tmp_path / "a.png"))


@pytest.mark.parametrize("group", ["group3", "group4"])
def test_fax(group, tmp_path):
    Image.fromarray(BITS > 0).save(tmp_path / "a", "TIFF", compression=group)
    assert np.array_equal(read(tmp_path / "a"), BITS)


@pytest.mark.parametrize(("orientation", "packing"), [*itertools.product(TURNED, (1, 8))])
def test_images_are_turned_as_their_tag_says(orientation, packing, tmp_path):
    path = write(tmp_path / "a", made(GREY, 8, packing=packing, _274=orientation))
    wanted = TURNED[orientation]
    assert np.array_equal(read(path, wanted.shape), wanted)
    with pytest.raises(DataError, match="image size does not fit"):
        read(path, wanted.shape[::-1])


def test_premultiplied_alpha(tmp_path):
    alpha = np.full(GREY.shape, 255, np.uint8)
    path = write(tmp_path / "a", made(np.stack([GREY, alpha], -1), 8, extra=1))
    if int(PIL.__version__.split(".")[0]) < 13:
        with pytest.raises(DataError, match=UNKNOWN):
            read(path)
        return
    assert np.array_equal(read(path), GREY)


def test_a_lossy_packing_is_noted(tmp_path):
    for options, lossy in (({"compression": "jpeg"}, True), ({}, False)):
        content = tiff(np.zeros((16, 16), np.uint8), **options)
        assert formats.read_picture(write(tmp_path / "a", content)).lossy == lossy


def test_lossy_packings_are_those_that_pillow_knows():
    assert {*COMPRESSION_INFO} >= LOSSY
    assert {COMPRESSION_INFO[tag] for tag in LOSSY} == {"tiff_jpeg", "jpeg", "webp"}


def unknown(found, fix=""):
    expected = "grey of 1, 2, 4, 8, 12, 16, 32 or 64 bits, .*"
    return f"unknown or damaged kind of TIFF; expected {expected} found {found}; {fix}save it again as PNG"


UNKNOWN = unknown(".*")
FLOAT = "store float32, or "
SAMPLES = {
    "signed bytes": (made(GREY // 2, 8, kind=2), "signed samples; expected unsigned samples, found signed ones of"),
    "14 bits": (made(GREY, 14), unknown("whole numbers from 0 of 14 bits")),
    "floats of 64 bits in three colours": (
        made(np.stack([GREY] * 3, -1) / 255, 64, kind=3, light=2), unknown("floats of 64 bits, 3 a pixel", FLOAT),
    ),
    "half floats, packed otherwise": (
        made(GREY / 255, 16, kind=3, packing=5), unknown("floats of 16 bits, packed in the way 5", FLOAT),
    ),
    "half floats with a predictor": (
        made(GREY / 255, 16, kind=3, packing=8, _317=3),
        unknown("floats of 16 bits, packed in the way 8, predictor 3", FLOAT),
    ),
    "half floats in tiles": (made(GREY / 255, 16, kind=3, _324=8, _277=2), unknown(".* 2 a pixel, in tiles", FLOAT)),
    "complex numbers": (made(GREY / 255, 64, kind=6), unknown("another kind of samples of 64 bits")),
    "a raw photo of floats": (made(GREY / 255, 64, kind=3, _254=1), "the tags: a raw photo; expected an image, found"),
    "no tags": (b"II*\0", unknown("damaged tags")),
    "BigTIFF of the other order": (b"MM\0+\0\x08" + bytes(99), unknown("a BigTIFF of big-endian numbers")),
    "tags behind the end": (b"II*\0\xff\0\0\0", unknown("no size")),
    "16 bits and alpha": (
        made(np.stack([GREY, GREY], -1), 16, extra=2), unknown("whole numbers from 0 of 16 bits, 2 a pixel"),
    ),
    "bytes in 16 bits": (
        made(GREY, 16), "samples of more than 8 bits, nearly black; expected samples up to 65,535, .* found at most 2",
    ),
    "12 bits in 16": (made(GREY.astype(int) * 16, 16), "samples of more than 8 bits, nearly black; .* at most 3,9"),
    "bytes in 16 bits, white is 0": (made(GREY, 16, light=0), "samples of more than 8 bits, nearly black"),
    "large integers": (made(GREY.astype(np.int32) * 99, 32, kind=2), "value out of range; expected 0 to 255"),
    "negative integers": (made(-GREY.astype(np.int32), 32, kind=2), "value out of range; expected 0 to 255, found -"),
    "not a number": (made(np.full((2, 2), np.nan), 32, kind=3), "value out of range; expected 0 to 255, found nan"),
    "a raw photo": (made(GREY, 8, _254=1), "the tags: a raw photo; expected an image, found a reduced copy of one"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_that_are_not_read(name, tmp_path):
    content, message = SAMPLES[name]
    refused(write(tmp_path / "a", content), message)


def test_black_images_of_16_bits_are_black(tmp_path):
    assert not read(write(tmp_path / "a", made(np.zeros((2, 3), int), 16))).any()
    assert read(write(tmp_path / "a", made(np.zeros((2, 3), int), 16, light=0))).tolist() == [[255] * 3] * 2


def test_files_of_another_number_or_size(tmp_path, monkeypatch):
    path, into = tmp_path / "a", io.BytesIO()
    images = [Image.fromarray(GREY)] * 2
    images[0].save(into, "TIFF", save_all=True, append_images=images[1:])
    refused(
        write(path, into.getvalue()), "the header: several images; expected one image, found TIFF of several; save a"
    )
    refused(write(path, made(GREY, 8, _256=40_000)), "image too large; expected at most 16,777,216 pixels")
    refused(write(path, made(GREY, 8, _257=2**31)), "image too large")
    monkeypatch.setattr(pictures, "MAX_FILE", 99)
    refused(
        write(path, made(GREY, 8)), "the file: file too large; expected at most 99 bytes, found more; scale the image"
    )


@pytest.mark.parametrize("suffix", [".tif", ".TIFF"])
def test_class_folders_of_tiff_are_read_by_one_child(suffix, tmp_path, monkeypatch):
    """Beside pictures of other formats."""
    monkeypatch.setattr(child, "inside", False)
    monkeypatch.delattr(child._kept, "children", raising=False)
    started, begin = [], child.Child.__init__
    monkeypatch.setattr(child.Child, "__init__", lambda self: started.append(self) or begin(self))
    for number in range(12):
        folder = tmp_path / "set" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / f"{number}{suffix}", tiff(GREY + np.uint8(number)))
        Image.fromarray(GREY).save(folder / f"{number}.png")
    dataset = data.load(tmp_path / "set")
    assert len(started) == 1
    assert started[0].process.returncode is not None
    wanted = [GREY + np.uint8(number) for number in range(0, 12, 2)] + [GREY] * 6
    assert sorted(dataset.train.x[:12].tolist()) == sorted(np.array(wanted).reshape(12, -1).tolist())


def test_predict_reads_a_folder_by_one_child(tmp_path, monkeypatch, run):
    import fnnet
    from fnnet.files.model import Model

    monkeypatch.setattr(child, "inside", False)
    monkeypatch.delattr(child._kept, "children", raising=False)
    started, begin = [], child.Child.__init__
    monkeypatch.setattr(child.Child, "__init__", lambda self: started.append(self) or begin(self))
    (tmp_path / "set").mkdir()
    for number in range(5):
        write(tmp_path / "set" / f"{number}.tif", tiff(GREY))
    write(tmp_path / "set" / "2.tif", b"II*\0")
    fnnet.save_model("model", Model(fnnet.init((35, 2), 1), "relu", ("a", "b"), (5, 7)))
    result = run("predict", "model", tmp_path / "set", "--json")
    assert (result.code, len(result.json["predictions"]), len(result.json["failures"])) == (1, 4, 1)
    assert len(started) == 1


def test_pixels_are_read_only(tmp_path):
    content = formats.read_picture(write(tmp_path / "a", tiff(GREY)))
    assert not content.x.flags.writeable
    assert freeze(content.x) is content.x
    assert read_pictures([tmp_path / "a"]).shape == (5, 7)
    assert Wanted(False).shape is None
