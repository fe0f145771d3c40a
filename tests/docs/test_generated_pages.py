"""Generated pages are fresh, and every kind has its own example."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs import generated

from pilothouse.assemble.kinds import KINDS


@pytest.mark.parametrize("name", ["kinds/README.md", "commands.md", "metrics.md"])
def test_the_page_says_what_the_code_says(name: str) -> None:
    file = generated.DOCS / name
    made = {"kinds/README.md": generated.kinds, "commands.md": generated.commands, "metrics.md": generated.metrics}
    assert file.read_text() == made[name](), "run `make docs`"


def test_every_kind_of_a_folder_has_an_example() -> None:
    folder = Path(generated.ROOT / "src" / "pilothouse" / "kinds")
    missing = [
        str(p.parent.relative_to(folder))
        for p in sorted(folder.rglob("kind.py"))
        if not (p.parent / "example.yaml").exists()
    ]
    assert missing == []


def test_readme_names_every_command() -> None:
    text = (generated.DOCS / "commands.md").read_text()
    for path, _command in generated.command_paths():
        assert f"## `{path}`" in text


def test_the_kinds_page_names_every_kind() -> None:
    text = (generated.DOCS / "kinds" / "README.md").read_text()
    assert [k.name for k in KINDS if f"| {k.kind} |" not in text] == []
