"""Every relabel action, Go's template expansion, and what a configuration load refuses."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pilothouse.signals.metrics.relabel import RelabelError, parse_rule, relabel

LABELS = {"__address__": "10.0.0.1:8080", "__meta_a": "x", "__meta_b": "y", "job": "Api"}


def _one(rule: dict[str, Any], labels: dict[str, str] = LABELS) -> dict[str, str] | None:
    return relabel(labels, [parse_rule(rule)])


@pytest.mark.parametrize(
    ("rule", "changed"),
    [
        ({"source_labels": ["__address__"], "regex": "(.*):.*", "target_label": "host"}, {"host": "10.0.0.1"}),
        ({"target_label": "env", "replacement": "dev"}, {"env": "dev"}),
        ({"source_labels": ["__meta_a", "__meta_b"], "target_label": "ab"}, {"ab": "x;y"}),
        ({"source_labels": ["__meta_a", "__meta_b"], "separator": "", "target_label": "ab"}, {"ab": "xy"}),
        (
            {"source_labels": ["job"], "regex": "(?P<first>.).*", "replacement": "${first}$$", "target_label": "f"},
            {"f": "A$"},
        ),
        ({"source_labels": ["job"], "regex": "(A)(pi)", "replacement": "$1_x${2}", "target_label": "f"}, {"f": "pi"}),
        ({"source_labels": ["job"], "regex": "(.).*", "replacement": "v", "target_label": "l_${1}"}, {"l_A": "v"}),
        ({"source_labels": ["job"], "regex": "nomatch", "replacement": "v", "target_label": "job"}, {}),
        ({"source_labels": ["job"], "regex": "Api", "replacement": "", "target_label": "job"}, {"job": None}),
        ({"source_labels": ["job"], "action": "lowercase", "target_label": "job"}, {"job": "api"}),
        ({"source_labels": ["job"], "action": "UpperCase", "target_label": "up"}, {"up": "API"}),
        ({"action": "labelmap", "regex": "__meta_(.+)"}, {"a": "x", "b": "y"}),
        ({"action": "labelmap", "regex": "__meta_(.+)", "replacement": "k_$1"}, {"k_a": "x", "k_b": "y"}),
        ({"action": "labeldrop", "regex": "__meta_.*"}, {"__meta_a": None, "__meta_b": None}),
        ({"action": "labelkeep", "regex": "job|__address__"}, {"__meta_a": None, "__meta_b": None}),
        ({"source_labels": ["__meta_a"], "action": "hashmod", "modulus": 1000, "target_label": "h"}, {"h": "726"}),
        ({"source_labels": ["job"], "action": "keep", "regex": "A.i"}, {}),
        ({"source_labels": ["job"], "action": "drop", "regex": "pi"}, {}),
        ({"source_labels": ["job"], "action": "keepequal", "target_label": "job"}, {}),
        ({"source_labels": ["job"], "action": "dropequal", "target_label": "__meta_a"}, {}),
    ],
)
def test_actions(rule: dict[str, Any], changed: dict[str, str | None]) -> None:
    wanted = {name: value for name, value in {**LABELS, **changed}.items() if value is not None}
    assert _one(rule) == wanted


@pytest.mark.parametrize(
    "rule",
    [
        {"source_labels": ["job"], "action": "keep", "regex": "pi"},
        {"source_labels": ["job"], "action": "drop", "regex": "A.*"},
        {"source_labels": ["__meta_a"], "action": "keepequal", "target_label": "job"},
        {"source_labels": ["job"], "action": "dropequal", "target_label": "job"},
    ],
)
def test_dropping(rule: dict[str, Any]) -> None:
    assert _one(rule) is None


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"action": "explode"}, 'unknown relabel action "explode"'),
        ({"regex": "(", "target_label": "a"}, "error parsing regexp: missing"),
        ({"action": "hashmod", "target_label": "a"}, "requires non-zero modulus"),
        ({"action": "lowercase"}, "requires 'target_label' value"),
        ({"target_label": "a-b"}, "is invalid 'target_label' for replace action"),
        ({"action": "labeldrop", "regex": "a", "source_labels": ["b"]}, "requires only 'regex'"),
        ({"action": "keepequal", "target_label": "a", "regex": "b"}, "requires only 'source_labels'"),
        ({"action": "uppercase", "target_label": "a", "replacement": "b"}, "'replacement' can not be set"),
        ({"action": "labelmap", "replacement": "a-b"}, "is invalid 'replacement' for labelmap action"),
        ({"target_lable": "a"}, "field target_lable not found"),
    ],
)
def test_what_a_load_refuses(rule: dict[str, Any], why: str) -> None:
    with pytest.raises(RelabelError, match=re.escape(why)):
        parse_rule(rule)


def test_a_rule_that_drops_ends_the_chain() -> None:
    drop = parse_rule({"source_labels": ["job"], "action": "drop", "regex": "Api"})
    assert relabel(LABELS, [drop, parse_rule({"target_label": "a", "replacement": "b"})]) is None
