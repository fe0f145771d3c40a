"""Replays tests/cases/batch/cron-times.txt; and holds the search to a slow walk over all minutes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.base.clock import parse_rfc3339, rfc3339
from pilothouse.engines.cron import missed, schedule, zones

CASES = Path(__file__).parents[3] / "cases" / "batch" / "cron-times.txt"
MONDAY_S = parse_rfc3339("2026-01-05T00:00:00Z")


def _cases() -> list[Any]:
    text = "\n".join(line for line in CASES.read_text().splitlines() if not line.startswith("#"))
    blocks = [block.strip().splitlines() for block in re.split(r"\n\s*\n", text) if block.strip()]
    return [pytest.param(*head.split(" | "), told, id=head) for head, *told in blocks]


@pytest.mark.parametrize(("line", "zone", "start", "told"), _cases())
def test_the_times_are_those_of_the_case(line: str, zone: str, start: str, told: list[str]) -> None:
    if told[0].startswith("error: "):
        with pytest.raises(ValueError, match=re.escape(told[0].removeprefix("error: ")) + "$"):
            schedule.parse(line, zone)
        return
    plan = schedule.parse(line, zone)
    seen: list[str] = []
    at_s: float | None = parse_rfc3339(start)
    while at_s is not None and len(seen) < len(told):
        at_s = plan.next_s(at_s)
        seen.append("never" if at_s is None else rfc3339(at_s))
    assert seen == told


_LISTS = st.lists(st.integers(0, 59), min_size=1, max_size=3)


@given(
    minutes=_LISTS,
    hours=st.lists(st.integers(0, 23), min_size=1, max_size=3),
    zone=st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe"]),
    start_s=st.integers(0, 300 * 86_400),
)
@settings(max_examples=60, deadline=None)
def test_no_minute_that_matches_is_passed_over(minutes: list[int], hours: list[int], zone: str, start_s: int) -> None:
    plan = schedule.parse(f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *", zone)
    start_s += int(MONDAY_S)
    found = plan.next_s(start_s)
    assert found is not None
    where = zones.zone(zone)
    at_s = start_s - start_s % 60 + 60
    while at_s < found:
        wall = zones.wall(at_s, where)
        assert not (wall.minute in minutes and wall.hour in hours), wall
        at_s += 60
    wall = zones.wall(found, where)
    assert (wall.minute in minutes, wall.hour in hours, wall.second) == (True, True, 0)


@pytest.mark.parametrize(
    ("since", "now", "deadline_s", "run", "count"),
    [
        ("00:00:00", "00:59:59", None, None, "none"),
        ("00:00:00", "01:00:00", None, "01:00:00", "none"),
        ("00:00:00", "03:10:00", None, "03:00:00", "few"),
        ("00:00:00", "03:10:00", 300, None, "none"),
        ("00:00:00", "03:04:00", 300, "03:00:00", "none"),
    ],
)
def test_the_run_that_is_due(since: str, now: str, deadline_s: int | None, run: str | None, count: str) -> None:
    since_s, now_s = (parse_rfc3339(f"2026-01-05T{text}Z") for text in (since, now))
    found = missed.due(schedule.parse("0 * * * *"), since_s, now_s, deadline_s)
    wanted = None if run is None else parse_rfc3339(f"2026-01-05T{run}Z")
    assert (found.run_s, found.missed) == (wanted, count)


def test_more_than_a_hundred_missed_runs_are_many() -> None:
    plan = schedule.parse("* * * * *")
    assert missed.due(plan, MONDAY_S, MONDAY_S + 100 * 60).missed == "few"
    assert missed.due(plan, MONDAY_S, MONDAY_S + 101 * 60).missed == "many"


def test_the_next_look_is_a_little_after_the_next_run() -> None:
    plan = schedule.parse("*/10 * * * *")
    assert missed.wait_s(plan, MONDAY_S, MONDAY_S + 60) == pytest.approx(540.1)
    assert missed.wait_s(schedule.parse("0 0 31 2 *"), MONDAY_S, MONDAY_S) is None
