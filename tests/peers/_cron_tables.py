"""The tables of cron schedules of the set `deployments`: next times, and the run that is due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pilothouse.base.clock import parse_rfc3339, rfc3339
from pilothouse.engines.cron import missed, schedule

NEXT_TIMES = 4


def cases(table: Mapping[str, Any]) -> Iterable[tuple[str, str | None]]:
    """(name, None if equal else the difference) of each case of one table."""
    for case in table["cases"]:
        seen = _due(case) if "now" in case else _next_times(case)
        same = seen == case["expect"]
        yield case["name"], None if same else f"{seen}, recorded {case['expect']}"


def _next_times(case: Mapping[str, Any]) -> dict[str, Any]:
    try:
        plan = schedule.parse(case["schedule"], case["timeZone"] or "")
    except ValueError as error:
        return {"error": str(error)}
    times: list[str] = []
    at_s: float | None = parse_rfc3339(case["from"])
    while len(times) < NEXT_TIMES and at_s is not None:
        at_s = plan.next_s(at_s)
        if at_s is not None:
            times.append(rfc3339(at_s))
    return {"next": times}


def _due(case: Mapping[str, Any]) -> dict[str, Any]:
    plan = schedule.parse(case["schedule"])
    since_s = parse_rfc3339(case["lastScheduleTime"] or case["creationTimestamp"])
    deadline_s = case["startingDeadlineSeconds"] if case["applyDeadline"] else None
    try:
        due = missed.due(plan, since_s, parse_rfc3339(case["now"]), deadline_s)
    except missed.NeverRuns as error:
        return {"earliest": rfc3339(since_s), "missed": "none", "error": str(error)}
    run = {} if due.run_s is None else {"mostRecent": rfc3339(due.run_s)}
    return {"earliest": rfc3339(due.since_s), "missed": due.missed, **run}
