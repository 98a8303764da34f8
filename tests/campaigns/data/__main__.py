"""Write docs/data.md: `python -m tests.campaigns.data`. The exit code is 1 if a row is wrong or cannot be made here."""

import sys
import tempfile
from collections import Counter
from importlib import metadata
from itertools import groupby
from pathlib import Path

from tests.campaigns.data import cases, run

PAGE = Path(__file__).resolve().parents[3] / "docs" / "data.md"
HEAD = """# Data that fnnet reads, and what it says of other data

Every row is a small file, written by the library that is named, which fnnet read when this page was made: {read} are
read to the right bytes, {refused} are refused in one line. `python -m tests.campaigns.data` makes the page;
`tests/data/test_table.py` runs every row. Pictures of lossy formats have the bytes that Pillow gives, with blank pixels
blank again. A row names the options that it needs; notes are lines on standard error, and in the JSON under `notes`.
Classes that have names are in natural order, in class folders and in columns of text: 2 before 10, k2 before k10 (as
text, k10 would be before k2: so torchvision and Keras number them).

{versions}
"""
DISTRIBUTIONS = {"PIL": "Pillow", "sklearn": "scikit-learn", "arff": "liac-arff"}
OPTIONS = {
    "label_column": "--label-column", "pixel_max": "--pixel-max", "transpose": "--transpose", "image": "--image",
    "first_label": "--first-label", "classes": "--classes", "ink": "--ink", "size": "--size",
    "first_index": "--first-index", "flat": "--image-size",
}  # fmt: skip


def shown(reading):
    """The options of a row."""
    return " ".join(f"`{' '.join(_typed(*each))}`" for each in reading.items())


def _typed(name, value):
    """An option as it is typed."""
    if name == "classes" and not all(each.isdecimal() for each in value):
        return "--class-names", ",".join(value)
    value = "x".join(map(str, value)) if name == "flat" else len(value) if name == "classes" else value
    return (OPTIONS.get(name, name),) if value is True else (OPTIONS.get(name, name), str(value))


def version(name):
    """Name and version of a library."""
    distribution = DISTRIBUTIONS.get(name, name)
    return f"{distribution} {metadata.version(distribution)}"


def main():
    """Run every row, write the page, and return the number of rows that are wrong."""
    rows = cases()
    groups = list(dict.fromkeys(case.group for case in rows))
    rows.sort(key=lambda case: groups.index(case.group))
    lines, counts, libraries, wrong = [], Counter(), set(), 0
    for group, under in groupby(rows, lambda case: case.group):
        lines += [f"## {group}", "", "| variant | written by | options | what fnnet does |", "|---|---|---|---|"]
        for case in under:
            if case.missing:
                print(f"{group}: {case.what}: needs {case.missing}", file=sys.stderr)
                wrong += 1
                continue
            with tempfile.TemporaryDirectory() as folder:
                outcome = run(case, Path(folder))
            if not outcome.right:
                print(f"{group}: {case.what}: {outcome.text}", file=sys.stderr)
                wrong += 1
            counts["refused" if case.refused else "read"] += 1
            names = [name for name in case.by.split("+") if name]
            libraries.update(names)
            by = ", ".join(DISTRIBUTIONS.get(name, name) for name in names) or "its description"
            lines.append(f"| {case.what} | {by} | {shown(case.reading)} | {outcome.text} |")
        lines.append("")
    versions = ", ".join(sorted(map(version, libraries), key=str.lower)) + "."
    PAGE.write_text(HEAD.format(**counts, versions=versions) + "\n" + "\n".join(lines))
    print(f"{counts['read']} rows read, {counts['refused']} refused, {wrong} wrong: {PAGE.name}")
    return wrong


if __name__ == "__main__":
    sys.exit(bool(main()))
