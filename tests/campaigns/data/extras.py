"""Formats of other programs: HDF5, MATLAB, Parquet, Arrow, TIFF, ARFF, libsvm, and frames."""

import io

import numpy as np

from tests.campaigns.data import CLASSES, IMAGES, LABELS, Case, X, by_class
from tests.campaigns.data.tables import NAMES, frame

HDF5, MATLAB, COLUMNS, TIFF = "HDF5", "MATLAB", "Parquet and Arrow", "TIFF, in a folder for each class"
ARFF, LIBSVM = "ARFF", "libsvm text"
HALF = 30


def hdf5(options=None, **arrays):
    """Write datasets; a double underscore in a name is a slash."""

    def write(folder):
        import h5py

        with h5py.File(folder / "a.h5", "w") as file:
            for name, array in arrays.items():
                file.create_dataset(name.replace("__", "/"), data=array, **(options or {}))
        return folder / "a.h5"

    return write


def of_hdf5():
    """The rows of HDF5."""
    packed = {"chunks": True, "compression": "gzip", "shuffle": True}
    usps = {
        "train__data": X / 255,
        "train__target": LABELS,
        "test__data": X[:HALF] / 255,
        "test__target": LABELS[:HALF],
    }
    yield "x_train, y_train", hdf5(x_train=IMAGES, y_train=LABELS)
    yield (
        "USPS: groups train and test with data and target, floats",
        hdf5(**usps),
        {},
        None,
        ("unit-pixels", "unit-pixels"),
    )
    yield "in chunks, packed by gzip", hdf5(packed, x_train=IMAGES, y_train=LABELS)
    yield (
        "one-hot labels, floats from 0 to 1",
        hdf5(x_train=(IMAGES / 255).astype("f4"), y_train=np.eye(10)[LABELS]),
        {},
        None,
        ("unit-pixels", "one-hot"),
    )
    yield "big-endian 16 bits", hdf5(images=IMAGES.astype(">i2"), labels=LABELS)


def matlab(name="savemat", **arrays):
    """Write variables with SciPy."""

    def write(folder):
        from scipy.io import savemat

        savemat(folder / "a.mat", arrays, do_compression=name == "packed")
        return folder / "a.mat"

    return write


def matlab_7(**arrays):
    """Write variables as version 7.3 does: HDF5 whose axes are reversed."""

    def write(folder):
        import h5py

        with h5py.File(folder / "a.mat", "w", userblock_size=512) as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=np.asarray(array).T).attrs["MATLAB_class"] = np.bytes_("double")
        with open(folder / "a.mat", "r+b") as file:
            file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")
        return folder / "a.mat"

    return write


def of_matlab():
    """The rows of MATLAB."""
    last, ten = IMAGES.transpose(1, 2, 0), np.where(LABELS == 0, 10, LABELS)
    yield "images (28, 28, n), labels (n, 1)", "scipy", matlab(X=last, y=LABELS[:, None])
    yield "the same, packed", "scipy", matlab("packed", X=last, y=LABELS[:, None])
    yield "rows of pixels, stored by row", "scipy", matlab(X=X, y=LABELS), {"transpose": False}, None, ("pixel-order",)
    yield (
        "rows of pixels, stored by column",
        "scipy",
        matlab(X=IMAGES.transpose(0, 2, 1).reshape(-1, 784), y=LABELS),
        {"transpose": True},
        None,
        ("pixel-order",),
    )
    yield (
        "labels from 1 to 10, 10 for 0, as SVHN has them",
        "scipy",
        matlab(X=last, y=ten),
        {"first_label": 1, "classes": ("1", "2", "3", "4", "5", "6", "7", "8", "9", "0")},
        (X, (LABELS + 9) % 10),
    )
    yield "version 7.3", "h5py", matlab_7(X=last, y=LABELS[:, None])


def in_columns(form, made, **options):
    """Write a table of pyarrow."""

    def write(folder):
        import pyarrow
        from pyarrow import feather, parquet

        table = made()
        path = folder / f"a.{form}"
        if form == "parquet":
            parquet.write_table(table, path, **options)
        elif form == "feather":
            feather.write_feather(table, path, **options)
        else:
            with pyarrow.ipc.new_stream(path, table.schema) as writer:
                writer.write_table(table)
        return path

    return write


def wide():
    """A column for each pixel."""
    import pyarrow

    return pyarrow.table({"label": LABELS, **{name: X[:, n] for n, name in enumerate(NAMES)}})


def lists(depth=1):
    """A column of lists of numbers."""
    import pyarrow

    return pyarrow.table({"image": (X if depth == 1 else IMAGES).tolist(), "label": LABELS})


def of_hub(form="PNG"):
    """Packed pictures in a column of structures, as model hubs store them."""
    import pyarrow
    from PIL import Image

    rows = []
    for number, image in enumerate(IMAGES):
        into = io.BytesIO()
        Image.fromarray(image).save(into, form)
        rows.append({"bytes": into.getvalue(), "path": f"{number}.{form.lower()}"})
    return pyarrow.table({"image": rows, "label": LABELS})


def by_library(library, **options):
    """Write the frame of Kaggle's table with pandas or Polars."""

    def write(folder):
        made = frame()
        if library == "pandas":
            made.to_parquet(folder / "a.parquet", **options)
        else:
            import polars

            polars.DataFrame({name: made[name].to_numpy() for name in made}).write_parquet(folder / "a.parquet")
        return folder / "a.parquet"

    return write


def of_columns():
    """The rows of Parquet and Arrow."""
    yield "Parquet, a column for each pixel", "pyarrow", in_columns("parquet", wide)
    yield "Parquet by pandas", "pandas+pyarrow", by_library("pandas")
    yield "Parquet by Polars", "polars", by_library("polars")
    yield "Parquet, packed by zstd", "pyarrow", in_columns("parquet", wide, compression="zstd")
    yield "Parquet, packed by gzip", "pyarrow", in_columns("parquet", wide, compression="gzip")
    yield "Parquet, lists of 784 numbers", "pyarrow", in_columns("parquet", lists)
    yield "Parquet, lists of 28 lists", "pyarrow", in_columns("parquet", lambda: lists(2))
    yield "Parquet, PNG as model hubs store them", "pyarrow+PIL", in_columns("parquet", of_hub)
    yield "Parquet, TIFF in the same way", "pyarrow+PIL", in_columns("parquet", lambda: of_hub("TIFF"))
    yield "Feather", "pyarrow", in_columns("feather", wide)
    yield "Feather, packed by lz4", "pyarrow", in_columns("feather", wide, compression="lz4")
    yield "an Arrow stream, PNG as model hubs store them", "pyarrow+PIL", in_columns("arrow", of_hub)


def tiffs(save):
    """Write a TIFF for each image."""

    def write(folder):
        for number, (image, label) in enumerate(zip(IMAGES, LABELS.tolist(), strict=True)):
            (folder / str(label)).mkdir(exist_ok=True)
            save(folder / str(label) / f"{number:02}.tif", image)
        return folder

    return write


def by_pillow(mode="L", **options):
    """Save with Pillow."""

    def save(path, image):
        from PIL import Image

        Image.fromarray(image).convert(mode).save(path, **options)

    return save


def by_tifffile(change, **options):
    """Save with tifffile."""

    def save(path, image):
        import tifffile

        tifffile.imwrite(path, change(image), **options)

    return save


def of_tiff():
    """The rows of TIFF."""
    white = {"photometric": "miniswhite"}
    yield "grey", "PIL", tiffs(by_pillow())
    yield "LZW", "PIL", tiffs(by_pillow(compression="tiff_lzw"))
    yield "RGB", "PIL", tiffs(by_pillow("RGB"))
    yield "16 bits", "tifffile", tiffs(by_tifffile(lambda image: image.astype(np.uint16) * 257))
    yield "8 bits, 0 is white", "tifffile", tiffs(by_tifffile(lambda image: 255 - image, **white))
    yield (
        "16 bits, 0 is white",
        "tifffile",
        tiffs(by_tifffile(lambda image: 65535 - image.astype(np.uint16) * 257, **white)),
    )
    yield "floats from 0 to 1", "tifffile", tiffs(by_tifffile(lambda image: (image / 255).astype(np.float32)))
    yield "32 bits", "tifffile", tiffs(by_tifffile(lambda image: image.astype(np.int32)))


def libsvm(x=X, labels=LABELS, **options):
    """Write with scikit-learn."""

    def write(folder):
        from sklearn.datasets import dump_svmlight_file

        dump_svmlight_file(x.astype(float), labels, str(folder / "a.txt"), **options)
        return folder / "a.txt"

    return write


def arff(sparse=False):
    """Write with liac-arff."""

    def write(folder):
        import arff as liac

        attributes = [(name, "INTEGER") for name in NAMES] + [("class", list(CLASSES))]
        rows = [[*row, str(label)] for row, label in zip(X.tolist(), LABELS.tolist(), strict=True)]
        if sparse:
            rows = [{n: value for n, value in enumerate(row) if value not in (0, "0")} for row in rows]
        with open(folder / "a.arff", "w") as file:
            liac.dump({"relation": "digits", "attributes": attributes, "data": rows}, file)
        return folder / "a.arff"

    return write


def cases():
    """All rows of this page."""
    pages = [
        *((HDF5, what, "h5py", *rest) for what, *rest in of_hdf5()),
        *((MATLAB, *row) for row in of_matlab()),
        *((COLUMNS, *row) for row in of_columns()),
        *((TIFF, what, by, write, {}, by_class()) for what, by, write in of_tiff()),
        (ARFF, "dense, as OpenML has MNIST", "arff", arff()),
        (ARFF, "sparse", "arff", arff(sparse=True)),
        (LIBSVM, "numbered from 1", "sklearn", libsvm(zero_based=False), {"flat": (28, 28)}, None, ("first-index",)),
        (LIBSVM, "numbered from 0", "sklearn", libsvm(zero_based=True), {"first_index": 0, "flat": (28, 28)}),
        (
            LIBSVM,
            "floats from 0 to 1",
            "sklearn",
            libsvm(X / 255, zero_based=False),
            {"first_index": 1, "flat": (28, 28)},
            None,
            ("unit-pixels",),
        ),
    ]
    for group, what, by, write, *rest in pages:
        reading, expected, codes = (*rest, *({}, None, ())[len(rest) :])
        yield Case(group, what, by, write, reading, expected, codes=codes)
    rows = np.column_stack([X, LABELS])
    yield Case(
        MATLAB, "rows of pixels, stored by row or by column", "scipy", matlab(X=X, y=LABELS), refused="transpose"
    )
    yield Case(HDF5, "no images", "h5py", hdf5(weights=rows), refused="no array")
