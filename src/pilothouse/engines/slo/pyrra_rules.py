"""Pyrra's own rules of an SLO: burn rates, their alerts, and the alert for a metric that is absent.

Source: pyrra-dev/pyrra 1ba95afb, slo/rules.go (Windows, Burnrates, IncreaseRules, AbsentDuration). Its windows stand in
fixed ratios to the SLO's (1h and 5m of four weeks, …) and its factors are 14, 7, 2 and 1. The recordings that only
Pyrra's pages read (`…:increase4w`, `pyrra_*`) are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pilothouse.engines import promql
from pilothouse.engines.promql import format_number
from pilothouse.engines.slo.model import PyrraParts, Slo, window_text
from pilothouse.engines.slo.rules import Options

_FOUR_WEEKS_S = 28 * 86400
_TIERS = (
    (14, 3600, 300, 120),
    (7, 6 * 3600, 1800, 900),
    (2, 86400, 7200, 3600),
    (1, 4 * 86400, 6 * 3600, 3 * 3600),
)
"""(factor, long window, short window, for) of four weeks, in seconds."""

INTERVAL = "30s"


def tiers(period_s: int) -> list[tuple[float, int, int, int]]:
    """(factor, long_s, short_s, for_s) of a period, in whole minutes."""
    share = period_s / _FOUR_WEEKS_S
    return [(factor, *(_minutes(s * share) for s in (long, short, wait))) for factor, long, short, wait in _TIERS]  # type: ignore[misc]


def _minutes(seconds: float) -> int:
    return int(seconds / 60 + 0.5) * 60


def pyrra_groups(slo: Slo, options: Options) -> list[dict[str, Any]]:
    """The groups `NAME-increase` (the absent alerts) and `NAME` (burn rates and alerts)."""
    parts = slo.pyrra
    assert parts is not None, slo.id
    labels = {"slo": slo.name, **parts.labels, **options.extra_labels}
    rules: list[dict[str, Any]] = []
    own = {**labels, **_fixed_labels(parts)}
    if options.recordings:
        lengths = sorted({length for _f, long, short, _w in tiers(slo.period_s) for length in (long, short)})
        for length in lengths:
            expr = slo.indicator.error_ratio(window_text(length))
            rules.append({"record": burn_rate_name(parts, length), "expr": expr, "labels": dict(own)})
    if options.alerts and parts.burn_alerts:
        rules += [_alert(slo, parts, own, index) for index in range(len(_TIERS))]
    groups = []
    if options.alerts and parts.absent_alert:
        absent = [_absent(slo, parts, own, selector) for selector in _watched(parts)]
        groups.append({"name": f"{slo.name}-increase", "interval": INTERVAL, "rules": absent})
    if rules:
        groups.append({"name": slo.name, "interval": INTERVAL, "rules": rules})
    return groups


def burn_rate_name(parts: PyrraParts, length_s: int) -> str:
    """`http_requests:burnrate5m`."""
    metric = _parsed(parts.total).name
    return f"{metric.removesuffix('_total').removesuffix('_count')}:burnrate{window_text(length_s)}"


def _parsed(selector: str) -> promql.VectorSelector:
    tree = promql.parse(selector)
    assert isinstance(tree, promql.VectorSelector), selector
    return tree


def _fixed_labels(parts: PyrraParts) -> dict[str, str]:
    """What the total's selector pins to one value, unless the SLO is grouped by it."""
    pinned = ((m.name, m.value) for m in _parsed(parts.total).matchers if m.op == "=" and m.name != "__name__")
    return {name: value for name, value in pinned if name not in parts.grouping}


def _alert(slo: Slo, parts: PyrraParts, labels: dict[str, str], index: int) -> dict[str, Any]:
    factor, long_s, short_s, wait_s = tiers(slo.period_s)[index]
    shown = [
        str(m)
        for m in _parsed(parts.total).matchers
        if m.name != "__name__" and (m.name in parts.grouping or m.op not in ("=~", "!~"))
    ]
    where = ",".join(sorted([*shown, f'slo="{slo.name}"']))
    above = f"({format_number(factor)} * (1-{format_number(slo.objective_ratio)}))"
    sides = [f"{burn_rate_name(parts, length)}{{{where}}} > {above}" for length in (short_s, long_s)]
    more = {
        "short": window_text(short_s),
        "long": window_text(long_s),
        "severity": parts.severities[index],
        "exhaustion": window_text(int(slo.period_s / factor)),
    }
    rule: dict[str, Any] = {"alert": parts.alert_name, "expr": " and ".join(sides), "for": window_text(wait_s)}
    rule["labels"] = {**labels, **more}
    if parts.annotations:
        rule["annotations"] = dict(parts.annotations)
    return rule


def _watched(parts: PyrraParts) -> Iterable[str]:
    """The selectors whose absence is worth an alert, each metric once."""
    yield parts.total
    if parts.kind in ("ratio", "latency") and _parsed(parts.other).name != _parsed(parts.total).name:
        yield parts.other


def _absent(slo: Slo, parts: PyrraParts, labels: dict[str, str], selector: str) -> dict[str, Any]:
    """Fires when complete failure would have paged by now."""
    factor, long_s, _short_s, wait_s = tiers(slo.period_s)[0]
    after_s = _minutes(int(factor * (1 - slo.objective_ratio) * long_s) + wait_s)
    rule: dict[str, Any] = {
        "alert": parts.absent_name,
        "expr": f"absent({selector}) == 1",
        "for": window_text(after_s),
        "labels": {**labels, "severity": parts.absent_severity},
    }
    if parts.annotations:
        rule["annotations"] = dict(parts.annotations)
    return rule
