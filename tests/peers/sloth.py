"""The set `sloth`: Sloth's inputs and the rules it makes of them, its verdicts on broken specs and on repeated names.

Rules are compared by group, name, interval, labels, annotations and parsed expression; a case whose plug-in exists only
as code must be read without stopping and must name that plug-in.
"""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from pilothouse.base.duration import parse_prometheus_duration_ms
from pilothouse.base.manifests import load_paths, load_text
from pilothouse.engines import promql
from pilothouse.engines.slo.documents import read, rule_objects
from pilothouse.engines.slo.rules import Options
from pilothouse.engines.slo.windows import MONTH_S, read_alert_windows


def run(folder: Path) -> Iterable[tuple[str, str | None]]:
    """(case, None or the first difference)."""
    for case in json.loads((folder / "index.json").read_text()):
        if "valid" in case:
            yield case["id"], _verdict(folder / case["id"], case["valid"])
        elif case["id"].startswith("duplicates/"):
            continue
        elif case["needs_code_plugin"]:
            yield case["id"], _foreign(folder / case["id"])
        else:
            yield case["id"], _golden(folder / case["id"], case["args"])
    yield "duplicates/one file", _repeated([folder / "duplicates" / "bad-prom-multi-duplicates.yaml"])
    yield "duplicates/two files", _repeated(sorted((folder / "duplicates").glob("k8s--*.yaml")))


# Goldens


def _golden(folder: Path, arguments: str) -> str | None:
    options, period_s = _options(folder, arguments)
    manifests = load_text((folder / "input.yaml").read_text(), "input.yaml")
    documents = sorted([*manifests.slo_specs, *manifests.objects], key=lambda d: d.line)
    reading = read(documents, default_period_s=period_s)
    errors = [f.message for f in reading.findings if f.severity == "error"]
    if errors:
        return errors[0]
    got = rule_objects(reading.slos, options)
    text = (folder / "expected.yaml").read_text()
    want = [d for d in yaml.load_all(text, Loader=yaml.CSafeLoader) if d is not None]
    return next(_differences(_joined(want), _joined(got)), None)


def _options(folder: Path, arguments: str) -> tuple[Options, int]:
    """Sloth's command line as options of ours."""
    words = shlex.split(arguments)
    pairs = list(itertools.pairwise(words))
    labels = dict(word.split("=", 1) for flag, word in pairs if flag in ("-l", "--extra-labels"))
    given = dict(pairs)
    period_s = parse_prometheus_duration_ms(given.get("--default-slo-period", "0")) // 1000 or MONTH_S
    windows = tuple(read_alert_windows(yaml.safe_load(p.read_text())) for p in sorted(folder.glob("windows-*.yaml")))
    return Options(windows, "--disable-alerts" not in words, "--disable-recordings" not in words, labels), period_s


def _joined(documents: list[Any]) -> list[tuple[str, list[Any]]]:
    """(object name, groups): rule files of one input are one file, objects stay apart."""
    out: list[tuple[str, list[Any]]] = []
    for document in documents:
        metadata = document.get("metadata") or {}
        name = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
        groups = (document.get("spec") or document)["groups"]
        if out and out[-1][0] == name:
            out[-1][1].extend(groups)
        else:
            out.append((name, list(groups)))
    return out


def _differences(want: list[tuple[str, list[Any]]], got: list[tuple[str, list[Any]]]) -> Iterator[str]:
    if [n for n, _g in want] != [n for n, _g in got]:
        yield f"objects: want {[n for n, _g in want]}, got {[n for n, _g in got]}"
        return
    for (name, wanted), (_same, made) in zip(want, got):
        if [g["name"] for g in wanted] != [g["name"] for g in made]:
            yield f"{name}: groups: want {[g['name'] for g in wanted]}, got {[g['name'] for g in made]}"
            return
        for group, other in zip(wanted, made):
            yield from _group_differences(group, other)


def _group_differences(want: dict[str, Any], got: dict[str, Any]) -> Iterator[str]:
    where = want["name"]
    if want.get("interval") != got.get("interval"):
        yield f"{where}: interval: want {want.get('interval')}, got {got.get('interval')}"
    if len(want["rules"]) != len(got["rules"]):
        yield f"{where}: want {len(want['rules'])} rules, got {len(got['rules'])}"
    for rule, other in zip(want["rules"], got["rules"]):
        left, right = _normal(rule), _normal(other)
        for key in {**left, **right}:
            if left.get(key) != right.get(key):
                yield f"{where}: {rule.get('record') or rule.get('alert')}: {key}: {left.get(key)} | {right.get(key)}"


def _normal(rule: dict[str, Any]) -> dict[str, Any]:
    out = {k: v for k, v in rule.items() if k not in ("labels", "annotations", "expr")}
    out["labels"] = {k: v for k, v in (rule.get("labels") or {}).items() if k != "sloth_version"}
    # The recorded files of the tests are templates themselves: what is quoted in them stands for itself.
    annotations = rule.get("annotations") or {}
    out["annotations"] = {k: v.replace('{{"{{', "{{").replace('}}"}}', "}}") for k, v in annotations.items()}
    try:
        out["expr"] = promql.to_text(promql.parse(rule["expr"]))
    except promql.ParseError:
        out["expr"] = " ".join(rule["expr"].split())
    return out


# Verdicts


def _errors(paths: list[Path]) -> list[str]:
    manifests = load_paths([str(p) for p in paths])
    reading = read([*manifests.slo_specs, *manifests.objects])
    found = [*manifests.findings, *reading.findings]
    return [f.message for f in found if f.severity == "error"]


def _verdict(path: Path, valid: bool) -> str | None:
    errors = _errors([path])
    if valid:
        return errors[0] if errors else None
    return None if errors else "want a refusal, got none"


def _repeated(paths: list[Path]) -> str | None:
    repeated = [e for e in _errors(paths) if "is also written at" in e]
    return None if len(repeated) == 2 else f"want 2 repeated SLOs, got {repeated}"


def _foreign(folder: Path) -> str | None:
    manifests = load_text((folder / "input.yaml").read_text(), "input.yaml")
    documents = [*manifests.slo_specs, *manifests.objects]
    reading = read(documents)
    try:
        rule_objects(reading.slos)
    except ValueError as error:
        return f"broke off: {error}"
    named = [f for f in reading.findings if f.code == "PH727"]
    known = all("sloth.dev/core/" in line for line in _plugin_lines(folder))
    return None if named or known else "the foreign plug-in is not named"


def _plugin_lines(folder: Path) -> list[str]:
    lines = (folder / "input.yaml").read_text().splitlines()
    return [line for line in lines if line.strip().startswith(("- id:", "id:"))]
