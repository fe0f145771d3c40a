"""Which run of a schedule is due, how many were missed, and when to look again.

Source: CronJob controller of Kubernetes 1.36, `mostRecentScheduleTime` and `nextScheduleTimeDuration`. Missed runs are
counted from the distance of the first two, as upstream does: exact for even schedules, an estimate for others.
"""

from __future__ import annotations

from dataclasses import dataclass

from pilothouse.engines.cron.schedule import Every, Schedule

MANY = 100
"""More missed runs than this are worth a warning."""
LOOK_AGAIN_PADDING_S = 0.1
"""Added to the wait for the next run, so that small differences of clocks do not make it come early."""


class NeverRuns(ValueError):
    """The schedule is well-formed but has no two runs (31 February)."""


@dataclass(frozen=True, slots=True)
class Due:
    """since_s: what is counted from; run_s: the run to start now, None when there is none; missed: none, few, many."""

    since_s: float
    run_s: int | None
    missed: str = "none"


def due(schedule: Schedule | Every, since_s: float, now_s: float, deadline_s: int | None = None) -> Due:
    """The latest run after `since_s` that is not later than now. since_s: the last run or the creation; deadline_s:
    runs longer ago than this no longer count. Raises NeverRuns."""
    if deadline_s is not None:
        since_s = max(since_s, now_s - deadline_s)
    first_s = schedule.next_s(since_s)
    second_s = None if first_s is None else schedule.next_s(first_s)
    if first_s is not None and now_s < first_s:
        return Due(since_s, None)
    if first_s is not None and second_s is not None and now_s < second_s:
        return Due(since_s, first_s)
    if first_s is None or second_s is None or second_s - first_s < 1:
        raise NeverRuns("time difference between two schedules is less than 1 second")
    missed = int(now_s - first_s) // (second_s - first_s) + 1
    # From a little before where an even schedule would stand, walk to the last run that is not in the future.
    run_s, at_s = None, schedule.next_s(first_s + (missed - 2) * (second_s - first_s))
    while at_s is not None and at_s <= now_s:
        run_s, at_s = at_s, schedule.next_s(at_s)
    return Due(since_s, run_s, "many" if missed > MANY else "few")


def wait_s(schedule: Schedule | Every, since_s: float, now_s: float) -> float | None:
    """Seconds until the next run is worth a look; None when the schedule never runs again."""
    try:
        found = due(schedule, since_s, now_s)
    except NeverRuns:
        from_s = now_s
    else:
        if found.run_s is not None:
            from_s = found.run_s
        else:
            from_s = found.since_s if found.missed == "none" else now_s
    next_s = schedule.next_s(from_s)
    return None if next_s is None else next_s + LOOK_AGAIN_PADDING_S - now_s
