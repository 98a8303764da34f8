"""Tables of numbers as text."""

import bz2
import csv
import gzip
import io
import lzma
import zipfile

import numpy as np

from tests.campaigns.data import BY_NAME, IMAGES, LABELS, WORDS, Case, X

CSV = "CSV and other tables of numbers as text"
NAMES = [f"pixel{number}" for number in range(784)]
KAGGLE = np.column_stack([LABELS, X])
LAST = np.column_stack([X, LABELS])
PASSED = ("column-passed-over",)
NAMED, OF_NAMES = np.array(WORDS)[LABELS], (X, BY_NAME[LABELS])
SMALL = IMAGES[:, 6:22, 6:22].reshape(-1, 256)


def frame(label="label", at=0, names=NAMES, x=X, labels=LABELS):
    """A pandas frame with labels in column number `at`."""
    import pandas

    made = pandas.DataFrame(x, columns=names)
    made.insert(at if at >= 0 else len(names), label, labels)
    return made


def by_pandas(made=frame, name="a.csv", **options):
    """Write a frame with pandas."""

    def write(folder):
        made().to_csv(folder / name, **{"index": False, **options})
        return folder / name

    return write


def by_polars(made=frame, **options):
    """Write a frame with Polars."""

    def write(folder):
        import polars

        frame = made()
        polars.DataFrame({name: frame[name].to_numpy() for name in frame}).write_csv(folder / "a.csv", **options)
        return folder / "a.csv"

    return write


def by_savetxt(table, **options):
    """Write a table with numpy.savetxt."""

    def write(folder):
        np.savetxt(folder / "a.txt", table, **options)
        return folder / "a.txt"

    return write


def text(table=KAGGLE, header=True, end="\n", separator=","):
    """A table as text."""
    lines = [separator.join(["label", *NAMES])] if header else []
    lines += [separator.join(map(str, row)) for row in table.tolist()]
    return end.join(lines) + end


def as_text(content, name="a.csv", encoding="utf-8"):
    """Write text."""

    def write(folder):
        (folder / name).write_bytes(content.encode(encoding))
        return folder / name

    return write


def packed(pack, name):
    """Write Kaggle's table packed."""

    def write(folder):
        (folder / name).write_bytes(pack(text().encode()))
        return folder / name

    return write


def zipped(folder):
    """Write Kaggle's table into a ZIP archive, beside what macOS adds."""
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", text())
        archive.writestr("__MACOSX/._train.csv", b"\0\5\x16\7")
    return folder / "a.zip"


def quoted(folder):
    """Write every cell in quotes."""
    with open(folder / "a.csv", "w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["label", *NAMES], *KAGGLE.tolist()])
    return folder / "a.csv"


def as_r_writes(table, names, row_names):
    """A table as write.csv of R writes it: names in quotes, those of rows before them."""
    into = io.StringIO()
    into.write(",".join(f'"{name}"' for name in ([""] if row_names else []) + names) + "\n")
    for number, row in enumerate(table.tolist(), 1):
        into.write(",".join(([f'"{number}"'] if row_names else []) + list(map(str, row))) + "\n")
    return into.getvalue()


def spoiled(row, column, value):
    """Kaggle's table with another cell."""
    lines = text().split("\n")
    cells = lines[row].split(",")
    cells[column] = value
    lines[row] = ",".join(cells)
    return "\n".join(lines)


def read():
    """The rows that are read."""
    column = {"label_column": "last"}
    ones = np.where(X > 127, 1, 0)
    sixteenths = np.rint(IMAGES[:, 10:18, 10:18].reshape(-1, 64) / 255 * 16).astype(int)
    yield "as Kaggle's train.csv: a header, the label first", "pandas", by_pandas()
    yield "the label last, by its name", "pandas", by_pandas(lambda: frame(at=-1))
    for name in ("class", "target", "digit", "Label"):
        yield f"the label in a column `{name}`, last", "pandas", by_pandas(lambda name=name: frame(name, -1))
    yield "the label in the middle", "pandas", by_pandas(lambda: frame(at=300))
    yield "with the index, whose column has no name", "pandas", by_pandas(index=True), {}, None, PASSED
    yield "with an index named id", "pandas", by_pandas(index=True, index_label="id"), {}, None, PASSED
    yield "without a header, the label first", "pandas", by_pandas(header=False), {}, None, ("label-column",)
    yield (
        "without a header, the label last (UCI's way)",
        "pandas",
        by_pandas(lambda: frame(at=-1), header=False),
        {},
        None,
        ("label-column",),
    )
    yield (
        "columns without names: 0, 1, 2...",
        "pandas",
        by_pandas(lambda: frame("label", 0, [str(n) for n in range(784)])),
    )
    yield (
        "names 1x1, 1x2...",
        "pandas",
        by_pandas(lambda: frame("label", 0, [f"{r}x{c}" for r in range(1, 29) for c in range(1, 29)])),
    )
    yield (
        "names pixel_0_0, pixel_0_1...",
        "pandas",
        by_pandas(lambda: frame("label", 0, [f"pixel_{r}_{c}" for r in range(28) for c in range(28)])),
    )
    yield "semicolons", "pandas", by_pandas(sep=";"), {}, None, ("separator",)
    yield "a comma at the end of every line", "", as_text(text(end=",\n")), {}, None, ("column-passed-over",)
    yield "tabs", "pandas", by_pandas(sep="\t", name="a.tsv"), {}, None, ("separator",)
    yield "whole numbers as floats: 255.0", "pandas", by_pandas(lambda: frame(x=X.astype(float)))
    yield "floats from 0 to 1", "pandas", by_pandas(lambda: frame(x=X / 255)), {}, None, ("unit-pixels",)
    yield "exponents: 2.55e+02", "pandas", by_pandas(lambda: frame(x=X.astype(float)), float_format="%.2e")
    yield "gzip", "pandas", by_pandas(name="a.csv.gz")
    yield "bzip2", "pandas", by_pandas(name="a.csv.bz2")
    yield "xz", "pandas", by_pandas(name="a.csv.xz")
    yield "ZIP", "pandas", by_pandas(name="a.csv.zip")
    yield "Windows' ends of lines", "pandas", by_pandas(lineterminator="\r\n")
    yield "UTF-8 with its mark", "pandas", by_pandas(encoding="utf-8-sig")
    yield "every cell in quotes", "", quoted
    yield "Kaggle's table", "polars", by_polars()
    yield (
        "tabs, Windows' ends of lines",
        "polars",
        by_polars(separator="\t", line_terminator="\r\n"),
        {},
        None,
        ("separator",),
    )
    yield "every cell in quotes", "polars", by_polars(quote_style="always")
    yield (
        "blanks between whole numbers, the label first",
        "numpy",
        by_savetxt(KAGGLE, fmt="%d"),
        {},
        None,
        ("separator", "label-column"),
    )
    yield (
        "numbers in 24 characters, the label last",
        "numpy",
        by_savetxt(LAST, delimiter=","),
        {},
        None,
        ("label-column",),
    )
    named = by_savetxt(KAGGLE, fmt="%d", delimiter=",", header=",".join(["label", *NAMES]))
    yield "names behind #, as numpy.savetxt writes them", "numpy", named
    yield "blanks to a width", "numpy", by_savetxt(KAGGLE, fmt="%4d"), {}, None, ("separator", "label-column")
    yield (
        "write.csv of R, with names of rows",
        "",
        as_text(as_r_writes(KAGGLE, ["label", *NAMES], True)),
        {},
        None,
        PASSED,
    )
    yield "write.csv of R, row.names = FALSE", "", as_text(as_r_writes(KAGGLE, ["label", *NAMES], False))
    yield "blank lines before, between and after", "", as_text("\n\n" + text().replace("\n", "\n\n", 3) + "\n\n")
    yield "old Macintosh's ends of lines", "", as_text(text(end="\r"))
    yield "a ZIP archive from macOS", "", zipped
    yield (
        "gzip of two members",
        "",
        packed(lambda content: gzip.compress(content[:9000]) + gzip.compress(content[9000:]), "a.csv.gz"),
    )
    yield "bzip2, by its content alone", "", packed(bz2.compress, "a.csv")
    yield (
        "8x8 pixels from 0 to 16, the label last: UCI's optdigits",
        "numpy",
        by_savetxt(np.column_stack([sixteenths, LABELS]), fmt="%d", delimiter=","),
        {"pixel_max": 16, **column},
        (np.rint(sixteenths * 255 / 16).astype(np.uint8), LABELS),
    )
    yield (
        "0 and 1",
        "pandas",
        by_pandas(lambda: frame(x=ones)),
        {"pixel_max": "auto"},
        (ones.astype(np.uint8) * 255, LABELS),
        ("pixel-max",),
    )
    yield "dark ink on light paper", "pandas", by_pandas(lambda: frame(x=255 - X)), {}, None, ("dark-ink",)
    yield (
        "stored column by column",
        "pandas",
        by_pandas(lambda: frame(x=IMAGES.transpose(0, 2, 1).reshape(-1, 784))),
        {"transpose": True},
    )
    for what, at in (("first", 0), ("last", -1)):
        yield (
            f"labels that are names, {what}",
            "pandas",
            by_pandas(lambda at=at: frame(at=at, labels=NAMED)),
            {},
            OF_NAMES,
        )
    yield (
        "labels that are names, without a header",
        "pandas",
        by_pandas(lambda: frame(labels=NAMED), header=False),
        {},
        OF_NAMES,
    )
    yield (
        "labels that are names, every cell in quotes",
        "polars",
        by_polars(lambda: frame(labels=NAMED), quote_style="always"),
        {},
        OF_NAMES,
    )
    yield (
        "labels that are names, in the order of a model",
        "pandas",
        by_pandas(lambda: frame(labels=NAMED)),
        {"classes": WORDS},
    )
    yield (
        "labels that are numbers in quotes",
        "polars",
        by_polars(lambda: frame(labels=LABELS.astype(str)), quote_style="non_numeric"),
    )
    yield "labels as floats: 7.0", "pandas", by_pandas(lambda: frame(labels=LABELS.astype(float)))
    yield "labels from 1", "pandas", by_pandas(lambda: frame(labels=LABELS + 1)), {"first_label": 1}
    yield (
        "16x16 pixels",
        "pandas",
        by_pandas(lambda: frame(names=[f"pixel{n}" for n in range(256)], x=SMALL)),
        {},
        (SMALL, LABELS),
    )


def refused():
    """The rows that are refused, and words of the line."""
    one_less = [None if number == 7 else name for number, name in enumerate(NAMED.tolist())]
    some, few = (np.column_stack([X[:, :number], LABELS]) for number in (17, 16))
    yield "decimal commas", "pandas", by_pandas(lambda: frame(x=X / 255), sep=";", decimal=","), "a decimal comma"
    yield "UTF-16", "pandas", by_pandas(encoding="utf-16"), "UTF-16 text"
    yield (
        "the first image made the header",
        "polars",
        lambda folder: _again(folder, "polars"),
        "the header is made of the first image",
    )
    yield (
        "the first image made the header",
        "pandas",
        lambda folder: _again(folder, "pandas"),
        "the header is made of the first image",
    )
    yield "a pixel of 256", "", as_text(spoiled(3, 5, "256")), "line 4, column 6: not a pixel"
    yield "a pixel of -1", "", as_text(spoiled(3, 5, "-1")), "line 4, column 6: not a pixel"
    yield "an empty cell", "", as_text(spoiled(3, 5, "")), "line 4, column 6: not a pixel"
    yield "NaN", "", as_text(spoiled(3, 5, "nan")), "line 4, column 6: not a pixel"
    yield "a label of 3.5", "", as_text(spoiled(3, 0, "3.5")), "line 4, column 1: not a label"
    yield (
        "xz of the old kind",
        "",
        packed(lambda content: lzma.compress(content, lzma.FORMAT_ALONE), "a.csv.lzma"),
        "unknown kind of file",
    )
    yield "one cell too few", "", as_text(_shortened()), "line 2: wrong number of fields"
    yield (
        "17 columns of measurements",
        "numpy",
        by_savetxt(some, fmt="%d", delimiter=","),
        "no column is sure to be the labels",
    )
    yield "16 columns of measurements", "numpy", by_savetxt(few, fmt="%d", delimiter=","), "--label-column"
    yield "two columns of one name", "", as_text(text().replace("pixel1,", "pixel0,", 1)), "column named twice"
    yield (
        "cut in the midst of a packed file",
        "",
        packed(lambda content: gzip.compress(content)[:-20], "a.csv.gz"),
        "gzip",
    )
    yield "a label is missing among names", "pandas", by_pandas(lambda: frame(labels=one_less)), "a label is missing"
    yield "names among labels that are numbers", "", as_text(spoiled(3, 0, "three")), "line 4, column 1: not a label"
    yield (
        "names that are as many as the rows",
        "pandas",
        by_pandas(lambda: frame(labels=[f"image {n}" for n in range(60)])),
        "names that hardly ever occur twice",
    )
    yield "labels above the classes", "pandas", by_pandas(lambda: frame(labels=LABELS + 1)), "label out of range"


def _shortened():
    first, second, rest = text().split("\n", 2)
    return "\n".join([first, second.rpartition(",")[0], rest])


def _again(folder, library):
    """Read Kaggle's table without saying that it has no header, and write it again."""
    (folder / "b.csv").write_text(text(header=False))
    if library == "pandas":
        import pandas

        pandas.read_csv(folder / "b.csv").to_csv(folder / "a.csv", index=False)
    else:
        import polars

        polars.read_csv(folder / "b.csv").write_csv(folder / "a.csv")
    return folder / "a.csv"


def cases():
    """All rows of this page."""
    for what, by, write, *rest in read():
        reading, expected, codes = (*rest, *({}, None, ())[len(rest) :])
        yield Case(CSV, what, by, write, reading, expected, codes=codes)
    for what, by, write, words in refused():
        yield Case(CSV, what, by, write, refused=words)
