"""All commands as one program."""

from __future__ import annotations

import sys
import time
import traceback
from typing import Any, Final

import click

from fnnet import __version__
from fnnet.cli import signals
from fnnet.cli.data import data
from fnnet.cli.evaluate import evaluate
from fnnet.cli.gradcheck import gradcheck
from fnnet.cli.lr_find import lr_find
from fnnet.cli.plot import plot
from fnnet.cli.predict import predict
from fnnet.cli.streams import abandon_stdout, tell_error
from fnnet.cli.train import train
from fnnet.cli.warmup import warmup
from fnnet.errors import FnnetError


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fnnet")
@click.option("--debug", is_flag=True, help="Show tracebacks; may stand anywhere.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Recognise hand-written digits with a small neural network that reads like its mathematics.

    \b
    fnnet train --jit                        train 784-10-10 and save model.safetensors
    fnnet evaluate model.safetensors         how good is it, class by class
    fnnet predict model.safetensors 7.png    which digit is this

    Results go to standard output, progress and notices to standard error.
    Exit codes: 0 good, 1 a failure told in one line, 2 wrong usage, 130 interrupted, 143 terminated.
    """
    context.obj = {"began": time.perf_counter()}
    _check_addresses()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (train, evaluate, predict, lr_find, plot, gradcheck, data, warmup):
    cli.add_command(command)


def run(arguments: list[str]) -> int:
    """Run the command line; its exit code. Stopped where a signal comes."""
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
        # What a signal broke off may fail in ways of its own.
        signals.check()
        if debug:
            traceback.print_exc()
        return _fail(_explain(error), getattr(error, "exit_code", 1))


LESS: Final = "use a smaller --batch-size, network or data set, or raise the limit (ulimit -v)"
"""What to do about too little memory."""


LEAST: Final = 600 * 10**6
"""Bytes of addresses below which the libraries of linear algebra fail to load, or wait for ever for room (OpenBLAS)."""


def _check_addresses() -> None:
    """FnnetError where there is no room for what every command loads."""
    from fnnet.limits import address_space

    left = address_space()
    if left is not None and left < LEAST:
        expected, found = f"at least {LEAST / 1e6:,.0f} MB", f"{max(0, left) / 1e6:,.0f} MB"
        raise FnnetError("too little memory", where="ulimit -v", expected=expected, found=found, fix="raise the limit")


def _is_out_of_memory(error: Exception) -> bool:
    """Also where a library could not be loaded for lack of it, which the loader says in words of its own."""
    words = ("failed to map segment", "cannot allocate memory", "cannot create shared object")
    return isinstance(error, MemoryError) or (
        isinstance(error, (ImportError, OSError)) and any(each in str(error).lower() for each in words)
    )


def _explain(error: Exception) -> str:
    if isinstance(error, FnnetError):
        return str(error)
    if _is_out_of_memory(error):
        return str(FnnetError("out of memory", found=error if str(error) else None, fix=LESS))
    if isinstance(error, OSError) and error.filename is None:
        return f"standard output cannot be written: {error.strerror}"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return f"internal: {type(error).__name__}: {error}; run with --debug for the traceback"


def _fail(message: str, code: int) -> int:
    tell_error(message)
    return code


def _usage(error: click.ClickException) -> str:
    """A usage error on one line, with the place where help is."""
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if isinstance(error, click.BadParameter) and error.param is not None and error.message:
        option = error.param.opts[0]
        message = f"{option if option.startswith('-') else error.param.human_readable_name}: {error.message}"
    where = context.command_path if context else "fnnet"
    return f"{' '.join(message.split()).rstrip('.')}; see '{where} --help'"
