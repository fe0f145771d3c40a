"""docs/kinds/scenario.md says what the kind's schema says, and its examples are right."""

from __future__ import annotations

import re

import pytest
from tests.docs.scenario_fields import PAGE, page

from pilothouse.base.manifests import load_text
from pilothouse.kinds.pilothouse.scenario import read
from pilothouse.kinds.pilothouse.scenario.events import FAULTS

EXAMPLES = [e for e in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL) if "kind: Scenario" in e]


def test_the_table_of_fields_is_fresh() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples_are_right(number: int) -> None:
    (document,) = load_text(EXAMPLES[number]).scenarios
    assert [str(f) for f in read.parse(document)[1]] == []


def test_every_fault_is_named() -> None:
    text = PAGE.read_text()
    assert EXAMPLES
    assert [f for f in FAULTS if f"`{f}`" not in text] == []
