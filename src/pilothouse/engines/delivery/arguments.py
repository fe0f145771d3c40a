"""Arguments of analyses: how values reach `{{args.name}}`, and how several templates become the spec of one run.

Everything is the JSON of the objects; what cannot be joined or filled in raises ValueError in Argo's words.
Source: argo-rollouts 1.9 (9f8d111d8) `utils/template`, `utils/analysis/helpers.go`, `utils/analysis/factory.go`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

_TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_SECTION = re.compile(r"[.\[\]]+")
_LABEL = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")
Argument = Mapping[str, Any]


def filled(value: Any, known: Mapping[str, str]) -> Any:
    """The JSON with every `{{name}}` in its texts replaced; ValueError for a name that is not known."""
    if isinstance(value, str):
        return _TAG.sub(lambda tag: _looked_up(tag[1], known), value) if "{{" in value else value
    if isinstance(value, Mapping):
        return {filled(key, known): filled(item, known) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, known) for item in value]
    return value


def _looked_up(tag: str, known: Mapping[str, str]) -> str:
    if tag.strip() not in known:
        raise ValueError(f"failed to resolve {{{{{tag}}}}}")
    return known[tag.strip()]


def with_arguments(value: Any, arguments: Iterable[Argument], secret: Callable[[str, str], str]) -> Any:
    """The JSON with `{{args.NAME}}` filled in. secret(name, key) gives a secret's text; it may raise ValueError."""
    known: dict[str, str] = {}
    for argument in arguments:
        reference = (argument.get("valueFrom") or {}).get("secretKeyRef")
        if reference:
            known[f"args.{argument['name']}"] = secret(reference.get("name", ""), reference.get("key", ""))
        elif argument.get("value") is None:
            raise ValueError(f'argument "{argument["name"]}" was not supplied')
        else:
            known[f"args.{argument['name']}"] = argument["value"]
    return filled(value, known)


def for_rollout(
    arguments: Iterable[Argument], rollout: Mapping[str, Any], latest_hash: str, stable_hash: str
) -> list[dict[str, Any]]:
    """Arguments of a Rollout's analysis with hashes and fields of the Rollout filled in."""
    out = []
    for argument in arguments:
        value, source = argument.get("value", ""), argument.get("valueFrom") or {}
        if source.get("podTemplateHashValue"):
            value = latest_hash if source["podTemplateHashValue"] == "Latest" else stable_hash
        elif source.get("fieldRef"):
            value = field_of(rollout, source["fieldRef"].get("fieldPath", ""))
        out.append({"name": argument["name"], "value": value})
    return out


def field_of(obj: Mapping[str, Any], path: str) -> str:
    """The text at a field path (`metadata.labels['env']`, `spec.replicas`, `status.conditions[0].type`)."""
    label = _LABEL.fullmatch(path)
    if label is not None:
        return str((obj["metadata"].get(label[1]) or {}).get(label[2], ""))
    found: Any = obj
    for section in filter(None, _SECTION.split(path)):
        if isinstance(found, list):
            if not section.isdigit():
                raise ValueError(f"invalid index '{section}'")
            if int(section) >= len(found):
                raise ValueError(f"index {section} out of range")
            found = found[int(section)]
        elif isinstance(found, Mapping):
            found = found.get(section)
        else:
            raise ValueError(f"invalid path {path} in rollout")
    if found is None:
        raise ValueError(f"invalid path {path} in rollout")
    if isinstance(found, Mapping | list):
        raise ValueError(f"path {path} in rollout must terminate in a primitive value")
    return str(found).lower() if isinstance(found, bool) else str(found)


FindTemplate = Callable[[str, bool], Mapping[str, Any] | None]
"""(name, whether it is of the cluster) -> the AnalysisTemplate or ClusterAnalysisTemplate, None when there is none."""


def gathered(references: Sequence[Mapping[str, Any]], find: FindTemplate) -> list[Mapping[str, Any]]:
    """The templates that are referred to and those that they refer to, each once, those of the namespace first."""
    found: dict[tuple[bool, str], Mapping[str, Any]] = {}
    waiting = list(references)
    while waiting:
        reference = waiting.pop(0)
        key = (bool(reference.get("clusterScope")), str(reference.get("templateName", "")))
        if key in found:
            continue
        template = find(key[1], key[0])
        if template is None:
            plural = "clusteranalysistemplate" if key[0] else "analysistemplate"
            raise ValueError(f'{plural}.argoproj.io "{key[1]}" not found')
        found[key] = template
        waiting = [*((template.get("spec") or {}).get("templates") or ()), *waiting]
    return [found[key] for key in sorted(found, key=lambda key: key[0])]


def run_spec(
    templates: Sequence[Mapping[str, Any]],
    arguments: Iterable[Argument],
    dry_run: Sequence[Mapping[str, Any]] = (),
    retention: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The spec of an AnalysisRun of these templates; given arguments stand over the templates' own."""
    specs = [template.get("spec") or {} for template in templates]
    metrics = _unique([m for s in specs for m in s.get("metrics") or ()], "name", "two metrics have the same name")
    spec: dict[str, Any] = {"metrics": metrics}
    given = _merged_arguments(arguments, _joined_arguments(specs))
    dry = [*dry_run, *(d for s in specs for d in s.get("dryRun") or ())]
    kept = [*retention, *(r for s in specs for r in s.get("measurementRetention") or ())]
    parts = {
        "args": given,
        "dryRun": _unique(dry, "metricName", "two Dry-Run metric rules have the same name"),
        "measurementRetention": _unique(
            kept, "metricName", "two Measurement Retention metric rules have the same name"
        ),
    }
    return spec | {key: part for key, part in parts.items() if part}


def _unique(items: list[Any], key: str, complaint: str) -> list[Any]:
    seen: dict[str, None] = {}
    for item in items:
        if item[key] in seen:
            raise ValueError(f"{complaint} '{item[key]}'")
        seen[item[key]] = None
    return items


def _joined_arguments(specs: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    out: dict[str, dict[str, Any]] = {}
    for argument in (a for s in specs for a in s.get("args") or ()):
        before = out.get(argument["name"])
        if before is None or before.get("value") is None:
            out[argument["name"]] = dict(argument)
        elif argument.get("value") not in (None, before["value"]):
            raise ValueError(
                f"Argument `{argument['name']}` specified multiple times with different values:"
                f" '{before['value']}', '{argument['value']}'"
            )
    return out


def _merged_arguments(given: Iterable[Argument], known: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    for argument in given:
        mine = known.get(argument["name"])
        if mine is None:
            continue
        if argument.get("value") is not None:
            mine["value"] = argument["value"]
        elif argument.get("valueFrom") is not None:
            mine["valueFrom"] = argument["valueFrom"]
    for argument in known.values():
        if argument.get("value") is None and argument.get("valueFrom") is None:
            raise ValueError(f"args.{argument['name']} was not resolved")
    return list(known.values())
