"""The page of all commands and options, docs/commands.md: `python -m tests.tools.commands` prints it."""

import click

from fnnet.cli.program import cli

WIDTH = 100
TOP = """# Commands

`fnnet COMMAND --help` prints what follows; in a checkout `python cli.py` is the same program as `fnnet`. This page is
printed by `python -m tests.tools.commands`.

`--json` prints one JSON document, `--quiet` only results, `--debug` a traceback where an error is internal. Results go
to standard output, progress and notices to standard error. Exit codes: 0 success, 1 failure, 2 wrong usage, 130
interrupted, 143 terminated.

## Completion

The shell completes commands, options, their choices and file names after one of these lines, which its start file
keeps:

| shell | line | file |
|---|---|---|
| bash 4.4 and later | `eval "$(_FNNET_COMPLETE=bash_source fnnet)"` | `~/.bashrc` |
| zsh | `eval "$(_FNNET_COMPLETE=zsh_source fnnet)"` | `~/.zshrc` |
| fish | `_FNNET_COMPLETE=fish_source fnnet \\| source` | `~/.config/fish/completions/fnnet.fish` |
"""


def commands(command=cli, name="fnnet"):
    """Yield the name of each command, with those of its groups, and the command."""
    if isinstance(command, click.Group):
        for each in sorted(command.commands):
            yield from commands(command.commands[each], f"{name} {each}")
    else:
        yield name, command


def page():
    """Return the text of the page."""
    parts = [TOP]
    for name, command in commands():
        with click.Context(command, info_name=name, terminal_width=WIDTH) as context:
            parts.append(f"## {name.removeprefix('fnnet ')}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    click.echo(page(), nl=False)
