"""docs/commands.md, drawn from the command line itself: `make commands` writes it anew, and a test holds it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click
import typer

from flows.settings import CHECKOUT

PAGE = CHECKOUT / "docs" / "commands.md"

HEAD = """# Commands

Written by `make commands` from the command line itself; a test holds it to that. `xray COMMAND --help` has examples.
`--json` prints one JSON object for a program ([schema](schema/README.md)); `xray --home DIR` names another home than
`XRAY_HOME`. Research use only, not for diagnosis.

| command | what it does | what it takes |
| --- | --- | --- |
"""


def read_program() -> click.Command:
    """The whole command line, with the commands that are only added when it is called."""
    from flows.cli import commands

    kept, sys.argv = sys.argv, ["xray", "--version"]
    try:
        commands.run_commands()
    except SystemExit:
        pass
    finally:
        sys.argv = kept
    return typer.main.get_command(commands.app)


def draw_page(program: click.Command) -> str:
    """The page: a row for every command, in the order of their names."""
    return HEAD + "".join(sorted(_draw_rows(program, ("xray",))))


def _draw_rows(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    children = getattr(command, "commands", {})
    for name, child in children.items():
        yield from _draw_rows(child, (*path, name))
    if children:
        return
    parameters = [
        parameter for parameter in command.params if not {"--json", "--help"} & {*parameter.opts} and parameter.name
    ]
    cells = (f"`{' '.join(path)}`", _say_what(command.help or ""), "<br>".join(map(_draw, parameters)))
    yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _say_what(help_text: str) -> str:
    """Its help without the examples, as one paragraph."""
    said = help_text.partition("Example:")[0]
    return " ".join(said.split())


def _draw(parameter: click.Parameter) -> str:
    """An option or argument with its help; a default that is said there is not said twice."""
    help_text = " ".join((getattr(parameter, "help", None) or "").split())
    if parameter.param_type_name == "argument":
        name = (getattr(parameter, "metavar", None) or str(parameter.name)).upper()
    else:
        name = ", ".join((*parameter.opts, *parameter.secondary_opts))
    return f"`{name}`" + (f" {help_text}" if help_text else "")


if __name__ == "__main__":
    PAGE.write_text(draw_page(read_program()), encoding="utf-8")
