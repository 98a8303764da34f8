"""One target per reader: how a file is built from the fuzzer's bytes, what reads it, and what its value must be.

Values are compared with readings of our own or of other libraries, so that a silently wrong value is a breach too.
`images` reads every format in the table; the others look more closely at one reader.
"""

import csv
import gzip
import io
import json
import math
import mmap
import os
import re
import sys
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fnnet
from fnnet import data
from fnnet.core.params import Params
from fnnet.core.state import networks_of
from fnnet.data import arff, formats, idx, kaggle_csv, libsvm, png
from fnnet.data.arrays import MAX_LABEL
from fnnet.data.csv_columns import LABELS
from fnnet.data.preprocess import table
from fnnet.data.reader import Wanted, read_as
from fnnet.data.unpacked import ZIP
from fnnet.errors import FnnetError
from fnnet.files import log
from fnnet.files.checkpoints import Checkpoint, load_checkpoint, save_checkpoint, training_of
from fnnet.names import ACTIVATIONS, is_printable
from tests.campaigns.fuzz import build, decoded
from tests.campaigns.fuzz.contract import MEMORY, must
from tests.tools.samples import SHAPE


class Target(NamedTuple):
    """build: bytes -> the file's content; hold(value, path): raises for a value that is not the file's.

    file       the file's name, for a reader of folders below the path that is read.
    """

    build: Any
    read: Any
    hold: Any
    file: str = "a"
    memory: int = MEMORY


def _array(array, dtypes, what, *, frozen):
    must(type(array) is np.ndarray and array.dtype in dtypes, f"{what}'s dtype", array.dtype)
    must(array.dtype.isnative and array.flags.c_contiguous, f"{what}'s layout")
    must(not (frozen and array.flags.writeable), f"{what} is writable")
    base = array
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    # The bytes of IDX files lie in memory that was asked for without NumPy, which only a read-only view leads to.
    owner = base.obj if isinstance(base, memoryview) and base.readonly else base
    owners = (np.ndarray, bytes) if owner is base else (bytearray, mmap.mmap)
    must(isinstance(owner, owners), f"{what} does not own its memory", type(owner))


def hold_idx(array, path):
    content = Path(path).read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    rank = content[3]
    shape = tuple(int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank))
    dtype = np.dtype({8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}[content[2]])
    _array(array, (dtype.newbyteorder("="),), "the array", frozen=True)
    must(content[:2] == b"\0\0" and 1 <= rank <= 4 and array.size > 0, "the header", content[:4])
    must(array.shape == shape and array.astype(dtype).tobytes() == content[4 + 4 * rank :], "shape or bytes")


READERS = [sys.modules[each.read.__module__] for each in formats.FORMATS]
PIECES = [(module, module.PIECE) for module in READERS if hasattr(module, "PIECE")]
SELDOM = 8
"""One file in this many is read in pieces too, which takes several times as long."""


def in_pieces(read):
    """Read in pieces of the usual size and sometimes in tiny ones, which end anywhere; the outcome must be the same."""

    def both(path):
        whole = _outcome(read, path)
        if zlib.crc32(Path(path).read_bytes()) % SELDOM:
            return _again(whole)
        for module, _ in PIECES:
            module.PIECE = 5 + os.path.getsize(path) // 40  # not thousands of them
        try:
            pieces = _outcome(read, path)
        finally:
            for module, size in PIECES:
                module.PIECE = size
        must(isinstance(whole, Exception) == isinstance(pieces, Exception), "in pieces the outcome differs", pieces)
        must(isinstance(whole, Exception) or _same(whole, pieces), "in pieces the value differs")
        return _again(whole)

    return both


def _again(outcome):
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _outcome(read, path):
    try:
        return read(path)
    except FnnetError as error:
        return error


NUMBER = re.compile(r"[ \t]*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?[ \t]*", re.ASCII)


def hold_csv(value, path):
    """Every cell is read again by the csv module and by Python's floats; the pixels are in the order of their names."""
    pixels, labels = value
    must(pixels.ndim == 2 and pixels.size > 0, "the pixels' shape", pixels.shape)
    _array(pixels, (np.uint8,), "pixels", frozen=False)
    if labels is not None:
        _array(labels, (np.int64,), "labels", frozen=False)
        must(labels.shape == (len(pixels),) and labels.min() >= 0 and labels.max() <= MAX_LABEL, "the labels")
    content = Path(path).read_bytes()
    if content.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"PK")) or re.search(rb"(?:\A|[\r\n])\t", content):
        return  # packed, or with names of rows under an empty name and tabs, which blanks below would hide
    # Line ends as Python has them, and those within quotes not taken apart.
    lines = io.StringIO(content.decode("utf-8-sig", "replace"), newline=None).read().split("\n")
    lines = [re.sub(" +", " ", line.replace("\t", " ").strip(" ")) if "," not in line else line for line in lines]
    width = pixels.shape[1] + (labels is not None)
    rows = [_cells(line, width) for line in lines if line]
    must(len(rows) - len(pixels) in (0, 1), "rows", (len(rows), len(pixels)))
    names = rows.pop(0) if len(rows) > len(pixels) else [str(column) for column in range(len(rows[0]))]
    names = ["", *names] if rows and len(rows[0]) == len(names) + 1 else names  # R's names of rows have none
    numbered = {_place(name.strip().lower()): column for column, name in enumerate(names) if re.search("[0-9]", name)}
    at = [numbered[place] for place in sorted(numbered)]
    cells = [[row[column] for column in at] for row in rows]
    odd = next((cell for row in cells for cell in row if not NUMBER.fullmatch(cell)), None)
    must(odd is None, "a cell that is no number was taken for one", repr(odd))
    numbers = np.array([[float(cell) for cell in row] for row in cells])
    if len(at) > pixels.shape[1]:  # one of the outer columns is the labels
        told = [side for side in (slice(1, None), slice(0, -1)) if _same_pixels(numbers[:, side], pixels)]
        edges = [numbers[:, 0 if side.start else -1].tolist() for side in told]
        must(labels is not None and labels.tolist() in edges, "the label's column")
        return
    must(_same_pixels(numbers, pixels), "a pixel")
    named = [column for column, name in enumerate(names) if name.strip().lower() in LABELS]
    must((labels is None) == (not named), "the label's column", names[:4])
    must(not named or labels.tolist() == [float(row[named[0]]) for row in rows], "a label")


def _cells(line, width):
    """The cells of a line, whatever separates them: there are at least `width`."""
    each = [next(csv.reader([line], delimiter=mark)) for mark in ",;\t "]
    return next((cells for cells in each if len(cells) >= width), each[0])


def _same_pixels(numbers, pixels):
    whole = (numbers == np.floor(numbers)).all()
    return np.array_equal(numbers if whole else np.floor(numbers * 255 + 0.5), pixels)


def _place(name):
    """The order of pixel columns, `pixel7` or `3x4`, as numbers."""
    found = re.fullmatch(r"(?:pixel|px?|x|v|column)?[ _]?([0-9]+)(?:[x_]([0-9]+))?", name)
    return tuple(int(number) for number in found.groups() if number) if found else (-1,)


def read_npz(path):
    return data.load(path)


def hold_npz(dataset, path):
    """The arrays as NumPy's own reader has them; the other formats have targets of their own."""
    if not Path(path).read_bytes().startswith(ZIP):
        return
    height, width = dataset.image_shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    for part, examples in (("train", dataset.train), ("test", dataset.test)):
        must((examples is not None) == (f"y_{part}" in arrays), f"the {part} set is there or not")
        if examples is None:
            continue
        _array(examples.x, (np.uint8,), "x", frozen=True)
        _array(examples.labels, (np.int64,), "labels", frozen=True)
        x, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        must(examples.x.shape == (len(x), height * width) and x.size > 0, "x's shape", examples.x.shape)
        must(np.array_equal(examples.x, x.reshape(len(x), -1)), "a pixel")
        must(examples.labels.tolist() == labels.reshape(-1).tolist(), "a label")
        must(examples.labels.min() >= 0 and examples.labels.max() <= 9, "a label's range")
    with zipfile.ZipFile(path) as archive:
        must(archive.testzip() is None, "a checksum")


def hold_png(array, path):
    """Up to 8 bits a sample: as Pillow has the pixels of the chunks that are the image, by weights in floats.

    Where they are of one colour, but for rounding, or of similar shades on a transparent ground, the image is their
    opacity. With a chunk of EXIF it may be turned.
    """
    from PIL import Image

    content = Path(path).read_bytes()
    kinds, depth = _image_chunks(content)
    _array(array, (np.uint8,), "the image", frozen=True)
    must(array.size <= png.MAX_PIXELS, "pixels")
    with Image.open(io.BytesIO(kinds), formats=("PNG",)) as image:
        turns = range(8 if b"eXIf" in content else 1)
        ways = [np.rot90(array[:, :: -1 if turn > 3 else 1], turn % 4) for turn in turns]
        ways = [each for each in ways if each.shape == image.size[::-1]]
        must(len(ways) > 0 and array.size > 0, "the image's size", array.shape)
        transparent = "transparency" in image.info
        if depth == 16 or (transparent and depth < 8 and image.mode != "P"):  # Pillow scales the samples, not the key
            return
        rgba = np.asarray(image.convert("RGBA"), np.float64)
    alpha, seen = rgba[..., 3], rgba[rgba[..., 3] > 0]
    luma = rgba[..., :3] @ np.array([0.299, 0.587, 0.114])
    wanted, others = luma * alpha / 255, []
    if alpha.min() < alpha.max():
        slack = 255 / seen[:, 3:]
        if ((seen[:, :3] - slack).max(axis=0) <= (seen[:, :3] + slack).min(axis=0)).all():
            wanted = alpha
        mean = np.average(luma, weights=alpha)
        shades = np.sqrt(np.average((luma - mean) ** 2, weights=alpha))
        covered = alpha.mean() / alpha.max()
        if shades <= 33 and covered <= 0.51:
            others = [wanted] if shades >= 31 or covered >= 0.49 else []
            wanted = alpha
    fits = any(np.abs(each - any_of).max() <= 1.01 for each in ways for any_of in (wanted, *others))
    must(fits, "a pixel", (array.tolist(), wanted.tolist()))


def _image_chunks(content):
    """The PNG without the chunks that are not the image, and the bits of a sample."""
    at, out = 8, content[:8]
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big") + 12
        if content[at + 4 : at + 8] in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            out += content[at : at + size]
        at += size
    return out, content[24]


def _params(params):
    must(isinstance(params, Params) and len(params.layers) > 0, "params")
    inputs = params.layers[0].W.shape[0]
    for W, b in params.layers:
        for array in (W, b):
            _array(array, (np.float32, np.float64), "an array", frozen=True)
        must(W.dtype == params.layers[0].W.dtype and W.shape == (inputs, len(b)) and b.ndim == 1, "a layer's shape")
        inputs = len(b)


def _same(a, b):
    """Equality to the bit, through tuples, mappings and arrays."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(_same, a, b))
    return a == b and repr(a) == repr(b)


def _round_trip(value, path, save, load):
    again = Path(path).with_name("again")
    save(again, value)
    try:
        must(_same(value, load(again)), "saved and loaded again it is another")
    finally:
        again.unlink()


def hold_model(model, path):
    networks = networks_of(model.params)
    for network in networks:
        _params(network)
        must(all(np.isfinite(array).all() for layer in network for array in layer), "weights are not finite")
        must(len(network[-1].b) == len(model.classes) and len(network[0].W) == len(networks[0][0].W), "members fit")
    must(model.activation in ACTIVATIONS and model.preprocessing.colour == "luma", "a name")
    must(table(model.preprocessing)[[model.preprocessing.paper, model.preprocessing.ink]].tolist() == [0, 255], "ink")
    must(len(set(model.classes)) == len(model.classes), "classes")
    must(all(isinstance(name, str) and is_printable(name) and name for name in model.classes), "a class name")
    height, width = model.image_shape
    must(height * width == len(networks[0][0].W), "the image's shape", model.image_shape)
    _round_trip(model, path, fnnet.save_model, fnnet.load_model)


def hold_checkpoint(checkpoint, path):
    must(type(checkpoint) is Checkpoint, "the type")
    _params(checkpoint.state.params)
    must(type(checkpoint.state.step) is int and checkpoint.state.step >= 0, "the step")
    training_of(checkpoint)
    _round_trip(checkpoint, path, save_checkpoint, load_checkpoint)


def _without_seal(event):
    return {name: value for name, value in event.items() if name != "sha256"}


def hold_log(events, path):
    must(type(events) is tuple and all(isinstance(event.get("event"), str) for event in events), "events")
    *lines, last = Path(path, log.LOG).read_bytes().split(b"\n")
    found = [_without_seal(event) for event in events]
    wanted = [_without_seal(json.loads(line)) for line in lines]
    must(found == wanted or (last and found == [*wanted, _without_seal(json.loads(last))]), "an event")
    must(json.dumps(events, allow_nan=False) is not None, "numbers")


def read_images(path):
    """Read a file of any format in the table, as `predict` does."""
    return data.read_images(path, SHAPE)


def hold_images(x, path):
    _array(x, (np.uint8,), "x", frozen=False)
    must(x.ndim == 2 and len(x) > 0 and x.shape[1] == math.prod(SHAPE), "x's shape", x.shape)


def read_libsvm(path):
    """Read libsvm's text, with the shape of the samples."""
    return read_as((libsvm.FORMAT,), path, Wanted(labelled=True, shape=SHAPE))


def hold_libsvm(content, path):
    """Every pair is read again by Python's floats."""
    x, labels, notes = content.x, content.labels, content.notes
    _array(x, (np.uint8,), "x", frozen=False)
    _array(labels, (np.int64,), "labels", frozen=False)
    must(x.shape == (len(labels), math.prod(SHAPE)) and len(x) > 0, "x's shape", x.shape)
    text = Path(path).read_bytes()
    if text.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"PK")):
        return
    lines = io.StringIO(text.decode("utf-8-sig", "replace"), newline=None).read().split("\n")
    rows = [fields for line in lines if (fields := line.partition("#")[0].split())]
    must(len(rows) == len(x), "rows", (len(rows), len(x)))
    pairs = [
        [(int(number), float(value)) for number, _, value in (each.partition(":") for each in row[1:])] for row in rows
    ]
    first = 0 if any("numbered from 0" in note for note in notes) else 1
    low = -1 if any("from -1" in note for note in notes) else 0
    scale = 255 / (1 - low) if any(note.code == "unit-pixels" for note in notes) else 1
    wanted = np.full(x.shape, -low * scale)
    for row, each in enumerate(pairs):
        for number, value in each:
            wanted[row, number - first] = (value - low) * scale
    must(np.abs(wanted - x).max() <= 0.5 + 1e-3, "a pixel")
    signed = any(note.code == "signed-labels" for note in notes)
    must([float(row[0]) for row in rows] == [2 * each - 1 if signed else each for each in labels.tolist()], "a label")


def read_arff(path):
    """Read an ARFF file."""
    return read_as((arff.FORMAT,), path, Wanted(labelled=True))


def hold_arff(content, path):
    """Lines without quotes are read again by splitting them, the columns found by the rule of CSV."""
    x, labels, classes = content.x, content.labels, content.classes
    _array(x, (np.uint8,), "x", frozen=False)
    _array(labels, (np.int64,), "labels", frozen=False)
    must(len(x) == len(labels) > 0 and labels.min() >= 0 and labels.max() <= MAX_LABEL, "the labels")
    must(not classes or labels.max() < len(classes), "a class")
    text = Path(path).read_bytes()
    if re.search(rb"['\"]", text) or text.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"PK")):
        return
    lines = [line.strip() for line in io.StringIO(text.decode("utf-8-sig", "replace"), newline=None).read().split("\n")]
    lines = [line for line in lines if line and not line.startswith("%")]
    data_at = next(i for i, line in enumerate(lines) if re.split("[ \t]", line)[0].lower() == "@data")
    columns = [
        re.split(r"\s+|(?={)", line, maxsplit=2) for line in lines[:data_at] if line.lower().startswith("@attribute")
    ]
    label = [i for i, column in enumerate(columns) if column[1].lower() == "class"]
    order = [i for i, column in enumerate(columns) if re.fullmatch("pixel[0-9]+", column[1].lower())]
    if len(label) != 1 or len(order) + 1 != len(columns):
        return
    order.sort(key=lambda i: int(columns[i][1][5:]))
    values = [name.strip() for name in columns[label[0]][2].strip(" \t{}").split(",")] if classes else []
    rows = [_row(line, len(columns), label[0], values) for line in lines[data_at + 1 :]]
    must(len(rows) == len(x), "rows", (len(rows), len(x)))
    scale = 255 if any(note.code == "unit-pixels" for note in content.notes) else 1
    for row, pixels, number in zip(rows, x.tolist(), labels.tolist(), strict=True):
        must(all(abs(float(row[i]) * scale - pixel) <= 0.5 for i, pixel in zip(order, pixels, strict=True)), "a pixel")
        must(row[label[0]] == classes[number] if classes else float(row[label[0]]) == number, "a label")


def _row(line, width, label, values):
    if not line.startswith("{"):
        return [cell.strip() for cell in line.split(",")]
    row = ["0"] * width
    row[label] = values[0] if values else "0"
    for item in filter(None, line.strip("{} \t").split(",")):
        number, value = item.split()
        row[int(number)] = value
    return row


TARGETS = {
    "idx": Target(build.raw, idx.read_idx, hold_idx),
    "gzip": Target(build.gzipped, in_pieces(idx.read_idx), hold_idx),
    "csv": Target(build.raw, in_pieces(kaggle_csv.read_csv), hold_csv),
    "libsvm": Target(build.raw, in_pieces(read_libsvm), hold_libsvm),
    "arff": Target(build.raw, in_pieces(read_arff), hold_arff),
    "npz": Target(build.zipped, read_npz, hold_npz),
    # 16 million pixels with transparency are 64 MiB, three times over, by contract.
    "png": Target(build.png, in_pieces(png.read_png), hold_png, memory=2**28),
    "images": Target(
        build.of_any_kind, in_pieces(decoded.within_memory(read_images)), hold_images, memory=decoded.MEMORY
    ),
    **{
        name: Target(build.raw, decoded.read(formats, labelled), hold, memory=decoded.MEMORY)
        for name, (formats, labelled, hold) in decoded.READERS.items()
    },
    "model": Target(build.container("model"), fnnet.load_model, hold_model),
    "checkpoint": Target(build.container("checkpoint"), load_checkpoint, hold_checkpoint),
    "log": Target(build.logged, log.read_log, hold_log, file=log.LOG),
}
