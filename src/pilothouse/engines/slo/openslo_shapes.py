"""The openapi shapes of OpenSLO v1's kinds, and how a document is kept by an API server.

Only shapes: what values mean and which exclude each other is `openslo_rules.check`. The kinds below `kinds/openslo` use
this, because they share parts (an indicator stands in an SLO or alone) and do not import each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.base.manifests import Document
from pilothouse.engines.slo.openslo_rules import KINDS, METHODS, OPERATORS, RAW_TYPES, VERSION, check

Schema = dict[str, Any]
"""An openAPIV3Schema."""


def _text(description: str, *options: str) -> Schema:
    out: Schema = {"type": "string", "description": description}
    return {**out, "enum": list(options)} if options else out


def _number(description: str) -> Schema:
    return {"type": "number", "description": description}


def _flag(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def _object(description: str, /, **properties: Schema) -> Schema:
    return {"type": "object", "description": description, "properties": properties}


def _open(description: str) -> Schema:
    return {"type": "object", "description": description, "x-kubernetes-preserve-unknown-fields": True}


def _list(description: str, item: Schema) -> Schema:
    return {"type": "array", "description": description, "items": item}


_DESCRIPTION = _text("what it is for; 1050 characters at most")
_METADATA = _open("name, displayName, labels, annotations")


def _metric(description: str) -> Schema:
    source = _object(
        "where the numbers come from",
        metricSourceRef=_text("name of a DataSource"),
        type=_text("kind of the source; Prometheus is evaluated"),
        spec=_open("the query, for Prometheus under `query`"),
    )
    return _object(description, metricSource=source)


def _sli() -> Schema:
    ratio = _object(
        "good or bad events over all events, or the ratio itself",
        counter=_flag("do the queries select counters that only grow?"),
        good=_metric("good events"),
        bad=_metric("bad events"),
        total=_metric("all events"),
        rawType=_text("what the raw ratio counts", *RAW_TYPES),
        raw=_metric("a ratio between 0 and 1"),
    )
    return _object(
        "the indicator",
        description=_DESCRIPTION,
        thresholdMetric=_metric("a number that `op` and `value` of the objective judge"),
        ratioMetric=ratio,
    )


def _inline(kind: str, spec: Schema) -> dict[str, Schema]:
    return {"kind": _text(f"{kind}, written here"), "metadata": _METADATA, "spec": spec}


def _condition() -> Schema:
    condition = _object(
        "when it holds",
        kind=_text("burnrate", "burnrate"),
        op=_text("how the burn rate is compared", *OPERATORS),
        threshold=_number("the burn rate, e.g. 14.4"),
        lookbackWindow=_text("over which the burn rate is measured, e.g. 1h"),
        alertAfter=_text("how long it holds before the alert, e.g. 5m"),
    )
    return _object("the condition", description=_DESCRIPTION, severity=_text("e.g. page"), condition=condition)


def _target() -> Schema:
    return _object("the target", description=_DESCRIPTION, target=_text("e.g. slack"))


def _policy() -> Schema:
    conditions = _object("one condition", conditionRef=_text("its name"), **_inline("AlertCondition", _condition()))
    targets = _object("one target", targetRef=_text("its name"), **_inline("AlertNotificationTarget", _target()))
    return _object(
        "the policy",
        description=_DESCRIPTION,
        alertWhenNoData=_flag("alert as well when nothing is measured"),
        alertWhenBreaching=_flag("alert when the condition holds"),
        alertWhenResolved=_flag("tell when it is over"),
        conditions=_list("exactly one", conditions),
        notificationTargets=_list("who is told; one at least", targets),
    )


def _slo() -> Schema:
    indicator = _object("the indicator, written here", metadata=_METADATA, spec=_sli())
    calendar = _object(
        "begin of the first window",
        startTime=_text("2026-01-01 00:00:00"),
        timeZone=_text("e.g. Europe/Berlin"),
    )
    window = _object(
        "the window of the objective",
        duration=_text("a whole number and m, h, d, w, M, Q or Y"),
        isRolling=_flag("does it end now, or follow the calendar?"),
        calendar=calendar,
    )
    objective = _object(
        "what is asked",
        displayName=_text("its title"),
        op=_text("for a threshold metric: what is good", *OPERATORS),
        value=_number("for a threshold metric: the limit"),
        target=_number("share that must be good, at least 0, below 1"),
        targetPercent=_number("the same in percent, below 100"),
        timeSliceTarget=_number("Timeslices: how much of a slice must be good for a good slice"),
        timeSliceWindow=_text("length of a slice, e.g. 1m"),
        indicator=indicator,
        indicatorRef=_text("of a composite: name of an SLI"),
        compositeWeight=_number("of a composite: weight of this part; 1 if absent"),
    )
    policy = _object("one policy", alertPolicyRef=_text("its name"), **_inline("AlertPolicy", _policy()))
    return _object(
        "the objective",
        description=_DESCRIPTION,
        service=_text("name of the service"),
        indicator=indicator,
        indicatorRef=_text("name of an SLI"),
        budgetingMethod=_text("what the budget is made of", *METHODS),
        timeWindow=_list("exactly one", window),
        objectives=_list("one or more; with indicators of their own they make a composite", objective),
        alertPolicies=_list("when alerts fire; the standard page and ticket if absent", policy),
    )


def _data_source() -> Schema:
    details = {"description": "how it is reached", "x-kubernetes-preserve-unknown-fields": True}
    return _object("the source", description=_DESCRIPTION, type=_text("e.g. Prometheus"), connectionDetails=details)


_SPECS = {
    "SLO": _slo,
    "SLI": _sli,
    "Service": lambda: _object("the service", description=_DESCRIPTION),
    "DataSource": _data_source,
    "AlertPolicy": _policy,
    "AlertCondition": _condition,
    "AlertNotificationTarget": _target,
}


def openapi(kind: str) -> Schema:
    """The schema of a kind of openslo/v1."""
    texts = {name: {"type": "string"} for name in ("apiVersion", "kind")}
    return {"type": "object", "properties": {**texts, "metadata": {"type": "object"}, "spec": _SPECS[kind]()}}


def causes(obj: Object) -> list[Cause]:
    """The broken rules of a stored document; its metadata follows Kubernetes' own rules, which the write path has."""
    found = [p for p in check(obj) if p.severity == "error" and not p.path.startswith("metadata")]
    return [_cause(p.path, p.rule, p.message) for p in found]


def _cause(path: str, rule: str, message: str) -> Cause:
    if rule == "required":
        return Cause("FieldValueRequired", "Required value", path)
    return Cause("FieldValueInvalid", f"Invalid value: {message} ({rule})", path)


TITLE = "openslo.com/display-name"


def check_fails(obj: Object) -> bool:
    return obj.get("apiVersion") != VERSION or any(p.severity == "error" for p in check(obj))


def storable(document: Document) -> Document | None:
    """The document as an API server keeps it: metadata there has no displayName, and a label has one value.

    A title becomes an annotation; of a label with several values they are joined by "_". Others are as they were. None
    for what is no object of ours to keep: documents that break the format, and SLOs of OpenSLO's earlier versions.
    """
    if document.api_version.startswith("openslo/") and document.kind in KINDS and check_fails(document.object):
        return None
    metadata = document.object.get("metadata")
    if document.api_version != VERSION or not isinstance(metadata, Mapping):
        return document
    made = {k: v for k, v in metadata.items() if k != "displayName"}
    if isinstance(metadata.get("labels"), Mapping):
        made["labels"] = {k: "_".join(map(str, v)) if isinstance(v, list) else v for k, v in made["labels"].items()}
    if metadata.get("displayName"):
        annotations = metadata.get("annotations")
        made["annotations"] = {
            **(annotations if isinstance(annotations, Mapping) else {}),
            TITLE: metadata["displayName"],
        }
    return replace(document, object={**document.object, "metadata": made})
