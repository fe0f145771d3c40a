"""Recording and alerting rules of an SLO in Sloth's names, labels and expressions: its dashboards keep working.

Three groups an SLO: error ratios per window, facts about the objective and its budget, alerts.
Source: slok/sloth 0e395d81, internal/plugin/slo/core.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pilothouse.engines.promql import format_number
from pilothouse.engines.slo import plugins
from pilothouse.engines.slo.model import AlertMeta, Condition, Plugin, Slo, window_text
from pilothouse.engines.slo.windows import Tier, Windows, windows_for

Rule = dict[str, Any]

SLI = "slo:sli_error:ratio_rate"
GROUPS = (("sli", "sloth-slo-sli-recordings-"), ("meta", "sloth-slo-meta-recordings-"), ("alerts", "sloth-slo-alerts-"))


@dataclass(frozen=True, slots=True)
class Options:
    """catalogue: windows that win over the known ones; generator: what `sloth_version` says."""

    catalogue: tuple[Windows, ...] = ()
    alerts: bool = True
    recordings: bool = True
    extra_labels: Mapping[str, str] = field(default_factory=dict)
    generator: str = "pilothouse"


def rule_groups(slo: Slo, options: Options | None = None) -> list[dict[str, Any]]:
    """[{"name", "interval"?, "rules": [{"record" | "alert", "expr", "labels", …}]}], empty groups left out."""
    options = options or Options()
    windows = windows_for(slo.period_s, options.catalogue)
    labels = {**slo.labels, **options.extra_labels}
    groups: plugins.Groups = {"sli": [], "meta": [], "alerts": [], "intervals": {}}
    for step in plugins.chain(slo.plugins, slo.override_plugins):
        _standard_step(step, slo, windows, labels, options, groups)
        plugins.contributed(step, groups, id_labels(slo), labels)
    out = []
    for key, prefix in GROUPS:
        wanted = options.alerts if key == "alerts" else options.recordings
        if wanted and groups[key]:
            interval = groups["intervals"].get(key)
            named = {"name": f"{prefix}{slo.id}", **({"interval": interval} if interval else {})}
            out.append({**named, "rules": groups[key]})
    return out


def _standard_step(
    step: Plugin, slo: Slo, windows: Windows, labels: Mapping[str, str], options: Options, groups: plugins.Groups
) -> None:
    match step.id.removeprefix(plugins.CORE):
        case "sli_rules/v1":
            exact = step.config.get("disableOptimized") is True
            groups["sli"] = sli_rules(slo, windows, labels, exact=exact)
        case "metadata_rules/v1":
            groups["meta"] = meta_rules(slo, windows, labels, options.generator)
        case "alert_rules/v1":
            groups["alerts"] = alert_rules(slo, windows)


def id_labels(slo: Slo) -> dict[str, str]:
    """The labels that tell this SLO's series from those of others."""
    return {"sloth_id": slo.id, "sloth_service": slo.service, "sloth_slo": slo.name}


def selector(slo: Slo) -> str:
    """`{sloth_id="…", sloth_service="…", sloth_slo="…"}`."""
    return "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(id_labels(slo).items())) + "}"


def sli_rules(slo: Slo, windows: Windows, labels: Mapping[str, str], *, exact: bool = False) -> list[Rule]:
    """The error ratio over every window an alert reads, and over the period.

    exact: compute the period's ratio from the events, not as the mean of the shortest window's ratios, which is
    cheaper and right when traffic is even.
    """
    lengths = sorted({*windows.lengths_s, *(c.lookback_s for c in slo.conditions)})
    rules = [_sli_rule(slo, length, slo.indicator.error_ratio(window_text(length)), labels) for length in lengths]
    period, short = window_text(slo.period_s), f"{SLI}{window_text(windows.shortest_s)}{selector(slo)}"
    cheap = f"sum_over_time({short}[{period}])\n/ ignoring (sloth_window)\ncount_over_time({short}[{period}])\n"
    if slo.period_s not in lengths:
        rules.append(_sli_rule(slo, slo.period_s, slo.indicator.error_ratio(period) if exact else cheap, labels))
    return rules


def _sli_rule(slo: Slo, length_s: int, expr: str, labels: Mapping[str, str]) -> Rule:
    window = window_text(length_s)
    return {"record": f"{SLI}{window}", "expr": expr, "labels": {**id_labels(slo), "sloth_window": window, **labels}}


def meta_rules(slo: Slo, windows: Windows, labels: Mapping[str, str], generator: str) -> list[Rule]:
    """Objective, budget, period, burn rates and what is left of the budget, as series."""
    where, objective = selector(slo), format_number(slo.objective_ratio)
    matching = "/ on(sloth_id, sloth_slo, sloth_service) group_left"
    budget = f"slo:error_budget:ratio{where}"
    records = [
        ("slo:objective:ratio", f"vector({objective})"),
        ("slo:error_budget:ratio", f"vector(1-{objective})"),
        ("slo:time_period:days", f"vector({format_number(slo.period_s / 86400)})"),
        ("slo:current_burn_rate:ratio", f"{SLI}{window_text(windows.shortest_s)}{where}\n{matching}\n{budget}\n"),
        ("slo:period_burn_rate:ratio", f"{SLI}{window_text(slo.period_s)}{where}\n{matching}\n{budget}\n"),
        ("slo:period_error_budget_remaining:ratio", f"1 - slo:period_burn_rate:ratio{where}"),
    ]
    rules: list[Rule] = [{"record": n, "expr": e, "labels": {**id_labels(slo), **labels}} for n, e in records]
    info = {
        "sloth_version": generator,
        "sloth_mode": slo.source.mode,
        "sloth_spec": slo.source.spec,
        "sloth_objective": format_number(slo.objective_percent),
    }
    rules.append({"record": "sloth_slo_info", "expr": "vector(1)", "labels": {**id_labels(slo), **labels, **info}})
    return rules


def alert_rules(slo: Slo, windows: Windows) -> list[Rule]:
    """The page and the ticket alert, then one alert per condition of its own."""
    rules = []
    if slo.page is not None:
        rules.append(_tiered_alert(slo, slo.page, "page", windows.page_quick, windows.page_slow))
    if slo.ticket is not None:
        rules.append(_tiered_alert(slo, slo.ticket, "ticket", windows.ticket_quick, windows.ticket_slow))
    for condition in slo.conditions:
        rules += _condition_alerts(slo, condition, windows)
    return rules


def _tiered_alert(slo: Slo, meta: AlertMeta, severity: str, quick: Tier, slow: Tier) -> Rule:
    return {
        "alert": meta.name,
        "expr": f"{_tier_expr(slo, quick)}or\n{_tier_expr(slo, slow)}",
        "labels": {"sloth_severity": severity, **meta.labels},
        "annotations": {**_annotations(severity), **meta.annotations},
    }


def _tier_expr(slo: Slo, tier: Tier) -> str:
    above = f"({format_number(tier.burn_rate(slo.period_s))} * {format_number(slo.budget_ratio)})"
    sides = [
        f"    max({SLI}{window_text(length)}{selector(slo)} > {above}) without (sloth_window)\n"
        for length in (tier.short_s, tier.long_s)
    ]
    return f"(\n{sides[0]}    and\n{sides[1]})\n"


def _annotations(severity: str) -> dict[str, str]:
    who = "{{$labels.sloth_service}} {{$labels.sloth_slo}}"
    return {
        "title": f"({severity}) {who} SLO error budget burn rate is too fast.",
        "summary": f"{who} SLO error budget burn rate is over expected.",
    }


def _condition_alerts(slo: Slo, condition: Condition, windows: Windows) -> list[Rule]:
    """OpenSLO's conditions: a burn rate over one window, for some time."""
    series = f"{SLI}{window_text(condition.lookback_s)}{selector(slo)}"
    above = f"({format_number(condition.threshold)} * {format_number(slo.budget_ratio)})"
    rule: Rule = {
        "alert": f"{slo.name}-{condition.name}",
        "expr": f"max({series} {condition.op} {above}) without (sloth_window)",
    }
    if condition.after_s:
        rule["for"] = window_text(condition.after_s)
    labels = {"severity": condition.severity, "sloth_severity": condition.severity, "openslo_policy": condition.policy}
    rule["labels"] = labels
    rule["annotations"] = _annotations(condition.severity)
    if not condition.no_data:
        return [rule]
    now = f"{SLI}{window_text(windows.shortest_s)}{selector(slo)}"
    missing: Rule = {
        "alert": f"{slo.name}-{condition.name}-no-data",
        "expr": f"absent({now})",
        "for": window_text(max(condition.after_s, windows.shortest_s)),
        "labels": dict(labels),
        "annotations": {"summary": f"{slo.id}: no data; is the service scraped, does it get requests?"},
    }
    return [rule, missing]
