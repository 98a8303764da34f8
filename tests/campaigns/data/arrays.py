"""IDX files, and arrays of NumPy."""

import gzip

import numpy as np

from tests.campaigns.data import BY_NAME, IMAGES, LABELS, WORDS, Case, X

IDX, NUMPY = "IDX", "Arrays of NumPy"
NAMED = np.array(WORDS)[LABELS]
TYPES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx(array, kind="u1"):
    """The bytes of an array as IDX's description says."""
    head = bytes((0, 0, TYPES[kind], array.ndim)) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return head + array.astype(">" + kind).tobytes()


def in_folder(files):
    """Write files into a folder, and return the folder."""

    def write(folder):
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return folder

    return write


def pair(images=IMAGES, labels=LABELS, kind="u1", pack=bytes, suffix=""):
    """The training files of MNIST."""
    return {
        f"train-images-idx3-ubyte{suffix}": pack(idx(images, kind)),
        f"train-labels-idx1-ubyte{suffix}": pack(idx(labels)),
    }


def one_of(files, name):
    """Write files, and return one of them."""

    def write(folder):
        in_folder(files)(folder)
        return folder / name

    return write


def members(content):
    """Gzip of two members."""
    return gzip.compress(content[:1000]) + gzip.compress(content[1000:])


QMNIST = np.column_stack([LABELS, np.arange(60 * 7).reshape(60, 7)])


def of_idx():
    """The rows of IDX."""
    yield "a folder with MNIST's names", in_folder(pair())
    yield "the same, packed by gzip", in_folder(pair(pack=gzip.compress, suffix=".gz"))
    yield "gzip of several members", in_folder(pair(pack=members, suffix=".gz"))
    yield "the images alone, the labels beside them", one_of(pair(), "train-images-idx3-ubyte")
    yield (
        "names with dots: train-images.idx3-ubyte",
        in_folder({name.replace("-idx", ".idx"): each for name, each in pair().items()}),
    )
    yield (
        "gzip whose name does not say so",
        one_of(pair(pack=gzip.compress), "train-images-idx3-ubyte"),
        {},
        None,
        ("gzip-name",),
    )
    for kind, name in (
        ("i2", "16-bit"),
        ("i4", "32-bit"),
        ("f4", "32-bit floating-point"),
        ("f8", "64-bit floating-point"),
    ):
        yield f"{name} numbers", in_folder(pair(kind=kind))
    yield (
        "QMNIST's labels, eight numbers for an image",
        in_folder({"qmnist-train-images-idx3-ubyte": idx(IMAGES), "qmnist-train-labels-idx2-int": idx(QMNIST, "i4")}),
        {},
        None,
        ("qmnist",),
    )
    yield (
        "EMNIST, stored column by column",
        in_folder(
            {
                name.replace("train", "emnist-digits-train"): each
                for name, each in pair(IMAGES.transpose(0, 2, 1)).items()
            }
        ),
        {"transpose": True},
    )
    yield (
        "the same without the option",
        one_of(
            {
                name.replace("train", "emnist-digits-train"): each
                for name, each in pair(IMAGES.transpose(0, 2, 1)).items()
            },
            "emnist-digits-train-images-idx3-ubyte",
        ),
        {},
        None,
        ("transpose-name",),
    )


def npz(save=np.savez, **arrays):
    """Write an archive."""

    def write(folder):
        save(folder / "a.npz", **arrays)
        return folder / "a.npz"

    return write


def npy(x, labels, order="C"):
    """Write two arrays as files."""

    def write(folder):
        np.save(folder / "x_train.npy", np.asarray(x, order=order))
        np.save(folder / "y_train.npy", labels)
        return folder / "x_train.npy"

    return write


def of_numpy():
    """The rows of arrays."""
    half, (a, b) = 30, ("x_train", "y_train")
    inked = np.concatenate([np.full_like(np.repeat(IMAGES[..., None], 3, axis=3), 255), IMAGES[..., None]], axis=3)
    x3, stored = np.repeat(IMAGES[..., None], 3, axis=3), np.eye(10)[LABELS]
    yield (
        "x_train, y_train, x_test, y_test",
        npz(x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:half], y_test=LABELS[:half]),
    )
    yield "the same, compressed", npz(np.savez_compressed, x_train=IMAGES, y_train=LABELS)
    for names in (
        ("X", "y"),
        ("x", "y"),
        ("data", "target"),
        ("images", "labels"),
        ("X_train", "Y_train"),
        ("train_images", "train_labels"),
    ):
        yield f"{names[0]}, {names[1]}", npz(**{names[0]: IMAGES, names[1]: LABELS})
    yield (
        "MedMNIST: train_images, val_images, test_images with labels (n, 1)",
        npz(
            **{
                f"{part}_{kind}": array
                for part in ("train", "val", "test")
                for kind, array in (("images", IMAGES), ("labels", LABELS[:, None]))
            }
        ),
        {},
        None,
        ("not-used",),
    )
    yield "arrays that are not named: images, labels", npz(arr_0=IMAGES, arr_1=LABELS)
    yield "labels that are text", npz(**{a: IMAGES, b: NAMED}), {}, (X, BY_NAME[LABELS])
    yield "labels that are bytes", npz(**{a: IMAGES, b: NAMED.astype("S")}), {}, (X, BY_NAME[LABELS])
    yield "one image a row", npz(**{a: X, b: LABELS})
    yield "(n, 1, 28, 28)", npz(**{a: IMAGES[:, None], b: LABELS})
    yield "(n, 28, 28, 1)", npz(**{a: IMAGES[..., None], b: LABELS})
    yield "(n, 28, 28, 3), grey stored as colour", npz(**{a: x3, b: LABELS})
    yield "floats from 0 to 1", npz(**{a: (IMAGES / 255).astype(np.float32), b: LABELS}), {}, None, ("unit-pixels",)
    yield "floats from -1 to 1", npz(**{a: IMAGES / 127.5 - 1, b: LABELS}), {}, None, ("unit-pixels",)
    yield "floats from 0 to 255", npz(**{a: IMAGES.astype(float), b: LABELS})
    yield "int64", npz(**{a: IMAGES.astype(np.int64), b: LABELS})
    yield "big-endian int32", npz(**{a: IMAGES.astype(">i4"), b: LABELS})
    yield "truth values", npz(**{a: IMAGES > 127, b: LABELS}), {}, ((X > 127).astype(np.uint8) * 255, LABELS)
    yield "one-hot labels", npz(**{a: IMAGES, b: stored}), {}, None, ("one-hot",)
    yield "labels as 16-bit floats", npz(**{a: IMAGES, b: LABELS.astype(np.float16)})
    yield "one-hot truth values", npz(**{a: IMAGES, b: stored > 0}), {}, None, ("one-hot",)
    yield (
        "a test set whose labels are one-hot, those of training not",
        npz(x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:half], y_test=stored[:half]),
        {},
        None,
        ("one-hot",),
    )
    yield "(n, 3, 28, 28), grey stored as colour", npz(**{a: np.moveaxis(x3, 3, 1), b: LABELS})
    yield "(n, 28, 28, 4), white ink in the alpha channel", npz(**{a: inked, b: LABELS})
    yield "labels as floats", npz(**{a: IMAGES, b: LABELS.astype(np.float32)})
    yield "x_train.npy beside y_train.npy", npy(IMAGES, LABELS)
    more = {"x_extra": IMAGES[:9], "y_extra": LABELS[:9]}
    yield "arrays that are not used beside them", npz(x_train=IMAGES, y_train=LABELS, **more), {}, None, ("not-used",)
    yield "in Fortran's order", npy(IMAGES, LABELS, "F")


def of_planes():
    """The rows of arrays to predict that may be one picture in colours, or several in grey."""
    alike = np.repeat(IMAGES[:1], 3, axis=0)
    apart = np.stack([IMAGES[3], np.roll(IMAGES[4], 14, axis=0), np.roll(IMAGES[5], 14, axis=1)])
    one, three = (X[:1], None, (28, 28)), (apart.reshape(3, -1), None, (28, 28))
    doubt, last = "one picture in colours, or several in grey", np.moveaxis(IMAGES[:3], 0, -1)
    yield "(3, 28, 28) to predict, planes that are alike: one picture in colours", alike, one
    yield "(28, 28, 3) to predict, planes that are alike: one picture in colours", np.moveaxis(alike, 0, -1), one
    yield "(3, 28, 28) to predict, planes that are not: three pictures in grey", apart, three
    yield "(28, 28) to predict: one picture", IMAGES[0], one
    yield "(1, 28, 28, 3) to predict", np.moveaxis(alike, 0, -1)[None], one
    yield "(3, 28, 28) to predict, in doubt", IMAGES[:3], doubt
    yield "(28, 28, 3) to predict, in doubt", last, doubt


def wrong():
    """The rows that are refused, and words of the line."""
    odd = np.empty(60, object)
    odd[:] = list(IMAGES)
    yield IDX, "a label too few", in_folder(pair(labels=LABELS[:-1])), "60"
    yield IDX, "cut in its midst", in_folder({name: each[:-9] for name, each in pair().items()}), "expected"
    yield IDX, "rows of 784 pixels", in_folder(pair(images=X)), "store images as (n, height, width)"
    yield IDX, "labels alone", one_of(pair(), "train-labels-idx1-ubyte"), "train-labels"
    yield NUMPY, "an array of objects: a pickle", npz(x_train=odd, y_train=LABELS), "object"
    yield NUMPY, "floats from -2 to 2", npz(x_train=IMAGES / 63.75 - 2, y_train=LABELS), "value out of range"
    yield NUMPY, "labels that are objects", npz(x_train=IMAGES, y_train=NAMED.astype(object)), "pickled objects"
    yield NUMPY, "a label of NaN", npz(x_train=IMAGES, y_train=np.where(LABELS == 3, np.nan, LABELS)), "found nan"
    yield NUMPY, "labels of -1 and 1", npz(x_train=IMAGES, y_train=np.where(LABELS > 4, 1, -1)), "value out of range"
    yield NUMPY, "one row of labels", npz(x_train=IMAGES, y_train=LABELS[None]), "y_train: no labels"
    fewer = np.eye(9)[LABELS[LABELS < 9]]
    lacking = npz(x_train=IMAGES, y_train=np.eye(10)[LABELS], x_test=IMAGES[LABELS < 9], y_test=fewer)
    yield NUMPY, "one-hot labels of a test set without a column for one class", lacking, "y_test: one-hot labels"
    yield (
        NUMPY,
        "(n, 3, 28, 3): channels first or last",
        npz(x_train=np.zeros((60, 3, 28, 3)), y_train=LABELS),
        "the axis of the channels",
    )
    yield NUMPY, "images without labels", npz(x_train=IMAGES), "labels missing"
    yield NUMPY, "complex numbers", npz(x_train=IMAGES.astype(complex), y_train=LABELS), "complex"


def cases():
    """All rows of this page."""
    found = [(IDX, "", *row) for row in of_idx()] + [(NUMPY, "numpy", *row) for row in of_numpy()]
    bad = [
        Case(group, what, "numpy" if group == NUMPY else "", write, refused=words)
        for group, what, write, words in wrong()
    ]
    for group in (IDX, NUMPY):
        for _, by, what, write, *rest in (row for row in found if row[0] == group):
            reading, expected, codes = (*rest, *({}, None, ())[len(rest) :])
            yield Case(group, what, by, write, reading, expected, codes=codes)
        yield from (case for case in bad if case.group == group)
    for what, array, right in of_planes():
        told = {"refused": right} if isinstance(right, str) else {"expected": right}
        yield Case(NUMPY, what, "numpy", npz(x_test=array), images=True, **told)
