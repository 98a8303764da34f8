"""Make the photos, and measure how many are read: `FNNET_DATA=... python -m bench.photos --model MODEL`.

python -m bench.photos --out DIR                    write all sets as files
python -m bench.photos --tune --model MODEL         measure on what may be tuned on
python -m bench.photos --only pages --count 30 ...  a part of one set
python -m bench.photos --semeion semeion.data ...   Semeion's digits too, as UCI has them
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import click

import fnnet
from bench.common import markdown_table
from bench.photos import measure, ranges
from bench.photos.nondigits import nondigit
from bench.photos.pages import page
from bench.photos.reading import WAYS
from bench.photos.scene import Picture
from bench.photos.singles import single
from bench.photos.source import Source, source
from fnnet.core.params import Array

Make = Callable[[Source, int], Picture]
SETS: Final[dict[str, tuple[int, Make]]] = {
    "singles": (ranges.SINGLES, single),
    "pages": (ranges.PAGES, page),
    "nondigits": (ranges.NONDIGITS, nondigit),
    "threshold": (ranges.THRESHOLD, lambda digits, number: single(digits, number, ranges.THRESHOLD)),
}
"""Name -> its number and how a picture of it is made; the last has the digits that set a threshold."""


def made(name: str, digits: Source, count: int | None) -> Iterator[Picture]:
    """Yield the pictures of a set; of some of its kinds as many as of all if only `count` are asked for."""
    which, make = SETS[name]
    whole = ranges.COUNTS[which]
    wanted = min(count or whole, whole)
    for i in range(wanted):
        # What is no digit comes in blocks of a kind: a part of it is spread over all.
        yield make(digits, i * whole // wanted if name == "nondigits" else i)


def write(name: str, pictures: Iterator[Picture], folder: Path) -> None:
    """Write a set as files: JPEGs, and labels.csv, or pages.json with boxes (top, left, height, width)."""
    folder.mkdir(parents=True)
    rows, pages = [("file", "label", "tags")], []
    for i, picture in enumerate(pictures):
        file = f"{i:04}.jpg"
        (folder / file).write_bytes(picture.shot.file())
        rows.append((file, " ".join(map(str, picture.labels)), " ".join(tag.replace(" ", "-") for tag in picture.tags)))
        pages.append({"file": file, "labels": picture.labels, "boxes": picture.boxes, "tags": picture.tags})
    if name == "pages":
        (folder / "pages.json").write_text(json.dumps(pages, indent=1) + "\n")
    else:
        with (folder / "labels.csv").open("w", newline="") as table:
            csv.writer(table).writerows(rows)


@click.command(help="Make photos of digits, and measure how many a model reads.")
@click.option("--tune", is_flag=True, help="What may be tuned on: other digits, seeds and fonts.")
@click.option("--only", type=click.Choice(["singles", "pages", "nondigits"]), help="One set.")
@click.option("--count", type=click.IntRange(1), help="So many pictures of each set; all by default.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write them to.")
@click.option("--model", type=click.Path(exists=True, dir_okay=False), help="Model that reads them.")
@click.option("--semeion", type=click.Path(exists=True, dir_okay=False), help="semeion.data, to be read too.")
@click.option("--digits", default="mnist", show_default=True, help="Data set of the digits: mnist or digits.")
def main(
    tune: bool,
    only: str | None,
    count: int | None,
    out: Path | None,
    model: str | None,
    semeion: str | None,
    digits: str,
) -> None:
    """Write what is asked for, and print a table for each set."""
    if not (out or model):
        raise click.UsageError("nothing to do: give --out DIR or --model MODEL")
    digits_of = source(digits, tune=tune)
    if out:
        for name in SETS:
            if only is None or name == only or (only == "nondigits" and name == "threshold"):
                write(name, made(name, digits_of, count), out / name)
    if model is None:
        return
    loaded = fnnet.load_model(model)

    def network(x: Array) -> Array:
        return fnnet.probabilities(loaded, x)

    if only in (None, "singles"):
        rows = measure.singles(made("singles", digits_of, count), network)
        click.echo(markdown_table(["single photos", "pictures", *WAYS], rows))
    if only in (None, "pages"):
        rows = measure.pages(made("pages", digits_of, count), network)
        heads = ["pages", "pages", "digits", "found", "in order", "right", "others found"]
        click.echo(markdown_table(heads, rows))
    if only in (None, "nondigits"):
        both = made("nondigits", digits_of, count), made("threshold", digits_of, count)
        click.echo("No digit, the share answered where 2% of made digits are refused:\n")
        click.echo(markdown_table(*measure.nondigits(*both, network)))
    if semeion:
        click.echo(markdown_table(["Semeion", "digits", "read"], measure.semeion(semeion, network)))


if __name__ == "__main__":
    main()
