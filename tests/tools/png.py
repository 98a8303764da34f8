"""PNG files of every kind, and the grey of each pixel by the rules: an encoder and a definition for the tests."""

import zlib
from fractions import Fraction

import numpy as np

from fnnet.data.png import ADAM7, DEPTHS, SAMPLES
from tests.tools.samples import chunk, png_bytes

KINDS = [(colour, depth) for colour, depths in DEPTHS.items() for depth in depths]


def encode(samples, colour, depth, interlace=0, before=b""):
    """A PNG of samples (height, width, samples per pixel), each line by the next of the five filters."""
    height, width = samples.shape[:2]
    passes = ADAM7 if interlace else ((0, 0, 1, 1),)
    raw = b"".join(_lines(samples[y::down, x::by], depth) for x, y, by, down in passes)
    return png_bytes(width, height, colour, depth, zlib.compress(raw), interlace, before)


def _lines(samples, depth):
    if not samples.size:
        return b""
    step = max(1, depth * samples.shape[2] // 8)
    before, lines = [0] * -(-samples[0].size * depth // 8), b""
    for number, row in enumerate(samples.reshape(len(samples), -1).tolist()):
        bits = "".join(f"{sample:0{depth}b}" for sample in row)
        line = [int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8)]
        left = [0] * step + line[:-step]
        corner = [0] * step + before[:-step]
        guesses = {
            0: [0] * len(line),
            1: left,
            2: before,
            3: [(a + b) // 2 for a, b in zip(left, before, strict=True)],
            4: [_paeth(*three) for three in zip(left, before, corner, strict=True)],
        }[number % 5]
        lines += bytes([number % 5, *((byte - guess) % 256 for byte, guess in zip(line, guesses, strict=True))])
        before = line
    return lines


def _paeth(left, above, corner):
    guess = left + above - corner
    return min((left, above, corner), key=lambda each: abs(guess - each))


def grey(samples, colour, depth, palette=None, key=None, alphas=()):
    """The expected grey of each pixel, in exact fractions rounded once, halves up."""
    pixels = [_pixel(p, colour, depth, palette, key, alphas) for p in samples.reshape(-1, samples.shape[2]).tolist()]
    return np.array(pixels, np.uint8).reshape(samples.shape[:2])


def _pixel(pixel, colour, depth, palette, key, alphas):
    if key is not None and pixel == list(key):
        return 0
    if colour == 3:
        opacity = Fraction((*alphas, *[255] * 256)[pixel[0]], 255)
        return _round(_luma(palette[pixel[0]]) * opacity)
    most = 2**depth - 1
    opacity = Fraction(pixel[-1], most) if colour in (4, 6) else 1
    value = pixel[0] if colour in (0, 4) else _luma(pixel)
    return _round(value * Fraction(255, most) * opacity)


def _luma(rgb):
    return Fraction(sum(weight * each for weight, each in zip((19595, 38470, 7471), rgb[:3], strict=True)), 65536)


def _round(value):
    return int(value + Fraction(1, 2))


def palette_chunks(palette, alphas=()):
    content = chunk(b"PLTE", bytes(each for entry in palette for each in entry))
    return content + (chunk(b"tRNS", bytes(alphas)) if alphas else b"")


def key_chunk(key):
    return chunk(b"tRNS", b"".join(each.to_bytes(2, "big") for each in key))


def noise(colour, depth, height, width, seed=0):
    shape = (height, width, SAMPLES[colour])
    return np.random.default_rng([seed, colour, depth]).integers(0, 2**depth, shape)
