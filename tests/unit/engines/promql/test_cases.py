"""The project's own PromQL cases, in the acceptance language that `tests/peers/promqltest.py` reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.peers.promqltest import run_script

CASES = Path(__file__).parents[3] / "cases" / "promql"


@pytest.mark.parametrize("script", sorted(CASES.glob("*.test")), ids=lambda path: path.stem)
def test_every_case_of_the_script_holds(script: Path) -> None:
    verdicts = list(run_script(script.read_text()))
    assert verdicts
    assert [verdict for verdict in verdicts if verdict[1] is not None] == []


def test_the_runner_notices_a_wrong_expectation() -> None:
    verdicts = list(run_script("load 1m\n  x 1\n\neval instant at 0m x\n  x 2\n"))
    assert verdicts == [(4, "x: 1.0, wanted 2.0")]
