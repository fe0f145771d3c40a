"""Sloth's chain of steps: the standard ones in their order, and the contributed ones that need no foreign code.

Each step takes the rule groups of one SLO and gives them on. Source: slok/sloth 0e395d81, internal/plugin/slo.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pilothouse.engines.slo.fields import items, mapping, text, text_map
from pilothouse.engines.slo.model import Plugin

Rule = dict[str, Any]
Groups = dict[str, Any]
"""{"sli": [rules], "meta": [rules], "alerts": [rules], "intervals": {group: text}} of one SLO."""

CORE = "sloth.dev/core/"
CONTRIB = "sloth.dev/contrib/"
FOREIGN_DIALECT = f"{CONTRIB}validate_victoria_metrics/"

STANDARD = tuple(Plugin(f"{CORE}{name}/v1") for name in ("validate", "sli_rules", "metadata_rules", "alert_rules"))
_CORE_NAMES = ("validate", "sli_rules", "metadata_rules", "alert_rules", "debug", "noop")
_CONTRIB_NAMES = (
    "info_labels",
    "rule_intervals",
    "remove_labels",
    "error_budget_exhausted_alert",
    "validate_victoria_metrics",
)
KNOWN = (*(f"{CORE}{n}/v1" for n in _CORE_NAMES), *(f"{CONTRIB}{n}/v1" for n in _CONTRIB_NAMES))


def is_known(plugin_id: str) -> bool:
    """Can this step run without code from elsewhere?"""
    return plugin_id in KNOWN


def chain(plugins: tuple[Plugin, ...], override: bool) -> list[Plugin]:
    """The steps in order: priorities below 0, the standard ones unless overridden, the rest."""
    own = sorted(plugins, key=lambda p: p.priority)
    early = [p for p in own if p.priority < 0]
    return [*early, *(() if override else STANDARD), *(p for p in own if p.priority >= 0)]


def contributed(plugin: Plugin, groups: Groups, id_labels: Mapping[str, str], all_labels: Mapping[str, str]) -> None:
    """Runs one contributed step on the groups, in place: they were made for this chain."""
    step = _STEPS.get(plugin.id)
    if step is not None:
        step(plugin.config, groups, id_labels, all_labels)


def _info_labels(config: Mapping[str, Any], groups: Groups, _ids: Mapping[str, str], _all: Mapping[str, str]) -> None:
    metric = text(config.get("metricName")) or "sloth_slo_info"
    for rule in groups["meta"]:
        if rule["record"] == metric:
            rule["labels"] = {**rule["labels"], **text_map(config.get("labels"))}
            return


def _rule_intervals(
    config: Mapping[str, Any], groups: Groups, _ids: Mapping[str, str], _all: Mapping[str, str]
) -> None:
    given = text_map(config.get("interval"))
    for group, key in (("sli", "sliError"), ("meta", "metadata"), ("alerts", "alert")):
        interval = given.get(key) or given.get("default", "")
        if interval:
            groups["intervals"][group] = interval


def _remove_labels(
    config: Mapping[str, Any], groups: Groups, id_labels: Mapping[str, str], _all: Mapping[str, str]
) -> None:
    kept = [*id_labels, *map(str, items(config.get("preserveLabels")))]
    skipped = ["sloth_slo_info", *map(str, items(config.get("skipMetrics")))]
    for group, more in (("sli", ["sloth_window"]), ("meta", [])):
        for rule in groups[group]:
            if rule["record"] not in skipped:
                rule["labels"] = {k: v for k, v in rule["labels"].items() if k in kept or k in more}


def _exhausted_alert(
    config: Mapping[str, Any], groups: Groups, id_labels: Mapping[str, str], all_labels: Mapping[str, str]
) -> None:
    labels = {**id_labels, **all_labels, **text_map(config.get("selector_labels"))}
    selector = ", ".join(f'{name}="{labels[name]}"' for name in sorted(labels))
    threshold = config.get("threshold", 0)
    rule: Rule = {
        "alert": text(config.get("alert_name")) or "ErrorBudgetExhausted",
        "expr": f"slo:period_error_budget_remaining:ratio{{{selector}}} <= {threshold}",
        "for": text(config.get("for")) or "5m",
    }
    for key, value in (("labels", config.get("alert_labels")), ("annotations", config.get("annotations"))):
        if mapping(value):
            rule[key] = text_map(value)
    groups["alerts"].append(rule)


_Step = Callable[[Mapping[str, Any], Groups, Mapping[str, str], Mapping[str, str]], None]

_STEPS: dict[str, _Step] = {
    f"{CONTRIB}info_labels/v1": _info_labels,
    f"{CONTRIB}rule_intervals/v1": _rule_intervals,
    f"{CONTRIB}remove_labels/v1": _remove_labels,
    f"{CONTRIB}error_budget_exhausted_alert/v1": _exhausted_alert,
}
