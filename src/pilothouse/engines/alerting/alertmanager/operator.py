"""AlertmanagerConfig objects of prometheus-operator, turned into the shape of an alertmanager.yml.

The operator keeps namespaces apart: an object's routes, inhibition rules and receivers only see alerts with its own
`namespace` label, and everything it names is prefixed by `namespace/name/` (pkg/alertmanager/amcfg.go, v0.80).
Secrets stay references: nothing here looks them up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")
_KINDS = {
    "msteamsConfigs": "msteams_configs",
    "msteamsv2Configs": "msteamsv2_configs",
    "opsgenieConfigs": "opsgenie_configs",
}
_FIELDS = {"apiURL": "api_url", "titleLink": "title_link", "url": "url"}


def combined_document(base: Mapping[str, Any] | None, objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An alertmanager.yml document from a base one (None: the operator's own empty one) and AlertmanagerConfig objects.

    Objects are taken in namespace and name order, each as a child of the root route that lets others match too.
    """
    document: dict[str, Any] = dict(base or {"route": {"receiver": "null"}, "receivers": [{"name": "null"}]})
    root = dict(document.get("route") or {})
    routes, receivers = [], list(document.get("receivers") or ())
    inhibit, intervals = list(document.get("inhibit_rules") or ()), list(document.get("time_intervals") or ())
    for obj in sorted(objects, key=_full_name):
        spec = obj.get("spec") or {}
        namespace, prefix = _namespace(obj), "/".join(_full_name(obj))
        if spec.get("route"):
            routes.append(_top_route(spec["route"], namespace, prefix))
        receivers += [_receiver(r, prefix) for r in spec.get("receivers") or ()]
        inhibit += [_inhibit(r, namespace) for r in spec.get("inhibitRules") or ()]
        named = [*(spec.get("muteTimeIntervals") or ()), *(spec.get("timeIntervals") or ())]
        intervals += [_interval(i, prefix) for i in named]
    root["routes"] = routes + list(root.get("routes") or ())
    document["route"], document["receivers"] = root, receivers
    if inhibit:
        document["inhibit_rules"] = inhibit
    if intervals:
        document["time_intervals"] = intervals
    return document


def _namespace(obj: Mapping[str, Any]) -> str:
    return str((obj.get("metadata") or {}).get("namespace") or "default")


def _full_name(obj: Mapping[str, Any]) -> tuple[str, str]:
    return _namespace(obj), str((obj.get("metadata") or {}).get("name") or "")


def _top_route(route: Mapping[str, Any], namespace: str, prefix: str) -> dict[str, Any]:
    out = _route(route, prefix)
    out["matchers"] = [*out.get("matchers", ()), f'namespace="{namespace}"']
    out["continue"] = True
    return out


def _route(route: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if route.get("receiver"):
        out["receiver"] = f"{prefix}/{route['receiver']}"
    for ours, theirs in (
        ("group_by", "groupBy"), ("group_wait", "groupWait"), ("group_interval", "groupInterval"),
        ("repeat_interval", "repeatInterval"), ("continue", "continue"),
    ):  # fmt: skip
        if route.get(theirs) not in (None, ""):
            out[ours] = route[theirs]
    if route.get("matchers"):
        out["matchers"] = [_matcher(m) for m in route["matchers"]]
    for ours, theirs in (
        ("mute_time_intervals", "muteTimeIntervals"),
        ("active_time_intervals", "activeTimeIntervals"),
    ):
        if route.get(theirs):
            out[ours] = [f"{prefix}/{name}" for name in route[theirs]]
    if route.get("routes"):
        out["routes"] = [_route(r, prefix) for r in route["routes"] if isinstance(r, Mapping)]
    return out


def _matcher(matcher: Mapping[str, Any]) -> str:
    op = matcher.get("matchType") or ("=~" if matcher.get("regex") else "=")
    value = str(matcher.get("value") or "").replace("\\", "\\\\").replace('"', '\\"')
    return f'{matcher.get("name", "")}{op}"{value}"'


def _receiver(receiver: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    out: dict[str, Any] = {"name": f"{prefix}/{receiver.get('name', '')}"}
    for key, entries in receiver.items():
        if key.endswith("Configs"):
            kind = _KINDS.get(key) or key.removesuffix("Configs").lower() + "_configs"
            out[kind] = [_settings(e) for e in entries or ()]
    return out


def _settings(entry: Any) -> Any:
    """Settings in snake case; a secret reference becomes its `name/key`."""
    if isinstance(entry, Mapping):
        if "key" in entry and "name" in entry and len(entry) <= 3:
            return f"secret://{entry['name']}/{entry['key']}"
        out = {_FIELDS.get(k) or _CAMEL.sub(r"_\1", k).lower(): _settings(v) for k, v in entry.items()}
        if "url_secret" in out:
            out.setdefault("url", out.pop("url_secret"))
        if isinstance(out.get("headers"), list):
            out["headers"] = {h.get("key"): h.get("value") for h in entry.get("headers") or ()}
        return out
    if isinstance(entry, list):
        return [_settings(e) for e in entry]
    return entry


def _inhibit(rule: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    own = f'namespace="{namespace}"'
    return {
        "source_matchers": [*(_matcher(m) for m in rule.get("sourceMatch") or ()), own],
        "target_matchers": [*(_matcher(m) for m in rule.get("targetMatch") or ()), own],
        "equal": list(rule.get("equal") or ()),
    }


def _interval(interval: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    periods = []
    for period in interval.get("timeIntervals") or ():
        out: dict[str, Any] = {}
        if period.get("times"):
            out["times"] = [{"start_time": t.get("startTime"), "end_time": t.get("endTime")} for t in period["times"]]
        if period.get("daysOfMonth"):
            out["days_of_month"] = [f"{d.get('start')}:{d.get('end', d.get('start'))}" for d in period["daysOfMonth"]]
        for key in ("weekdays", "months", "years", "location"):
            if period.get(key):
                out[key] = period[key]
        periods.append(out)
    return {"name": f"{prefix}/{interval.get('name', '')}", "time_intervals": periods}
