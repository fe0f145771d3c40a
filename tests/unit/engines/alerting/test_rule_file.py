"""What rule files may say, and that a broken rule leaves the others alone."""

from __future__ import annotations

import pytest
import yaml
from tests.unit.engines.alerting.builders import parsed

from pilothouse.base.errors import Place
from pilothouse.engines.alerting.codes import CODES
from pilothouse.engines.alerting.rule_file import parse_rule_groups
from pilothouse.engines.alerting.rules import AlertingRule

GOOD = "groups: [{name: g, rules: [{alert: A, expr: up == 0, for: 5m}, {record: a:b, expr: sum(up)}]}]"


def test_a_good_file_gives_typed_groups_and_no_findings() -> None:
    groups, findings = parsed(GOOD)
    assert findings == []
    alert, record = groups[0].rules
    assert isinstance(alert, AlertingRule)
    assert (alert.name, alert.for_ms, alert.expr) == ("A", 300_000, "up == 0")
    assert (record.name, record.kind) == ("a:b", "recording")


@pytest.mark.parametrize(
    ("rule", "code", "words"),
    [
        ("{alert: A, record: b, expr: up}", "PH206", "only one of 'record' and 'alert' must be set"),
        ("{expr: up}", "PH206", "one of 'record' or 'alert' must be set"),
        ("{alert: A}", "PH207", "field 'expr' must be set in rule"),
        ("{alert: A, expr: 'sum('}", "PH207", 'group "g", rule 1, "A": could not parse expression: 1:5: parse error:'),
        ("{record: a, expr: up, for: 1m}", "PH208", "invalid field 'for' in recording rule"),
        ("{record: a, expr: up, keep_firing_for: 1m}", "PH208", "invalid field 'keep_firing_for' in recording rule"),
        ("{record: a, expr: up, annotations: {x: y}}", "PH208", "invalid field 'annotations' in recording rule"),
        (
            "{record: 'sum(up{})', expr: up}",
            "PH209",
            "braces present in the recording rule name; should it be in expr?",
        ),
        ("{alert: A, expr: up, labels: {__name__: x}}", "PH205", "invalid label name: __name__"),
        ("{alert: A, expr: up, annotations: {x: '{{ $nope }}'}}", "PH210", 'undefined variable "$nope"'),
        (
            "{alert: A, expr: up, labels: {x: '{{ oops 1 }}'}}",
            "PH210",
            'label "x": template: __alert_A:1: function "oops"',
        ),
        ("{alert: A, expr: up, for: 5 minutes}", "PH204", 'not a valid duration string: "5 minutes"'),
        ("{alert: A, expr: up, fro: 5m}", "PH201", "field fro not found in type rulefmt.Rule"),
        ("just text", "PH204", "rule 1 is not a mapping"),
    ],
)
def test_a_broken_rule_is_reported_and_the_next_one_is_kept(rule: str, code: str, words: str) -> None:
    groups, findings = parsed(f"groups: [{{name: g, rules: [{rule}, {{alert: Good, expr: up == 0}}]}}]")
    assert [f.code for f in findings] == [code]
    assert words in findings[0].message
    assert [r.name for r in groups[0].rules] == ["Good"]


def test_groups_need_a_name_and_keep_it_to_themselves() -> None:
    groups, findings = parsed("groups: [{name: a, rules: []}, {name: a, rules: []}, {rules: []}]")
    assert [f.code for f in findings] == ["PH203", "PH202"]
    assert findings[0].message == 'groupname: "a" is repeated in the same file'
    assert [g.name for g in groups] == ["a", ""]


def test_group_labels_lie_under_those_of_the_rule() -> None:
    groups, _ = parsed(
        "groups: [{name: g, labels: {team: a, tier: b}, limit: 3, query_offset: 1m, rules: "
        "[{alert: A, expr: up, labels: {team: mine}}]}]"
    )
    group = groups[0]
    assert group.rules[0].labels == (("team", "mine"), ("tier", "b"))
    assert (group.limit, group.query_offset_ms, group.interval_ms) == (3, 60_000, 0)


def test_the_same_rule_twice_is_a_warning_and_used() -> None:
    groups, findings = parsed(GOOD.replace("{record: a:b", "{alert: A, expr: up}, {record: a:b") + "")
    assert [(f.code, f.severity) for f in findings] == [("PH211", "warning")]
    assert len(groups[0].rules) == 3


def test_a_circle_of_recorded_names_is_found_across_groups() -> None:
    _, findings = parsed(
        "groups: [{name: one, rules: [{record: a, expr: b + 1}]}, {name: two, rules: [{record: b, expr: c}, "
        "{record: c, expr: a}, {record: d, expr: a}]}]"
    )
    assert [(f.code, f.severity) for f in findings] == [("PH212", "warning")]
    assert "a → b → c → a" in findings[0].message


def test_a_prometheusrule_object_is_read_by_its_spec() -> None:
    document = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "spec": yaml.safe_load(GOOD)}
    groups, findings = parse_rule_groups(document, lambda path: Place("r.yml", len(path)))
    assert (len(groups), findings) == (1, [])
    assert groups[0].rules[0].place.line == 6  # spec, groups, 0, rules, 0, alert


@pytest.mark.parametrize(
    "text", ["[]", "groups: 3", "groups: [3]", "groups: [{name: g, rules: 3}]", "groups: [{name: [1]}]"]
)
def test_a_document_of_another_shape_is_a_finding(text: str) -> None:
    _, findings = parsed(text)
    assert findings
    assert {f.code for f in findings} <= set(CODES)


def test_an_empty_file_has_no_groups_and_no_findings() -> None:
    assert parsed("") == ([], [])


def test_a_bad_expression_shows_the_place_under_a_caret() -> None:
    _, findings = parsed("groups: [{name: g, rules: [{record: a, expr: 'up +'}]}]")
    assert findings[0].remedy.splitlines() == ["up +", "    ^"]
