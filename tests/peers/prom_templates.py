"""The set `prom-templates`: `templates.json` in the folder of the set promtool-rules; alert templates and what they
give.

Each row is loaded as a rule file and evaluated over the series that the set's note describes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pilothouse.base.errors import Place
from pilothouse.engines.alerting.evaluation import GroupState
from pilothouse.engines.alerting.rule_file import parse_rule_groups
from pilothouse.engines.tsdb import Database, make_labels

FOLDER = "promtool-rules"
_ERROR = "<error expanding template:"


def run(folder: Path) -> Iterable[tuple[str, str | None]]:
    """(row, None or what came out instead)."""
    rows = json.loads((folder / "templates.json").read_text())["rows"]
    database = _series()
    return _cases(rows, database)


def _cases(rows: list[dict[str, Any]], database: Database) -> Iterator[tuple[str, str | None]]:
    for number, row in enumerate(rows):
        kind, got = _result(row, database)
        wanted_kind = next(k for k in ("output", "load_error", "runtime_error") if k in row)
        want = row[wanted_kind]
        same = kind == wanted_kind and (kind == "runtime_error" or got == want)
        failure = None if same else f"want {wanted_kind} {want!r}, got {kind} {got!r}"
        yield f"{number} {row['template']!r} of {row['value']}", failure


def _series() -> Database:
    database = Database()
    values = [("base", {"job": "api", "env": "prod"}, 5.0)]
    values += [("m", {"i": i}, v) for i, v in (("1", 10.0), ("2", 2500.0), ("3", 0.5))]
    for name, labels, value in values:
        database.append(make_labels(labels, name), 60_000, value)
    return database


def _result(row: dict[str, Any], database: Database) -> tuple[str, str]:
    template = row["template"]
    expr = "base" if row["value"] == "5" else f"vector({row['value']})"
    rule = {"alert": "X", "expr": expr, "annotations": {"t": template}}
    groups, findings = parse_rule_groups({"groups": [{"name": "g", "rules": [rule]}]}, Place("t.yml", 1))
    if findings:
        return "load_error", findings[0].message
    state = GroupState(groups[0], external_labels={"cluster": "test-1"}, template_base_url=None)
    evaluation = state.evaluate(database, 60_000)
    if evaluation.errors:
        return "evaluation_error", evaluation.errors[0].message
    text = dict(evaluation.transitions[0].annotations)["t"]
    return ("runtime_error" if text.startswith(_ERROR) else "output"), text
