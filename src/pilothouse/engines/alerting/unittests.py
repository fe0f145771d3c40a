"""promtool's rule unit-test files, evaluated as promtool 3 does (cmd/promtool/unittest.go). Pure: documents in,
failures out.

    result = run_test_file(document, rules)       # rules: [("rules.yml", parsed YAML, place), …]
    result.passed, result.failures

`TestGroup` is one `tests:` entry stepping through time; the runner asks it for alerts and samples. All groups are
evaluated
every `evaluation_interval`, whatever interval they name; input samples enter the database only when their time has
come.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilothouse.base.clock import parse_rfc3339
from pilothouse.base.duration import format_prometheus_duration, parse_prometheus_duration_ms
from pilothouse.base.errors import Place
from pilothouse.engines.alerting.evaluation import GroupState
from pilothouse.engines.alerting.gotemplate.formatting import float_text
from pilothouse.engines.alerting.histograms import histogram_text
from pilothouse.engines.alerting.input_series import InputSeries
from pilothouse.engines.alerting.queries import QueryError, compile_query
from pilothouse.engines.alerting.rule_file import PlaceOf, parse_rule_groups, text_of
from pilothouse.engines.alerting.rules import Labels, RuleGroup, label_text, quoted
from pilothouse.engines.alerting.series_notation import NotationError, parse_metric
from pilothouse.engines.alerting.stretches import evaluate_all, why_not_at_once
from pilothouse.engines.promql.histogram import FloatHistogram
from pilothouse.engines.tsdb import Database

RuleDocument = tuple[str, Any, Place | PlaceOf]
"""A rule file's name, its YAML as plain data, and where its values stand."""

_FILE = ("rule_files", "evaluation_interval", "group_eval_order", "tests", "fuzzy_compare")
_GROUP = (
    "interval", "input_series", "alert_rule_test", "promql_expr_test", "external_labels", "external_url", "name",
    "start_timestamp",
)  # fmt: skip
_KEYS: dict[str, tuple[str, ...]] = {
    "input_series": ("series", "values"),
    "alert_rule_test": ("eval_time", "alertname", "exp_alerts"),
    "promql_expr_test": ("expr", "eval_time", "exp_samples"),
    "exp_alerts": ("exp_labels", "exp_annotations"),
    "exp_samples": ("labels", "value", "histogram"),
}
_TYPES = {
    "input_series": "series", "alert_rule_test": "alertTestCase", "promql_expr_test": "promqlTestCase",
    "exp_alerts": "alert", "exp_samples": "sample",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GroupResult:
    """One entry of `tests:`; failures are multi-line texts in promtool's form."""

    name: str
    failures: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.failures


@dataclass(frozen=True, slots=True)
class FileResult:
    """A test file. errors: why nothing could be run at all."""

    errors: tuple[str, ...] = ()
    groups: tuple[GroupResult, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        return (*self.errors, *(f for g in self.groups for f in g.failures))

    @property
    def passed(self) -> bool:
        return not self.failures


class TestFileError(Exception):
    """The test file itself is wrong."""

    __test__ = False  # Not a test class for pytest.


def run_test_file(
    document: Any,
    rules: Sequence[RuleDocument],
    *,
    run: str | None = None,
    ignore_unknown_fields: bool = False,
    default_name: str = "unnamed",
) -> FileResult:
    """Runs all tests of a file. run: a regular expression that test names must contain (`--run`)."""
    try:
        tests = read_test_file(document)
    except TestFileError as error:
        return FileResult((str(error),))
    results = []
    for index, entry in enumerate(tests.groups):
        name = text_of(entry.get("name"))
        if run is not None and re.search(run, name) is None:
            continue
        try:
            group = TestGroup(entry, tests, rules, ignore_unknown_fields=ignore_unknown_fields)
            failures = group.failures()
        except TestFileError as error:
            failures = [str(error)]
        results.append(GroupResult(name or f"{default_name}#{index}", tuple(failures)))
    return FileResult((), tuple(results))


@dataclass(frozen=True, slots=True)
class TestFile:
    """A test file's own settings. groups: the entries of `tests:` as read."""

    __test__ = False

    rule_files: tuple[str, ...]
    interval_ms: int
    group_order: tuple[str, ...]
    fuzzy: bool
    groups: tuple[Mapping[str, Any], ...]


def read_test_file(document: Any) -> TestFile:
    """The checked settings of a test file; TestFileError names the field that is wrong."""
    if document is None:
        document = {}
    if not isinstance(document, Mapping):
        raise TestFileError("the test file is not a mapping")
    _check_keys(document, _FILE, "unitTestFile")
    order = [text_of(n) for n in _list(document, "group_eval_order")]
    for at, name in enumerate(order):
        if name in order[:at]:
            raise TestFileError(f"group name repeated in evaluation order: {name}")
    groups = [g if isinstance(g, Mapping) else {} for g in _list(document, "tests")]
    for group in groups:
        _check_keys(group, _GROUP, "testGroup")
        for key in ("input_series", "alert_rule_test", "promql_expr_test"):
            for item in _list(group, key):
                _check_item(key, item)
    return TestFile(
        rule_files=tuple(text_of(f) for f in _list(document, "rule_files")),
        interval_ms=_duration(document, "evaluation_interval") or 60_000,
        group_order=tuple(order),
        fuzzy=text_of(document.get("fuzzy_compare")) == "true",
        groups=tuple(groups),
    )


def _check_item(key: str, item: Any) -> None:
    if not isinstance(item, Mapping):
        return
    _check_keys(item, _KEYS[key], _TYPES[key])
    for inner in ("exp_alerts", "exp_samples"):
        for entry in _list(item, inner) if inner in item else ():
            if isinstance(entry, Mapping):
                _check_keys(entry, _KEYS[inner], _TYPES[inner])


def _check_keys(entry: Mapping[str, Any], known: Sequence[str], owner: str) -> None:
    for key in entry:
        if key not in known:
            raise TestFileError(f"yaml: unmarshal errors: field {key} not found in type main.{owner}")


@dataclass(frozen=True, slots=True, order=True)
class ShownAlert:
    """A firing alert as tests compare it."""

    labels: Labels
    annotations: Labels


@dataclass(slots=True)
class TestGroup:
    """One entry of `tests:`, evaluated once and then asked.

    alerts: per asked time (ms) the firing alerts by name. error: an evaluation that failed, which ends the group.
    """

    __test__ = False

    entry: Mapping[str, Any]
    file: TestFile
    rules: Sequence[RuleDocument]
    ignore_unknown_fields: bool = False
    start_ms: int = 0
    database: Database = field(default_factory=Database)
    alerts: dict[int, dict[str, list[ShownAlert]]] = field(default_factory=dict)
    evaluation_errors: list[str] = field(default_factory=list)

    def failures(self) -> list[str]:
        """Everything that is not as expected, in promtool's form; TestFileError when the test cannot be run."""
        cases = [c for c in _list(self.entry, "alert_rule_test") if isinstance(c, Mapping)]
        for case in cases:
            if not text_of(case.get("alertname")):
                where = f" (in TestGroup {self.name})" if self.name else ""
                raise TestFileError(
                    "an item under alert_rule_test misses required attribute alertname at eval_time "
                    f"{text_of(case.get('eval_time'))}{where}"
                )
        self.evaluate(sorted({_duration(c, "eval_time") for c in cases}))
        if self.evaluation_errors:
            return list(self.evaluation_errors)
        by_time = sorted(cases, key=lambda c: _duration(c, "eval_time"))
        out = [f for case in by_time if (f := self._alert_failure(case))]
        out += [f for case in _list(self.entry, "promql_expr_test") if (f := self._sample_failure(case))]
        return out

    @property
    def name(self) -> str:
        return text_of(self.entry.get("name"))

    def evaluate(self, asked_ms: Sequence[int]) -> None:
        """Steps through the test's time and keeps the firing alerts as of each asked time (ms from the start,
        rising).
        """
        self.start_ms = _start(self.entry)
        interval = _duration(self.entry, "interval") or self.file.interval_ms
        try:
            series = InputSeries.read(_list(self.entry, "input_series"), interval, self.start_ms)
        except NotationError as error:
            raise TestFileError(str(error)) from None
        groups = self._groups()
        states = [self._state(group) for group in groups]
        at_once = not why_not_at_once(groups)
        step = self.file.interval_ms
        looks = {at - at % step: None for at in asked_ms}
        first = 0
        for last in [*looks, self._last_ms(asked_ms) // step * step]:
            if first <= last:
                self._stretch(states, series, range(first, last + step, step), at_once)
            if self.evaluation_errors:
                return
            if last in looks:
                firing = _firing(states, self.database, self.start_ms + last)
                self.alerts.update((at, firing) for at in asked_ms if at - at % step == last)
            first = max(first, last + step)

    def _last_ms(self, asked_ms: Sequence[int]) -> int:
        tests = [t for key in ("alert_rule_test", "promql_expr_test") for t in _list(self.entry, key)]
        return max([0, *asked_ms, *(_duration(t, "eval_time") for t in tests)])

    def _stretch(self, states: Sequence[GroupState], series: InputSeries, steps: range, at_once: bool) -> None:
        """Evaluates all groups at these times (ms from the start) and keeps the errors of the first that failed."""
        for part in [steps] if at_once else [steps[i : i + 1] for i in range(len(steps))]:
            series.load_until(self.database, self.start_ms + part[-1])
            times = range(self.start_ms + part[0], self.start_ms + part[-1] + 1, steps.step)
            found = evaluate_all(states, self.database, times, at_once=at_once)
            failed = [e for _state, e in found if e.errors]
            for evaluation in failed:
                if evaluation.time_ms == failed[0].time_ms:
                    self.evaluation_errors.extend(
                        f"    rule: {e.rule}, time: {_go_duration(evaluation.time_ms)}, err: {e.message}"
                        for e in evaluation.errors
                    )
            if failed:
                return

    def _groups(self) -> list[RuleGroup]:
        groups: list[RuleGroup] = []
        for name, document, place in self.rules:
            found, findings = parse_rule_groups(document, place, subquery_step_ms=self.file.interval_ms)
            ignored = ("PH201",) if self.ignore_unknown_fields else ()
            errors = [f for f in findings if f.severity == "error" and f.code not in ignored]
            if errors:
                raise TestFileError("\n".join(f"{name}: {_positioned(f.place)}{f.message}" for f in errors))
            groups.extend(found)
        order = {name: i for i, name in enumerate(self.file.group_order)}
        return sorted(groups, key=lambda g: order.get(g.name, 0))

    def _state(self, group: RuleGroup) -> GroupState:
        labels = self.entry.get("external_labels") or {}
        return GroupState(
            group,
            external_labels={text_of(k): text_of(v) for k, v in labels.items()},
            external_url=text_of(self.entry.get("external_url")),
            template_base_url=None,
            default_interval_ms=self.file.interval_ms,
        )

    # Comparing

    def _alert_failure(self, case: Mapping[str, Any]) -> str:
        at, name = _duration(case, "eval_time"), text_of(case.get("alertname"))
        got = sorted(self.alerts.get(at, {}).get(name, ()))
        expected = sorted(_expected_alert(e, name) for e in _list(case, "exp_alerts"))
        if got == expected:
            return ""
        title = f"    name: {self.name},\n" if self.name else ""
        return (
            f"{title}    alertname: {name}, time: {format_prometheus_duration(at)}, \n"
            f"        exp:{_alerts_text(expected)}, \n        got:{_alerts_text(got)}"
        )

    def _sample_failure(self, case: Mapping[str, Any]) -> str:
        at, expr = _duration(case, "eval_time"), text_of(case.get("expr"))
        head = f"    expr: {quoted(expr)}, time: {format_prometheus_duration(at)},"
        try:
            got = sorted(self.query(expr, at), key=lambda s: s[0])
            got = [(ls, histogram_text(v) if isinstance(v, FloatHistogram) else v) for ls, v in got]
        except QueryError as error:
            return f"{head} err: {error}"
        expected = []
        for sample in _list(case, "exp_samples"):
            text = text_of(sample.get("labels"))
            try:
                expected.append((parse_metric(text), _expected_value(sample)))
            except NotationError as error:
                return f"{head} err: labels {quoted(text)}: {error}"
        expected.sort(key=lambda s: s[0])
        same = [g[0] for g in got] == [e[0] for e in expected] and all(
            self._equal(g[1], e[1]) for g, e in zip(got, expected)
        )
        return "" if same else f"{head}\n        exp: {_samples_text(expected)}\n        got: {_samples_text(got)}"

    def query(self, expr: str, at_ms: int) -> list[tuple[Labels, Any]]:
        """A query's samples at a time (ms from the start) over what the test has loaded and recorded."""
        return list(compile_query(expr, self.file.interval_ms).values(self.database, self.start_ms + at_ms))

    def _equal(self, got: Any, expected: Any) -> bool:
        if isinstance(got, str) or isinstance(expected, str):
            return bool(got == expected)
        if got == expected:
            return True
        return self.file.fuzzy and expected in (math.nextafter(got, -math.inf), math.nextafter(got, math.inf))


def _firing(states: Sequence[GroupState], database: Database, now_ms: int) -> dict[str, list[ShownAlert]]:
    out: dict[str, list[ShownAlert]] = {}
    for group in states:
        for state in group.alerting_states():
            firing = out.setdefault(state.rule.name, [])
            for alert in state.active.values():
                if alert.state == "firing":
                    context = group.context(database, now_ms)
                    firing.append(ShownAlert(alert.labels, state.annotations_of(alert, context)))
    return out


def _expected_alert(entry: Any, name: str) -> ShownAlert:
    entry = entry if isinstance(entry, Mapping) else {}
    labels = {text_of(k): text_of(v) for k, v in (entry.get("exp_labels") or {}).items()}
    annotations = {text_of(k): text_of(v) for k, v in (entry.get("exp_annotations") or {}).items()}
    return ShownAlert(tuple(sorted({**labels, "alertname": name}.items())), tuple(sorted(annotations.items())))


def _expected_value(sample: Mapping[str, Any]) -> Any:
    histogram = text_of(sample.get("histogram"))
    if histogram:
        return InputSeries.histogram_text(histogram)
    value = text_of(sample.get("value")) or "0"
    try:
        return float(value.replace(".inf", "inf").replace(".Inf", "inf").replace(".nan", "nan").replace(".NaN", "nan"))
    except ValueError:
        raise TestFileError(f"yaml: unmarshal errors: cannot unmarshal {quoted(value)} into float64") from None


# Texts


def _alerts_text(alerts: Sequence[ShownAlert]) -> str:
    if not alerts:
        return "[]"
    shown = [
        f"{i}:\n              Labels:{label_text(a.labels)}\n              Annotations:{label_text(a.annotations)}"
        for i, a in enumerate(alerts)
    ]
    return "[\n            " + ",\n            ".join(shown) + "\n            ]"


def _samples_text(samples: Sequence[tuple[Labels, Any]]) -> str:
    if not samples:
        return "nil"
    return ", ".join(f"{label_text(ls)} {v if isinstance(v, str) else float_text(v, 'e').upper()}" for ls, v in samples)


def _positioned(place: Place) -> str:
    return f"{place.line}:{place.column}: " if place.line else ""


def _go_duration(ms: int) -> str:
    from pilothouse.engines.alerting.gotemplate.gotime import GoDuration

    return str(GoDuration(ms * 1_000_000))


# Fields


def _list(entry: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = entry.get(key)
    if value is None or value == "":
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TestFileError(f"yaml: unmarshal errors: '{key}' must be a list")
    return value


def _duration(entry: Mapping[str, Any], key: str) -> int:
    text = text_of(entry.get(key))
    if text == "":
        return 0
    try:
        return parse_prometheus_duration_ms(text)
    except ValueError as error:
        raise TestFileError(f"{key}: {error}") from None


def _start(entry: Mapping[str, Any]) -> int:
    text = text_of(entry.get("start_timestamp"))
    if text == "":
        return 0
    try:
        return round(float(text) * 1000)
    except ValueError:
        pass
    try:
        return round(parse_rfc3339(text) * 1000)
    except ValueError:
        raise TestFileError(f'cannot parse "{text}" to a valid timestamp') from None
