"""All ranges that the made photos are drawn from. They were written before any preparation was tuned on them.

A length "of the digit" is a share of its longer side, which MNIST makes 20 pixels; a reflectance is the share of the
light that comes back, 0 to 1.
"""

from __future__ import annotations

from typing import Final, NamedTuple

TEST_SEED: Final = 2101
TUNE_SEED: Final = 7202
SINGLES, PAGES, NONDIGITS, THRESHOLD = 1, 2, 3, 4
"""The sets: a part of each picture's stream of random numbers."""
COUNTS: Final = {SINGLES: 1000, PAGES: 300, NONDIGITS: 500, THRESHOLD: 500}
FIRST: Final = {SINGLES: 0, THRESHOLD: 1000, PAGES: 1500, NONDIGITS: 5500}
"""Place of each set's first digit among the shuffled ones: no digit is in two sets."""


class Range(NamedTuple):
    """What a number is drawn from, evenly, and its unit."""

    low: float
    high: float
    unit: str


# How often a single photo has a difficulty.
PLAIN: Final = 0.1
"""Share of pictures with none of the following."""
SHARES: Final = {
    "shadow": 0.5,
    "gradient": 0.4,
    "ruled": 0.25,
    "squared": 0.25,
    "coloured": 0.35,
    "light ink": 0.05,
    "tinted": 0.2,
    "texture": 0.25,
    "rotated": 0.3,
    "jpeg": 0.3,
    "noise": 0.25,
    "blur": 0.25,
    "thin": 0.2,
    "thick": 0.2,
    "off-centre": 0.35,
}
"""Share of the other pictures. Ruled and squared, thin and thick exclude each other; light ink is on plain board."""
DARK_LINES: Final = 0.35
"""Share of ruled and squared papers whose lines are as dark as the ink."""

# Size.
SHORT: Final = Range(240, 720, "pixels of the shorter side; small ones are more frequent")
ASPECTS: Final = (1.0, 1.25, 4 / 3, 1.5)
DIGIT: Final = Range(0.25, 0.7, "longer side of the digit, of the shorter side of the picture")
TILT: Final = Range(-7, 7, "degrees by which a digit is turned")
CENTRED: Final = Range(-0.2, 0.2, "of the room beside the digit")
OFF: Final = Range(0.6, 0.95, "of the room beside the digit, to either side")

# Pens: MNIST's own strokes are 2 to 4 of 20 wide.
LEVEL: Final = 0.33
"""A point is ink if the smoothed digit is above this."""
THIN: Final = Range(0.05, 0.075, "width of a thin stroke, of the digit")
THICK: Final = Range(0.015, 0.035, "by which a thick stroke grows on each side, of the digit")
PRESSURE: Final = Range(0.0, 0.25, "by which ink is thinner in places")
BLACK: Final = Range(0.05, 0.22, "reflectance of black ink")
PENCIL: Final = Range(0.28, 0.45, "reflectance of pencil")
PENCILS: Final = 0.25
"""Share of inks without a colour that are pencil."""
COLOURS: Final = {
    "blue": ((0.08, 0.14, 0.5), (0.2, 0.3, 0.68)),
    "red": ((0.6, 0.06, 0.08), (0.8, 0.2, 0.22)),
    "green": ((0.05, 0.3, 0.12), (0.18, 0.45, 0.25)),
    "violet": ((0.3, 0.1, 0.4), (0.42, 0.22, 0.55)),
}
"""Reflectances of red, green and blue: lowest and highest."""
CHALK: Final = Range(0.75, 0.95, "reflectance of light ink")
BOARD: Final = Range(0.08, 0.25, "reflectance of the board under light ink")

# Papers.
WHITE: Final = Range(0.82, 0.97, "reflectance of white paper")
TINTS: Final = ((0.95, 0.88, 0.68), (0.93, 0.8, 0.78), (0.76, 0.88, 0.8), (0.75, 0.84, 0.93), (0.74, 0.73, 0.7))
FINE: Final = Range(0.0, 0.02, "half of the swing of fine texture, of the reflectance")
COARSE: Final = Range(0.03, 0.08, "half of the swing of strong texture, of the reflectance")
CELLS: Final = (2, 7, 31)
"""Pixels of the cells of a texture."""
RULED: Final = Range(0.6, 1.5, "distance of ruled lines, of the digit")
SQUARED: Final = Range(0.35, 1.1, "distance of the lines of squared paper, of the digit")
LINE: Final = Range(0.012, 0.03, "width of a line, of the digit; at least 1 pixel")
PALE: Final = Range(0.45, 0.8, "reflectance of a pale line, of the paper's")
PAPER_TILT: Final = Range(-4, 4, "degrees by which lines are turned")
MARGIN: Final = 0.3
"""Share of ruled papers with a red line beside the text, which does not cross the digit."""

# Camera.
EXPOSURE: Final = Range(0.75, 1.0, "light, of what makes white 255")
GRADIENT: Final = Range(0.3, 0.6, "of the light that is lost from one side to the other")
VIGNETTE: Final = Range(0.0, 0.15, "of the light that is lost in the corners")
SHADOW: Final = Range(0.35, 0.7, "light in a shadow, of that outside")
EDGE: Final = Range(1, 6, "pixels of the shadow's edge")
SHADOW_AT: Final = Range(-0.45, 0.45, "of the picture's shorter side, from its centre")
WEDGES: Final = 0.4
"""Share of shadows that have a corner."""
BLUR: Final = Range(0.008, 0.016, "radius of a strong blur, of the digit")
NOISE: Final = Range(1, 3, "levels of noise (standard deviation)")
STRONG_NOISE: Final = Range(5, 11, "levels of strong noise")
QUALITY: Final = Range(80, 96, "quality of JPEG")
LOW_QUALITY: Final = Range(25, 50, "low quality of JPEG")
TURNS: Final = (3, 6, 8)
"""Orientations of EXIF of a camera that is held otherwise; 1 is upright."""

# Pages.
ON_PAGE: Final = (3, 12)
"""Digits of a page."""
PER_LINE: Final = (2, 5)
"""Digits of a line; the last may be shorter."""
PAGE_DIGIT: Final = Range(70, 150, "pixels of the longer side of a digit's box of 20")
VARIED: Final = Range(0.85, 1.15, "size of each digit, of the page's")
GAP: Final = Range(0.3, 0.9, "between digits, of the digit")
LEADING: Final = Range(0.5, 0.9, "between lines, of the digit")
JITTER: Final = Range(-0.12, 0.12, "by which digits are higher or lower, of the digit")
PAGE_TILT: Final = Range(-2, 2, "degrees by which the lines of digits are turned")
BORDER: Final = Range(0.5, 1.2, "around all, of the digit")

# What is not a digit.
KINDS: Final = {"letter": 150, "lines": 75, "scribble": 75, "grown pair": 75, "texture": 50, "empty": 75}
"""Pictures of each kind, in this order, of 500."""
LETTERS: Final = "ACEFHJKLMNPRTUVWXYacdefhkmnpruvwxy"
"""Letters that no one takes for a digit: without B D G I O Q S Z b g i j l o q s t z."""
TEST_FONTS: Final = ("", "cmr10", "cmmi10", "STIXGeneral", "STIXGeneralItalic", "STIXGeneralBol")
"""Pillow's own, and fonts that matplotlib brings. Its DejaVu fonts are for what is trained on."""
TUNE_FONTS: Final = ("cmss10", "cmtt10", "cmti10", "STIXGeneralBolIta")
SCRIBBLE_WIDTH: Final = Range(0.05, 0.12, "width of strokes, of the longer side")
WILD: Final = Range(0.1, 0.3, "half of the swing of a texture without paper, of the reflectance")
