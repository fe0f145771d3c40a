"""Evaluates a group over a whole span at once: the range form of `GroupState.evaluate`, with the same transitions.

For groups that only watch: nobody reads their results before the span is over, and no rule reads its own or a later
rule's
result. Each rule's expression is answered for all steps together, then the alert states walk only over the steps where
something is active. `observe` falls back to step by step where the range form would differ, so it is always right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from pilothouse.base.errors import LimitExceeded
from pilothouse.engines.alerting.dependencies import reads_own_or_later
from pilothouse.engines.alerting.evaluation import (
    AlertingState,
    Evaluation,
    EvaluationFailed,
    GroupState,
    RecordingState,
    RuleError,
    RuleState,
    Transition,
    recorded_labels,
)  # fmt: skip
from pilothouse.engines.alerting.queries import QueryError, Sample, Span
from pilothouse.engines.alerting.rules import RuleGroup
from pilothouse.engines.tsdb import Database


def why_not_observable(group: RuleGroup) -> str:
    """ "" when the group may be evaluated a span at a time; else the reason, naming the rule."""
    for watched in group.rules:
        if watched.query.knows_its_span:
            return f'rule "{watched.name}" asks for the ends or the step of its evaluation'
    rule = reads_own_or_later(group)
    if rule is None:
        return ""
    return f'rule "{rule.name}" may read its own result or that of a later rule of group "{group.name}"'


def observe(
    state: GroupState, db: Database, start_ms: int, end_ms: int, *, step_ms: int | None = None
) -> list[Evaluation]:
    """Evaluates at start, start + interval, … up to end (Unix ms) and returns those evaluations in which something
    happened: transitions or errors. The state afterwards is as if `evaluate` had been called at each step.

    step_ms: instead of the group's interval.
    """
    times = range(start_ms, end_ms + 1, step_ms or state.interval_ms)
    if not times:
        return []
    if why_not_observable(state.group):
        return [e for e in (state.evaluate(db, t) for t in times) if e.transitions or e.errors]
    happened: dict[int, _Happened] = {}
    for index, rule_state in enumerate(state.rules):
        _observe_rule(state, rule_state, index, db, times, happened)
        rule_state.last_ms = times[-1]
    state.last_ms = times[-1]
    return [Evaluation(t, tuple(h.transitions), tuple(h.errors), h.samples) for t, h in sorted(happened.items())]


@dataclass(slots=True)
class _Happened:
    transitions: list[Transition] = field(default_factory=list)
    errors: list[RuleError] = field(default_factory=list)
    samples: int = 0


Steps = Iterator[tuple[int, Callable[[], Sequence[Sample]]]]


def _observe_rule(
    state: GroupState, rule_state: RuleState, index: int, db: Database, times: range, happened: dict[int, _Happened]
) -> None:
    offset = state.query_offset_ms
    try:
        span = rule_state.rule.query.span(db, range(times[0] - offset, times[-1] - offset + 1, times.step))
    except QueryError:
        # Some step fails; which one, and what the others give, only single steps tell.
        _step_rule(state, rule_state, index, db, _single_steps(rule_state, db, times, offset), happened)
        return
    if isinstance(rule_state, RecordingState) and _store_block(state, rule_state, db, times, span):
        rule_state.health, rule_state.last_error = "ok", ""
        return
    rule_state.health, rule_state.last_error = "ok", ""
    _step_rule(state, rule_state, index, db, _active_steps(rule_state, span, times), happened)


def _store_block(state: GroupState, rule_state: RecordingState, db: Database, times: range, span: Span) -> bool:
    """Stores a recording rule's results all at once; False when labels collide or a limit is hit at some step."""
    limit = state.group.limit
    named = [labels for labels, _value in _renamed(rule_state, span)]
    if len({*named}) < len(named) or (limit and int(span.present.sum(axis=0).max(initial=0)) > limit):
        return False
    at = np.array(times, dtype=np.int64) - state.query_offset_ms
    return rule_state.output.write_block(db, at, named, span.present, span.values) == ""


def _renamed(rule_state: RecordingState, span: Span) -> list[Sample]:
    return [(recorded_labels(rule_state.rule, labels), 0.0) for labels in span.labels]


def _single_steps(rule_state: RuleState, db: Database, times: range, offset_ms: int) -> Steps:
    for time_ms in times:
        yield time_ms, partial(rule_state.rule.query.samples, db, time_ms - offset_ms)


def _active_steps(rule_state: RuleState, span: Span, times: range) -> Steps:
    """The steps at which the expression gives something, and those after it while something is still active."""
    filled = np.flatnonzero(span.present.any(axis=0)).tolist() if len(span.labels) else []
    filled.append(len(times))
    step = 0
    for upcoming in filled:
        while step < upcoming and _is_live(rule_state):
            yield times[step], lambda: ()
            step += 1
        if upcoming == len(times):
            return
        yield times[upcoming], partial(_samples_at, span, upcoming)
        step = upcoming + 1


def _is_live(rule_state: RuleState) -> bool:
    active = isinstance(rule_state, AlertingState) and bool(rule_state.active)
    return active or bool(rule_state.output.live)


def _samples_at(span: Span, step: int) -> list[Sample]:
    rows = np.flatnonzero(span.present[:, step]).tolist()
    return [(span.labels[row], float(span.values[row, step])) for row in rows]


def _step_rule(
    state: GroupState, rule_state: RuleState, index: int, db: Database, steps: Steps, happened: dict[int, _Happened]
) -> None:
    for time_ms, samples in steps:
        transitions: list[Transition] = []
        try:
            stored = state.apply(rule_state, samples(), db, time_ms, transitions)
        except (QueryError, EvaluationFailed, LimitExceeded) as error:
            stored = 0
            happened.setdefault(time_ms, _Happened()).errors.append(state.failed(rule_state, index, str(error)))
        if transitions:
            now = happened.setdefault(time_ms, _Happened())
            now.transitions.extend(transitions)
            now.samples += stored
