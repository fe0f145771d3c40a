"""The layout of text reports: titles with a rule, wrapped paragraphs, tables, findings. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from pilothouse.report.model import Found
from pilothouse.report.timeline import Line
from pilothouse.report.wording import count, place

FINDINGS_SHOWN = 12


def title(text: str, note: str, width: int, style: str = "") -> list[Line]:
    head = f"{text} "
    tail = f" {note}" if note else ""
    if len(head) + len(tail) + 3 > width:
        return [[], [(head.rstrip(), "bold")], *wrapped(f"  {note}", width, "  ", style or "dim")]
    rule = "─" * (width - len(head) - len(tail))
    return [[], [(head, "bold"), (rule, "dim"), (tail, style or "dim")]]


def wrapped(text: str, width: int, indent: str, style: str = "") -> list[Line]:
    lead = text[: len(text) - len(text.lstrip())]
    rows = textwrap.wrap(text.strip(), width, initial_indent=lead, subsequent_indent=indent, break_on_hyphens=False)
    return [[(row, style)] for row in rows]


def table(rows: list[list[str]], width: int) -> list[Line]:
    """Columns as wide as their longest cell; the last one wraps below when the line is too narrow."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    widths[0] = min(widths[0], 28)
    out: list[Line] = []
    for number, row in enumerate(rows):
        cells = "  " + "".join(f"{cell[:28] if i == 0 else cell:<{widths[i] + 2}}" for i, cell in enumerate(row[:-1]))
        style = "dim" if number == 0 else ""
        if len(cells) + widths[-1] <= width:
            out.append([(cells, style), (row[-1], "dim")])
        else:
            out.append([(cells.rstrip(), style)])
            if number:
                out += wrapped("    " + row[-1], width, "    ", "dim")
    return out


def findings(found: Sequence[Found], width: int) -> list[Line]:
    """What is wrong with the inputs, errors first; the report keeps them all, a terminal shows the first."""
    if not found:
        return []
    rank = {"error": 0, "warning": 1, "note": 2}
    ordered = sorted(found, key=lambda f: rank.get(f.severity, 3))
    errors = sum(f.severity == "error" for f in found)
    note = f"{count(errors, 'error')}: what is wrong was left out" if errors else "nothing was left out"
    out = title("Findings", note, width, "bad" if errors else "")
    for one in ordered[:FINDINGS_SHOWN]:
        style = {"error": "bad", "warning": "warn"}.get(one.severity, "dim")
        where = f"{place(one.at)}: " if one.at else ""
        out += wrapped(f"  {one.severity} {one.code} {where}{one.message}", width, "    ", style)
        if one.remedy:
            out += _remedy(one.remedy, width)
    if len(ordered) > FINDINGS_SHOWN:
        out.append([(f"  … and {len(ordered) - FINDINGS_SHOWN} more: -o json lists all", "dim")])
    return out


def _remedy(text: str, width: int) -> list[Line]:
    """A sentence is wrapped; a picture (an expression with a caret under the place) is kept as it is drawn."""
    first, *picture = text.splitlines()
    if not picture:
        return wrapped(f"    → {first}", width, "      ")
    return [[(f"    → {first}", "")], *([(f"      {line}", "")] for line in picture)]
