"""Probes as arithmetic: when a probe will notice that an application's answer changed. Nothing is asked every ten
seconds.

After kubelet 1.36 `pkg/kubelet/prober/worker.go`: a worker probes when the pod is added and every periodSeconds from
then on; it skips while the container is younger than initialDelaySeconds; a result counts after successThreshold or
failureThreshold in a row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

_SLACK_S = 1e-6


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe with Kubernetes' defaults. path, port: for messages; port 0 when it is not an HTTP or TCP probe."""

    delay_s: int = 0
    period_s: int = 10
    timeout_s: int = 1
    success: int = 1
    failure: int = 3
    path: str = ""
    port: int = 0
    scheme: str = "http"

    def tick(self, phase_s: float, at_s: float) -> float:
        """The first probing moment at or after `at_s`, for a worker that began at `phase_s`."""
        steps = math.ceil((at_s - phase_s - _SLACK_S) / self.period_s)
        return phase_s + max(steps, 0) * self.period_s

    def first(self, phase_s: float, started_s: float) -> float:
        """The first moment at which a container that started then is asked."""
        return self.tick(phase_s, started_s + self.delay_s)

    def noticed(self, phase_s: float, started_s: float, since_s: float, in_a_row: int) -> float:
        """When an answer that holds since `since_s` has been given `in_a_row` times."""
        begin = max(self.first(phase_s, started_s), self.tick(phase_s, since_s))
        return begin + (in_a_row - 1) * self.period_s

    def asked_between(self, phase_s: float, after_s: float, before_s: float) -> bool:
        """Whether there is a probing moment in [after_s, before_s)."""
        return self.tick(phase_s, after_s) < before_s - _SLACK_S

    def refused(self, ip: str) -> str:
        """The message of a failed probe while nothing listens."""
        if self.path:
            url = f"{self.scheme}://{ip}:{self.port}{self.path}"
            return f'Get "{url}": dial tcp {ip}:{self.port}: connect: connection refused'
        return f"dial tcp {ip}:{self.port}: connect: connection refused" if self.port else "command failed"

    def timed_out(self, ip: str) -> str:
        """The message of a failed probe that got no answer in time."""
        if self.path:
            url = f"{self.scheme}://{ip}:{self.port}{self.path}"
            return f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        return f"dial tcp {ip}:{self.port}: i/o timeout" if self.port else f"command timed out after {self.timeout_s}s"


def probe_of(container: dict[str, Any], name: str) -> Probe | None:
    """The probe of a container spec: name is readinessProbe, livenessProbe or startupProbe."""
    raw = container.get(name)
    if not raw:
        return None
    http, tcp = raw.get("httpGet"), raw.get("tcpSocket") or raw.get("grpc")
    where = http or tcp or {}
    return Probe(
        delay_s=raw.get("initialDelaySeconds") or 0,
        period_s=raw.get("periodSeconds") or 10,
        timeout_s=raw.get("timeoutSeconds") or 1,
        success=raw.get("successThreshold") or 1,
        failure=raw.get("failureThreshold") or 3,
        path=(http.get("path") or "/") if http else "",
        port=_port(container, where.get("port", 0)),
        scheme=(http.get("scheme") or "HTTP").lower() if http else "",
    )


def _port(container: dict[str, Any], port: Any) -> int:
    if isinstance(port, int):
        return port
    return next((p["containerPort"] for p in container.get("ports") or () if p.get("name") == port), 0)
