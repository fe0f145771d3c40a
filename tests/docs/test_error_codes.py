"""Every code that the program can give is explained in docs/errors.md, and none is explained that it cannot give."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"[\"' ](PH[0-9]{3,4})[\"':]")
"""A code in quotes, or followed by a colon in a message; ranges in docstrings (PH300-PH319) are not codes."""


def test_error_codes_are_documented() -> None:
    used = {c for p in sorted((ROOT / "src").rglob("*.py")) for c in CODE.findall(p.read_text())}
    told = set(re.findall(r"^\| (PH[0-9]{3,4}) \|", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE))
    assert sorted(used - told) == []
    assert sorted(told - used) == []
