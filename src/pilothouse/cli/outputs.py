"""Where reports go: the terminal with or without colour, standard output for programs, files."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence

import click

from pilothouse.base.errors import Finding, InputError, Place
from pilothouse.report.model import Report, Spent
from pilothouse.report.timeline import Line

PIPE_WIDTH = 100

RICH_STYLES = {
    "": "",
    "dim": "dim",
    "bold": "bold",
    "good": "bold green",
    "bad": "bold red",
    "warn": "yellow",
    "curve": "cyan",
    "lack": "red",
}


def show(report: Report, spent: Spent | None) -> None:
    """Prints the text report: coloured on a terminal, plain in a pipe or with NO_COLOR."""
    from pilothouse.report.text import render

    print_lines(render(report, width(), spent))


def print_lines(lines: list[Line]) -> None:
    from pilothouse.report.text import plain

    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    if not coloured():
        sys.stdout.write(plain(lines, ascii_only=ascii_only))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True, force_terminal=True)
    for line in lines:
        console.print(Text.assemble(*((text, RICH_STYLES[style]) for text, style in line)))


def coloured() -> bool:
    """NO_COLOR and TERM=dumb take colour away, FORCE_COLOR gives it, else a terminal has it."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()


def width() -> int:
    """Columns of the terminal (COLUMNS wins); in a pipe a width that a reader's editor shows."""
    return shutil.get_terminal_size((PIPE_WIDTH, 40)).columns


def dump(reports: Sequence[Report], form: str) -> None:
    """JSON or YAML on standard output: one report as itself, several as a list (JSON) or as documents (YAML)."""
    from pilothouse.report import formats

    if form == "yaml":
        click.echo("---\n".join(formats.to_yaml(r) for r in reports), nl=False)
    elif len(reports) == 1:
        sys.stdout.write(formats.to_json(reports[0]).decode())
    else:
        sys.stdout.write("[\n" + ",\n".join(formats.to_json(r).decode().rstrip() for r in reports) + "\n]\n")


def write_files(report: Report, given: Mapping[str, str], number: int | None = None) -> None:
    """Writes the files that the command line or the scenario asks for; what is given on the command line wins.

    number: of several reports, so that they do not overwrite each other (its scenario's name goes into the file's
    name).
    """
    for kind in ("html", "junit", "events", "json"):
        path = given.get(kind) or report.outputs.get(kind, "")
        if path and given.get(kind) and number is not None:
            stem, dot = os.path.splitext(path)
            path = f"{stem}-{report.scenario}{dot}"
        if path:
            write(path, _content(report, kind))


def _content(report: Report, kind: str) -> bytes:
    from pilothouse.report import formats

    if kind == "html":
        from pilothouse.report.html import render

        return render(report).encode()
    if kind == "junit":
        return formats.to_junit(report).encode()
    if kind == "json":
        return formats.to_json(report)
    return formats.to_events(report.shown) if report.shown is not None else b""


def write(path: str, content: bytes) -> None:
    """Writes a file and the folders above it; PH501 when that cannot be."""
    try:
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        remedy = "choose a path in a folder that you may write to"
        raise InputError(Finding("PH501", f"cannot be written: {reason}", Place(path), remedy)) from None
