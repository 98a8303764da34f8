"""Bars on a terminal's standard error, for what takes seconds or longer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

from fnnet.cli.streams import err

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import ProgressColumn

    from fnnet.apps.report.screen import Console
    from fnnet.core.state import Progress

COMPILING: Final = "compiling, once on this machine"


def _screen() -> Console:
    """Return a console on standard error."""
    from fnnet.apps.report.screen import Console

    return Console(file=cast(TextIO, err()))


@contextmanager
def _bar(screen: Console, *columns: ProgressColumn) -> Iterator[Bar]:
    """Show a bar, above which lines of standard error are printed.

    rich would replace `sys.stdout` and `sys.stderr` for that, even those of a host.
    """
    from rich.progress import Progress as Bar

    plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False, "soft_wrap": True}
    stream = err()
    with Bar(*columns, console=screen, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        stream.above = partial(screen.print, **plain)
        try:
            yield bar
        finally:
            stream.above = None


@contextmanager
def compiling_bar(
    notify: Callable[[str], None],
) -> Iterator[tuple[Callable[[], None], Callable[[float], None]]]:
    """Yield what kernels are to call when compiling starts, and after each part: a note, and a bar on a terminal."""
    with ExitStack() as stack:
        moves: list[Callable[[float], None]] = []

        def begin() -> None:
            notify(COMPILING)
            if moves or not getattr(notify, "heard", True):
                return
            screen = _screen()
            if screen.is_terminal:
                from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

                columns = TextColumn("compiling"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
                bar = stack.enter_context(_bar(screen, *columns))
                task = bar.add_task("", total=1.0)
                moves.append(lambda done: bar.update(task, completed=done))

        def advance(done: float) -> None:
            for move in moves:
                move(done)

        yield begin, advance


@contextmanager
def share_bar(what: str, shown: bool) -> Iterator[Callable[[float], None]]:
    """Show a bar on stderr; yield its function of the share that is done, which does nothing without a terminal."""
    screen = _screen()
    if not (shown and screen.is_terminal):
        yield lambda done: None
        return
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(compact=True)
    with _bar(screen, *columns) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def progress_bar(
    epochs: int, images: int, shown: bool, members: int = 1
) -> Iterator[Callable[[Progress], None] | None]:
    """Show a progress bar on stderr over all epochs; yield its function of a block, None without a terminal.

    members   of a committee, each trained for `epochs`, one after another.
    """
    if not (shown and epochs):
        yield None
        return
    screen = _screen()
    if not screen.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    figures = "loss {task.fields[loss]:.3f}  accuracy {task.fields[accuracy]:.1%}"
    wide = (
        TextColumn("{task.fields[member]}epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(bar_width=None),
        TextColumn(figures + "  {task.fields[rate]:,.0f} images/s"),
        TimeRemainingColumn(compact=True),
    )
    narrow = (wide[0], BarColumn(bar_width=8), TextColumn(figures + "  {task.fields[rate]:,.0f}/s"))
    began = time.perf_counter()
    fields: dict[str, Any] = {"member": "", "epoch": 0, "epochs": epochs, "loss": 0.0, "accuracy": 0.0, "rate": 0.0}
    with _bar(screen, *(wide if screen.width >= 80 else narrow)) as bar:
        task = bar.add_task("", total=members * epochs * images, **fields)

        def on_block(progress: Any) -> None:
            done = ((progress.member - 1) * epochs + progress.epoch - 1) * images + progress.images
            bar.update(
                task,
                completed=done,
                member=f"member {progress.member}/{members} " if members > 1 else "",
                epoch=progress.epoch,
                loss=progress.loss_sum / progress.images,
                accuracy=progress.correct / progress.images,
                rate=done / max(time.perf_counter() - began, 1e-9),
            )

        yield on_block
