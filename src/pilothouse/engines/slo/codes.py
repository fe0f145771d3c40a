"""The stable codes of everything that can be wrong in service level objectives; docs/errors.md explains each."""

from __future__ import annotations

from pilothouse.base.errors import Finding, Place

CODES: dict[str, str] = {
    "PH720": "an SLO document breaks a rule of its format: the field and the rule are named",
    "PH721": "the same service and SLO name twice; the later one is left out",
    "PH722": "an SLO refers to an indicator, policy or data source that is not among the files",
    "PH723": "a query that is no PromQL, or a template without `{{.window}}`",
    "PH724": "an objective that leaves no budget or asks for nothing",
    "PH725": "a window that is too short for what is measured",
    "PH726": "a metric source that cannot be evaluated here",
    "PH727": "a plug-in that exists only as code elsewhere",
    "PH728": "how a document was read where its format leaves it open",
}


def finding(code: str, message: str, place: Place, remedy: str = "", *, severity: str = "error") -> Finding:
    """A Finding whose code is one of CODES (anything else is a programming error)."""
    assert code in CODES, code
    return Finding(code, message, place, remedy, severity)
