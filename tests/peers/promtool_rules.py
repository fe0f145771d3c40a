"""The set `promtool-rules`: rule unit-test files as promtool evaluates them.

own/: every row of `NN-name.expected.json` is a case: the firing alerts with labels and annotations, and the samples
of its
helper expressions (left-open ranges where the row has them). upstream/: exit status per file of index.json.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from pilothouse.base.errors import Place
from pilothouse.engines.alerting.rule_file import parse_rule_groups
from pilothouse.engines.alerting.series_notation import parse_metric
from pilothouse.engines.alerting.unittests import ShownAlert, TestFileError, TestGroup, read_test_file, run_test_file

_ERROR = "<error expanding template:"


def run(folder: Path) -> Iterable[tuple[str, str | None]]:
    """(case, None or why it failed) for own/ and upstream/."""
    for path in sorted((folder / "own").glob("*.test.yml")):
        yield from _own(path)
    yield from _upstream(folder / "upstream")


def _load(path: Path) -> Any:
    # Scalars stay text: the format's own types decide what they are, as in Go.
    return yaml.load(path.read_text(), Loader=yaml.BaseLoader)


def _rules(path: Path, names: Iterable[str]) -> list[tuple[str, Any, Place]]:
    found = [p for name in names for p in sorted(path.parent.glob(name))]
    return [(p.name, _load(p), Place(p.name)) for p in found]


# own


def _own(path: Path) -> Iterator[tuple[str, str | None]]:
    name = path.name.removesuffix(".test.yml")
    document = _load(path)
    expected = json.loads(path.with_name(f"{name}.expected.json").read_text())
    tests = read_test_file(document)
    rules = _rules(path, tests.rule_files)
    for entry in tests.groups:
        group = TestGroup(entry, tests, rules)
        rows = [r for r in expected["rows"] if r["group"] == group.name]
        times = sorted({_ms(r["eval_time"]) for r in rows})
        group.evaluate(times)
        if group.evaluation_errors:
            yield f"{name}/{group.name}", group.evaluation_errors[0]
            continue
        for row in rows:
            yield f"{name}/{group.name}/{row['eval_time']}", _row_failure(group, row)


def _ms(text: str) -> int:
    from pilothouse.base.duration import parse_prometheus_duration_ms

    return parse_prometheus_duration_ms(text)


def _row_failure(group: TestGroup, row: dict[str, Any]) -> str | None:
    at = _ms(row["eval_time"])
    for name, alerts in {**row["firing"], **row.get("firing_left_open", {})}.items():
        want = sorted(_shown(a, name) for a in alerts)
        got = sorted(_normal(a) for a in group.alerts[at].get(name, ()))
        if want != got:
            return f"{name}: want {want}, got {got}"
    left_open = row.get("samples_left_open_approx", {})
    for expr, samples in row["samples"].items():
        failure = _samples_failure(group, expr, at, samples, 1e-9)
        # The approximate rows were recorded with ranges a millisecond short: where a value then sits on the other side
        # of a threshold, the exact row is the true one, so either will do.
        if failure and expr in left_open:
            failure = _samples_failure(group, expr, at, left_open[expr], 1e-3)
        if failure:
            return failure
    return None


def _shown(alert: dict[str, Any], name: str) -> ShownAlert:
    labels = {**alert.get("exp_labels", {}), "alertname": name}
    annotations = alert.get("exp_annotations", {})
    return _normal(ShownAlert(tuple(sorted(labels.items())), tuple(sorted(annotations.items()))))


def _normal(alert: ShownAlert) -> ShownAlert:
    """Only the beginning of an error text is a contract."""
    texts = tuple((k, _ERROR if v.startswith(_ERROR) else v) for k, v in alert.annotations)
    return ShownAlert(alert.labels, texts)


def _samples_failure(group: TestGroup, expr: str, at: int, samples: list[dict[str, Any]], near: float) -> str | None:
    want = sorted((parse_metric(s["labels"]), float(s["value"])) for s in samples)
    got = sorted(group.query(expr, at))
    same = [w[0] for w in want] == [g[0] for g in got] and all(_near(w[1], g[1], near) for w, g in zip(want, got))
    return None if same else f"{expr}: want {want}, got {got}"


def _near(want: float, got: float, tolerance: float) -> bool:
    return math.isclose(want, got, rel_tol=tolerance, abs_tol=1e-12) or (math.isnan(want) and math.isnan(got))


# upstream


def _upstream(folder: Path) -> Iterator[tuple[str, str | None]]:
    for entry in json.loads((folder / "index.json").read_text()):
        if "check_rules" in entry:
            yield f"upstream/check {entry['check_rules']}", _check(folder / entry["check_rules"], entry)
            continue
        path = folder / entry["test"]
        ignore = "ignore-unknown-fields" in entry["note"]
        exit_status = _exit(path, ignore=ignore)
        want = entry["exit_current_line"]
        yield f"upstream/{path.name}", None if exit_status == want else f"exit {exit_status}, want {want}"
        if ignore:
            yield f"upstream/{path.name} strict", None if _exit(path) == 1 else "unknown fields were not refused"
        if "--run correct" in entry["note"]:
            for pattern, status in (("correct", 0), ("wrong", 1)):
                got = _exit(path, run=pattern)
                yield f"upstream/{path.name} --run {pattern}", None if got == status else f"exit {got}, want {status}"


def _exit(path: Path, *, run: str | None = None, ignore: bool = False) -> int:
    try:
        document = _load(path)
        rules = _rules(path, read_test_file(document).rule_files)
    except (yaml.YAMLError, TestFileError):
        return 1
    return 0 if run_test_file(document, rules, run=run, ignore_unknown_fields=ignore).passed else 1


def _check(path: Path, entry: dict[str, Any]) -> str | None:
    groups, findings = parse_rule_groups(_load(path), Place(path.name))
    errors = [f for f in findings if f.severity == "error"]
    if bool(errors) != bool(entry["exit_2_42"]):
        return f"errors {errors}, want exit {entry['exit_2_42']}"
    said = entry["output_2_42"]
    if errors and errors[0].message not in said:
        return f"said {errors[0].message!r}"
    duplicates = sum(f.code == "PH211" for f in findings)
    if f"{duplicates} duplicate rule(s)" not in said and duplicates:
        return f"{duplicates} duplicates"
    count = sum(len(g.rules) for g in groups)
    return None if "SUCCESS" not in said or f"{count} rules found" in said else f"{count} rules"
