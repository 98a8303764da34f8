"""From the pixels in files to the bytes that a network takes: their range, the colours of ink and paper, the order.

All of it happens where images are read, by a table of 256 bytes: inverted images train to the same bits as the images.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.core.state import Preprocessing
from fnnet.data.blank import FAINT, faint_of
from fnnet.data.grey import INKED
from fnnet.data.mixed_ranges import gap_in, has_none
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.paper import GREY, NOISE, black_edges, dark_on_paper, edges, means, medians, middle, pale
from fnnet.data.rare_ink import inverted, is_noted, most_looked_at
from fnnet.data.strokes import dark_strokes, in_border, strokes
from fnnet.errors import counted
from fnnet.files.disk import refuse

SAMPLE: Final = 300
"""Images of a data set that are looked at: it takes 2 ms."""
GOLDEN: Final = (5**0.5 - 1) / 2
"""Its multiples, modulo 1, are spread over 0 to 1 without a period; numpy.random would be 8 ms to import."""
MOST: Final = 0.9
"""The fraction of these that decides for all."""
ABOVE: Final = "pixel above the largest"
MOST_DARK: Final = 0.75
"""The fraction whose strokes must be dark where edges do not show it: of MNIST's images none are, of those in shadow or
with a border 83% or more, of tight crops 89%; of noise and textures at most 27%."""
FEW: Final = 20
"""Fewer images do not decide by their strokes: a few of noise all look dark by chance..."""
FEWEST: Final = 5
"""... but a note is given on this many."""
OTHERS: Final = 0.05
"""More images than this of the other ink are noted: of MNIST in shadow or with a border at most 1% look like it."""
UNEVEN: Final = 100
"""Images that are looked at for it: 1 ms where they are light."""
LOW: Final = 127
"""A largest pixel of at most this is noted."""
PIECE: Final = 2**17
"""Bytes of images that are fetched at a time: more are neither in the nearest caches nor in memory used before."""
PURE: Final = 32
"""Paper and ink this near to white and black are taken as white and black."""

Ink = Literal["auto", "light", "dark"]


class Reading(NamedTuple):
    """What the user says about the images in a data set.

    pixel_max   the largest value of a pixel; "auto" for the largest in the training set; None for 255.
    ink         "light" or "dark" ink; "auto" for what most training images show.
    transpose   True if the files store images column by column, False if row by row; None for row by row, unless the
                format leaves it open.
    first_label   the label of the first class in a file of numbers.
    label_column   the column of labels in a table, of numbers or of names of pictures: "first", "last", its name, its
                number counted from 1, or "none"; None to find it by the header or the values.
    image       True if the rows of a table are images, however few columns there are.
    table       True if they are not images: each column is a measurement, whatever its name is.
    first_index   the number of the first pixel in text of index:value pairs, 0 or 1; None to find it.
    size        (height, width) that pictures are scaled to, in folders or packed; None if they are of one size.
    """

    pixel_max: int | Literal["auto"] | None = None
    ink: Ink = "auto"
    transpose: bool | None = None
    first_label: int = 0
    label_column: str | None = None
    image: bool = False
    table: bool = False
    first_index: int | None = None
    size: tuple[int, int] | None = None


AUTOMATIC: Final = Reading()
"""Nothing is given: all is found."""


def table(preprocessing: Preprocessing) -> Array:
    """Return the byte that each value of a pixel becomes, uint8 (256,).

    >>> from fnnet.core.state import Preprocessing
    >>> table(Preprocessing(paper=255, ink=0))[[0, 1, 255]].tolist()
    [255, 254, 0]
    >>> table(Preprocessing(pixel_max=16, ink=16))[[0, 1, 8, 16]].tolist()
    [0, 16, 128, 255]
    """
    paper, ink = preprocessing.paper, preprocessing.ink
    from_paper = np.arange(256) - paper
    scaled = from_paper * (510 if ink > paper else -510) + abs(ink - paper)
    scaled[np.abs(from_paper) <= preprocessing.blank] = 0
    return (scaled // (2 * abs(ink - paper))).clip(0, 255).astype(np.uint8)


def of_bytes(preprocessing: Preprocessing) -> Preprocessing:
    """Return how to read the same images scaled to 0 to 255.

    >>> from fnnet.core.state import Preprocessing
    >>> of_bytes(Preprocessing(pixel_max=16, paper=16, ink=0)) == Preprocessing(paper=255, ink=0)
    True
    """
    most = preprocessing.pixel_max
    paper, ink, blank = (
        round(each * 255 / most) for each in (preprocessing.paper, preprocessing.ink, preprocessing.blank)
    )
    return preprocessing._replace(pixel_max=255, paper=paper, ink=ink, blank=blank)


def apply(
    preprocessing: Preprocessing,
    x: Array,
    shape: tuple[int, int],
    where: AnyPath,
    kinds: Array | None = None,
    *,
    scaled: bool = False,
) -> Array:
    """Return images as a network takes them, uint8 (n, height x width).

    x       as the file stores them, uint8 (n, pixels).
    shape   (height, width) of the result.
    where   names the file in messages.
    kinds   of the images, as `Content.ink`: what is the opacity of ink is light ink on black already, whatever
            the ink of other images is.
    scaled  True if x is from 0 to 255, whatever the file's numbers were.
    Raises   DataError for a pixel above the largest.
    """
    preprocessing = of_bytes(preprocessing) if scaled else preprocessing
    most = preprocessing.pixel_max
    inked = np.zeros(len(x), bool) if kinds is None else kinds == INKED
    if most < 255 and (above := (x.max(axis=1) > most) & ~inked).any():
        number = int(above.argmax())
        expected, fix = f"0 to {most}", "scale the images alike, or set --pixel-max"
        refuse(ABOVE, where, f"image {number + 1}", expected, int(x[number].max()), fix)
    if preprocessing.transpose:
        height, width = shape
        x = np.ascontiguousarray(x.reshape(-1, width, height).transpose(0, 2, 1)).reshape(len(x), -1)
    as_it_is = (preprocessing.paper, preprocessing.ink, preprocessing.blank) == (0, 255, 0)
    if as_it_is:
        return x
    found: Array = np.take(table(preprocessing), x)
    found[inked] = x[inked]
    return found


def measure(
    reading: Reading,
    x: Array,
    shape: tuple[int, int],
    lossy: bool = False,
    kinds: Array | None = None,
    *,
    scaled: bool = False,
) -> tuple[Preprocessing, list[Note]]:
    """Return how the images of a training set are to be read, and notes about them.

    x, shape   as the file stores them: uint8 (n, pixels), (height, width).
    lossy      True if the files do not keep every pixel.
    kinds      of the images, as `Content.ink`.
    scaled     as in `apply`; the largest pixel is then 255.
    """
    if not len(x):
        return Preprocessing(), []
    if kinds is not None and (kinds == INKED).any():
        return _beside_opacity(reading, x, shape, lossy, kinds == INKED, scaled)
    sample = spread(x)
    most, notes = _pixel_max(reading, x, int(sample.max()), scaled)
    paper, ink, more = _polarity(reading.ink, sample, shape, most)
    if ink < paper:  # it fills the range
        notes = [note for note in notes if note.code != "dim-pixels"]
    blank = _noise(sample, shape, paper, ink, lossy) if lossy or ink < paper else 0
    found = Preprocessing(most, paper, ink, blank, bool(reading.transpose))
    as_taken = sample if (paper, ink, blank) == (0, 255, 0) else np.take(table(found), sample)
    faint, blanks = faint_of(as_taken, shape, len(x))
    empty = any(note.code == "blank" for note in notes)
    rows = spread(np.arange(len(x)), most_looked_at(x.shape[1]))
    several = _of_several_ranges(x, rows, FAINT if blanks else 0)
    more += [] if any(note.code == "mixed-ink" for note in more) else _rare(found, x, shape, rows)
    more += several
    return found._replace(faint=faint, resize=reading.size is not None), [*notes, *more, *([] if empty else blanks)]


def _of_several_ranges(x: Array, rows: Array, least: int) -> list[Note]:
    """Return a note if a part of the images of a set looks as if its pixels were of a smaller range than the others.

    rows    of those that are looked at.
    least   as in `gap_in`.
    """
    if has_none(middle(x)[rows].max(axis=1)):  # it settles MNIST, in a third of the time
        return []
    step = max(1, PIECE // x.shape[1])
    largest = np.concatenate([x[rows[at : at + step]].max(axis=1) for at in range(0, len(rows), step)])
    if (gap := gap_in(largest, least)) is None:
        return []
    count, below, most = gap
    seen = f"{count:,} of {counted(len(rows), 'image')} looked at reach only {below}, the others up to {most}"
    fix = "if these are stored in several ranges, a network learns them badly: scale them alike"
    return [Note("mixed-ranges", f"the largest pixels of {seen}; {fix}")]


def _rare(found: Preprocessing, x: Array, shape: tuple[int, int], rows: Array) -> Iterator[Note]:
    """Yield a note if a few images of a set, which is read as `found`, are inverted for sure; `rows` are looked at."""
    as_it_is = (found.paper, found.ink, found.blank) == (0, 255, 0)
    count = inverted(x, shape, rows, None if as_it_is else table(found))
    if is_noted(count, len(rows)):
        one, others = ("dark ink on light paper", "light ink")
        one, others = (one, others) if found.ink > found.paper else ("light ink on black", "dark ink")
        seen = f"{count} of {counted(len(rows), 'image')} looked at {'has' if count == 1 else 'have'} {one}"
        yield Note("mixed-ink", f"{seen}, the others {others}: a network learns the few badly; invert them")


def shows_dark(sample: Array, shape: tuple[int, int]) -> bool:
    """Return True if nearly all images of a sample have dark ink on light paper."""
    # A share counts of half of the images at least: beside this many black edges it is less than MOST.
    light = black_edges(sample, shape) > (1 - MOST / 2) * len(sample)
    share = 0.0 if light else _share_inside(*dark_on_paper(sample, shape), sample, shape)
    return share >= MOST or _uneven(share, sample, shape) is not None


def _beside_opacity(
    reading: Reading, x: Array, shape: tuple[int, int], lossy: bool, inked: Array, scaled: bool
) -> tuple[Preprocessing, list[Note]]:
    """Return what `measure` does, of images some of which are the opacity of ink: they show nothing of the others."""
    if inked.all():
        found, notes = measure(reading._replace(pixel_max=None, ink="light"), x, shape, lossy)
        return (found._replace(paper=255, ink=0) if reading.ink == "dark" else found), notes
    found, notes = measure(reading, x[~inked], shape, lossy, scaled=scaled)
    kinds = np.where(inked, INKED, 0).astype(np.uint8)
    rows = spread(np.arange(len(x)))
    faint, blanks = faint_of(apply(found, x[rows], shape, "", kinds[rows]), shape, len(x))
    told = [note for note in notes if note.code != "blank" or "every" in note]
    return found._replace(faint=faint), [*told, *blanks]


def spread(x: Array, count: int = SAMPLE) -> Array:
    """Return at most `count` rows of x, spread over it."""
    if len(x) <= count:
        return x
    # One of each of as many equal parts: every second image, say, may be of another kind.
    number = np.arange(count)
    return x[((number + number * GOLDEN % 1) * (len(x) / max(count, 1))).astype(np.int64)]


def _pixel_max(reading: Reading, x: Array, seen: int, scaled: bool) -> tuple[int, list[Note]]:
    if isinstance(reading.pixel_max, int):
        return reading.pixel_max, []
    if seen > LOW or (largest := int(x.max())) > LOW:
        return 255, []
    if not largest:
        return 255, [Note("blank", "every image is blank: all pixels are 0")]
    if reading.pixel_max == "auto" and not scaled:
        return largest, [Note("pixel-max", f"pixels from 0 to {largest} are scaled to 0 to 255")]
    fix = f"if it is the brightest there can be, say --pixel-max {largest}"
    fix = "scale them in the file" if scaled else fix
    return 255, [Note("dim-pixels", f"the largest pixel is {largest} of 255: images so dim train badly; {fix}")]


def _polarity(wanted: Ink, sample: Array, shape: tuple[int, int], most: int) -> tuple[int, int, list[Note]]:
    """Return the values of paper and ink."""
    if wanted == "light":
        return 0, most, []
    scaled = np.take(table(Preprocessing(most, ink=most)), sample) if most < 255 else sample
    if black_edges(scaled, shape) == len(scaled):  # none is dark, which settles MNIST
        dark = flat = np.zeros(len(scaled), bool)
    else:
        dark, flat = dark_on_paper(scaled, shape)
    share = _share_inside(dark, flat, scaled, shape)
    uneven = _uneven(share, scaled, shape)
    both = _both(dark, flat, scaled, shape)
    mixed = list(_mixed(share, dark, flat, both, scaled, shape))
    if wanted == "auto" and share < MOST and uneven is None:
        return 0, most, mixed or list(_unsure(share, dark, scaled, shape))
    uneven = None if both else uneven  # it is another kind of ink, not the light, that the edges show
    if uneven is not None:
        paper, ink = _light_and_dark(uneven)
    else:
        paper, ink = _paper_and_ink(scaled[dark] if dark.any() else scaled, shape)
    if paper - ink < PURE and wanted == "auto":
        return 0, most, []
    if paper - ink < PURE or (paper >= 255 - PURE and ink <= PURE):
        paper, ink = 255, 0
    kind = "black ink on white paper" if (paper, ink) == (255, 0) else f"ink of {ink} on paper of {paper}"
    text = f"dark ink on light paper: read as light ink on black ({kind})"
    if uneven is not None:
        framed = (in_border(uneven, shape) != 0).mean() > 0.5
        fix = (
            "has a black border, which is read as ink: cut it off"
            if framed
            else "is unevenly lit, which costs accuracy"
        )
        text = f"{text}; the paper {fix}"
    mixed = mixed if both and wanted == "auto" else []
    return round(paper * most / 255), round(ink * most / 255), [Note("dark-ink", text), *mixed]


def _paper_and_ink(x: Array, shape: tuple[int, int]) -> tuple[int, int]:
    """Return the median of the edges of images, and their darkest pixels: of the darkest thousandth the lightest."""
    darkest = np.bincount(x.ravel(), minlength=256).cumsum() > x.size // 1000
    return int(medians(edges(x, shape).reshape(1, -1))[0]), int(darkest.argmax())


def _uneven(share: float, sample: Array, shape: tuple[int, int]) -> Array | None:
    """Return the images of a sample with dark strokes if nearly all have them, though the edges do not show it: paper
    in a shadow, or with the black border of a scanner; else None.

    share   as the edges show it.
    """
    if share >= MOST or len(sample) < FEW:
        return None
    sample = spread(sample, UNEVEN)
    dark = dark_strokes(sample, shape, MOST_DARK)
    return sample[dark] if dark.mean() >= MOST_DARK else None


def _light_and_dark(x: Array) -> tuple[int, int]:
    """Return the lightest and the darkest pixels of images: of the lightest tenth the darkest, and as for ink."""
    counts = np.bincount(x.ravel(), minlength=256).cumsum()
    return int((counts >= 0.9 * x.size).argmax()), int((counts > x.size // 1000).argmax())


def _noise(x: Array, shape: tuple[int, int], paper: int, ink: int, lossy: bool) -> int:
    """Return by how much the edges of images on paper differ from it: of each hundred pixels all but one by no more.

    With that, 97% of the blank pixels of MNIST as JPEG of quality 75 are zero again, of 77%; and 96 to 98% of quality
    50 and 95 and of WebP.
    """
    off = np.abs(edges(x, shape) - np.int64(paper))
    if not lossy and 2 * (off == 0).sum() >= (off <= NOISE).sum():
        return 0  # the paper has no noise: what differs from it at the edge is ink
    dark, on_paper = dark_on_paper(x, shape)
    alike = on_paper & (dark == (ink < paper))
    if 2 * alike.sum() <= len(x):
        return 0
    noise = np.percentile(off[alike], 99)
    return int(min(noise, abs(ink - paper) // 8))


def _share(dark: Array, flat: Array) -> float:
    """Return the fraction of dark ink among images of ink on paper; 0 if most images are something else."""
    return float(dark.sum() / flat.sum()) if flat.sum() > len(flat) / 2 else 0.0


def _share_inside(dark: Array, flat: Array, sample: Array, shape: tuple[int, int]) -> float:
    """Return what `_share` does; 0 for light ink on black inside a white border, which is the edge."""
    share = _share(dark, flat)
    few = spread(sample, UNEVEN) if share >= MOST else sample[:0]
    return 0.0 if len(few) and (in_border(few, shape) > 0).mean() >= MOST_DARK else share


def _both(dark: Array, flat: Array, sample: Array, shape: tuple[int, int]) -> bool:
    """Return True if some images have dark ink on light paper and some light ink, by their edges and their strokes.

    dark, flat   as `dark_on_paper` has them.
    """
    light = flat & ~dark
    if min(dark.mean(), light.mean()) <= OTHERS or 2 * flat.sum() <= len(flat):
        return False
    rows = spread(np.arange(len(sample)), UNEVEN)
    kinds = strokes(sample[rows], shape)
    return bool(min((dark[rows] & (kinds < 0)).mean(), (light[rows] & (kinds > 0)).mean()) > OTHERS)


def _mixed(share: float, dark: Array, flat: Array, both: bool, sample: Array, shape: tuple[int, int]) -> Iterator[Note]:
    """Yield a note if images of both kinds of ink are in a sample; arguments as `_both` takes and returns them."""
    # Edges of light ink in uneven light look like both; its strokes do not.
    undecided = 1 - MOST < share < MOST and (strokes(spread(sample, UNEVEN), shape) > 0).mean() < MOST_DARK
    if both or undecided:
        count, of = int(dark.sum()), int(flat.sum())
        seen = f"{count} of {counted(of, 'image')} looked at {'has' if count == 1 else 'have'} dark ink on light paper"
        yield Note("mixed-ink", f"{seen}, the others light ink: a network learns both badly; invert one kind")


def _unsure(share: float, dark: Array, sample: Array, shape: tuple[int, int]) -> Iterator[Note]:
    """Yield a note if the strokes of a few images are dark though their edges do not show it, see `_uneven`; or if most
    images may have dark ink, some of it too faint to tell.

    dark   as `dark_on_paper` has it.
    """
    if share < MOST and FEWEST <= len(sample) < FEW and (found := dark_strokes(sample, shape)).mean() >= MOST_DARK:
        seen = f"{int(found.sum())} of {len(sample)} images look like dark ink on paper in a shadow or within a border"
        yield Note("unsure-ink", f"{seen}, and are too few to tell: they are read as light ink; if not, say --ink dark")
        return
    found = pale(sample, shape) if means(sample).mean() >= GREY else np.zeros(len(sample), bool)
    if found.any() and 2 * (found | dark).sum() > len(sample):
        seen = f"light all over: {int(found.sum())} of {counted(len(sample), 'image')} looked at"
        yield Note("unsure-ink", f"{seen}; read as light ink; if they have dark ink, and faint, say --ink dark")
