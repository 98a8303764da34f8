"""Lines of text that are no CSV: ARFF and libsvm."""

import numpy as np

from tests.campaigns.data import CLASSES, LABELS, WORDS, Case, X
from tests.campaigns.data.tables import NAMED, NAMES

ARFF, LIBSVM = "ARFF", "libsvm text"
DIGITS = LABELS.tolist()


def libsvm(x=X, labels=LABELS, **options):
    """Write with scikit-learn."""

    def write(folder):
        from sklearn.datasets import dump_svmlight_file

        dump_svmlight_file(x.astype(float), labels, str(folder / "a.txt"), **options)
        return folder / "a.txt"

    return write


def as_lines(change, end="\n"):
    """Write lines of libsvm's text by hand."""

    def write(folder):
        rows = [[(n + 1, v) for n, v in enumerate(row) if v] for row in X.tolist()]
        lines = [change(label, row) for label, row in zip(LABELS.tolist(), rows, strict=True)]
        (folder / "a.txt").write_bytes(end.join([*lines, ""]).encode())
        return folder / "a.txt"

    return write


def line(label, row, before="", between=" ", after=""):
    """A line of libsvm's text."""
    return between.join([f"{label}{before}", *(f"{n}:{v}" for n, v in row)]) + after


def of_libsvm():
    """The rows of libsvm's text."""
    square, first = {"flat": (28, 28)}, {"flat": (28, 28), "first_index": 1}
    unit = ("unit-pixels",)
    yield "numbered from 1", "sklearn", libsvm(zero_based=False), square, None, ("first-index",)
    yield "numbered from 0", "sklearn", libsvm(zero_based=True), {"first_index": 0, **square}
    yield (
        "numbered from 1, as a comment says",
        "sklearn",
        libsvm(zero_based=False, comment="digits"),
        square,
        None,
        ("first-index",),
    )
    yield "floats from 0 to 1", "sklearn", libsvm(X / 255, zero_based=False), first, None, unit
    yield "a scikit-learn file of a sparse matrix with explicit zeros", "sklearn+scipy", explicit, first
    yield "comments behind the lines", "", as_lines(lambda *each: line(*each, after=" # an image")), first
    yield "tabs, Windows' ends of lines", "", as_lines(lambda *each: line(*each, between="\t"), "\r\n"), first
    yield "labels as floats: 7.0", "", as_lines(lambda *each: line(*each, before=".0")), first
    yield "labels with a sign: +7", "", as_lines(lambda label, row: line(f"+{label}", row)), first
    yield (
        "labels of -1 and 1",
        "",
        as_lines(lambda label, row: line(1 if label > 4 else -1, row)),
        {**first, "classes": ("0", "1")},
        (X, (LABELS > 4).astype(int)),
        ("signed-labels",),
    )


def wrong_libsvm():
    """The rows of libsvm's text that are refused, and words of the line."""
    yield "numbers of pixels that do not ascend", as_lines(lambda label, row: line(label, row[::-1])), "do not ascend"
    yield "a pixel twice", as_lines(lambda label, row: line(label, [*row, row[-1]])), "do not ascend"
    yield "queries of a ranking", as_lines(lambda *each: line(*each, before=" qid:1")), "a query of a ranking"
    yield "several labels", as_lines(lambda *each: line(*each, before=",3")), "not a label"
    yield "labels that are names", as_lines(lambda label, row: line(WORDS[label], row)), "not a label"


def explicit(folder):
    """Write a sparse matrix that stores each pixel, also if it is 0."""
    from scipy.sparse import csr_matrix
    from sklearn.datasets import dump_svmlight_file

    starts = np.arange(0, X.size + 1, 784)
    matrix = csr_matrix((X.ravel().astype(float), np.tile(np.arange(784), len(X)), starts), shape=X.shape)
    dump_svmlight_file(matrix, LABELS, str(folder / "a.txt"), zero_based=False)
    return folder / "a.txt"


def arff_of(kind, values=DIGITS, sparse=False):
    """Write labels of another kind with liac-arff; sparse lines leave out the first name of the header."""

    def write(folder):
        import arff as liac

        rows = [[*row, value] for row, value in zip(X.tolist(), values, strict=True)]
        if sparse:
            rows = [{n: value for n, value in enumerate(row) if value not in (0, kind[0])} for row in rows]
        attributes = [(name, "INTEGER") for name in NAMES] + [("class", kind)]
        with open(folder / "a.arff", "w") as file:
            liac.dump({"relation": "digits", "attributes": attributes, "data": rows}, file)
        return folder / "a.arff"

    return write


def of_arff():
    """The rows of ARFF."""
    named, odd = NAMED.tolist(), [f"the {word}'s, 1" for word in WORDS]
    yield "dense, as OpenML has MNIST", arff()
    yield "sparse", arff(sparse=True)
    yield "labels that are numbers", arff_of("REAL")
    yield "names of classes, in the order of the header", arff_of(list(WORDS), named)
    yield "the same in another order", arff_of(list(WORDS[::-1]), named), (X, 9 - LABELS)
    yield "names, sparse: the first of the header is left out", arff_of(list(WORDS), named, True)
    yield "the same in another order", arff_of(list(WORDS[::-1]), named, True), (X, 9 - LABELS)
    yield "digits in another order, sparse", arff_of(list(CLASSES[::-1]), list(map(str, LABELS)), True)
    yield "names in quotes, with commas and apostrophes", arff_of(odd, [odd[label] for label in LABELS])


def wrong_arff():
    """The rows of ARFF that are refused, and words of the line."""
    named = [None if number == 7 else name for number, name in enumerate(NAMED.tolist())]
    yield "a label is missing", arff_of(list(WORDS), named), "not a class of the header"
    yield "labels of type string", arff_of("STRING", NAMED.tolist()), "a column that is not read"


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
        *((ARFF, what, "arff", write, {}, *rest) for what, write, *rest in of_arff()),
        *((LIBSVM, *row) for row in of_libsvm()),
    ]
    for group, what, by, write, *rest in pages:
        reading, expected, codes = (*rest, *({}, None, ())[len(rest) :])
        yield Case(group, what, by, write, reading, expected, codes=codes)
    for what, write, words in wrong_arff():
        yield Case(ARFF, what, "arff", write, refused=words)
    for what, write, words in wrong_libsvm():
        yield Case(LIBSVM, what, "", write, {"flat": (28, 28), "first_index": 1}, refused=words)
