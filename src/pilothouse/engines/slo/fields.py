"""Reading values out of documents that nobody has validated: readers give a usable value and record what is wrong.

`Problem` is a rule of the format that a document breaks; `Sink` turns problems into findings with their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pilothouse.base.duration import parse_prometheus_duration_ms
from pilothouse.base.errors import Finding
from pilothouse.base.manifests import Document
from pilothouse.engines.slo.codes import finding

Path = tuple[str | int, ...]

LONGEST_PERIOD_S = 10 * 365 * 86400
"""No SLO looks further back; longer spans are mistakes, and those beyond 292 years are no durations for Prometheus."""


@dataclass(frozen=True, slots=True)
class Problem:
    """path: dotted, with indexes (`spec.objectives[0].target`); rule: a stable word; severity: error or warning."""

    path: str
    rule: str
    message: str
    remedy: str = ""
    severity: str = "error"


def dotted(path: Iterable[str | int]) -> str:
    """The path as Kubernetes' errors write it."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def mapping(value: Any) -> Mapping[str, Any]:
    """The value when it is a mapping, an empty one else."""
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def text(value: Any) -> str:
    """The value when it is text, "" else."""
    return value if isinstance(value, str) else ""


def number(value: Any) -> float | None:
    """The value when it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(float(value)) < float("inf") else None


def text_map(value: Any) -> dict[str, str]:
    """{name: value} with YAML scalars as the strings that a Go `map[string]string` read leniently would hold."""
    out = {}
    for key, entry in mapping(value).items():
        if isinstance(entry, bool):
            out[str(key)] = "true" if entry else "false"
        elif isinstance(entry, (str, int, float)):
            out[str(key)] = str(entry)
    return out


@dataclass(slots=True)
class Sink:
    """The findings of one document."""

    document: Document
    findings: list[Finding] = field(default_factory=list)

    def say(self, code: str, message: str, path: Path = (), remedy: str = "", severity: str = "error") -> None:
        self.findings.append(finding(code, message, self.document.place_of(path), remedy, severity=severity))

    def wrong(self, path: Path, message: str, remedy: str = "", severity: str = "error") -> None:
        """A broken rule of the format, the field named first."""
        self.say("PH720", f"{dotted(path)}: {message}", path, remedy, severity)

    def duration_s(self, value: Any, path: Path, default: int) -> int:
        """Whole seconds of a Prometheus duration; the default when there is none."""
        if value in (None, ""):
            return default
        try:
            seconds = parse_prometheus_duration_ms(text(value)) // 1000
        except ValueError as error:
            self.wrong(path, str(error), "write a duration such as 5m, 1h or 30d")
            return default
        if seconds <= 0:
            self.wrong(path, "a duration above 0 is needed", "write a duration such as 5m, 1h or 30d")
            return default
        return seconds

    @property
    def failed(self) -> bool:
        return any(f.severity == "error" for f in self.findings)
