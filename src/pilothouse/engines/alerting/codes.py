"""The stable codes of everything that can be wrong in rule files, rule tests and Alertmanager configurations.

Other files of this room build findings with `finding()`; docs/errors.md prints CODES.
"""

from __future__ import annotations

from pilothouse.base.errors import Finding, Place

CODES: dict[str, str] = {
    "PH200": "the document is not a rule file or PrometheusRule",
    "PH201": "a field that rule files do not know",
    "PH202": "a rule group without a name",
    "PH203": "two groups of the same name in one file",
    "PH204": "a field with the wrong type, duration or number",
    "PH205": "an invalid label or annotation",
    "PH206": "a rule must be exactly one of record and alert",
    "PH207": "an expression is missing or cannot be parsed",
    "PH208": "a field that a recording rule cannot have",
    "PH209": "an invalid recording rule name",
    "PH210": "a template that cannot be parsed",
    "PH211": "the same rule twice",
    "PH212": "recording rules that read each other in a circle",
    "PH250": "a rule unit-test file cannot be used",
    "PH260": "the document is not an Alertmanager configuration",
    "PH261": "a field that Alertmanager does not know",
    "PH262": "a field with the wrong type, duration or number",
    "PH263": "a matcher cannot be parsed",
    "PH264": "a route is not allowed as written",
    "PH265": "a receiver is missing, unnamed or repeated",
    "PH266": "a time interval is missing or invalid",
    "PH267": "an inhibition rule or silence is invalid",
    "PH268": "a template that cannot be parsed",
    "PH269": "a feature of the configuration that has no effect here",
}


def finding(code: str, message: str, place: Place, remedy: str = "", *, severity: str = "error") -> Finding:
    """A Finding whose code is one of CODES (anything else is a programming error)."""
    assert code in CODES, code
    return Finding(code, message, place, remedy, severity)
