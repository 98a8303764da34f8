"""Formats of other programs: HDF5, MATLAB, TIFF."""

import numpy as np

from tests.campaigns.data import IMAGES, LABELS, Case, X, by_class
from tests.campaigns.data.tables import NAMED, OF_NAMES

HDF5, MATLAB, TIFF = "HDF5", "MATLAB", "TIFF, in a folder for each class"
HALF = 30
PACKED = {"byteorder": ">", "compression": "zlib"}


def hdf5(options=None, userblock=0, **arrays):
    """Write datasets; a double underscore in a name is a slash."""

    def write(folder):
        import h5py

        with h5py.File(folder / "a.h5", "w", userblock_size=userblock) as file:
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
    yield "labels that are text", hdf5(x_train=IMAGES, y_train=NAMED.astype(object)), {}, OF_NAMES
    yield "labels that are bytes", hdf5(x_train=IMAGES, y_train=NAMED.astype("S")), {}, OF_NAMES
    coursera = {"train_set_x": IMAGES, "train_set_y": LABELS, "test_set_x": IMAGES[:HALF], "test_set_y": LABELS[:HALF]}
    yield "Coursera: train_set_x, train_set_y, test_set_x, test_set_y", hdf5(**coursera)
    codes = netcdf(scale_factor=np.float64(1 / 255), add_offset=np.float64(0))
    yield "netCDF's axes with names, codes that are to be scaled", codes, {}, None, ("unit-pixels",)
    yield "behind a user block of 1,024 bytes", hdf5(userblock=1024, x_train=IMAGES, y_train=LABELS)


def netcdf(axes=("n", "y", "x"), **attributes):
    """Write images whose axes have names, with attributes, as programs for netCDF do."""

    def write(folder):
        path = hdf5(x_train=IMAGES, y_train=LABELS)(folder)
        import h5py

        with h5py.File(path, "r+") as file:
            for axis, name in enumerate(axes):
                scale = file.create_dataset(f"{name}", data=np.arange(file["x_train"].shape[axis]))
                scale.make_scale(name)
                file["x_train"].dims[axis].attach_scale(scale)
            file["x_train"].attrs.update(attributes)
        return path

    return write


def wrong_hdf5():
    """The rows of HDF5 that are refused, and words of the line."""
    whole = {"X__data": X[X > 0], "X__indices": np.flatnonzero(X) % 784, "X__indptr": np.arange(61), "y": LABELS}
    yield "a sparse matrix, as AnnData has it", hdf5(**whole), "X/data: a sparse matrix"
    yield "netCDF's axes, columns before rows", netcdf(("n", "x", "y")), "--transpose"
    yield "arrays of variable length", lists_of_hdf5, "x_train: arrays of variable length"


def lists_of_hdf5(folder):
    """Write a dataset whose elements are arrays."""
    import h5py

    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("x_train", (len(X),), h5py.vlen_dtype(np.uint8))[:] = [*X]
        file["y_train"] = LABELS
    return folder / "a.h5"


def matlab(name="savemat", **arrays):
    """Write variables with SciPy."""

    def write(folder):
        from scipy.io import savemat

        savemat(folder / "a.mat", arrays, do_compression=name == "packed", format="4" if name == "version 4" else "5")
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
    yield "truth values with a single 1", "scipy", matlab(X=last, y=np.eye(10)[LABELS] > 0), {}, None, ("one-hot",)
    yield (
        "labels from 1 to 10, 10 for 0, as SVHN has them",
        "scipy",
        matlab(X=last, y=ten),
        {"first_label": 1, "classes": ("1", "2", "3", "4", "5", "6", "7", "8", "9", "0")},
        (X, (LABELS + 9) % 10),
    )
    version_4 = matlab("version 4", X=X.astype(float), y=LABELS.astype(float))
    yield "version 4, rows of pixels", "scipy", version_4, {"transpose": False}, None, ("pixel-order",)
    yield "labels in a cell array of text", "scipy", matlab(X=last, y=NAMED.astype(object)), {}, OF_NAMES
    yield "labels that are lines of text", "scipy", matlab(X=last, y=NAMED), {}, OF_NAMES
    yield "version 7.3", "h5py", matlab_7(X=last, y=LABELS[:, None])


def wrong_matlab():
    """The rows of MATLAB that are refused, and words of the line."""
    last = IMAGES.transpose(1, 2, 0)
    yield "labels in a cell array of numbers", matlab(X=last, y=LABELS.astype(object)), "found a cell array"
    yield "a sparse matrix", sparse_matlab, "X: not an array of numbers"


def sparse_matlab(folder):
    """Write a sparse matrix."""
    from scipy.sparse import csc_matrix

    return matlab(X=csc_matrix(X.astype(float)), y=LABELS)(folder)


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
    fractions = tiffs(by_tifffile(lambda image: (image / 255).astype(np.float32)))
    yield "floats from 0 to 1", "tifffile", fractions, ("unit-pixels",)
    yield "32 bits", "tifffile", tiffs(by_tifffile(lambda image: image.astype(np.int32)))
    yield "32 bits without a sign", "tifffile", tiffs(by_tifffile(lambda image: image.astype(np.uint32)))
    for bits in (16, 32, 64):
        fractions = tiffs(by_tifffile(lambda image, bits=bits: (image / 255).astype(f"f{bits // 8}"), **PACKED))
        yield f"floats of {bits} bits, big-endian, packed", "tifffile", fractions, ("unit-pixels",)


def cases():
    """All rows of this page."""
    pages = [
        *((HDF5, what, "h5py", *rest) for what, *rest in of_hdf5()),
        *((MATLAB, *row) for row in of_matlab()),
        *((TIFF, what, by, write, {}, by_class(), *codes) for what, by, write, *codes in of_tiff()),
    ]
    for group, what, by, write, *rest in pages:
        reading, expected, codes = (*rest, *({}, None, ())[len(rest) :])
        yield Case(group, what, by, write, reading, expected, codes=codes)
    rows = np.column_stack([X, LABELS])
    yield Case(
        MATLAB, "rows of pixels, stored by row or by column", "scipy", matlab(X=X, y=LABELS), refused="transpose"
    )
    yield Case(HDF5, "no images", "h5py", hdf5(weights=rows), refused="no array")
    for group, by, made in ((HDF5, "h5py", wrong_hdf5), (MATLAB, "scipy", wrong_matlab)):
        yield from (Case(group, what, by, write, refused=words) for what, write, words in made())
