"""All commands as one program. A new command is a file and a line of COMMANDS."""

from __future__ import annotations

import os
import threading
import time
from collections import UserDict
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, Final

import click

from fnnet import __version__
from fnnet.cli import signals
from fnnet.cli.streams import OutputError, echo, err, missing, out, print_error
from fnnet.errors import ArgumentTypeError, FnnetError

COMMANDS: Final = {
    "data": "fnnet.cli.data:data",
    "evaluate": "fnnet.cli.evaluate:evaluate",
    "gradcheck": "fnnet.cli.gradcheck:gradcheck",
    "info": "fnnet.cli.info:info",
    "lr-find": "fnnet.cli.lr_find:lr_find",
    "plot": "fnnet.cli.plot:plot",
    "predict": "fnnet.cli.predict:predict",
    "report": "fnnet.cli.report:report",
    "suspects": "fnnet.cli.suspects:suspects",
    "sweep": "fnnet.cli.sweep:sweep",
    "trace": "fnnet.cli.trace:trace",
    "train": "fnnet.cli.train:train",
    "versus": "fnnet.cli.versus:versus",
    "warmup": "fnnet.cli.warmup:warmup",
}
"""The name of each command -> MODULE:FUNCTION."""


_lock: Final = threading.Lock()
"""Held where a command gets its help: a host may call several at a time."""


def _print_help(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if asked:
        echo(context.get_help())
        context.exit()


def _print_version(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if asked:
        echo(f"fnnet, version {__version__}")
        context.exit()


def _eager(names: Sequence[str], callback: Any, text: str) -> click.Option:
    return click.Option([*names], is_flag=True, expose_value=False, is_eager=True, callback=callback, help=text)


def _with_help(command: click.Command) -> click.Command:
    """Give a command, and those in it, a --help that is written as all else: click's goes to `sys.stdout`."""
    with _lock:
        if command.add_help_option:
            command.params = [*command.params, _eager(("-h", "--help"), _print_help, "Show this message and exit.")]
            command.add_help_option = False
    inside = command.commands if isinstance(command, click.Group) else {}
    for each in () if isinstance(inside, LazyCommands) else inside.values():
        _with_help(each)
    return command


class LazyCommands(UserDict[str, Any]):
    """The commands by their names; each is imported when it is first looked up."""

    def __getitem__(self, name: str) -> Any:
        command = super().__getitem__(name)
        if isinstance(command, str):
            module, _, function = command.partition(":")
            self[name] = command = _with_help(getattr(import_module(module), function))
        return command


@click.group(commands=LazyCommands(COMMANDS), invoke_without_command=True)
@click.option("--debug", is_flag=True, help="Show tracebacks; can be given anywhere.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Recognise hand-written digits with a small neural network that reads like its mathematics.

    \b
    fnnet train --jit                        train 784-10-10 and save the model
    fnnet evaluate model.safetensors         how good is it, class by class
    fnnet predict model.safetensors 7.png    which digit is this

    Results go to standard output, progress and notices to standard error.
    Exit codes: 0 success, 1 failure (one line on stderr), 2 usage error, 130 interrupted, 143 terminated.
    """
    context.obj = {"began": time.perf_counter()}
    _check_addresses()
    if context.invoked_subcommand is None:
        echo(context.get_help())


cli.params.insert(0, _eager(("--version",), _print_version, "Show the version and exit."))
_with_help(cli)


def run(arguments: Iterable[str | os.PathLike[str]]) -> int:
    """Run the command line and return its exit code. Raises Stopped when a signal comes."""
    debug = False
    try:
        texts = _texts(arguments)
        debug = "--debug" in texts
        code = _call([each for each in texts if each != "--debug"])
        out().flush()
        return code
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        return _fail(_usage(error), error.exit_code)
    except Exception as error:
        # Work that a signal interrupted may fail with any error.
        signals.check()
        if isinstance(error, BrokenPipeError) or (isinstance(error, OutputError) and error.gone):
            out().abandon()
            return 1
        if debug:
            import traceback

            traceback.print_exc(file=err())
        failed[:] = [error]
        return _fail(explain(error), getattr(error, "exit_code", 1))


failed: Final[list[Exception]] = []
"""The error that ended the command."""


def _texts(arguments: Any) -> list[str]:
    """Return arguments as texts, else ArgumentTypeError: a number can be written in several ways."""
    if isinstance(arguments, (str, bytes, os.PathLike)) or not isinstance(arguments, Iterable):
        kind = type(arguments).__name__
        raise ArgumentTypeError("no arguments of a command", expected="a list of texts", found=f"{kind} {arguments!r}")
    given = list(arguments)
    for number, each in enumerate(given, 1):
        if not isinstance(each, (str, os.PathLike)):
            place, found = f"argument {number}", f"{type(each).__name__} {each!r}"
            raise ArgumentTypeError("not a text", place=place, expected="a text or a path", found=found)
    return [os.fsdecode(each) for each in given]


def _call(arguments: list[str]) -> int:
    """Call the command and return its exit code. Not by `cli.main`, which replaces the streams where a pipe breaks."""
    if instruction := os.environ.get(COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, "fnnet", COMPLETE, instruction)
    with cli.make_context("fnnet", arguments) as context:
        result = cli.invoke(context)
    return result if isinstance(result, int) else 0


COMPLETE: Final = "_FNNET_COMPLETE"
"""The variable by which a shell asks for what may follow on its line."""
LESS: Final = "use a smaller --batch-size, network or data set, or raise the limit (ulimit -v)"
"""What to do about too little memory."""
LEAST: Final = 600 * 10**6
"""Bytes of addresses below which the libraries of linear algebra fail to load, or OpenBLAS waits for ever."""


def _check_addresses() -> None:
    """Raise FnnetError if there is not enough memory for the libraries that every command loads."""
    from fnnet.limits import address_space

    left = address_space()
    if left is not None and left < LEAST:
        expected, found = f"at least {LEAST / 1e6:,.0f} MB", f"{max(0, left) / 1e6:,.0f} MB"
        raise FnnetError("too little memory", where="ulimit -v", expected=expected, found=found, fix="raise the limit")


def _is_out_of_memory(error: Exception) -> bool:
    """True for MemoryError, and for a library that could not be loaded for lack of memory."""
    words = ("failed to map segment", "cannot allocate memory", "cannot create shared object")
    return isinstance(error, MemoryError) or (
        isinstance(error, (ImportError, OSError)) and any(each in str(error).lower() for each in words)
    )


def explain(error: Exception) -> str:
    """Return an error on one line."""
    if isinstance(error, FnnetError):
        return str(error)
    if _is_out_of_memory(error):
        return str(FnnetError("out of memory", found=error if str(error) else None, fix=LESS))
    if isinstance(error, ModuleNotFoundError) and not (error.name or "fnnet").startswith("fnnet"):
        return missing(error)
    if isinstance(error, OSError) and error.filename is None:
        return f"standard output cannot be written: {error.strerror or error}"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return f"internal: {type(error).__name__}: {error}; run with --debug for the traceback"


def _fail(message: str, code: int) -> int:
    print_error(message)
    return code


SYNONYMS: Final = {
    "--lr": "--learning-rate",
    "--rate": "--learning-rate",
    "--alpha": "--learning-rate",
    "-e": "--epochs",
    "-n": "--epochs",
    "--epoch": "--epochs",
    "--iterations": "--epochs",
    "-b": "--batch-size",
    "--batch": "--batch-size",
    "--bs": "--batch-size",
    "--layers": "--hidden",
    "--units": "--hidden",
    "--wd": "--weight-decay",
    "--l2": "--weight-decay",
    "--opt": "--optimizer",
    "-o": "--out",
    "--output": "--out",
    "--numba": "--jit",
}
"""Options as other programs name them -> ours."""


def _nearest(error: click.NoSuchOption) -> str:
    """Return which options may be meant."""
    known = [name for parameter in error.ctx.command.params for name in parameter.opts] if error.ctx else []
    meant = SYNONYMS.get(error.option_name)
    return _perhaps(sorted(error.possibilities or ()) if meant is None else [meant] if meant in known else [])


def _perhaps(near: Sequence[str]) -> str:
    return f"; perhaps {' or '.join(near)}" if near else ""


def _usage(error: click.ClickException) -> str:
    """Return a usage error on one line, with the command that shows help."""
    message, context = error.format_message(), getattr(error, "ctx", None)
    if isinstance(error, click.NoSuchOption):
        message = f"No such option '{error.option_name}'{_nearest(error)}"
    elif message.startswith("No such command ") and context is not None and isinstance(context.command, click.Group):
        from difflib import get_close_matches

        name = message.split("'")[1]
        message = f"No such command '{name}'{_perhaps(get_close_matches(name, context.command.list_commands(context)))}"
    if isinstance(error, click.BadParameter) and error.param is not None and error.message:
        option = error.param.opts[0]
        message = f"{option if option.startswith('-') else error.param.human_readable_name}: {error.message}"
    where = context.command_path if context else "fnnet"
    return f"{' '.join(message.split()).rstrip('.')}; see '{where} --help'"
