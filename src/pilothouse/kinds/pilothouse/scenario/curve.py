"""A load curve given point by point: in a csv (`time,rps`) or in the scenario itself. Pure."""

from __future__ import annotations

from typing import Any

from pilothouse.base.duration import parse_duration_s
from pilothouse.kinds.pilothouse.scenario.fields import Fields

POINTS_MAX = 1_000_000
FINDINGS_MAX = 10


def read_csv(text: str) -> tuple[tuple[tuple[float, float], ...], list[tuple[int, str]]]:
    """((second, rps), …) and what is wrong as (line, message). Commas, semicolons or tabs; a first line of names is
    skipped.

    Times are seconds or durations; they are counted from the first one and must not go back.
    """
    points: list[tuple[float, float]] = []
    wrong: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines()[:POINTS_MAX], 1):
        cells = [c.strip().strip('"') for c in line.replace(";", ",").replace("\t", ",").split(",")]
        if not line.strip() or line.lstrip().startswith("#") or (number == 1 and not _is_time(cells[0])):
            continue
        point = _point(cells[0], cells[1] if len(cells) > 1 else "")
        if isinstance(point, str):
            wrong.append((number, point))
        elif points and point[0] < points[-1][0]:
            wrong.append((number, f"the time goes back from {points[-1][0]:g} s to {point[0]:g} s"))
        else:
            points.append(point)
        if len(wrong) >= FINDINGS_MAX:
            break
    if not points and not wrong:
        wrong.append((0, "the curve has no point"))
    start = points[0][0] if points else 0.0
    return tuple((t - start, rps) for t, rps in points), wrong


def read_points(load: Fields, items: list[Any]) -> tuple[tuple[float, float], ...]:
    """`points: [[0s, 30rps], [10m, 300rps]]`; what is wrong is reported with its place and left out."""
    points: list[tuple[float, float]] = []
    for index, item in enumerate(items):
        at = Fields(load.document, (*load.path, "points", index), {}, load.findings)
        if not isinstance(item, list) or len(item) != 2:
            at.wrong("PH403", "is not a pair", "write `[10m, 300rps]`")
            continue
        pair = Fields(load.document, at.path, {"time": item[0], "rate": item[1]}, load.findings)
        time_s, rate = pair.duration("time"), pair.rate("rate", None)
        if time_s is None or rate is None:
            continue
        if points and time_s < points[-1][0]:
            at.wrong("PH408", "the time goes back", "write the points in the order of their times")
            continue
        points.append((time_s, rate))
    return tuple(points)


def _is_time(text: str) -> bool:
    return _seconds(text) is not None


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        try:
            value = parse_duration_s(text)
        except (ValueError, IndexError):
            return None
    return value if 0 <= value < 1e11 else None


def _point(time: str, rate: str) -> tuple[float, float] | str:
    seconds = _seconds(time)
    if seconds is None:
        return f"{time!r} is not a time"
    try:
        rps = float(rate)
    except ValueError:
        return f"{rate!r} is not a rate" if rate else "the rate is missing"
    if not 0 <= rps <= 1e7:
        return f"{rate} requests per second make no sense"
    return seconds, rps
