"""How each expectation ended in one run: pure functions of the facts.

An expectation that the run cannot tell (nothing happened that it waits for) ends with `holds=None` and says why.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pilothouse.assemble.facts import Facts, RuleLives
from pilothouse.base.duration import format_span
from pilothouse.engines import promql
from pilothouse.engines.slo import Meter, words
from pilothouse.kinds.pilothouse.scenario.spec import AlertFires, Bound, Expectation, Notified, Phase, Promql
from pilothouse.report.model import Ending, Notification, Span, rounded

P99_WINDOW_S = 300.0
PROMQL_STEP_S = 15.0


def endings(expectations: Iterable[Expectation], facts: Facts) -> list[Ending]:
    """One ending per expectation, in order."""
    return [_ending(expectation, facts) for expectation in expectations]


def _ending(expectation: Expectation, facts: Facts) -> Ending:
    check = expectation.check
    if isinstance(check, Phase):
        return _phase(check, facts)
    if isinstance(check, AlertFires):
        return _alert(check, facts)
    if isinstance(check, Promql):
        return _promql(check, facts)
    if isinstance(check, Notified):
        return _notified(check, facts)
    return _bound(check, facts)


# -- phases


_STANDING = ("Healthy", "Progressing")
"""Phases in which a workload must be at the moment asked for; the others are judged by whether they were reached."""


def _phase(check: Phase, facts: Facts) -> Ending:
    line = facts.phases.of(check.name)
    if not line:
        return Ending(holds=None, seen=f"{check.kind} {check.name} was never seen")
    by_s = facts.duration_s if check.by_s is None else check.by_s
    reached = [(at, phase) for at, phase in line if at <= by_s]
    if check.phase in _STANDING:
        at_s, phase = reached[-1]
        return Ending(holds=phase == check.phase, seen=f"{phase} since {format_span(at_s)}", at_s=rounded(at_s))
    at_reached = next((at for at, phase in reached if phase == check.phase), None)
    if at_reached is None:
        return Ending(holds=False, seen=f"never {check.phase}; {line[-1][1]} since {format_span(line[-1][0])}")
    return Ending(holds=True, seen=f"{check.phase} at {format_span(at_reached)}", at_s=rounded(at_reached))


# -- alerts


def _alert(check: AlertFires, facts: Facts) -> Ending:
    rules = [rule for rule in facts.alerts if rule.name == check.name]
    if not rules:
        return Ending(holds=None, seen=f"no usable rule gives {check.name}")
    origin = facts.first(check.after)
    if origin is None:
        return Ending(holds=None, seen=f"no {check.after} took place")
    to_s = facts.duration_s if check.to_s is None else check.to_s
    from_s = max(check.from_s, origin)
    firing = sorted(_firing(rules, check.labels), key=lambda span: span.from_s)
    hits = [s for s in firing if s.from_s <= to_s and (s.to_s is None or s.to_s > from_s)]
    if not hits:
        missing = ", ".join(dict.fromkeys(name for rule in rules for name in rule.missing))
        if missing and all(rule.missing for rule in rules):
            # Silence for want of series is no health: it neither passes nor proves anything.
            return Ending(holds=False if check.fires else None, seen=f"cannot fire here: nothing produces {missing}")
        broken = next((rule.error for rule in rules if rule.error), "")
        seen = f"never fired (its rule failed: {broken})" if broken else "never fired"
        return Ending(holds=not check.fires, seen=seen)
    first = max(hits[0].from_s, from_s)
    seen = f"fired at {format_span(hits[0].from_s)}"
    if check.after != "start":
        seen += f", {format_span(first - origin)} after the {check.after}"
    in_time = check.within_s is None or first - origin <= check.within_s
    return Ending(holds=check.fires and in_time, seen=seen, value=rounded(first - origin), at_s=rounded(first))


def _firing(rules: Iterable[RuleLives], labels: dict[str, str]) -> Iterable[Span]:
    for rule in rules:
        for life in rule.lives:
            if all(life.labels.get(k) == v for k, v in labels.items()):
                yield from (span for span in life.spans if span.state == "firing")


# -- notifications


def _notified(check: Notified, facts: Facts) -> Ending:
    if not facts.routed:
        return Ending(holds=None, seen="no Alertmanager configuration was given")
    if check.receiver and check.receiver not in facts.receivers:
        known = ", ".join(facts.receivers)
        return Ending(holds=None, seen=f"there is no receiver {check.receiver}; known: {known}")
    origin = facts.first(check.after)
    if origin is None:
        return Ending(holds=None, seen=f"no {check.after} took place")
    to_s = facts.duration_s if check.to_s is None else check.to_s
    from_s = max(check.from_s, origin)
    told = [n for n in facts.notifications if from_s <= n.at_s <= to_s and _asked_for(check, n)]
    if not told:
        none_is_right = check.within_s is None and not check.at_least
        seen = f"{check.receiver} was never notified" if check.receiver else "nobody was notified"
        return Ending(holds=none_is_right, seen=seen, value=0.0)
    first = told[0]
    seen = f"{first.receiver} was first notified at {format_span(first.at_s)}"
    if check.after != "start":
        seen += f", {format_span(first.at_s - origin)} after the {check.after}"
    if len(told) > 1:
        seen += f"; {len(told)} notifications"
    few = check.at_most is None or len(told) <= check.at_most
    enough = check.at_least is None or len(told) >= check.at_least
    in_time = check.within_s is None or first.at_s - origin <= check.within_s
    value = float(len(told)) if check.within_s is None else rounded(first.at_s - origin)
    return Ending(holds=few and enough and in_time, seen=seen, value=value, at_s=rounded(first.at_s))


def _asked_for(check: Notified, one: Notification) -> bool:
    if one.status != "firing" or (check.receiver and one.receiver != check.receiver):
        return False
    return not check.alert or any(a == check.alert or a.startswith(check.alert + "{") for a in one.alerts)


# -- numbers

Floats = NDArray[np.float64]


def _bound(check: Bound, facts: Facts) -> Ending:
    value, words = _MEASURES[check.measure](check, facts)
    if value is None or value != value:
        return Ending(holds=None, seen=words)
    low = check.at_least is None or value >= check.at_least
    if check.measure == "replicas" and check.at_least is not None:
        low = _least_ready(check, facts) >= check.at_least
    high = check.at_most is None or value <= check.at_most
    return Ending(holds=low and high, seen=words, value=rounded(value))


def _rows(check: Bound, facts: Facts) -> slice:
    """The ticks that end inside the window."""
    elapsed = facts.history.world("time_s") - facts.start_epoch_s
    to_s = facts.duration_s if check.to_s is None else check.to_s
    first = int(np.searchsorted(elapsed, check.from_s, "right"))
    return slice(first, int(np.searchsorted(elapsed, to_s + 1e-9, "right")))


def _service(check: Bound, facts: Facts) -> str | None:
    services = facts.history.services
    if check.subject in services:
        return check.subject
    return services[0] if len(services) == 1 else None


def _sums(check: Bound, facts: Facts) -> tuple[float, float]:
    """(requests, failed requests) of the window; of every service when none is named."""
    rows, service = _rows(check, facts), _service(check, facts)
    names = facts.history.services if service is None else [service]
    arrived = sum(float(facts.history.column("arrived", n)[rows].sum()) for n in names)
    errors = sum(float(facts.history.column("errors", n)[rows].sum()) for n in names)
    return arrived, errors


def _error_ratio(check: Bound, facts: Facts) -> tuple[float | None, str]:
    arrived, errors = _sums(check, facts)
    if not arrived:
        return None, "no requests"
    return errors / arrived, f"{errors / arrived:.2%} of {arrived:,.0f} requests failed"


def _budget(check: Bound, facts: Facts) -> tuple[float | None, str]:
    """Errors against those that the objective allows over its window at this run's mean rate of requests.

    With an SLO named, its indicator, objective and window count, over the part of the run that is asked about.
    """
    if check.slo:
        return _budget_of(check, facts)
    arrived, errors = _sums(check, facts)
    if not arrived:
        return None, "no requests"
    to_s = facts.duration_s if check.to_s is None else check.to_s
    allowed = arrived / max(to_s - check.from_s, 1e-9) * check.window_s * (1 - check.objective)
    burned = errors / allowed
    window = format_span(check.window_s)
    return burned, f"{burned:.1%} of the {window} budget at {check.objective:.4g} burned"


def _budget_of(check: Bound, facts: Facts) -> tuple[float | None, str]:
    found = [slo for slo in facts.slos if slo.answers_to(check.slo)]
    if not found:
        known = ", ".join(slo.name for slo in facts.slos) or "none"
        return None, f"no usable SLO {check.slo}; known: {known}"
    to_s = facts.duration_s if check.to_s is None else min(check.to_s, facts.duration_s)
    from_ms, to_ms = (round((facts.start_epoch_s + at_s) * 1000) for at_s in (check.from_s, to_s))
    spent = [(slo, Meter(slo).burned(facts.database, from_ms, to_ms)) for slo in found]
    measured = [(each.share, slo, each) for slo, each in spent if each is not None]
    if not measured:
        return None, f"{check.slo}: {words.NO_DATA}"
    # Of several objectives of one document the worst counts.
    share, slo, worst = max(measured, key=lambda m: m[0])
    subject = f"{slo.name}, over {format_span(worst.duration_s)},"
    return share, words.spent_sentence(subject, worst, slo.budget_s).removesuffix(".")


def _p99(check: Bound, facts: Facts) -> tuple[float | None, str]:
    """The worst p99 of any five minutes inside the window."""
    service = _service(check, facts)
    if service is None:
        return None, f"no service {check.subject or '(none named)'}"
    rows = _rows(check, facts)
    times = facts.history.world("time_s")[rows]
    worst, at_s = float("nan"), 0.0
    if len(times):
        edges = np.arange(times[0], times[-1] + P99_WINDOW_S, P99_WINDOW_S)
        cuts = rows.start + np.searchsorted(times, edges)
        for first, last in zip(cuts, [*cuts[1:], rows.start + len(times)]):
            value = facts.history.quantile(service, 0.99, int(first), int(last)) if last > first else float("nan")
            if value == value and not value <= worst:
                worst, at_s = value, float(facts.history.world("time_s")[first] - facts.start_epoch_s)
    if worst != worst:
        return None, "nothing was answered"
    return worst, f"p99 at most {worst * 1000:.0f} ms, in the 5 minutes from {format_span(at_s)}"


def _replicas(check: Bound, facts: Facts) -> tuple[float | None, str]:
    service = _service(check, facts)
    if service is None:
        return None, f"no service {check.subject or '(none named)'}"
    desired = facts.history.column("desired", service)[_rows(check, facts)]
    ready = facts.history.column("ready", service)[_rows(check, facts)]
    if not len(desired):
        return None, "no time passed"
    return float(
        desired.max()
    ), f"{int(desired.min())} to {int(desired.max())} desired, {int(ready.min())} ready at least"


def _least_ready(check: Bound, facts: Facts) -> float:
    service = _service(check, facts)
    return float(facts.history.column("ready", service or "")[_rows(check, facts)].min())


def _cost(check: Bound, facts: Facts) -> tuple[float | None, str]:
    cost = facts.history.world("cost")[_rows(check, facts)]
    if not len(cost) or not cost[-1]:
        return None, "no price is known"
    return float(cost[-1]), f"${cost[-1]:.2f} in all"


def _cost_per_hour(check: Bound, facts: Facts) -> tuple[float | None, str]:
    value, words = _cost(check, facts)
    if value is None:
        return None, words
    to_s = facts.duration_s if check.to_s is None else check.to_s
    per_hour = value / (to_s / 3600)
    return per_hour, f"${per_hour:.2f} an hour"


_MEASURES = {
    "budgetBurned": _budget,
    "replicas": _replicas,
    "errorRatio": _error_ratio,
    "p99": _p99,
    "costPerHour": _cost_per_hour,
    "cost": _cost,
}


# -- queries


def _promql(check: Promql, facts: Facts) -> Ending:
    to_s = facts.duration_s if check.to_s is None else check.to_s
    start_ms = round((facts.start_epoch_s + max(check.from_s, PROMQL_STEP_S)) * 1000)
    end_ms = round((facts.start_epoch_s + to_s) * 1000)
    try:
        matrix = promql.compile(check.query).range(facts.database, start_ms, end_ms, round(PROMQL_STEP_S * 1000))
    except promql.EvalError as error:
        return Ending(holds=None, seen=f"the query failed: {error}")
    steps = len(matrix.times_ms)
    holds = matrix.present.any(axis=0) if len(matrix.labels) else np.zeros(steps, dtype=bool)
    if holds.all() and steps:
        return Ending(holds=True, seen=f"held at all {steps} steps")
    first = float(matrix.times_ms[int(np.argmin(holds))]) / 1000 - facts.start_epoch_s if steps else 0.0
    seen = f"did not hold at {format_span(first)} ({int((~holds).sum())} of {steps} steps)"
    return Ending(holds=False, seen=seen, at_s=rounded(first))
