"""Made photos of handwritten digits, and how many of them are read: `python -m bench.photos --help`.

MNIST's test digits are drawn as a pen does, on paper, under a light, and taken with a camera. Every picture is a pure
function of its set and its number: its ranges are in `ranges.py`, its random numbers are those of `fnnet.core.rng`, and
its pixels are made in integers and with + - * / of float64, element by element. The sets are frozen: what prepares
photos is tuned on `--tune` alone, which has MNIST's training digits, other seeds and other fonts.
"""
