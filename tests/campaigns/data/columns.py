"""Columns: Parquet and Arrow."""

import io
import json

import numpy as np

from tests.campaigns.data import IMAGES, LABELS, WORDS, Case, X
from tests.campaigns.data.tables import NAMED, NAMES, OF_NAMES, frame

COLUMNS = "Parquet and Arrow"
HALF = 30


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


def hub(folder, numbers=LABELS, classes=WORDS, name="train-00000-of-00001.parquet", rows=slice(None)):
    """Write packed pictures and the names of their classes, as hubs describe them."""
    from pyarrow import parquet

    features = {"image": {"_type": "Image"}, "label": {"names": list(classes), "_type": "ClassLabel"}}
    described = {"huggingface": json.dumps({"info": {"features": features}})}
    table = of_hub()
    table = table.set_column(1, "label", [numbers]).slice(rows.start or 0, rows.stop and rows.stop - (rows.start or 0))
    parquet.write_table(table.replace_schema_metadata(described), folder / name)
    return folder / name


def in_pieces(folder):
    """Write two pieces of a part."""
    hub(folder, name="train-00001-of-00002.parquet", rows=slice(HALF, 60))
    return hub(folder, name="train-00000-of-00002.parquet", rows=slice(0, HALF))


def with_test(classes, numbers):
    """Write a part for training and one for test, whose classes are numbered otherwise."""

    def write(folder):
        hub(folder, numbers, classes, "test-00000-of-00001.parquet")
        return hub(folder)

    return write


def tested_by_name(path, found):
    """What is right if the test images are those of training, and so their labels."""
    right = found.test is not None and np.array_equal(found.test.labels, LABELS)
    return (X, LABELS) if right else (X[:0], LABELS[:0])


def labelled(change, image=lists):
    """A table of images with other labels."""
    import pyarrow

    return lambda: image().set_column(1, "label", [change(pyarrow)])


def of_ray(about, x=X):
    """Tensors as Ray writes them: lists, and a type that pyarrow does not know."""
    import pyarrow

    told = {b"ARROW:extension:name": b"ray.data.arrow_tensor", b"ARROW:extension:metadata": about}
    cells = pyarrow.array([*x])
    schema = pyarrow.schema([("image", cells.type), ("label", pyarrow.int64())])
    return pyarrow.table([cells, LABELS], schema=schema.set(0, schema.field(0).with_metadata(told)))


def tensors():
    """Tensors of a fixed shape."""
    import pyarrow

    return pyarrow.table({"image": pyarrow.FixedShapeTensorArray.from_numpy_ndarray(IMAGES.copy()), "label": LABELS})


def in_categories(folder):
    """Write a frame of pandas whose labels are categories, in an order of their own."""
    import pandas

    made = frame(labels=pandas.Categorical(NAMED, categories=WORDS[::-1], ordered=True))
    made.to_parquet(folder / "a.parquet")
    return folder / "a.parquet"


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
    said = {}, None, ("pieces",)
    yield "Parquet in two pieces, names of classes as model hubs describe them", "pyarrow+PIL", in_pieces, *said
    yield "Parquet, the test set numbers the classes alike", "pyarrow+PIL", with_test(WORDS, LABELS), {}, tested_by_name
    yield (
        "Parquet, the test set numbers the classes in another order",
        "pyarrow+PIL",
        with_test(WORDS[::-1], 9 - LABELS),
        {},
        tested_by_name,
    )
    yield "Parquet, tensors of a fixed shape", "pyarrow", in_columns("parquet", tensors)
    yield "Parquet, tensors of Ray with their shape", "pyarrow", in_columns("parquet", lambda: of_ray(b"[28, 28]"))
    yield (
        "Parquet, tensors of Ray without their shape",
        "pyarrow",
        in_columns("parquet", lambda: of_ray(b"\x80\4")),
        {"flat": (28, 28)},
    )
    for what, change in (
        ("text", lambda arrow: arrow.array(NAMED.tolist())),
        ("text in a dictionary", lambda arrow: arrow.array(NAMED.tolist()).dictionary_encode()),
        ("bytes", lambda arrow: arrow.array([name.encode() for name in NAMED.tolist()])),
    ):
        yield (
            f"Parquet, labels that are {what}",
            "pyarrow",
            in_columns("parquet", lambda change=change: labelled(change)()),
            {},
            OF_NAMES,
        )
    yield "Parquet by pandas, labels that are categories", "pandas+pyarrow", in_categories, {}, OF_NAMES
    yield (
        "Feather, labels that are categories of numbers",
        "pyarrow",
        in_columns("feather", lambda: labelled(lambda arrow: arrow.array(LABELS).dictionary_encode())()),
    )
    yield "Feather", "pyarrow", in_columns("feather", wide)
    yield "Feather, packed by lz4", "pyarrow", in_columns("feather", wide, compression="lz4")
    yield "an Arrow stream, PNG as model hubs store them", "pyarrow+PIL", in_columns("arrow", of_hub)


NONE = [None if number == 3 else label for number, label in enumerate(LABELS.tolist())]


def wrong_columns():
    """The rows of Parquet that are refused, and words of the line."""
    for what, change, words in (
        ("a label is null", lambda arrow: arrow.array(NONE), "row 4, column label: an empty cell"),
        ("labels of -1, as hubs have none", lambda arrow: arrow.array([-1] * 60), "value out of range"),
        ("lists with a single 1", lambda arrow: arrow.array(np.eye(10)[LABELS].tolist()), "label: not numbers"),
        ("pictures as labels", lambda arrow: arrow.array([b"\x89PNG"] * 60), "row 1, column label: not a label"),
    ):
        yield f"Parquet, {what}", "pyarrow", in_columns("parquet", lambda change=change: labelled(change)()), words
    yield (
        "Parquet, the test set names other classes",
        "pyarrow+PIL",
        with_test([*WORDS[:9], "ten"], LABELS),
        "classes of test and train differ",
    )
    yield (
        "Parquet, tensors of Ray without their shape",
        "pyarrow",
        in_columns("parquet", lambda: of_ray(b"\x80\4")),
        "tensors of an unknown shape",
    )


def cases():
    """All rows of this page."""
    for what, by, write, *rest in of_columns():
        reading, expected, codes = (*rest, *({}, None, ())[len(rest) :])
        yield Case(COLUMNS, what, by, write, reading, expected, codes=codes)
    for what, by, write, words in wrong_columns():
        yield Case(COLUMNS, what, by, write, refused=words)
