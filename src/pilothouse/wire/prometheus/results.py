"""Answers of the query engine in the API's shape: samples as `[seconds, "text"]`, labels as objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pilothouse.engines.promql import Answer, Matrix, RangeVector, Scalar, String, Vector
from pilothouse.signals.metrics.go_numbers import format_api


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer ready for JSON; `series` says that `result` is a list which a limit may cut."""

    kind: str
    result: list[Any]
    samples: int
    series: bool
    warnings: Sequence[str]
    infos: Sequence[str]


def shown(answer: Answer) -> Shown:
    """The answer as `resultType`, `result` and what was odd about it."""
    match answer:
        case Scalar():
            return _flat("scalar", answer, format_api(answer.value))
        case String():
            return _flat("string", answer, answer.value)
        case Vector():
            return _listed("vector", answer, _vector(answer), len(answer))
        case Matrix():
            return _listed("matrix", answer, _matrix(answer), int(answer.present.sum()))
        case RangeVector():
            return _listed("matrix", answer, _range_vector(answer), sum(len(found) for found in answer.samples))
    raise TypeError(type(answer).__name__)


def _flat(kind: str, answer: Scalar | String, text: str) -> Shown:
    return Shown(kind, [seconds(answer.time_ms), text], 1, False, answer.warnings, answer.infos)


def _listed(kind: str, answer: Answer, result: list[Any], samples: int) -> Shown:
    return Shown(kind, result, samples, True, answer.warnings, answer.infos)


def seconds(time_ms: int) -> int | float:
    """Milliseconds as the API's seconds: whole ones without a point."""
    return time_ms // 1000 if time_ms % 1000 == 0 else time_ms / 1000


def _vector(answer: Vector) -> list[Any]:
    at = seconds(answer.time_ms)
    histograms = answer.histograms or [None] * len(answer)
    return [
        {"metric": dict(labels), "value": [at, format_api(value)]}
        if histogram is None
        else {"metric": dict(labels), "histogram": [at, _histogram(histogram)]}
        for (labels, value), histogram in zip(answer, histograms)
    ]


def _matrix(answer: Matrix) -> list[Any]:
    times = [seconds(time_ms) for time_ms in answer.times_ms.tolist()]
    found = []
    for index, labels in enumerate(answer.labels):
        row, here = answer.values[index].tolist(), answer.present[index].tolist()
        held = None if answer.histograms is None else answer.histograms[index].tolist()
        cells = [(at, row[step], held[step] if held else None) for step, at in enumerate(times) if here[step]]
        found.append({"metric": dict(labels), **_points(cells)})
    return found


def _range_vector(answer: RangeVector) -> list[Any]:
    return [
        {"metric": dict(labels), **_points([(seconds(time_ms), value, held) for time_ms, value, held in samples])}
        for labels, samples in zip(answer.labels, answer.samples)
    ]


def _points(cells: Sequence[tuple[int | float, float, Any]]) -> dict[str, list[Any]]:
    """`values` and, when there are any, `histograms` of one series."""
    floats = [[at, format_api(value)] for at, value, held in cells if held is None]
    histograms = [[at, _histogram(held)] for at, _value, held in cells if held is not None]
    found: dict[str, list[Any]] = {"values": floats} if floats or not histograms else {}
    return {**found, "histograms": histograms} if histograms else found


def _histogram(histogram: Any) -> dict[str, str]:
    """Count and sum of a native histogram; its buckets are not given."""
    return {"count": format_api(float(histogram.count)), "sum": format_api(float(histogram.sum))}
