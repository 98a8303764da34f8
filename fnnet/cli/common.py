"""What commands share: results on stdout, notices and progress on stderr, loading of data and kernels."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

from fnnet.cli import signals
from fnnet.cli.bars import compiling_bar
from fnnet.cli.said import check_unsaid, reading_of
from fnnet.cli.streams import echo, out, print_aside
from fnnet.errors import FnnetError, UsageError, counted, one_line
from fnnet.names import DATA_SETS, names_of_labels

if TYPE_CHECKING:
    from fnnet.apps.report.screen import Console
    from fnnet.core.state import Model
    from fnnet.core.table import Kernels
    from fnnet.data import Dataset, StreamedDataset


_lock: Final = threading.Lock()


class Notices:
    """Prints each notice that it is called with on stderr, unless `quiet`: then only those that explain a silence.

    heard   whether they are printed.
    notes   those about the data, for the JSON document: a code and the line.
    """

    def __init__(self, quiet: bool) -> None:
        self.heard = not quiet
        self.notes: list[dict[str, str]] = []
        self._told: set[str] = set()
        self._held: list[Callable[[], None]] | None = None

    def __call__(self, notice: str) -> None:
        """Print one line, unless it was printed before."""
        self.in_turn(partial(self._tell, notice))

    def in_turn(self, say: Callable[[], None]) -> None:
        """Call what prints something, after all that is held back."""
        if self._held is None:
            say()
        else:
            self._held.append(say)

    @contextlib.contextmanager
    def held(self, hold: bool = True) -> Iterator[None]:
        """Hold back notes on images that are read piece by piece: they are dropped if these must be read at once.

        hold   False for none of this.
        """
        from fnnet.data.reader import only_at_once

        self._held, dropped = [] if hold else None, False
        try:
            yield
        except FnnetError as error:
            dropped = only_at_once(error)
            raise
        finally:
            held, self._held = self._held or [], None
            for say in held if not dropped else ():
                say()

    def _tell(self, notice: str) -> None:
        if notice in self._told:
            return
        self._told.add(notice)
        if code := getattr(notice, "code", ""):
            self.notes.append({"code": code, "note": str(notice)})
        if self.heard or getattr(notice, "explains_silence", False):
            print_aside("note", notice)


def say(line: str, err: bool = False) -> None:
    """Print one line of result, with characters escaped that could control the terminal."""
    echo(one_line(line), err=err)


def echo_seconds(document: Mapping[str, Any], how: str = "") -> None:
    """Print how long training, loading and compiling took."""
    echo(
        f"trained {how}in {document['train_seconds']:.2f} s"
        f" (loading {document['load_seconds']:.2f} s, compiling {document['compile_seconds']:.2f} s)"
    )


def print_json(document: Any) -> None:
    """Print one JSON document on stdout; NaN and infinity, which JSON lacks, become null."""
    import json

    from fnnet.files.strictjson import without_nan

    echo(json.dumps(without_nan(document), indent=2, allow_nan=False))


def console() -> Console:
    """Return a console on stdout: colour only on a terminal, no markup in the text."""
    from fnnet.apps.report.screen import Console

    return Console(file=cast(TextIO, out()), highlight=False, markup=False, emoji=False)


def check_outputs(
    *, inputs: Sequence[str], files: dict[str, str | None] | None = None, pictures: dict[str, str | None] | None = None
) -> None:
    """Fail before the work where a file could not be written, or would replace an input or another output.

    inputs            files and folders of data.
    files, pictures   option -> what it writes, if anything.
    """
    from fnnet.files.disk import check_writable

    inputs = [*inputs, *(str(path) for given in inputs if os.path.isfile(given) for path in _read_with(Path(given)))]
    folders = {os.path.realpath(path): path for path in inputs if os.path.isdir(path)}
    taken = {os.path.realpath(path): f"the input {path}" for path in inputs if os.path.exists(path)}
    for option, path in {**(files or {}), **(pictures or {})}.items():
        if path is None:
            continue
        place = os.path.realpath(path)
        if place in taken:
            expected = "a file of its own"
            raise UsageError("would replace another file", where=option, expected=expected, found=taken[place])
        for folder, given in folders.items():
            from fnnet.data.folders import is_data_of

            if os.path.isfile(place) and is_data_of(Path(folder), Path(place)):
                expected, found = "a file of its own", f"a file of the input {given}"
                raise UsageError("would replace another file", where=option, expected=expected, found=found)
        taken[place] = f"{path}, which {option} writes"
        if option in (pictures or {}):
            from fnnet.apps.report.plots import check_plot

            check_plot(path, option)
        check_writable(path)


def _read_with(path: Path) -> list[Path]:
    """Return the files beside one of data that are read with it, as far as their names show them."""
    from fnnet.data.idx import labels_beside
    from fnnet.data.pieces import piece_of
    from fnnet.data.roles import part_in, part_of

    found = labels_beside(path)
    if piece_of(path) or "train" in (part_in(path.stem), part_of(path.absolute().parent.name)):
        from fnnet.data import arrow

        with contextlib.suppress(FnnetError):  # who reads the file raises it
            found += arrow.read_with(path)
    return found


def data_inputs(options: dict[str, Any]) -> list[str]:
    """Return the files and folders that a command reads its images from."""
    names = ("data_choice", "data_dir", "dev_data", "test_data", "corrections")
    return [options[name] for name in names if options.get(name)]


def model_file_of(path: str) -> str:
    """Return the file of a model, which is in the folder of a run if `path` is one."""
    if not os.path.isdir(path):
        return path
    from fnnet.files.run_folder import model_file

    return model_file(path)


def load_kept_model(file: str, notify: Callable[[str], None]) -> Model:
    """Load the model in a file; a note says if it is that of a run which has gone on since."""
    from fnnet.files.log import LOG
    from fnnet.files.model import load_model

    model = load_model(file)
    if not os.path.exists(Path(file).with_name(LOG)):
        return model
    from fnnet.data.notes import Note
    from fnnet.files.run_folder import is_behind

    if (step := is_behind(file, model)) is not None:
        text = f"is that of step {model.training['steps']:,}; its run has gone on to step {step:,} and is not finished"
        notify(Note("behind", f"{file}: {text}"))
    return model


def check_count(options: Mapping[str, Any]) -> None:
    """Raise UsageError for a --classes that is not that of a data set with a name."""
    choice, count = options["data_choice"], options["classes"]
    if choice in DATA_SETS and count not in (None, 10):
        expected = f"10, as {'MNIST and digits have' if choice == 'auto' else f'{choice} has'}"
        raise UsageError("number of classes differs", where="--classes", expected=expected, found=count)


def load_data(options: dict[str, Any], notify: Callable[[str], None], model: Model | None = None) -> Dataset:
    """Load the data set that --data, --data-dir and --classes name; a file of rows has the image shape of `model`."""
    from fnnet import data
    from fnnet.data.sets import check_data_dir, load_alike

    signals.check()
    check_count(options)
    where = options["data_choice"], options["data_dir"]
    check_data_dir(*where)
    said = _said(options, model)
    if model is None:
        return data.load(*where, **said, notify=notify)
    dataset = load_alike(*where, **said, notify=notify)
    _check_effect(options, dataset)
    return dataset


def _check_effect(options: Mapping[str, Any], dataset: Dataset | StreamedDataset) -> None:
    """Raise UsageError for what options say of files without any effect on what was read as a model takes it."""
    from fnnet.data.arguments import check_effect

    given = _said(options, None)
    check_effect(dataset, given["flat"], given["classes"], given["reading"].first_label)


def _said(options: Mapping[str, Any], model: Model | None) -> dict[str, Any]:
    """Return what options, or else a model, say of the images and classes of --data PATH, as `data.load` takes
    it.
    """
    from fnnet.data.preprocess import Reading

    reading, count, names = Reading(**reading_of(options)), options["classes"], options["class_names"]
    if names and count not in (None, len(names)):
        raise UsageError("number of classes differs", where="--classes", expected=len(names), found=count)
    classes = names or (names_of_labels(reading.first_label, count) if count else None)
    found = {"classes": classes, "flat": options.get("image_size"), "reading": reading}
    if model is None:
        return found
    classes = classes or model.classes
    by_name = not names and classes == model.classes
    known = {"classes": classes, "flat": found["flat"] or model.image_shape, "preprocessing": model.preprocessing}
    return {**found, **known, "by_name": by_name}


def is_streamed(options: Mapping[str, Any], large: bool = False) -> bool:
    """Return True if --data is the folder of a stream or, with --window, Parquet.

    large   True if Parquet that is large is streamed without --window, too.
    """
    if options["data_choice"] in DATA_SETS:
        return False
    from fnnet.data import stream_index

    window = options.get("window") is not None
    return stream_index.is_streamed(Path(options["data_choice"]), window=window, large=large)


def open_stream(
    options: Mapping[str, Any], notify: Callable[[str], None], model: Model | None = None
) -> StreamedDataset:
    """Open the stream that --data names; the folder of one says itself all that other options say of files."""
    from fnnet import data
    from fnnet.data.sets import check_data_dir
    from fnnet.data.stream_index import is_stream

    signals.check()
    path = options["data_choice"]
    check_data_dir(path, options["data_dir"])
    skip_damaged = bool(options.get("skip_damaged"))
    if os.path.isdir(path) and is_stream(Path(path)):
        check_unsaid(options, f"{path}, a stream, which says it itself")
        return data.open_stream(path, skip_damaged=skip_damaged, notify=notify)
    dataset = data.open_parquet(path, **_said(options, model), skip_damaged=skip_damaged, notify=notify)
    if model is not None:
        _check_effect(options, dataset)
    return dataset


@contextlib.contextmanager
def without_skipping() -> Iterator[None]:
    """Leave the option of training to go on without what is damaged out of remedies."""
    try:
        yield
    except FnnetError as error:
        fix = re.sub("(; )?or leave damaged [a-z ]+ out: --skip-damaged", "", error.fix)
        raise (error if fix == error.fix else error.at(error.where, fix=fix)) from None


def describe(dataset: Dataset | StreamedDataset, images: dict[str, int]) -> str:
    """Return the first line of a run: which data, how much, from where; the source on a line of its own if it is long.

    Characters that could control the terminal are escaped.
    """
    import shutil

    from fnnet.core.state import unit_of

    counts = ", ".join(f"{count:,} {part}" for part, count in images.items() if count)
    noun = unit_of(dataset.preprocessing) + ("" if sum(images.values()) == 1 else "s")
    noun += f" of {counted(dataset.image_shape[1], 'column')}" if dataset.preprocessing.scaling else ""
    line, source = one_line(f"data: {dataset.name}, {counts} {noun}"), one_line(f"({dataset.source})")
    fits = len(line) + 1 + len(source) <= shutil.get_terminal_size().columns
    # In a pipe, what is known of a file stays one line.
    between = " " if fits or (os.path.exists(dataset.source) and not out().isatty()) else "\n  "
    return f"{line}{between}{source}"


def begin_loading_kernels(jit: bool, threads: int | None) -> None:
    """Load LLVM in a thread, beside what the command does next, if it is to use the compiled kernels.

    Raises   UsageError for threads of NumPy's kernels.
    """
    _check_threads(jit, threads)
    if jit:
        from fnnet.kernels.library import begin_loading

        begin_loading()


def _check_threads(jit: bool, threads: int | None) -> None:
    if not jit and threads is not None:
        raise UsageError("has no effect with NumPy's kernels", where="--threads", expected="--jit", found=threads)


def load_kernels(
    jit: bool, threads: int | None, notify: Callable[[str], None], parts: Sequence[str]
) -> tuple[Kernels, float]:
    """Load the kernels; return them and the seconds that it took, nearly all for compiling if they were not cached.

    parts   what the command uses of the compiled kernels.
    """
    from fnnet import kernels

    signals.check()
    _check_threads(jit, threads)
    if not jit:
        return kernels.load("numpy", threads=threads), 0.0
    began = time.perf_counter()
    with compiling_bar(notify) as (on_compile, on_part):
        table = kernels.load(
            "numba", threads=threads, parts=parts, notify=notify, on_compile=on_compile, on_part=on_part
        )
    return table, time.perf_counter() - began


def threads_of(kernels: Kernels) -> int:
    """Return how many threads the kernels use: the compiled ones as chosen, NumPy's as its BLAS does."""
    if kernels.compiled:
        return kernels.threads
    return max((pool["num_threads"] for pool in _threadpool_info() if pool["user_api"] == "blas"), default=1)


def _threadpool_info() -> list[dict[str, Any]]:
    """Return threadpoolctl's list of libraries; the variable that its import sets, for this process and those that it
    starts, is removed unless it was there.
    """
    name = "KMP_DUPLICATE_LIB_OK"
    with _lock:  # of two threads, the second would take it for the program's
        was_there = name in os.environ or "threadpoolctl" in sys.modules
        from threadpoolctl import threadpool_info

        if not was_there:
            os.environ.pop(name, None)
    return threadpool_info()  # type: ignore[no-any-return]
