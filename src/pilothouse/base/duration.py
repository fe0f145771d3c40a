"""Durations as people write them: Go's (`1h30m`, `250ms`) and Prometheus' (`5m`, `1d`, `1h30m`)."""

from __future__ import annotations

import re

_GO_UNIT_S = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
_GO_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|ms|s|m|h|d|w)")
_PROM_UNIT_MS = {
    "y": 31_536_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_PROM = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")


def parse_duration_s(text: str) -> float:
    """Seconds of a Go duration (time.ParseDuration), days and weeks allowed on top; ValueError when it is none."""
    body = text[1:] if text[:1] in "+-" else text
    if body == "0":
        return 0.0
    total, at = 0.0, 0
    for part in _GO_PART.finditer(body):
        if part.start() != at:
            break
        total += float(part[1]) * _GO_UNIT_S[part[2]]
        at = part.end()
    if not body or at != len(body):
        raise ValueError(f"{text!r} is not a duration such as 90s, 5m or 1h30m")
    return -total if text[0] == "-" else total


def parse_prometheus_duration_ms(text: str) -> int:
    """Milliseconds of a Prometheus duration (model.ParseDuration: falling units, each once); ValueError else."""
    if text == "0":
        return 0
    match = _PROM.fullmatch(text)
    if not text or match is None:
        raise ValueError(f'not a valid duration string: "{text}"')
    return sum(int(n) * _PROM_UNIT_MS[u] for n, u in zip(match.groups(), _PROM_UNIT_MS) if n)


def format_prometheus_duration(ms: int) -> str:
    """The form Prometheus prints: `5m`, `1h30m`, `1d`; `0s` for nothing."""
    if ms == 0:
        return "0s"
    sign, rest, parts = ("-" if ms < 0 else ""), abs(ms), []
    for unit, size in _PROM_UNIT_MS.items():
        # Years and weeks only when the whole is a multiple, as model.Duration.String does.
        if rest < size or (unit in ("y", "w") and rest % size):
            continue
        parts.append(f"{rest // size}{unit}")
        rest %= size
    return sign + "".join(parts)


def format_span(seconds: float) -> str:
    """A span for people: `45s`, `4m10s`, `2h05m`, `3d4h`."""
    if seconds < 0:
        return "-" + format_span(-seconds)
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f}s"
    total = round(seconds)
    if total < 60:
        return f"{total}s"
    if total < 3600:
        return f"{total // 60}m{total % 60:02d}s" if total % 60 else f"{total // 60}m"
    if total < 86400:
        return f"{total // 3600}h{total % 3600 // 60:02d}m" if total % 3600 >= 60 else f"{total // 3600}h"
    return f"{total // 86400}d{total % 86400 // 3600}h" if total % 86400 >= 3600 else f"{total // 86400}d"
