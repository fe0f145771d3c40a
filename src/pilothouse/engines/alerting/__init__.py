"""Alerting: rules, templates, Alertmanager and rule unit tests as pure libraries. No I/O, no clock: time is an
argument.

    rule file ──► parse_rule_groups ──► RuleGroup ──► GroupState.evaluate(db, time_ms) ──► Evaluation (transitions,
    errors)
                        │                                   └── observe(…): a whole span at once, same transitions
                        └── Findings (PH2xx)
    alertmanager.yml ──► alertmanager.parse_config ──► AlertmanagerState: receive(alerts), advance(now) ──►
    notifications, why

Reads PromQL through `engines.promql` and stores results in an `engines.tsdb` database; imports nothing else but base.

| file | what it knows |
| --- | --- |
| `rules`, `rule_file`, `dependencies` | what a rule is, how it is read and checked, who reads whose result |
| `lifecycle` | the states of one alert as a table |
| `evaluation`, `outputs`, `observation`, `restoration` | a group at one time, its series, a span, after a restart |
| `outbox` | what a transition tells Alertmanager |
| `gotemplate/`, `humanize`, `expansion` | Go's text/template, Prometheus' number forms and functions |
| `alertmanager/` | routing, grouping, inhibition, silences, time intervals, notifications |
| `unittests`, `series_notation` | promtool's rule unit-test files |
| `codes` | the stable codes of all findings |
"""

from pilothouse.engines.alerting.codes import CODES
from pilothouse.engines.alerting.evaluation import Evaluation, GroupState, RuleError, Transition
from pilothouse.engines.alerting.rule_file import parse_rule_groups
from pilothouse.engines.alerting.rules import AlertingRule, RecordingRule, Rule, RuleGroup

__all__ = [
    "CODES",
    "AlertingRule",
    "Evaluation",
    "GroupState",
    "RecordingRule",
    "Rule",
    "RuleError",
    "RuleGroup",
    "Transition",
    "parse_rule_groups",
]
