"""The rules of openslo/v1: what each kind of document must look like, as problems with path and rule.

Source: the v1 text (OpenSLO/OpenSLO aa5cb78d, README) and the checks of OpenSLO/go-sdk ae145da1. Where the text leaves
open what the SDK refuses, the problem is a warning and the document is used: `op` and `value` beside a ratio metric,
names that are no RFC 1123 labels, a missing `timeWindow`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pilothouse.engines.slo.fields import LONGEST_PERIOD_S, Path, Problem, dotted, items, mapping, number

VERSION = "openslo/v1"
METHODS = ("Occurrences", "Timeslices", "RatioTimeslices")
OPERATORS = ("lte", "gte", "lt", "gt")
RAW_TYPES = ("success", "failure")
DURATION = re.compile(r"([1-9][0-9]*)([mhdwMQY])")
UNIT_S = {"m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 30 * 86400, "Q": 90 * 86400, "Y": 365 * 86400}
"""Lengths of the units in rolling windows."""
LONGEST_TEXT = 1050
LONGEST_TITLE = 63
LONGEST_NAME = 63

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_KEY = re.compile(r"[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_PREFIXED_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?"
)

START_FORM = "%Y-%m-%d %H:%M:%S"


def check(document: Mapping[str, Any]) -> list[Problem]:
    """Every broken rule of one document, in the order of its fields; [] for one that is right."""
    checker = _Checker()
    version, kind = document.get("apiVersion"), document.get("kind")
    if checker.present(("apiVersion",), version) and version != VERSION:
        checker.add(("apiVersion",), "equal", f"{version!r} is not {VERSION}", f"write apiVersion: {VERSION}")
    if checker.present(("kind",), kind) and (not isinstance(kind, str) or kind not in _SPECS):
        checker.add(("kind",), "one-of", f"{kind!r} is none of {', '.join(_SPECS)}")
    # The other fields mean something else in another version or kind: only what is known is looked at.
    if checker.problems:
        return checker.problems
    checker.metadata(document.get("metadata"), ("metadata",))
    if checker.mapped(("spec",), document.get("spec"), required=kind != "Service"):
        _SPECS[str(kind)](checker, mapping(document.get("spec")), ("spec",))
    return checker.problems


class _Checker:
    """Collects problems; each method looks at one thing and tells whether the caller can go on with it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, path: Path, rule: str, message: str, remedy: str = "", severity: str = "error") -> None:
        self.problems.append(Problem(dotted(path), rule, message, remedy, severity))

    def present(self, path: Path, value: Any) -> bool:
        if value in (None, "", {}) and value is not False:
            self.add(path, "required", "is missing", f"add {path[-1]}")
            return False
        return True

    def mapped(self, path: Path, value: Any, *, required: bool = True) -> bool:
        """Is it a mapping? A missing one is a problem when it is required."""
        if value is None or value == {}:
            if required:
                self.add(path, "required", "is missing", f"add {path[-1]}")
            return False
        if not isinstance(value, Mapping):
            self.add(path, "type", "is not a mapping")
            return False
        return True

    def texted(self, path: Path, value: Any, *, required: bool = False, most: int = 0) -> bool:
        if value is None or value == "":
            return self.present(path, value) if required else False
        if not isinstance(value, str):
            self.add(path, "type", "is not text", "put it in quotes")
            return False
        if most and len(value) > most:
            self.add(path, "max-length", f"has {len(value)} characters, {most} are allowed", "shorten it")
            return False
        return True

    def chosen(self, path: Path, value: Any, known: tuple[str, ...], *, required: bool = True) -> bool:
        if value is None or value == "":
            return self.present(path, value) if required else False
        if value not in known:
            self.add(path, "one-of", f"{value!r} is none of {', '.join(known)}")
            return False
        return True

    def numbered(self, path: Path, value: Any, rule: str, fits: Callable[[float], bool], form: str) -> bool:
        seen = number(value)
        if seen is None:
            self.add(path, "type", f"{value!r} is not a number", f"write a number {form}")
            return False
        if not fits(seen):
            self.add(path, rule, f"{seen:g} is not {form}", f"write a number {form}")
            return False
        return True

    def duration(self, path: Path, value: Any, *, required: bool = True) -> bool:
        if value is None or value == "":
            return self.present(path, value) if required else False
        match = DURATION.fullmatch(value) if isinstance(value, str) and len(value) < LONGEST_NAME else None
        if match is None or int(match[1]) * UNIT_S[match[2]] > LONGEST_PERIOD_S:
            remedy = "a whole number and one of m, h, d, w, M, Q, Y, ten years at most: 30d"
            self.add(path, "duration", f"{value!r} is no duration", remedy)
            return False
        return True

    def name(self, path: Path, value: Any) -> None:
        if self.texted(path, value, required=True) and not _DNS_LABEL.fullmatch(value):
            message = f"{value!r} is not an RFC 1123 label"
            self.add(path, "dns-label", message, "lower-case letters, digits and '-', 63 at most", "warning")

    def reference(self, path: Path, value: Any) -> None:
        if self.texted(path, value, required=True) and not _DNS_LABEL.fullmatch(value):
            self.add(path, "dns-label", f"{value!r} is not an RFC 1123 label", "", "warning")

    def exactly_one(self, path: Path, value: Mapping[str, Any], *keys: str) -> bool:
        given = [k for k in keys if value.get(k) is not None]
        if len(given) == 1:
            return True
        rule = f"exactly-one:{','.join(keys)}"
        seen = "none is given" if not given else f"{' and '.join(given)} are given"
        self.add(path, rule, f"one of {', '.join(keys)} is needed, {seen}", f"keep one of {', '.join(keys)}")
        return False

    def metadata(self, value: Any, path: Path) -> None:
        if not self.mapped(path, value):
            return
        self.name((*path, "name"), value.get("name"))
        self.texted((*path, "displayName"), value.get("displayName"), most=LONGEST_TITLE)
        if "labels" in value and self.mapped((*path, "labels"), value["labels"], required=False):
            self._labels(value["labels"], (*path, "labels"))
        if "annotations" in value and self.mapped((*path, "annotations"), value["annotations"], required=False):
            self._annotations(value["annotations"], (*path, "annotations"))

    def _labels(self, labels: Mapping[str, Any], path: Path) -> None:
        for key, value in labels.items():
            if not _LABEL_KEY.fullmatch(str(key)):
                self.add(path, "label-key", f"{key!r} is no label key", "letters, digits, '-', '_' and '.'")
            values = value if isinstance(value, list) else [value]
            if not all(isinstance(v, str) for v in values):
                self.add((*path, str(key)), "type", "is neither text nor a list of texts", "put it in quotes")

    def _annotations(self, annotations: Mapping[str, Any], path: Path) -> None:
        for key, value in annotations.items():
            if not _PREFIXED_KEY.fullmatch(str(key)):
                self.add(path, "annotation-key", f"{key!r} is no annotation key", "e.g. my-domain.org/my-key")
            if not isinstance(value, str):
                self.add((*path, str(key)), "type", "is not text", "put it in quotes")

    def described(self, spec: Mapping[str, Any], path: Path) -> None:
        self.texted((*path, "description"), spec.get("description"), most=LONGEST_TEXT)

    def inlined(self, value: Mapping[str, Any], path: Path, kind: str) -> None:
        """A document written inside another one: kind, metadata, spec."""
        seen = value.get("kind")
        if self.present((*path, "kind"), seen) and seen != kind:
            self.add((*path, "kind"), "equal", f"{seen!r} is not {kind}", f"write kind: {kind}")
        self.metadata(value.get("metadata"), (*path, "metadata"))
        if self.mapped((*path, "spec"), value.get("spec")):
            _SPECS[kind](self, mapping(value["spec"]), (*path, "spec"))


# Kinds


def _service(check_: _Checker, spec: Mapping[str, Any], path: Path) -> None:
    check_.described(spec, path)


def _data_source(check_: _Checker, spec: Mapping[str, Any], path: Path) -> None:
    check_.described(spec, path)
    check_.texted((*path, "type"), spec.get("type"), required=True)
    if spec.get("connectionDetails") is None:
        check_.add((*path, "connectionDetails"), "required", "is missing", "add connectionDetails")


def _target(check_: _Checker, spec: Mapping[str, Any], path: Path) -> None:
    check_.described(spec, path)
    check_.texted((*path, "target"), spec.get("target"), required=True)


def _condition(check_: _Checker, spec: Mapping[str, Any], path: Path) -> None:
    check_.described(spec, path)
    check_.texted((*path, "severity"), spec.get("severity"), required=True)
    at: Path = (*path, "condition")
    if not check_.mapped(at, spec.get("condition")):
        return
    condition = mapping(spec["condition"])
    if not check_.chosen((*at, "kind"), condition.get("kind"), ("burnrate",)):
        return
    check_.chosen((*at, "op"), condition.get("op"), OPERATORS)
    if condition.get("threshold") is None:
        check_.add((*at, "threshold"), "required", "is missing", "add threshold")
    else:
        check_.numbered((*at, "threshold"), condition["threshold"], "type", lambda _v: True, "such as 14.4")
    check_.duration((*at, "lookbackWindow"), condition.get("lookbackWindow"))
    check_.duration((*at, "alertAfter"), condition.get("alertAfter"), required=False)


def _policy(check_: _Checker, spec: Mapping[str, Any], path: Path) -> None:
    check_.described(spec, path)
    conditions, targets = items(spec.get("conditions")), items(spec.get("notificationTargets"))
    if len(conditions) != 1:
        seen = len(conditions)
        check_.add((*path, "conditions"), "length-1", f"one condition is needed, {seen} are given", "one policy each")
    for index, entry in enumerate(map(mapping, conditions)):
        _referred(check_, entry, (*path, "conditions", index), "conditionRef", "AlertCondition")
    if not targets:
        check_.add((*path, "notificationTargets"), "min-length-1", "who is told is missing", "add a target")
    for index, entry in enumerate(map(mapping, targets)):
        _referred(check_, entry, (*path, "notificationTargets", index), "targetRef", "AlertNotificationTarget")


def _referred(check_: _Checker, entry: Mapping[str, Any], path: Path, reference: str, kind: str) -> None:
    """An entry that is a reference or the document itself."""
    if not check_.exactly_one(path, entry, reference, "spec"):
        return
    if entry.get(reference) is not None:
        check_.reference((*path, reference), entry[reference])
    else:
        check_.inlined(entry, path, kind)


def _sli(check_: _Checker, spec: Mapping[str, Any], path: Path) -> None:
    check_.described(spec, path)
    check_.exactly_one(path, spec, "thresholdMetric", "ratioMetric")
    if spec.get("thresholdMetric") is not None:
        _metric(check_, spec["thresholdMetric"], (*path, "thresholdMetric"))
    if spec.get("ratioMetric") is not None and check_.mapped((*path, "ratioMetric"), spec["ratioMetric"]):
        _ratio(check_, mapping(spec["ratioMetric"]), (*path, "ratioMetric"))


def _ratio(check_: _Checker, ratio: Mapping[str, Any], path: Path) -> None:
    if not check_.exactly_one(path, ratio, "total", "raw"):
        return
    if ratio.get("raw") is not None:
        if ratio.get("good") is not None or ratio.get("bad") is not None:
            check_.add(path, "exactly-one:raw,good,bad", "raw stands alone", "remove good and bad")
        _metric(check_, ratio["raw"], (*path, "raw"))
        check_.chosen((*path, "rawType"), ratio.get("rawType"), RAW_TYPES)
        return
    if not check_.exactly_one(path, ratio, "good", "bad"):
        return
    for key in ("total", "good", "bad"):
        if ratio.get(key) is not None:
            _metric(check_, ratio[key], (*path, key))


def _metric(check_: _Checker, metric: Any, path: Path) -> None:
    at: Path = (*path, "metricSource")
    if not check_.mapped(at, mapping(metric).get("metricSource")):
        return
    source = mapping(mapping(metric)["metricSource"])
    if source.get("metricSourceRef"):
        check_.reference((*at, "metricSourceRef"), source["metricSourceRef"])
    check_.mapped((*at, "spec"), source.get("spec"))


def _slo(check_: _Checker, spec: Mapping[str, Any], path: Path) -> None:
    check_.described(spec, path)
    check_.texted((*path, "service"), spec.get("service"), required=True)
    objectives = [mapping(o) for o in items(spec.get("objectives"))]
    composite = any(o.get("indicator") is not None or o.get("indicatorRef") is not None for o in objectives)
    if not objectives:
        check_.add((*path, "objectives"), "min-length-1", "at least one objective is needed", "add target: 0.999")
    if composite and (spec.get("indicator") is not None or spec.get("indicatorRef") is not None):
        message = "an indicator of the SLO and indicators of its objectives exclude each other"
        check_.add(path, "exactly-one:indicator,objectives[*].indicator", message, "keep one of the two")
    elif not composite and check_.exactly_one(path, spec, "indicator", "indicatorRef"):
        _indicator(check_, spec, path)
    check_.chosen((*path, "budgetingMethod"), spec.get("budgetingMethod"), METHODS)
    _time_window(check_, spec, path)
    sli = mapping(mapping(spec.get("indicator")).get("spec"))
    for index, objective in enumerate(objectives):
        _objective(check_, objective, (*path, "objectives", index), sli, str(spec.get("budgetingMethod")), composite)
    for index, entry in enumerate(map(mapping, items(spec.get("alertPolicies")))):
        _referred(check_, entry, (*path, "alertPolicies", index), "alertPolicyRef", "AlertPolicy")


def _indicator(check_: _Checker, owner: Mapping[str, Any], path: Path) -> None:
    if owner.get("indicatorRef") is not None:
        check_.reference((*path, "indicatorRef"), owner["indicatorRef"])
        return
    at: Path = (*path, "indicator")
    if check_.mapped(at, owner.get("indicator")):
        check_.metadata(mapping(owner["indicator"]).get("metadata"), (*at, "metadata"))
        _sli(check_, mapping(mapping(owner["indicator"]).get("spec")), (*at, "spec"))


def _time_window(check_: _Checker, spec: Mapping[str, Any], path: Path) -> None:
    at: Path = (*path, "timeWindow")
    windows = items(spec.get("timeWindow"))
    if len(windows) != 1:
        open_ = spec.get("timeWindow") is None
        message = "is missing; 30 days, rolling, are assumed" if open_ else f"one is needed, {len(windows)} are given"
        remedy = "write - duration: 30d, isRolling: true"
        check_.add(at, "length-1", message, remedy, "warning" if open_ else "error")
        return
    window, at = mapping(windows[0]), (*at, 0)
    check_.duration((*at, "duration"), window.get("duration"))
    calendar = window.get("calendar")
    if (window.get("isRolling") is True) == (calendar is not None):
        message = "a window either rolls or follows the calendar"
        check_.add(at, "rolling-xor-calendar", message, "write isRolling: true, or false and calendar:")
    elif calendar is not None and check_.mapped((*at, "calendar"), calendar):
        _calendar(check_, mapping(calendar), (*at, "calendar"))


def _calendar(check_: _Checker, calendar: Mapping[str, Any], path: Path) -> None:
    start, zone = calendar.get("startTime"), calendar.get("timeZone")
    try:
        datetime.strptime(str(start), START_FORM).replace(tzinfo=UTC)
    except ValueError:
        check_.add((*path, "startTime"), "datetime", f"{start!r} is no time", "write it as 2026-01-01 00:00:00")
    try:
        ZoneInfo(str(zone) if zone else "no zone")
    except (OSError, ValueError, KeyError):
        check_.add((*path, "timeZone"), "time-zone", f"{zone!r} is no time zone", "write e.g. Europe/Berlin or UTC")


def _objective(
    check_: _Checker, objective: Mapping[str, Any], path: Path, sli: Mapping[str, Any], method: str, composite: bool
) -> None:
    if check_.exactly_one(path, objective, "target", "targetPercent"):
        if objective.get("target") is not None:
            at: Path = (*path, "target")
            check_.numbered(at, objective["target"], "range[0,1)", lambda v: 0 <= v < 1, "at least 0 and below 1")
        else:
            at = (*path, "targetPercent")
            form = "at least 0 and below 100"
            check_.numbered(at, objective["targetPercent"], "range[0,100)", lambda v: 0 <= v < 100, form)
    _operator(check_, objective, path, sli)
    if method == "Timeslices":
        at = (*path, "timeSliceTarget")
        if objective.get("timeSliceTarget") is None:
            check_.add(at, "required", "is missing", "add timeSliceTarget: 0.95")
        else:
            fits = lambda v: 0 < v <= 1  # noqa: E731 - as short as its neighbours
            check_.numbered(at, objective["timeSliceTarget"], "range(0,1]", fits, "above 0 and at most 1")
    if method in ("Timeslices", "RatioTimeslices"):
        check_.duration((*path, "timeSliceWindow"), objective.get("timeSliceWindow"))
    if composite:
        if check_.exactly_one(path, objective, "indicator", "indicatorRef"):
            _indicator(check_, objective, path)
        weight = objective.get("compositeWeight")
        if weight is not None:
            check_.numbered((*path, "compositeWeight"), weight, "positive", lambda v: v > 0, "above 0")


def _operator(check_: _Checker, objective: Mapping[str, Any], path: Path, sli: Mapping[str, Any]) -> None:
    """`op` and `value` belong to a threshold metric; with a reference nobody can tell here."""
    if sli.get("thresholdMetric") is not None:
        if objective.get("value") is None:
            check_.add((*path, "value"), "required", "a threshold metric needs a value", "add value: 200")
        else:
            check_.numbered((*path, "value"), objective["value"], "type", lambda _v: True, "such as 200")
        check_.chosen((*path, "op"), objective.get("op"), OPERATORS)
    elif sli.get("ratioMetric") is not None:
        for key in ("op", "value"):
            if objective.get(key) is not None:
                message = "has no meaning beside a ratio metric; it is ignored"
                check_.add((*path, key), "forbidden-with-ratio", message, f"remove {key}", "warning")


_SPECS: dict[str, Callable[[_Checker, Mapping[str, Any], Path], None]] = {
    "SLO": _slo,
    "SLI": _sli,
    "Service": _service,
    "DataSource": _data_source,
    "AlertPolicy": _policy,
    "AlertCondition": _condition,
    "AlertNotificationTarget": _target,
}
KINDS = tuple(_SPECS)
