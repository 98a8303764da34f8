"""Seeds of the readers of text, of arrays, and of what libraries decode."""

import io

import numpy as np
from PIL import Image

from tests.tools.samples import SAMPLES, SHAPE
from tests.tools.written import FOLDER


def csv_seeds():
    """Kaggle's files, and the faults of every table."""
    head = "label," + ",".join(f"pixel{i}" for i in range(4))
    rows = "1,0,2,3,255\n7,9,8,7,6\n"
    utf16 = f"{head}\n{rows}".encode("utf-16")
    texts = {
        "good-header": f"{head}\n{rows}",
        "good-label-last": "".join("0," * 64 + f"{number % 10}\n" for number in range(40)),
        "good-square": (",".join(["0,1,2,3"] * 16) + "\n") * 2,
        "small": rows,
        "good-crlf": f"{head}\n{rows}".replace("\n", "\r\n"),
        "good-cr": f"{head}\n{rows}".replace("\n", "\r"),
        "good-bom": f"\ufeff{head}\n{rows}",
        "good-quotes": '"label","pixel0"\n"1","2"\n',
        "good-order": "pixel1,label,pixel0\n5,1,6\n",
        "good-grid": "label,1x1,1x2,2x1,2x2\n1,2,3,4,5\n",
        "good-large-label": "label,pixel0\n300,1\n2,3\n",
        "good-blank-lines": "label,pixel0\n\n1,2\n\n",
        "no-end": "1,2",
        "header-only": f"{head}\n",
        "uneven": "1,2\n1,2,3\n",
        "text": "label,pixel0\n1,x\n",
        "nan": "label,pixel0\n1,NaN\n",
        "fraction": "label,pixel0\n1,2.5\n",
        "negative": "label,pixel0\n1,-1\n",
        "large": "label,pixel0\n1,256\n",
        "exponent": "label,pixel0\n1,1e400\n",
        "hex": "label,pixel0\n1,0x10\n",
        "empty-cell": "label,pixel0\n1,\n",
        "good-semicolons": "label;pixel0\n1;2\n",
        "good-tabs": "label\tpixel0\n1\t2\n",
        "good-floats": "label,pixel0,pixel1\n1.0,2.55e+02,0.0\n",
        "good-fractions": "label,pixel0,pixel1\n1,0.5,1\n2,0,0.25\n",
        "good-row-names": '"label" "pixel0"\n"1" 7 255\n"b c" 1 0\n',
        "good-blanks": " \n\t\nlabel,pixel0\n \n1,2\n\t\n",
        "short-header": "label,pixel0\n1,0,0\n",
        "joined": "\ufefflabel,pixel0\n1,2\n" * 2,
        "decimal-commas": "label;pixel0\n1;0,5\n",
        "twice": "label,pixel0,pixel0\n1,2,3\n",
        "gap": "label,pixel0,pixel2\n1,2,3\n",
        "unknown": "label,pixel0,colour\n1,2,3\n",
        "html": "<html><body>404</body></html>",
        "unclosed": 'label,pixel0\n1,"2\n3,4\n',
        # NumPy's loadtxt looks these up beyond the end of a table: a crash, or a number out of nothing.
        "found-beyond-table": "label,pixel0\n1,\u01fe\n",
        "found-beyond-table-far": "label,pixel0\n1,\U0010fe1a\n",
        "arabic-digit": "label,pixel0\n1,\u0661\n",
        "wide-header": "label,pixel\u0661\n1,2\n",
        "separator": "label,pixel0\n1,\x1c2\n",
        "blank": "\n1,2\n",
    }
    faults = {"utf16": utf16, "nul": b"label,pixel0\n1,\0\n", "latin": b"label,pixel0\n1,\xe9\n", "empty": b""}
    return {name: text.encode() for name, text in texts.items()} | faults


def libsvm_seeds():
    """libsvm's text of images of 2 x 3, and its faults."""
    texts = {
        "good-plain": "5 1:3 2:18 6:255 \n0 3:7 \n",
        "good-from-0": "5 0:3 5:255\n7 2:1\n",
        "good-every": "1 1:1 2:2 3:3 4:4 5:5 6:6\n",
        "good-unit": "1.000000 1:0.5 2:1 3:1e-3\n+2 6:0.25\n",
        "good-signed": "+1 1:-1 2:1 3:-0.25\n-1 6:0.5\n",
        "good-comments": "# Column indices are zero-based\n\n3 1:2 # 4:5\r\n\t4\t2:3\r",
        "good-blank": "3\n4 1:0\n",
        "good-bom": "\ufeff3 2:2\n",
        "query": "3 qid:1 1:2\n",
        "no-label": "1:2 2:3\n",
        "labels": "1,2 1:2\n",
        "below": "-1 1:2\n2 1:3\n",
        "order": "1 2:3 1:4\n",
        "twice": "1 2:3 2:3\n",
        "beyond": "1 7:3\n",
        "far": "1 99999999999:3\n",
        "large": "1 1:256\n",
        "mixed": "1 1:0.5 2:7\n",
        "nan": "1 1:nan\n",
        "text": "1 1:2 x\n",
        "space": "1 1: 2\n",
    }
    return {name: text.encode() for name, text in texts.items()}


def arff_seeds():
    """ARFF of images of two pixels, dense and sparse, and its faults."""
    numeric = "@relation a\n@attribute pixel1 real\n@attribute pixel2 REAL\n@attribute class integer\n@data\n"
    nominal = numeric.replace("integer", "{b,a}")
    texts = {
        "good-dense": numeric + "1,2,3\n255,0,9\n",
        "good-nominal": nominal + "1,2,a\n3,4,b\n",
        "good-sparse": numeric + "{0 1, 2 3}\n{}\n{1 5}\n",
        "good-sparse-nominal": nominal + "{0 1, 2 a}\n{1 7}\n",
        "good-comments": "% a\n" + nominal.upper().replace("\n", "\r\n") + "% b\r\n1, 2, A\r\n\r\n3 ,4 ,B\r\n",
        "good-quotes": "@relation 'a b'\n@attribute 'pixel1' real\n@attribute class {'a b','c,d'}\n@data\n"
        "1,'c,d'\n2,\"a b\"\n",
        "good-unit": numeric + "0.5,1,3\n0,0.25,2\n",
        "good-numbers": numeric.replace("integer", "{7,5,10}") + "1,2,10\n3,4,5\n",
        "good-pixels": numeric.replace("pixel1 real", "pixel1 {0,255}") + "255,2,1\n0,1,0\n",
        "good-names": numeric.replace("@data", "@attribute id string\n@data") + "1,2,3,'x y'\n4,5,6,z\n",
        "missing": numeric + "?,2,3\n",
        "weight": numeric + "1,2,3,{5}\n",
        "sparse-weight": numeric + "{0 1},{5}\n",
        "beyond": numeric + "{3 1}\n",
        "twice": numeric + "{0 1, 0 2}\n",
        "colon": numeric + "{0:1}\n",
        "unknown": nominal + "1,2,c\n",
        "no-data": numeric.replace("@data\n", ""),
        "no-rows": numeric + "% none\n",
        "date": numeric.replace("pixel2 REAL", "pixel2 date"),
        "relational": numeric.replace("pixel2 REAL", "pixel2 relational"),
        "unclosed": nominal + "1,2,'a\n",
    }
    return {name: text.encode() for name, text in texts.items()}


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def samples(*formats):
    """The samples of formats, and cuts of them."""
    there = [each.content for each in SAMPLES.values() if each.format in formats]
    whole = {f"good-sample-{number}": content for number, content in enumerate(there)}
    return whole | {f"cut-{number}": content[: -len(content) // 3] for number, content in enumerate(there)}


def npy_seeds():
    """Arrays of every kind of number, in both orders, and what is not one."""
    x = np.arange(12).reshape(2, *SHAPE)
    kinds = {f"good-{name}": npy(x.astype(name)) for name in ("u1", ">i4", "<i8", "?", "f2", "f8")}
    return samples("NPY") | kinds | {
        "good-fortran": npy(np.asfortranarray(x.astype(np.uint8))),
        "good-unit": npy(x / 12),
        "good-one": npy(x[0].astype(np.uint8)),
        "complex": npy(x.astype(complex)),
        "text": npy(x.astype("U2")),
        "negative": npy(-x),
        "nan": npy(x * np.nan),
    }  # fmt: skip


def picture_seeds():
    """Pictures in every mode that Pillow writes."""
    grey = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(SHAPE) * 50)
    seeds = samples("JPEG", "WebP", "BMP", "GIF", "netpbm")
    for mode, formats in (("1", ("BMP", "GIF", "PPM")), ("RGB", ("BMP", "JPEG", "WEBP", "PPM")), ("P", ("BMP", "GIF")),
                          ("RGBA", ("WEBP",)), ("CMYK", ("JPEG",)), ("L", ("JPEG", "WEBP"))):  # fmt: skip
        for kind in formats:
            into = io.BytesIO()
            grey.convert(mode).save(into, kind)
            seeds[f"good-{kind.lower()}-{mode}"] = into.getvalue()
    return seeds | {
        "good-plain": b"P2 3 2 9\n0 1 2 3 4 9\n",
        "good-bits": b"P4 3 2\n\x80\x20",
        "good-colour": b"P3 3 2 15 " + b"7 " * 18,
        "good-16": b"P5 3 2 999\n" + bytes(range(12)),
        "comment": b"P2 # 3\n3 # 2\n 2 0\n",
    }


def tiff_seeds():
    """TIFF in the modes and compressions that Pillow writes."""
    grey = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(SHAPE) * 50)
    seeds = samples("TIFF")
    for mode in ("1", "L", "RGB", "P", "RGBA", "CMYK", "F"):
        for compression in ("raw", "tiff_lzw", "tiff_deflate", "packbits"):
            into = io.BytesIO()
            grey.convert(mode).save(into, "TIFF", compression=compression)
            if compression in ("raw", "tiff_lzw") or mode == "L":
                seeds[f"good-{mode}-{compression}"] = into.getvalue()
    return seeds


def written(suffixes):
    """Files that libraries wrote, beside the samples."""
    paths = (path for path in sorted(FOLDER.iterdir()) if path.suffix in suffixes and path.stem not in ("a", "b"))
    return {f"good-{path.stem}": path.read_bytes() for path in paths}
