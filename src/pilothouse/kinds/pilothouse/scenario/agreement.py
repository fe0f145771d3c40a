"""Whether the parts of a scenario fit each other: expectations to the events they name, events to their files.

What does not fit is reported and left out, as everywhere. Pure; called at the end of `read.parse`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pilothouse.base.errors import Finding
from pilothouse.kinds.pilothouse.scenario.spec import (
    AlertFires,
    Apply,
    Delete,
    Deploy,
    Event,
    Expectation,
    Fault,
    LoadChange,
    Scale,
    ScenarioSpec,
)

SORTS: dict[str, type[Event]] = {
    "deploy": Deploy,
    "fault": Fault,
    "load": LoadChange,
    "scale": Scale,
    "apply": Apply,
    "delete": Delete,
}
"""What `after:` may name, beside the start."""


def agreeing(
    spec: ScenarioSpec, findings: list[Finding], read_text: Callable[[str], str | None] | None
) -> ScenarioSpec:
    """The scenario without the parts that contradict the rest; each of them becomes a finding."""
    events = tuple(e for e in spec.events if _has_its_file(e, findings, read_text))
    expect = tuple(e for e in spec.expect if _has_its_events(e, spec.events, findings))
    return msgspec.structs.replace(spec, events=events, expect=expect)


def _has_its_file(event: Event, findings: list[Finding], read_text: Callable[[str], str | None] | None) -> bool:
    file = event.file if isinstance(event, (Apply, Delete)) else ""
    if not file or read_text is None or read_text(file) is not None:
        return True
    message = f"the file {file!r} cannot be read; the event is left out"
    findings.append(Finding("PH409", message, event.at, "check the path; it is relative to the scenario"))
    return False


def _has_its_events(expectation: Expectation, events: tuple[Event, ...], findings: list[Finding]) -> bool:
    faults = list(dict.fromkeys(e.kind for e in events if isinstance(e, Fault)))
    before = len(findings)
    if expectation.without and expectation.without not in faults:
        seen = f"the faults are: {', '.join(faults)}" if faults else "the scenario has no fault"
        message = f"`without: {expectation.without}` leaves nothing out; {seen}"
        findings.append(Finding("PH410", message, expectation.at, "name the `kind` of a fault in `events:`"))
    check = expectation.check
    sort = SORTS.get(check.after) if isinstance(check, AlertFires) else None
    if isinstance(check, AlertFires) and sort is not None and not any(isinstance(e, sort) for e in events):
        message = f"`after: {check.after}`, but no event of the scenario is one"
        findings.append(Finding("PH410", message, check.at, "add the event, or count from the start"))
    return len(findings) == before
