"""One finished run as people read it: lanes of the timeline, what happened when, alert stories, figures. Pure.

Every figure carries the mark of the weakest thing it rests on: rule evaluation and controllers are exact, but what they
work on comes from a load and a pod model that nobody calibrated, so most figures are "assumed" until measurements are
given.
"""

from __future__ import annotations

import hashlib

import msgspec
import numpy as np
from numpy.typing import NDArray

from pilothouse.assemble.aggregate import spot
from pilothouse.assemble.facts import Facts, Played, RuleLives
from pilothouse.base.duration import format_span
from pilothouse.report.model import (
    AlertStory,
    Ending,
    Figure,
    Lane,
    Moment,
    MomentKind,
    RunResult,
    Span,
    Spot,
    rounded,
)
from pilothouse.worlds.rehearsal.history import History

LANE_POINTS = 240
"""Points of a lane: more than a wide terminal has columns, few enough to read as JSON."""
TOLD_ONE_BY_ONE = 20
"""Up to so many services have lanes and figures of their own; of more, the worst few and all together."""
WORST = 5
TOGETHER = "all services"
OBJECTIVE = 0.999
BUDGET_WINDOW_S = 30 * 86_400.0

Floats = NDArray[np.float64]


def tell(facts: Facts, endings: list[Ending], objective: float = OBJECTIVE) -> RunResult:
    """The run's result; its digest covers everything that happened, in order."""
    told = facts.history
    if len(told.services) > TOLD_ONE_BY_ONE:
        told = told.condensed(WORST, TOGETHER)
    lanes = _lanes(facts, told, objective)
    moments = _moments(facts)
    alerts = [_alert(rule) for rule in facts.alerts]
    figures = _figures(facts, told, objective)
    digest = hashlib.blake2b(digest_size=16)
    for part in (lanes, moments, alerts, figures, endings, facts.notifications, facts.held_back):
        digest.update(msgspec.json.encode(part))
    digest.update(facts.history.world("time_s").tobytes())
    for service in facts.history.services:
        for name in ("arrived", "errors", "ready", "cpu_s"):
            digest.update(np.ascontiguousarray(facts.history.column(name, service)).tobytes())
    return RunResult(
        seed=facts.seed,
        start_epoch_s=facts.start_epoch_s,
        duration_s=facts.duration_s,
        lanes=lanes,
        moments=moments,
        alerts=alerts,
        figures=figures,
        endings=endings,
        digest=digest.hexdigest(),
        events=facts.events,
        notifications=facts.notifications,
        held_back=facts.held_back,
    )


# -- lanes


class _Grid:
    """Ticks gathered into equal steps: sums, means, maxima and last values per step."""

    def __init__(self, facts: Facts) -> None:
        self.step_s = max(1.0, facts.duration_s / LANE_POINTS)
        self.count = max(1, round(facts.duration_s / self.step_s))
        elapsed = facts.history.world("time_s") - facts.start_epoch_s
        self._cell = np.clip(np.ceil(elapsed / self.step_s - 1e-9).astype(np.int64) - 1, 0, self.count - 1)
        self.weight = facts.history.world("step_s")
        self._filled = np.bincount(self._cell, minlength=self.count) > 0

    def total(self, values: Floats) -> Floats:
        return np.bincount(self._cell, weights=values, minlength=self.count).astype(np.float64, copy=False)

    def mean(self, values: Floats) -> list[float | None]:
        """Weighted by the length of the ticks."""
        return self.values(self.total(values * self.weight) / np.maximum(self.total(self.weight), 1e-12))

    def ratio(self, part: Floats, whole: Floats) -> list[float | None]:
        """part / whole per step, at most 1 (answers may come a step after their requests); None where nothing was."""
        top, bottom = self.total(part), self.total(whole)
        return [rounded(min(1.0, float(t / b)), 4) if b else None for t, b in zip(top, bottom)]

    def values(self, cells: Floats) -> list[float | None]:
        """Steps without a tick repeat the one before."""
        out: list[float | None] = []
        for value, filled in zip(cells.tolist(), self._filled.tolist()):
            out.append(rounded(value, 4) if filled else (out[-1] if out else None))
        return out

    def rows(self) -> list[tuple[int, int]]:
        """[first, last) tick of every step."""
        edges = np.searchsorted(self._cell, np.arange(self.count + 1))
        return list(zip(edges[:-1].tolist(), edges[1:].tolist()))


def _lanes(facts: Facts, history: History, objective: float) -> list[Lane]:
    """history: that of the services to tell of."""
    if not len(history):
        return []
    grid = _Grid(facts)
    lanes: list[Lane] = []

    def lane(id: str, title: str, unit: str, values: list[float | None], subject: str = "") -> None:
        lanes.append(
            Lane(id=id, title=title, unit=unit, step_s=grid.step_s, values=values, subject=subject, mark="assumed")
        )

    for service in history.services:
        column = {n: history.column(n, service) for n in ("arrived", "offered", "errors", "ready", "desired")}
        lane("load", "load", "req/s", grid.mean(column["offered"]), service)
        lane("ready", "ready", "pods", grid.mean(column["ready"]), service)
        lane("desired", "desired", "pods", grid.mean(column["desired"]), service)
        lane("errors", "errors", "ratio", grid.ratio(column["errors"], column["arrived"]), service)
        p99 = [history.quantile(service, 0.99, a, b) if b > a else float("nan") for a, b in grid.rows()]
        lane("p99", "p99", "s", [rounded(v, 4) for v in p99], service)
    lane("nodes", "nodes", "nodes", grid.mean(history.world("nodes")))
    lane("budget", "budget burned", "ratio", _burned(facts, grid, objective))
    return lanes


def _burned(facts: Facts, grid: _Grid, objective: float) -> list[float | None]:
    """Share of the monthly error budget used so far, over all services."""
    history = facts.history
    arrived = sum((history.column("arrived", s) for s in history.services), np.zeros(len(history)))
    errors = sum((history.column("errors", s) for s in history.services), np.zeros(len(history)))
    allowed = float(arrived.sum()) / facts.duration_s * BUDGET_WINDOW_S * (1 - objective)
    if not allowed:
        return [None] * grid.count
    return [rounded(v, 4) for v in (np.cumsum(grid.total(errors)) / allowed).tolist()]


# -- moments

_WEIGHTS = {"deploy": 90, "fault": 90, "load": 80, "scale": 70, "apply": 80, "delete": 80}
_KINDS: dict[str, MomentKind] = {
    "deploy": "deploy",
    "fault": "fault",
    "load": "load",
    "scale": "scale",
    "apply": "change",
    "delete": "change",
}


def _moments(facts: Facts) -> list[Moment]:
    """Planned events, phases, alerts and what the world did by itself, in order of time."""
    out = [m for played in facts.played for m in _planned(played)]
    out += [_incident(played) for played in facts.incidents]
    for rule in facts.alerts:
        out += _alert_moments(rule)
    out += _rollouts(facts)
    return [msgspec.structs.replace(m, at_s=rounded(m.at_s, 9) or 0.0) for m in sorted(out, key=lambda m: m.at_s)]


def _rollouts(facts: Facts) -> list[Moment]:
    """When a rollout was through, or failed. Scaling also makes a Deployment progress; that is told as scaling."""
    changes = [p.at_s for p in facts.played if p.sort in ("deploy", "apply")]
    out = []
    for name, line in facts.phases.items():
        done = {next((at for at, phase in line if phase == "Healthy" and at > change), None) for change in changes}
        for at_s, phase in line:
            if at_s > 0 and (phase == "Degraded" or (phase == "Healthy" and at_s in done)):
                text = f"{name} is {phase}"
                weight = 85 if phase == "Degraded" else 60
                out.append(Moment(at_s=at_s, kind="rollout", subject=name, text=text, weight=weight, mark="assumed"))
    return out


def _planned(played: Played) -> list[Moment]:
    at = spot(played.place)
    kind: MomentKind = _KINDS.get(played.sort, "note")
    text, subject = played.text, played.subject
    out = [Moment(at_s=played.at_s, kind=kind, subject=subject, text=text, weight=_WEIGHTS.get(played.sort, 60), at=at)]
    if played.ended_s is not None:
        end: MomentKind = "fault-end" if played.sort == "fault" else kind
        out.append(Moment(at_s=played.ended_s, kind=end, subject=subject, text=f"over: {text}", weight=60, at=at))
    return out


_OWN_KINDS: dict[str, MomentKind] = {"scale": "scale", "nodes": "nodes", "pod": "pod"}


def _incident(played: Played) -> Moment:
    kind = _OWN_KINDS.get(played.sort, "note")
    weight = {"scale": 45, "nodes": 50, "pod": 60}.get(kind, 30)
    at = spot(played.place)
    return Moment(
        at_s=played.at_s, kind=kind, subject=played.subject, text=played.text, weight=weight, mark="assumed", at=at
    )


def _alert_moments(rule: RuleLives) -> list[Moment]:
    out = []
    for span in _merged(rule):
        if span.state != "firing":
            continue
        at = spot(rule.place)
        out.append(_alert_moment(rule, span.from_s, f"{rule.name} fires", 95, at))
        if span.to_s is not None:
            lasted = format_span(span.to_s - span.from_s)
            out.append(_alert_moment(rule, span.to_s, f"{rule.name} resolved after {lasted}", 65, at))
    return out


def _alert_moment(rule: RuleLives, at_s: float, text: str, weight: int, at: Spot | None) -> Moment:
    return Moment(at_s=at_s, kind="alert", subject=rule.name, text=text, weight=weight, mark="assumed", at=at)


# -- alerts


def _alert(rule: RuleLives) -> AlertStory:
    return AlertStory(
        name=rule.name,
        severity=rule.severity,
        at=spot(rule.place) or Spot(file=""),
        spans=_merged(rule),
        series=len(rule.lives),
        group=rule.group,
        missing=rule.missing,
    )


def _merged(rule: RuleLives) -> list[Span]:
    """Spans over all label sets: firing where any fires, pending where none fires and any is pending."""
    firing = _union([s for life in rule.lives for s in life.spans if s.state == "firing"])
    pending = _union([s for life in rule.lives for s in life.spans if s.state == "pending"])
    spans = [Span(state="firing", from_s=a, to_s=b) for a, b in firing]
    for from_s, to_s in pending:
        spans += [Span(state="pending", from_s=a, to_s=b) for a, b in _without(from_s, to_s, firing)]
    return sorted(spans, key=lambda s: (s.from_s, s.state))


_Stretch = tuple[float, float | None]


def _union(spans: list[Span]) -> list[_Stretch]:
    out: list[_Stretch] = []
    for span in sorted(spans, key=lambda s: s.from_s):
        if out and (out[-1][1] is None or span.from_s <= out[-1][1]):
            last = out[-1][1]
            out[-1] = (out[-1][0], None if last is None or span.to_s is None else max(last, span.to_s))
        else:
            out.append((span.from_s, span.to_s))
    return out


def _without(from_s: float, to_s: float | None, cuts: list[_Stretch]) -> list[_Stretch]:
    """What is left of a stretch when others are cut out of it."""
    out: list[_Stretch] = []
    at = from_s
    for cut_from, cut_to in cuts:
        if cut_to is not None and cut_to <= at:
            continue
        if to_s is not None and cut_from >= to_s:
            break
        if cut_from > at:
            out.append((at, cut_from))
        if cut_to is None:
            return out
        at = cut_to
    if to_s is None or at < to_s:
        out.append((at, to_s))
    return out


# -- figures


def _figures(facts: Facts, history: History, objective: float) -> list[Figure]:
    """history: that of the services to tell of."""
    out: list[Figure] = []

    def figure(id: str, title: str, value: float | None, unit: str) -> None:
        out.append(Figure(id=id, title=title, value=rounded(value), unit=unit, mark="assumed"))

    for service in history.services:
        totals = history.totals(service)
        arrived = totals["arrived"]
        suffix = f".{service}" if len(history.services) > 1 and service != TOGETHER else ""
        of = f" of {service}" if suffix or service == TOGETHER else ""
        figure(f"requests.total{suffix}", f"requests{of}", arrived, "")
        figure(
            f"errors.ratio{suffix}", f"failed requests{of}", totals["errors"] / arrived if arrived else None, "ratio"
        )
        figure(f"latency.p50{suffix}", f"p50{of}", history.quantile(service, 0.5), "s")
        figure(f"latency.p99{suffix}", f"p99{of}", history.quantile(service, 0.99), "s")
        for name, title in (("ready", "ready pods"), ("desired", "desired pods")):
            column = history.column(name, service)
            if len(column):
                figure(f"pods.{name}.max{suffix}", f"most {title}{of}", float(column.max()), "pods")
        ready = history.column("ready", service)
        if len(ready):
            figure(f"pods.ready.mean{suffix}", f"mean ready pods{of}", float(_mean(ready, facts)), "pods")
    burned = _burned(facts, _Grid(facts), objective)
    figure("budget.burned", f"30 d budget burned ({objective:.4g})", burned[-1], "ratio")
    if len(history):
        figure("nodes.max", "most nodes", float(history.world("nodes").max()), "nodes")
        cost = float(history.world("cost")[-1])
        figure("cost.total", "nodes' cost", cost if cost else None, "$")
        figure("cost.perHour", "nodes' cost an hour", cost / (facts.duration_s / 3600) if cost else None, "$/h")
    return out


def _mean(column: Floats, facts: Facts) -> float:
    weights = facts.history.world("step_s")
    return float(np.average(column, weights=weights))
