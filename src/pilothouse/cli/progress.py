"""Progress on stderr while a rehearsal runs: a bar on a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pilothouse.report.model import Progress, Step


@contextmanager
def shown(name: str, *, quiet: bool = False) -> Iterator[Progress]:
    """Gives the function that `assemble.rehearse` calls; takes the bar away at the end, so that the report stands
    alone.

    The first words appear before anything heavy is imported.
    """
    if quiet or not sys.stderr.isatty():
        yield _nothing
        return
    sys.stderr.write(f"rehearsing {name} …\r")
    sys.stderr.flush()
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns, console=console, transient=True, refresh_per_second=8, auto_refresh=False) as bar:
        task = bar.add_task(name, total=1.0, note="reading")

        def step(at: Step) -> None:
            bar.update(task, completed=fraction(at), note=note(at))
            bar.refresh()

        yield step


def fraction(at: Step) -> float:
    """How much of the whole is done, 0..1."""
    within = at.at_s / at.duration_s if at.duration_s > 0 else 0.0
    return min(1.0, (at.run + min(1.0, within)) / max(1, at.runs))


def note(at: Step) -> str:
    """`rehearsing 00:41 of 01:00, run 3 of 50`."""
    from pilothouse.report.wording import clock

    text: str = at.phase
    if at.duration_s > 0:
        text += f" {clock(at.at_s, with_seconds=False)} of {clock(at.duration_s, with_seconds=False)}"
    return f"{text}, run {at.run + 1} of {at.runs}" if at.runs > 1 else text


def _nothing(_at: Step) -> None:
    """In a pipe nobody looks."""
