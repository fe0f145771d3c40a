"""24 h of 100 rules at 15 to 60 s in process, over recorded series: CPU seconds, against the limit of 5.

    python -m bench.rules_day

The same rules and series as bench.rule_tests; groups keep their own intervals and are observed six hours at a time, as
a backtest does it.
"""

from __future__ import annotations

from bench._rule_set import DAY_S, input_series, rule_file

from pilothouse.base.clock import cpu_seconds
from pilothouse.base.errors import Place
from pilothouse.engines.alerting import GroupState, parse_rule_groups
from pilothouse.engines.alerting.input_series import InputSeries
from pilothouse.engines.alerting.observation import observe
from pilothouse.engines.tsdb import Database

LIMIT_S = 5.0
STRETCH_MS = 6 * 3_600_000


def main() -> None:
    """Prints what the day cost and what happened in it."""
    for sample_s in (60, 15):
        groups, _findings = parse_rule_groups(rule_file(), Place("rules.yml"))
        database = Database()
        series = InputSeries.read(input_series(sample_s), sample_s * 1000, 0)
        series.load_until(database, DAY_S * 1000)
        began = cpu_seconds()
        transitions, steps = _day([GroupState(group) for group in groups], database)
        spent = cpu_seconds() - began
        print(
            f"24 h, {sum(len(g.rules) for g in groups)} rules at 15 to 60 s ({steps:,} evaluations of rules), "
            f"{len(series.labels)} series every {sample_s} s: {spent:.2f} CPU s (limit {LIMIT_S:g}), "
            f"{transitions} transitions"
        )


def _day(states: list[GroupState], database: Database) -> tuple[int, int]:
    """(transitions, rule evaluations) of the day."""
    transitions = steps = 0
    due_ms = [0 for _ in states]
    for end_ms in range(STRETCH_MS, DAY_S * 1000 + 1, STRETCH_MS):
        for number, state in enumerate(states):
            count = (end_ms - due_ms[number]) // state.interval_ms + 1
            last_ms = due_ms[number] + (count - 1) * state.interval_ms
            transitions += sum(len(e.transitions) for e in observe(state, database, due_ms[number], last_ms))
            steps += count * len(state.rules)
            due_ms[number] = last_ms + state.interval_ms
    return transitions, steps


if __name__ == "__main__":
    main()
