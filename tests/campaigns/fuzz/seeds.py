"""`python -m tests.campaigns.fuzz.seeds` rewrites the seeds of the corpus: small files, one of each kind and fault.

The reader accepts a file whose name starts with `good`. Files named `found-*` are the fuzzer's and are kept.
"""

import gzip
import json
import struct
import tempfile
from pathlib import Path

import numpy as np

import fnnet
from fnnet.core import public_optimizers as optimizers
from fnnet.core.state import EpochReport, Training
from fnnet.files.checkpoints import checkpoint_of, save_checkpoint
from fnnet.files.model import Model
from fnnet.training import steps
from tests.campaigns.fuzz.build import chunk, deflated
from tests.campaigns.fuzz.seeds_data import (
    arff_seeds,
    csv_seeds,
    libsvm_seeds,
    npy,
    npy_seeds,
    picture_seeds,
    samples,
    tiff_seeds,
    written,
)  # fmt: skip
from tests.tools.samples import SAMPLES, SHAPE

ROOT = Path(__file__).resolve().parents[3]
CORPUS = Path(__file__).parent / "corpus"


def idx_seeds():
    """IDX: every rank, the faults of the header."""
    images = bytes((0, 0, 8, 3)) + struct.pack(">III", 2, 3, 2) + bytes(range(12))
    return {
        "good-labels": bytes((0, 0, 8, 1)) + struct.pack(">I", 3) + b"\0\1\2",
        "good-flat": bytes((0, 0, 8, 2)) + struct.pack(">II", 1, 2) + b"\0\xff",
        "good-images": images,
        "good-colour": bytes((0, 0, 8, 4)) + struct.pack(">IIII", 1, 1, 1, 3) + b"\1\2\3",
        "short": images[:-1],
        "long": images + b"\0",
        "cut-header": images[:7],
        "type-float": b"\0\0\x0d\1" + struct.pack(">If", 1, 1.0),
        "rank-0": b"\0\0\x08\0\0",
        "rank-5": b"\0\0\x08\5" + struct.pack(">IIIII", 1, 1, 1, 1, 1) + b"\0",
        "no-images": b"\0\0\x08\3" + struct.pack(">III", 0, 28, 28),
        "product-overflows": b"\0\0\x08\3" + struct.pack(">III", 2**31, 2**31, 4),
        "html": b"<!DOCTYPE html><html>404</html>",
        "empty": b"",
    }


def gzip_seeds():
    """The same through gzip, and gzip's own faults."""
    plain = idx_seeds()
    images = plain["good-images"]
    return {
        **{f"{name}-1": b"\1" + content for name, content in plain.items() if name != "product-overflows"},
        "good-stored": b"\2" + images,
        "good-raw": b"\0" + gzip.compress(images, mtime=0),
        "good-named": b"\0"
        + gzip.compress(images, mtime=0)[:3]
        + b"\x08"
        + b"\0" * 6
        + b"name\0"
        + gzip.compress(images, mtime=0)[10:],
        "cut": b"\3\x80" + images,
        "trailing": b"\4\0\0\0\0" + images,
        "second-member": b"\4\xff\0\0\0" + images,
        "crc": b"\5\1\0\0\0\0\0\0\0" + images,
        "length": b"\5\0\0\0\0\1\0\0\0" + images,
        "bomb": b"\1" + images + bytes(3000),
        "too-small": b"\1\0\0\x08\1" + struct.pack(">I", 2**30),
    }


def npz_seeds():
    """Archives by mode: two npy files, headers by number, members whose directory lies."""
    x, labels = np.arange(8, dtype=np.uint8).reshape(2, 2, 2), np.array([1, 2], np.uint8)

    def pair(x, labels):
        first = npy(x)
        return b"\1" + len(first).to_bytes(2, "little") + first + npy(labels)

    def numbered(flags, *arrays):
        return b"\2" + bytes((flags,)) + b"".join(bytes(head) + body for head, body in arrays)

    def member(name, flags, content):
        return bytes((name, flags, len(content))) + content

    u1, small = (0, 0, 3, 2, 2, 2), ((0, 0, 1, 2), b"\1\2")
    plain = member(0, 3, bytes(u1) + bytes(range(8))) + member(1, 3, bytes((0, 0, 1, 2)) + b"\1\2")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.npz")
        np.savez_compressed(path, x_train=x, y_train=labels)
        whole = path.read_bytes()
    return {
        "good-whole": b"\0" + whole,
        "good-pair": pair(x, labels),
        "good-big-endian": pair(x.astype(">i4"), labels.astype(">u2")),
        "good-fortran": pair(np.asfortranarray(x), labels),
        "good-channel": pair(x[..., None], labels[:, None]),
        "good-flat": pair(x.reshape(2, 4), labels),
        "good-numbered": numbered(0, (u1, bytes(range(8))), small),
        "good-deflated": numbered(1, (u1, bytes(range(8))), small),
        "good-test-too": numbered(128, (u1, bytes(range(8))), small, (u1, bytes(8)), small),
        "good-members": b"\3" + plain,
        "float": numbered(0, ((6, 0, 3, 2, 2, 2), bytes(32)), small),
        "object": numbered(0, ((9, 0, 1, 2), b"\x80\4N."), small),
        "bool": numbered(0, ((8, 0, 3, 2, 2, 2), bytes(8)), small),
        "counts": numbered(0, (u1, bytes(8)), ((0, 0, 1, 3), b"\1\2\3")),
        "no-images": numbered(0, ((0, 0, 3, 0, 2, 2), b""), ((0, 0, 1, 0), b"")),
        "label-10": numbered(0, (u1, bytes(8)), ((0, 0, 1, 2), b"\1\x0a")),
        "rank-5": numbered(0, ((0, 0, 5, 1, 1, 1, 1, 1), b"\0"), small),
        "good-npy-version-3": numbered(0, ((0, 4, 3, 2, 2, 2), bytes(8)), small),
        "twice": b"\3" + plain + plain,
        "above": b"\3" + member(5, 1, b"a") + plain,
        "absolute": b"\3" + member(6, 1, b"a") + plain,
        "encrypted": b"\3" + member(0, 3 | 16, bytes(u1) + bytes(8)),
        "size-lies": b"\3" + member(0, 3 | 64, bytes(u1) + bytes(8)) + plain[17:],
        "crc-lies": b"\3" + member(0, 3 | 128, bytes(u1) + bytes(8)) + plain[17:],
        "missing": b"\3" + member(0, 3, bytes(u1) + bytes(8)),
        "cut": b"\0" + whole[:-10],
        "long-header": b"\1\xff\x0f\x93NUMPY\1\0\xf0\x0f" + b"{" + b" " * 3000,
    }


def png_seeds():
    """PNG images of every colour type and depth, and the faults of chunks and streams."""

    def image(colour, depth, rows, *extra, interlace=0, width=2, height=2):
        header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
        chunks = (chunk(b"IHDR", header), *extra, chunk(b"IDAT", deflated(rows, 15)), chunk(b"IEND", b""))
        return b"\1" + b"".join(chunks)

    grey = b"\0\1\2\0\3\4"
    raw = b"\0\x89PNG\r\n\x1a\n" + image(0, 8, grey)[1:]
    palette = chunk(b"PLTE", bytes(range(12)))
    bomb = deflated(bytes(9000), 15)
    return {
        "good-grey": image(0, 8, grey),
        "good-raw": raw,
        "good-bits": image(0, 1, b"\0\x80\0\x40"),
        "good-16": image(0, 16, b"\0\1\2\xf3\4\0\5\6\7\x08"),
        "nearly-black-16": image(0, 16, b"\0\1\2\3\4\0\5\6\7\x08"),
        "good-rgb": image(2, 8, b"\0" + bytes(6) + b"\0" + bytes(6)),
        "good-palette": image(3, 8, b"\0\0\1\0\2\3", palette),
        "good-palette-clear": image(3, 2, b"\0\x10\0\xe0", palette, chunk(b"tRNS", b"\0\x80")),
        "good-grey-alpha": image(4, 8, b"\0\1\xff\2\x80\0\3\0\4\xff"),
        "good-rgba": image(6, 8, b"\0" + bytes(range(8)) + b"\0" + bytes(range(8))),
        "good-grey-clear": image(0, 8, grey, chunk(b"tRNS", b"\0\1")),
        "good-interlaced": image(0, 8, b"\0\1\0\2\0\3\4", interlace=1),
        "good-rows": b"\2\2\2\x08\0\0\5\0\0" + grey,
        "good-filters": image(0, 8, b"\1\1\2\4\3\4"),
        "good-text": image(0, 8, grey, chunk(b"tEXt", b"a\0b"), chunk(b"zTXt", b"a\0\0" + deflated(b"b", 15))),
        "short-rows": image(0, 8, grey[:-1]),
        "no-size": image(0, 8, b"", width=0),
        "huge": image(0, 8, grey, width=2**31 - 1, height=2**31 - 1),
        "large": image(0, 8, grey, width=4097, height=4096),
        "good-long-text": image(0, 8, grey, chunk(b"zTXt", b"a\0\0" + bomb)),
        "good-long-profile": image(0, 8, grey, chunk(b"iCCP", b"a\0\0" + bomb)),
        "animated": image(0, 8, grey, chunk(b"acTL", struct.pack(">II", 2, 0))),
        "chunks": b"\3\0\x0d" + struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0) + b"\2\6" + grey + b"\3\0",
        "crc": raw[:30] + b"\0" + raw[31:],
        "cut": raw[:-20],
        "colour-5": image(5, 8, grey),
        "good-exif": image(0, 8, grey, chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0")),
    }


def image_seeds():
    """One file to predict of each format in the table; those that `build` makes around a body; the wrong size."""
    each_format = {each.format: each.content for each in reversed(SAMPLES.values())}
    whole = {f"good-sample-{name.replace(' ', '-')}": b"\0" + content for name, content in each_format.items()}
    idx = bytes((0, 0, 8, 3)) + struct.pack(">III", 1, *SHAPE) + bytes(range(6))
    x_test = b"\3" + bytes((2, 3, 12)) + bytes((0, 0, 3, 1, *SHAPE)) + bytes(range(6))
    return whole | {
        "good-idx": b"\1\1" + idx,
        "good-npz": b"\2" + x_test,
        "good-png": b"\3\1" + each_format["PNG"][8:],
        "good-plain-csv": b"\0" + b"label,pixel0,pixel1,pixel2,pixel3,pixel4,pixel5\n7,0,1,2,3,4,5\n",
        "size-idx": b"\1\1" + idx_seeds()["good-images"],
        "size-csv": b"\0" + b"0\n",
        "labels": b"\0" + idx_seeds()["good-labels"],
        "empty": b"",
    }


def _parts(content, kind):
    """Mode 1 and mode 2 of a container, as `build.container` reads them."""
    size = int.from_bytes(content[:8], "little")
    head, arrays = content[8 : 8 + size].rstrip(), content[8 + size :]
    header = json.loads(head)
    about = header.pop("__metadata__")[kind]
    in_order = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
    names = "\n".join(" ".join([name, each["dtype"], *map(str, each["shape"])]) for name, each in in_order)
    return b"\1" + head + b"\n" + arrays, b"\2" + f"{about}\n{names}\n\n".encode() + arrays


def _container_seeds(contents, kind, changes):
    whole = next(iter(contents.values()))
    seeds = {"good-raw": b"\0" + whole, "cut": b"\0" + whole[:-3], "pickle": b"\0\x80\4N.", "empty": b""}
    for name, content in contents.items():
        seeds[f"good-{name}-header"], seeds[f"good-{name}-description"] = _parts(content, kind)
    headed, described = _parts(whole, kind)
    for name, (old, new) in changes.items():
        for place, text in (("header", headed), ("description", described)):
            if old in text:
                seeds[f"{name}-{place}"] = text.replace(old, new, 1)
    return seeds


FAULTS = {
    "nan": (b"[", b"[NaN,"),
    "infinite": (b"[", b"[1e999,"),
    "deep": (b"[", b"[" * 1500),
    "huge-count": (b"2", b"9" * 400),
    "twice": (b"{", b'{"sizes":[1],"sizes":[2],'),
    "not-utf8": (b"sizes", b"s\xffzes"),
    "float-size": (b"2", b"2.0"),
    "negative": (b"2", b"-2"),
    "true": (b"2", b"true"),
    "version-2": (b'"version":"1"', b'"version":"2"'),
    "version-none": (b'"version":"1"', b'"version":null'),
    "dtype": (b"F32", b"I64"),
    "renamed": (b".0.W", b".9.W"),
    "offsets": (b'"data_offsets":[', b'"data_offsets":[1'),
    "no-offsets": (b'"data_offsets"', b'"offsets"'),
    "shape": (b'"shape":[', b'"shape":[0,'),
    "no-shape": (b'"shape":[', b'"shape":{},"x":['),
    "format": (b"fnnet-", b"other-"),
}


def model_seeds():
    """Models of one layer and of three, float32 and float64; the faults of their headers."""
    contents = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a")
        for name, sizes, dtype in (("small", (4, 2), np.float32), ("deep", (4, 3, 2, 2), np.float64)):
            shape = (2, 2)
            model = Model(fnnet.init(sizes, 1, dtype=dtype), "relu", ("a", "b"), shape, training={"epochs": 2})
            fnnet.save_model(path, model)
            contents[name] = path.read_bytes()
    for version in ("version-1", "version-2"):
        contents[version] = (ROOT / "tests" / "files" / f"{version}.safetensors").read_bytes()
    changes = {
        "activation": (b"relu", b"rela"),
        "ink": (b'"ink": 255', b'"ink": 000'),
        "transpose": (b'"transpose": false', b'"transpose": 00000'),
        "pixels": (b"image_shape", b"image_shap"),
        "class-twice": (b'["a"', b'["b"'),
    }
    return _container_seeds(contents, "model", FAULTS | changes)


def checkpoint_seeds():
    """Checkpoints with and without an optimizer's memory and the best so far; the faults of their headers."""
    contents = {}
    with tempfile.TemporaryDirectory() as folder:
        path, params = Path(folder, "a"), fnnet.init((2, 2), 1)
        for name, optimizer, best in (("plain", optimizers.sgd(), None), ("adam", optimizers.adam(), params)):
            state = steps.start(params, 3, optimizer=optimizer)
            report = EpochReport(1, 0.25, 0.5, 0.75, None, None, 0.1)
            training = Training(state, (report,), best, 1, 2, 0.5, 1, 0.125)
            save_checkpoint(path, checkpoint_of(training)._replace(config={"a": [1, None]}))
            contents[name] = path.read_bytes()
    changes = {
        "report": (b"train_loss", b"train_lass"),
        "progress": (b"loss_sum", b"loss_sam"),
        "scheme": (b"scheme", b"schema"),
        "trees": (b"trees", b"tree"),
        "best": (b"true", b"false"),
    }
    return _container_seeds(contents, "checkpoint", FAULTS | changes)


def log_seeds():
    """Logs of a run."""
    line = b'{"event": "epoch", "epoch": 1, "loss": 0.5}\n'
    logs = {
        "good-lines": line * 2,
        "good-cut": line + line[:20],
        "good-one": b'{"event":"x"}\n',
        "no-event": b'{"epoch": 1}\n',
        "event-number": b'{"event": 1}\n',
        "list": b"[1]\n",
        "nan": b'{"event": "epoch", "loss": NaN}\n',
        "infinite": b'{"event": "epoch", "loss": 1e999}\n',
        "twice": b'{"event": "epoch", "event": "stop"}\n',
        "deep": b'{"event": "x", "a": ' + b"[" * 2000 + b"\n",
        "good-huge": b'{"event": "x", "a": ' + b"9" * 4000 + b"}\n",
        "not-utf8": b'{"event": "\xff"}\n',
        "surrogate": b'{"event": "\\ud800"}\n',
        "blank": line + b"\n" + line,
        "empty": b"",
        "nul": b"\0\n",
        "crlf": line.replace(b"\n", b"\r\n"),
    }
    sealed = {name: b"\1" + content for name, content in logs.items()}
    other = {"unsealed": b"\0" + line, "seal-of-another": b"\0" + line[:-2] + b', "sha256": "' + b"0" * 64 + b'"}\n'}
    return sealed | other | {"utf16": b"\0" + '{"event": "x"}\n'.encode("utf-16")}


SEEDS = {
    "idx": idx_seeds,
    "gzip": gzip_seeds,
    "csv": csv_seeds,
    "arff": arff_seeds,
    "libsvm": libsvm_seeds,
    "npz": npz_seeds,
    "png": png_seeds,
    "images": image_seeds,
    "npy": npy_seeds,
    "pictures": picture_seeds,
    "tiff": tiff_seeds,
    "hdf5": lambda: samples("HDF5") | written({".h5"}),
    "mat": lambda: samples("MATLAB") | written({".mat"}),
    "arrow": lambda: samples("Parquet", "Arrow"),
    "model": model_seeds,
    "checkpoint": checkpoint_seeds,
    "log": log_seeds,
}


def main():
    """Write every seed; what the fuzzer found stays."""
    for reader, seeds in SEEDS.items():
        folder = CORPUS / reader
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if not path.name.startswith("found-"):
                path.unlink()
        for name, content in seeds().items():
            (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
