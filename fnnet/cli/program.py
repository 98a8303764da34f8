"""All commands as one program. A new command is a file and a line of COMMANDS."""

from __future__ import annotations

import sys
import time
from collections import UserDict
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click

from fnnet import __version__
from fnnet.cli import signals
from fnnet.cli.streams import abandon_stdout, missing, print_error
from fnnet.errors import FnnetError

COMMANDS: Final = {
    "data": "fnnet.cli.data:data",
    "evaluate": "fnnet.cli.evaluate:evaluate",
    "gradcheck": "fnnet.cli.gradcheck:gradcheck",
    "lr-find": "fnnet.cli.lr_find:lr_find",
    "plot": "fnnet.cli.plot:plot",
    "predict": "fnnet.cli.predict:predict",
    "train": "fnnet.cli.train:train",
    "warmup": "fnnet.cli.warmup:warmup",
}
"""The name of each command -> MODULE:FUNCTION."""


class LazyCommands(UserDict[str, Any]):
    """The commands by their names; each is imported when it is first looked up."""

    def __getitem__(self, name: str) -> Any:
        command = super().__getitem__(name)
        if isinstance(command, str):
            module, _, function = command.partition(":")
            self[name] = command = getattr(import_module(module), function)
        return command


@click.group(
    commands=LazyCommands(COMMANDS),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="fnnet")
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
        click.echo(context.get_help())


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code. Raises Stopped when a signal comes."""
    debug = "--debug" in arguments
    try:
        result: Any = cli.main(
            [each for each in arguments if each != "--debug"], prog_name="fnnet", standalone_mode=False
        )
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except BrokenPipeError:
        # The reader has left: `fnnet predict ... | head`.
        abandon_stdout()
        return 1
    except click.ClickException as error:
        return _fail(_usage(error), error.exit_code)
    except Exception as error:
        # Work that a signal interrupted may fail with any error.
        signals.check()
        if debug:
            import traceback

            traceback.print_exc()
        return _fail(_explain(error), getattr(error, "exit_code", 1))


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


def _explain(error: Exception) -> str:
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
