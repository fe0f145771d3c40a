"""The layout of text reports: titles with a rule, wrapped paragraphs, tables. Pure; used by every text rendering."""

from __future__ import annotations

import textwrap

from pilothouse.report.timeline import Line


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
