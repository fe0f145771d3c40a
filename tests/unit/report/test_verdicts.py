"""From endings to verdicts."""

from __future__ import annotations

from pilothouse.report.model import Ending
from pilothouse.report.verdicts import Asked, decide, overall


def endings(*holds: bool | None) -> list[tuple[int, Ending]]:
    return [(10 + i, Ending(holds=h, seen=f"run {10 + i}")) for i, h in enumerate(holds)]


EVERY = Asked(name="a", asked="a", at=None)
MOSTLY = Asked(name="a", asked="a", at=None, comparison=">=", probability=0.95)
RARELY = Asked(name="a", asked="a", at=None, comparison="<=", probability=0.1)


def test_one_run_says_what_it_saw() -> None:
    assert decide(EVERY, endings(True)).outcome == "met"
    failed = decide(EVERY, endings(False))
    assert (failed.outcome, failed.first_failing_seed, failed.seen) == ("not met", 10, "run 10")


def test_every_run_must_hold_unless_a_share_is_asked() -> None:
    verdict = decide(EVERY, endings(*[True] * 99, False))
    assert (verdict.outcome, verdict.first_failing_seed, verdict.wanted) == ("not met", 109, "every run")
    assert verdict.seen == "run 109"


def test_a_share_needs_runs_enough() -> None:
    few = decide(MOSTLY, endings(*[True] * 20))
    assert few.outcome == "undecided"
    assert "--runs 73" in few.hint
    assert decide(MOSTLY, endings(*[True] * 200)).outcome == "met"
    assert decide(MOSTLY, endings(*[True, False] * 50)).outcome == "not met"


def test_at_most_a_share_fails_by_holding() -> None:
    verdict = decide(RARELY, endings(*[True] * 60, *[False] * 40))
    assert (verdict.outcome, verdict.first_failing_seed) == ("not met", 10)
    assert decide(RARELY, endings(*[False] * 200)).outcome == "met"


def test_what_could_not_be_told_leaves_it_undecided() -> None:
    verdict = decide(EVERY, [(1, Ending(holds=True, seen="ok")), (2, Ending(holds=None, seen="no series"))])
    assert (verdict.outcome, verdict.runs, verdict.seen) == ("undecided", 1, "no series")
    assert decide(EVERY, endings(None)).outcome == "undecided"
    assert decide(EVERY, endings(None, False)).outcome == "not met"
    assert decide(EVERY, []).outcome == "undecided"


def test_the_worst_verdict_is_the_outcome() -> None:
    met, undecided, failed = (decide(EVERY, endings(h)) for h in (True, None, False))
    assert overall([]) == "met"
    assert overall([met]) == "met"
    assert overall([met, undecided]) == "undecided"
    assert overall([undecided, failed, met]) == "not met"
    assert overall([met], usable=False) == "unusable"
