"""Small builders with good defaults for the tests of this room."""

from __future__ import annotations

from typing import Any

import yaml

from pilothouse.base.errors import Finding, Place
from pilothouse.engines.alerting.evaluation import GroupState, Transition
from pilothouse.engines.alerting.rule_file import parse_rule_groups
from pilothouse.engines.alerting.rules import Labels, RuleGroup
from pilothouse.engines.tsdb import Database, make_labels

STEP_MS = 60_000


def parsed(text: str) -> tuple[list[RuleGroup], list[Finding]]:
    return parse_rule_groups(yaml.safe_load(text), Place("rules.yml", 1))


def group_of(*rules: dict[str, Any], **fields: Any) -> RuleGroup:
    """One group of rules that must be without errors, every minute."""
    document = {"groups": [{"name": "g", "interval": "1m", "rules": list(rules), **fields}]}
    groups, findings = parse_rule_groups(document, Place("rules.yml", 1))
    assert not [f for f in findings if f.severity == "error"], findings
    return groups[0]


def fill(database: Database, name: str, labels: dict[str, str], values: list[float | None], start_ms: int = 0) -> None:
    """One sample a minute; None leaves one out."""
    for index, value in enumerate(values):
        if value is not None:
            database.append(make_labels(labels, name), start_ms + index * STEP_MS, value)


def walk(state: GroupState, database: Database, minutes: int) -> list[Transition]:
    """Evaluates at 0, 1, … minutes and returns all transitions."""
    return [t for minute in range(minutes) for t in state.evaluate(database, minute * STEP_MS).transitions]


def story(transitions: list[Transition]) -> list[tuple[int, str, str]]:
    """(minute, before, after) of each transition."""
    return [(t.time_ms // STEP_MS, t.before, t.after) for t in transitions]


def label(labels: Labels, name: str) -> str:
    return dict(labels).get(name, "")
