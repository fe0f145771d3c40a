"""`spec.expect`: what a rehearsal should come to, one check per entry, with its wording for the verdict table."""

from __future__ import annotations

import math
from collections.abc import Callable

from pilothouse.base.duration import format_span
from pilothouse.kinds.pilothouse.scenario.events import workload
from pilothouse.kinds.pilothouse.scenario.fields import Fields
from pilothouse.kinds.pilothouse.scenario.inventory import Inventory
from pilothouse.kinds.pilothouse.scenario.spec import (
    AlertFires,
    Bound,
    Check,
    Expectation,
    Measure,
    Notified,
    Phase,
    Probability,
    Promql,
)

DEPLOYMENT_PHASES = ("Progressing", "Healthy", "Degraded")
ROLLOUT_PHASES = ("Progressing", "Healthy", "Degraded", "Paused", "Invalid")
AFTER = ("start", "deploy", "fault", "load", "scale", "apply", "delete")


class Reading:
    """What every reader needs: how long the rehearsal is, and what may be referred to."""

    def __init__(self, duration_s: float, inventory: Inventory | None, declared: list[str]) -> None:
        self.duration_s, self.inventory, self.declared = duration_s, inventory, declared

    @property
    def services(self) -> list[str]:
        found = self.inventory.servable if self.inventory else []
        return self.declared + [n for n in found if n not in self.declared]

    def window(self, fields: Fields) -> tuple[float, float | None] | None:
        """(from, to) in seconds; None and a finding when from is not before to."""
        from_s = fields.duration("from", 0.0) or 0.0
        to_s = fields.duration("to")
        if to_s is not None and from_s >= to_s:
            fields.wrong(
                "PH408", f"from {format_span(from_s)} is not before to {format_span(to_s)}", "swap them", "from"
            )
            return None
        if from_s >= self.duration_s:
            late = f"from {format_span(from_s)} is after the end ({format_span(self.duration_s)})"
            fields.wrong("PH408", late, "make `duration` longer, or begin earlier", "from")
            return None
        return from_s, to_s

    def subject(self, fields: Fields) -> str | None:
        """The service a number is about: given, or the only one; None when it is unknown."""
        services = self.services
        name = fields.text("service", services[0] if len(services) == 1 else "")
        if name and self.inventory is not None and not fields.known("service", name, "service", services):
            return None
        return name


def read_expectations(
    spec: Fields, duration_s: float, inventory: Inventory | None, declared: list[str]
) -> tuple[Expectation, ...]:
    """The expectations that can be judged, in order."""
    reading = Reading(duration_s, inventory, declared)
    return tuple(e for e in (_expectation(entry, reading) for entry in spec.entries("expect")) if e is not None)


def _expectation(entry: Fields, reading: Reading) -> Expectation | None:
    before = len(entry.findings)
    name = entry.text("name")
    without = entry.text("without")
    probability = _probability(entry)
    checks = [c for c in _READERS if entry.has(c)]
    if len(checks) != 1:
        entry.close(*_READERS, "from", "to")
        if checks or len(entry.findings) == before:
            seen = f"asks for {' and '.join(checks)}" if checks else "asks for nothing"
            entry.wrong("PH402", f"an expectation {seen}", f"give it exactly one of: {', '.join(_READERS)}")
        return None
    result = _READERS[checks[0]](entry, reading)
    entry.close()
    if result is None or len(entry.findings) > before:
        return None
    check, asked = result
    if without:
        asked += f", without {without}"
    return Expectation(
        at=entry.place, name=name or asked, asked=asked, check=check, probability=probability, without=without
    )


def _probability(entry: Fields) -> Probability | None:
    bound = entry.bound("probability")
    if bound is None:
        return None
    sign, share = bound
    if share > 1:
        entry.wrong("PH406", f"a probability of {share:g} is more than 1", 'write ">= 0.95" or ">= 95%"', "probability")
        return None
    text = f"{sign or '>='} {share:.12g}"
    place = entry.document.place_of((*entry.path, "probability"))
    if sign.startswith("<"):
        return Probability(at=place, text=text, at_most=share)
    return Probability(at=place, text=text, at_least=share)


# --- checks: each gives the check and its wording


def _phase(kind: str) -> Callable[[Fields, Reading], tuple[Check, str] | None]:
    def read(entry: Fields, reading: Reading) -> tuple[Check, str] | None:
        key = kind.lower()
        body = entry.child(key)
        if body is None:
            return None
        phases = ROLLOUT_PHASES if kind == "Rollout" else DEPLOYMENT_PHASES
        names = reading.inventory.names(kind) if reading.inventory else []
        name = body.text("name", names[0] if len(names) == 1 else "", required=len(names) != 1)
        phase = body.choice("phase", phases, "Healthy")
        by_s = body.duration("by")
        body.close()
        if not name or (reading.inventory is not None and not body.known("name", name, kind, names)):
            return None
        if by_s is not None and by_s > reading.duration_s:
            body.wrong("PH408", "`by` is after the end of the rehearsal", "make `duration` longer", "by")
            return None
        when = f"by {format_span(by_s)}" if by_s is not None else "at the end"
        return Phase(at=body.place, kind=kind, name=name, phase=phase, by_s=by_s), f"{kind} {name} is {phase} {when}"

    return read


def _alert(entry: Fields, reading: Reading) -> tuple[Check, str] | None:
    body = entry.child("alert")
    if body is None:
        return None
    name = body.text("name", required=True)
    never = body.flag("never", False)
    fires = body.flag("fires", not never)
    within_s = body.duration("within", None, least=0.001)
    after = body.choice("after", AFTER, "start")
    labels = body.child("labels")
    window = reading.window(body)
    wanted = {str(k): str(v) for k, v in labels.value.items()} if labels else {}
    body.close()
    if window is None or not name:
        return None
    if never and body.has("fires") and fires:
        body.wrong("PH408", "`never: true` and `fires: true` contradict each other", "keep one", "never")
        return None
    if within_s is not None and not fires:
        body.wrong("PH408", "`within` says by when it fires, but it must not fire", "use `from` and `to`", "within")
        return None
    alerts = list(reading.inventory.alerts) if reading.inventory else []
    if reading.inventory is not None and not body.known("name", name, "alert", alerts):
        return None
    from_s, to_s = window
    check = AlertFires(
        at=body.place, name=name, fires=fires, within_s=within_s, after=after, from_s=from_s, to_s=to_s, labels=wanted
    )
    asked = f"{name} fires" if fires else f"{name} never fires"
    if within_s is not None:
        asked += f" within {format_span(within_s)} of the {after}"
    return check, asked + _between(from_s, to_s)


def _notified(entry: Fields, reading: Reading) -> tuple[Check, str] | None:
    body = entry.child("notified")
    if body is None:
        return None
    before = len(body.findings)
    receiver, alert = body.text("receiver"), body.text("alert")
    most, least = body.whole("atMost", None, most=1_000_000), body.whole("atLeast", None, most=1_000_000)
    within_s = body.duration("within", None, least=0.001)
    after = body.choice("after", AFTER, "start")
    window = reading.window(body)
    body.close()
    if window is None or len(body.findings) > before:
        return None
    if most is None and least is None and within_s is None:
        body.wrong("PH402", "none of `atMost`, `atLeast` and `within` is given", "add e.g. `atMost: 3`")
        return None
    if most is not None and least is not None and least > most:
        body.wrong("PH408", "`atLeast` is more than `atMost`", "swap them", "atLeast")
        return None
    if most == 0 and within_s is not None:
        body.wrong("PH408", "`within` says by when, but `atMost: 0` says never", "keep one", "within")
        return None
    alerts = list(reading.inventory.alerts) if reading.inventory else []
    if alert and reading.inventory is not None and not body.known("alert", alert, "alert", alerts):
        return None
    from_s, to_s = window
    check = Notified(
        at=body.place,
        receiver=receiver,
        alert=alert,
        at_most=most,
        at_least=least,
        within_s=within_s,
        after=after,
        from_s=from_s,
        to_s=to_s,
    )
    return check, _notified_text(check) + _between(from_s, to_s)


def _notified_text(check: Notified) -> str:
    parts = [f"at least {_times(check.at_least)}"] if check.at_least is not None else []
    if check.at_most is not None:
        parts.append("never" if check.at_most == 0 else f"at most {_times(check.at_most)}")
    if check.within_s is not None:
        parts.append(f"within {format_span(check.within_s)} of the {check.after}")
    of = f" of {check.alert}" if check.alert else ""
    return f"{check.receiver or 'someone'} is notified{of} {' and '.join(parts)}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _promql(entry: Fields, reading: Reading) -> tuple[Check, str] | None:
    query = entry.text("promql", required=True)
    window = reading.window(entry)
    if not query or window is None:
        return None
    from_s, to_s = window
    flat = " ".join(query.split())
    check = Promql(at=entry.document.place_of((*entry.path, "promql")), query=query, from_s=from_s, to_s=to_s)
    return check, flat + _between(from_s, to_s)


def _bounded(measure: Measure, title: str, kind: str) -> Callable[[Fields, Reading], tuple[Check, str] | None]:
    """kind: how its bounds are written: "ratio", "duration" or "count"."""

    def read(entry: Fields, reading: Reading) -> tuple[Check, str] | None:
        body = entry.child(measure)
        if body is None:
            return None
        before = len(body.findings)
        subject: str | None
        if measure == "replicas":
            _kind, subject = workload(body, reading.inventory, required=not _only(reading))
            subject = subject or _only(reading)
        else:
            subject = reading.subject(body)
        most, least = _limit(body, "atMost", kind), _limit(body, "atLeast", kind)
        objective, window_s, slo = 0.999, 30 * 86400.0, ""
        if measure == "budgetBurned":
            slo = body.text("slo")
            objective = body.ratio("objective", 0.999) or 0.999
            window_s = body.duration("window", window_s, least=60.0) or window_s
            if objective >= 1:
                body.wrong("PH406", "an objective of 100 % leaves no budget", "write e.g. 99.9%", "objective")
        window = reading.window(body)
        body.close()
        if subject is None or window is None or len(body.findings) > before:
            return None
        if most is None and least is None:
            body.wrong("PH402", "neither `atMost` nor `atLeast` is given", "add `atMost: …`")
            return None
        if most is not None and least is not None and least > most:
            body.wrong("PH408", "`atLeast` is more than `atMost`", "swap them", "atLeast")
            return None
        check = Bound(
            at=body.place,
            measure=measure,
            subject=subject,
            at_most=most,
            at_least=least,
            from_s=window[0],
            to_s=window[1],
            objective=objective,
            window_s=window_s,
            slo=slo,
        )
        return check, _bound_text(title, subject, least, most, kind) + _between(*window)

    return read


def _only(reading: Reading) -> str:
    names = reading.inventory.names("Deployment", "StatefulSet", "Rollout") if reading.inventory else []
    return names[0] if len(names) == 1 else ""


def _limit(body: Fields, key: str, kind: str) -> float | None:
    if kind == "duration":
        return body.duration(key)
    if kind == "count":
        count = body.whole(key, None, most=1_000_000)
        return None if count is None else float(count)
    return body.ratio(key, None, most=1e6 if body.path[-1] == "budgetBurned" else 1.0)


def _bound_text(title: str, subject: str, least: float | None, most: float | None, kind: str) -> str:
    def shown(value: float) -> str:
        if kind == "duration":
            return f"{value * 1000:g}ms" if value < 1 else f"{value:g}s"
        return f"{value * 100:.6g}%" if kind == "ratio" else f"{value:g}"

    bounds = [f"at least {shown(least)}"] if least is not None else []
    bounds += [f"at most {shown(most)}"] if most is not None else []
    return f"{title}{' of ' + subject if subject else ''} {' and '.join(bounds)}"


def _cost(entry: Fields, _reading: Reading) -> tuple[Check, str] | None:
    body = entry.child("cost")
    if body is None:
        return None
    measures: dict[str, tuple[Measure, str]] = {
        "perHour": ("costPerHour", "node cost per hour"),
        "total": ("cost", "node cost in all"),
    }
    given = [k for k in measures if body.has(k)]
    bounds = {k: body.bound(k) for k in measures}
    body.close()
    if len(given) != 1:
        body.wrong("PH402", "cost needs one of `perHour` and `total`", 'write `perHour: "< $1.00"`')
        return None
    bound = bounds[given[0]]
    if bound is None:
        return None
    sign, usd = bound
    measure, title = measures[given[0]]
    # `<` is strict: the largest number below is what "at most" means then.
    exact = math.nextafter(usd, -math.inf) if sign == "<" else math.nextafter(usd, math.inf) if sign == ">" else usd
    low = sign.startswith(">")
    check = Bound(at=body.place, measure=measure, at_least=exact if low else None, at_most=None if low else exact)
    return check, f"{title} {sign or '<='} ${usd:.2f}"


def _between(from_s: float, to_s: float | None) -> str:
    if to_s is not None:
        return f" from {format_span(from_s)} to {format_span(to_s)}"
    return f" from {format_span(from_s)} on" if from_s else ""


_READERS: dict[str, Callable[[Fields, Reading], tuple[Check, str] | None]] = {
    "rollout": _phase("Rollout"),
    "deployment": _phase("Deployment"),
    "alert": _alert,
    "notified": _notified,
    "promql": _promql,
    "budgetBurned": _bounded("budgetBurned", "error budget burned", "ratio"),
    "replicas": _bounded("replicas", "replicas", "count"),
    "errorRatio": _bounded("errorRatio", "error ratio", "ratio"),
    "p99": _bounded("p99", "p99 latency", "duration"),
    "cost": _cost,
}
