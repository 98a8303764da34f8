"""The command line: parse, call, print."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

import click

from fnnet import __version__
from fnnet.cli.data import data
from fnnet.cli.gradcheck import gradcheck
from fnnet.cli.train import train
from fnnet.cli.use import evaluate, predict
from fnnet.errors import FnnetError, one_line

INTERRUPTED, TERMINATED = 130, 143


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived."""


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fnnet")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
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
    context.obj = {"began": time.perf_counter(), "debug": debug}
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (train, evaluate, predict, gradcheck, data):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # What was told to ignore a signal, as by nohup, goes on ignoring it.
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _terminate)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_run(list(sys.argv[1:] if arguments is None else arguments)))


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _run(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    try:
        result: Any = cli.main(arguments, prog_name="fnnet", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except Terminated:
        return _fail("terminated", TERMINATED)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader has left (`fnnet predict ... | head`); keep the interpreter from flushing into the pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except click.ClickException as error:
        return _fail(_usage(error), error.exit_code)
    except FnnetError as error:
        if debug:
            traceback.print_exc()
        return _fail(str(error), error.exit_code)
    except MemoryError:
        return _fail("out of memory; use a smaller batch, network or data set", 1)
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _fail(f"internal: {type(error).__name__}: {error}; run with --debug for the traceback", 1)


def _fail(message: str, code: int) -> int:
    click.echo(f"error: {one_line(message)}", err=True)
    return code


def _usage(error: click.ClickException) -> str:
    """A usage error on one line, with the place where help is."""
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    if isinstance(error, click.BadParameter) and error.param is not None:
        names = [*error.param.opts, error.param.human_readable_name]
        message = f"{names[0] if names[0].startswith('-') else error.param.human_readable_name}: {error.message}"
    where = context.command_path if context else "fnnet"
    return f"{' '.join(message.split())}; see '{where} --help'"
