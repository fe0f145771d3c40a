"""Rule groups on a clock, in virtual time: when they run, what the API sees, what a restart restores."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from pilothouse.base import virtual_loop
from pilothouse.base.clock import VirtualClock
from pilothouse.base.errors import Place
from pilothouse.engines.alerting import Evaluation, GroupState, RuleGroup, parse_rule_groups
from pilothouse.engines.tsdb import Database, make_labels, make_matcher
from pilothouse.signals.metrics.rules import RuleRunner, first_ms

T0_S = 1_767_225_600.0


def groups(*rules: dict[str, Any], interval: str = "10s") -> list[RuleGroup]:
    found, findings = parse_rule_groups(
        {"groups": [{"name": "g", "interval": interval, "rules": list(rules)}]}, Place("rules.yml")
    )
    assert findings == []
    return found


def run(database: Database, found: list[RuleGroup], for_s: float, start_s: float = T0_S, **more: Any) -> RuleRunner:
    """Runs the groups for a while of virtual time, feeding `m` with 1 each 5 s."""
    box: list[RuleRunner] = []

    async def main(loop: virtual_loop.VirtualLoop) -> None:
        clock = VirtualClock(loop, start_s)
        runner = RuleRunner(database, clock, found, **more)
        box.append(runner)
        task = asyncio.create_task(runner.run())
        for _ in range(int(for_s // 5)):
            database.append(make_labels({}, "m"), round(clock.time() * 1000), 1.0)
            await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    virtual_loop.run(main)
    return box[0]


def times_of(database: Database, name: str) -> list[int]:
    selection = database.select((make_matcher("__name__", "=", name),))
    return [time_ms for part in selection.parts for time_ms in part.frame.times.tolist()]


def test_a_group_runs_at_its_own_moment_of_the_interval() -> None:
    database = Database()
    run(database, groups({"record": "r", "expr": "m"}), 60)
    times = times_of(database, "r")
    assert len(times) == 6
    assert {later - earlier for earlier, later in pairwise(times)} == {10_000}
    assert times[0] == first_ms("rules.yml;g", 10_000, round(T0_S * 1000))


def test_results_and_errors_are_seen_by_the_listener() -> None:
    seen: list[Evaluation] = []

    def note(state: GroupState, result: Evaluation) -> None:
        assert state.group.name == "g"
        seen.append(result)

    wrong = {"record": "w", "expr": "m * on() group_left() (m or label_replace(m, 'a', 'b', '', ''))"}
    runner = run(Database(), groups({"alert": "A", "expr": "m"}, wrong), 30, on_evaluation=note)
    assert [transition.after for transition in seen[0].transitions] == ["firing"]
    assert "many-to-many" in seen[0].errors[0].message
    assert [state.health for state in runner.groups[0].state.rules] == ["ok", "err"]
    assert runner.groups[0].last_s > T0_S


def test_a_pending_alert_goes_on_after_a_restart() -> None:
    database = Database()
    found = groups({"alert": "A", "expr": "m", "for": "30m"})
    run(database, found, 600)
    later_s = T0_S + 660
    runner = run(database, groups({"alert": "A", "expr": "m", "for": "30m"}), 60, later_s, resume=True)
    alerts = [alert for state in runner.groups[0].state.alerting_states() for alert in state.active.values()]
    assert [alert.state for alert in alerts] == ["pending"]
    assert alerts[0].active_at_ms < later_s * 1000


def test_a_time_that_does_not_rise_is_left_out() -> None:
    database = Database()
    database.append(make_labels({}, "m"), 1_000_000, 1.0)

    async def main(loop: virtual_loop.VirtualLoop) -> list[int]:
        runner = RuleRunner(database, VirtualClock(loop, T0_S), groups({"record": "r", "expr": "m"}))
        return [runner.evaluate(runner.groups[0], time_ms).samples for time_ms in (1_000_000, 1_000_000, 999_999)]

    assert virtual_loop.run(main) == [1, 0, 0]


def test_a_write_that_fails_does_not_end_the_runner() -> None:
    class Full(Database):
        def frame(self, _name: str) -> Any:
            raise OSError(28, "No space left on device")

    runner = run(Full(), groups({"record": "r", "expr": "m"}), 30)
    assert "No space left" in runner.groups[0].failure
