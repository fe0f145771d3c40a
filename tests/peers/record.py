"""The recorded scores: the generated part of docs/compatibility.md, read back by `make peers`."""

from __future__ import annotations

import re
from pathlib import Path

FILE = Path(__file__).parents[2] / "docs" / "compatibility.md"
BEGIN, END = "<!-- peers: written by `make peers UPDATE=1` -->", "<!-- /peers -->"
_ROW = re.compile(r"^\| `([^`]+)` \| (\d+)/(\d+) \|", re.MULTILINE)


def read() -> dict[str, float]:
    """Set name → recorded ratio; empty when nothing is recorded yet."""
    if not FILE.exists():
        return {}
    return {name: int(passed) / int(total) for name, passed, total in _ROW.findall(FILE.read_text()) if int(total)}


def write(scores: dict[str, tuple[int, int, list[str]]]) -> None:
    """Puts the table of these sets (passed, total, names of missed cases) between the marks; other sets stay."""
    text = FILE.read_text()
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    rows = {m[1]: line for line in old.splitlines() if (m := _ROW.match(line))}
    for name, (passed, total, missed) in scores.items():
        shown = ", ".join(missed[:12]) + (f" and {len(missed) - 12} more" if len(missed) > 12 else "")
        shown = shown.replace("|", "\\|")
        rows[name] = f"| `{name}` | {passed}/{total} | {100 * passed / max(total, 1):.1f} % | {shown or '–'} |"
    table = ["", "| set | passed | share | missed |", "| --- | --- | --- | --- |", *(rows[n] for n in sorted(rows)), ""]
    FILE.write_text(before + BEGIN + "\n".join(table) + END + after)
