"""`/rules` and `/alerts`: groups, their rules and the alerts that are active, with filters and pages."""

from __future__ import annotations

import hashlib
from typing import Any

from pilothouse.engines.alerting import AlertingRule
from pilothouse.engines.alerting.evaluation import AlertingState, RuleState
from pilothouse.engines.alerting.lifecycle import Alert
from pilothouse.engines.promql import printer
from pilothouse.engines.promql.parser import parse
from pilothouse.engines.tsdb import Labels, Matcher, label_value
from pilothouse.signals.metrics.go_numbers import format_e
from pilothouse.signals.metrics.rules import RunningGroup
from pilothouse.wire.prometheus.context import Context
from pilothouse.wire.prometheus.exchange import Form, Response, bad_param, success
from pilothouse.wire.prometheus.moments import NEVER, go_time
from pilothouse.wire.prometheus.params import selectors

_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")


def alerts(_form: Form, context: Context) -> Response:
    found: list[dict[str, Any]] = []
    for running in _groups(context):
        for state in running.state.alerting_states():
            found += _alerts(state, running, context)
    return success({"alerts": found})


def rules(form: Form, context: Context) -> Response:
    kind = form.get("type").lower()
    if kind not in ("", "alert", "record"):
        raise bad_param("type", f'not supported value "{kind}"')
    hide_alerts = _boolean(form, "exclude_alerts")
    limit, token = _paging(form)
    wanted = selectors(form.all("match[]"), named=False)
    shown: list[dict[str, Any]] = []
    next_token, found_token = "", not token
    for running in _groups(context):
        group = running.state.group
        found_token = found_token or _token(group.file, group.name) == token
        if not found_token or not _listed(form, "rule_group[]", group.name) or not _listed(form, "file[]", group.file):
            continue
        picked = [
            _rule(state, running, context, hide_alerts=hide_alerts)
            for state in running.state.rules
            if _shown(form, state, kind, wanted)
        ]
        if picked and limit and len(shown) == limit:
            next_token = _token(group.file, group.name)
            break
        if picked:
            shown.append(_group(running, picked))
    if not found_token:
        raise bad_param("group_next_token", f"invalid group_next_token '{token}'. were rule groups changed?")
    return success({"groups": shown, **({"groupNextToken": next_token} if next_token else {})})


def _groups(context: Context) -> list[RunningGroup]:
    return context.rules.groups if context.rules else []


def _boolean(form: Form, name: str) -> bool:
    value = form.get(name).lower()
    if value and value not in (*_TRUE, *_FALSE):
        raise bad_param(name, f'error converting {name}: strconv.ParseBool: parsing "{value}": invalid syntax')
    return value in _TRUE


def _paging(form: Form) -> tuple[int, str]:
    limit, token = form.get("group_limit"), form.get("group_next_token")
    if token and not limit:
        raise bad_param("group_next_token", "group_limit needs to be present in order to paginate over the groups")
    if limit and not (limit.isdecimal() and int(limit) > 0):
        raise bad_param("group_limit", "group_limit needs to be a valid number greater than 0")
    return int(limit or 0), token


def _token(file: str, group: str) -> str:
    return hashlib.sha1(f"{file};{group}".encode(), usedforsecurity=False).hexdigest()


def _listed(form: Form, name: str, value: str) -> bool:
    wanted = form.all(name)
    return not wanted or value in wanted


def _shown(form: Form, state: RuleState, kind: str, wanted: list[tuple[Matcher, ...]]) -> bool:
    if kind and (kind == "alert") != isinstance(state, AlertingState):
        return False
    if not _listed(form, "rule_name[]", state.rule.name):
        return False
    return not wanted or any(
        all(matcher.matches(label_value(state.rule.labels, matcher.name)) for matcher in matchers)
        for matchers in wanted
    )


def _group(running: RunningGroup, picked: list[dict[str, Any]]) -> dict[str, Any]:
    group = running.state.group
    return {
        "name": group.name,
        "file": group.file,
        "rules": picked,
        "interval": _seconds(running.state.interval_ms),
        "limit": group.limit,
        "evaluationTime": running.duration_s,
        "lastEvaluation": _moment(running.last_s),
    }


def _rule(state: RuleState, running: RunningGroup, context: Context, *, hide_alerts: bool) -> dict[str, Any]:
    rule = state.rule
    shown: dict[str, Any] = {"name": rule.name, "query": printer.to_text(parse(rule.expr))}
    if isinstance(state, AlertingState) and isinstance(rule, AlertingRule):
        shown = {"state": state.state, **shown, "duration": _seconds(rule.for_ms)}
        shown |= {"keepFiringFor": _seconds(rule.keep_firing_for_ms), "labels": dict(rule.labels)}
        shown |= {"annotations": dict(rule.annotations)}
        shown["alerts"] = None if hide_alerts else _alerts(state, running, context)
    elif rule.labels:
        shown["labels"] = dict(rule.labels)
    shown["health"] = state.health
    if state.last_error:
        shown["lastError"] = state.last_error
    shown |= {"evaluationTime": running.duration_s / max(1, len(running.state.rules))}
    shown |= {"lastEvaluation": NEVER if state.last_ms is None else go_time(state.last_ms / 1000)}
    return {**shown, "type": rule.kind}


def _alerts(state: AlertingState, running: RunningGroup, context: Context) -> list[dict[str, Any]]:
    return [_alert(alert, state, running, context) for alert in sorted(state.active.values(), key=lambda a: a.labels)]


def _alert(alert: Alert, state: AlertingState, running: RunningGroup, context: Context) -> dict[str, Any]:
    templates = running.state.context(context.database, state.last_ms or 0)
    annotations: Labels = state.annotations_of(alert, templates)
    shown = {
        "labels": dict(alert.labels),
        "annotations": dict(annotations),
        "state": alert.state,
        "activeAt": go_time(alert.active_at_ms / 1000),
        "value": format_e(alert.value),
    }
    if alert.gone_since_ms:
        shown["keepFiringSince"] = go_time(alert.gone_since_ms / 1000)
    return shown


def _seconds(ms: int) -> float | int:
    return ms / 1000 if ms % 1000 else ms // 1000


def _moment(unix_s: float) -> str:
    return go_time(unix_s) if unix_s else NEVER
