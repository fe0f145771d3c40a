"""The one text in which rule tests compare native histograms (Prometheus 3, `FloatHistogram.TestExpression`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pilothouse.engines.alerting.gotemplate.formatting import float_text
from pilothouse.engines.promql.histogram import FloatHistogram


def histogram_text(histogram: FloatHistogram) -> str:
    """`{{count:2 sum:3 buckets:[2]}}`: what is zero or unknown is left out."""
    h, parts = histogram, []
    for name, value in (
        ("schema", h.schema), ("count", h.count), ("sum", h.sum), ("z_bucket", h.zero_count),
        ("z_bucket_w", h.zero_threshold),
    ):  # fmt: skip
        if value:
            parts.append(f"{name}:{float_text(float(value))}")
    if h.custom:
        parts.append(f"custom_values:{_numbers(h.bounds)}")
    if h.hint != "unknown":
        parts.append(f"counter_reset_hint:{h.hint}")
    for prefix, buckets in (("", h.positive), ("n_", h.negative)):
        parts += _buckets(prefix, buckets)
    return "{{" + " ".join(parts) + "}}"


def _buckets(prefix: str, buckets: Mapping[int, float]) -> list[str]:
    filled = [index for index, count in buckets.items() if count]
    if not filled:
        return []
    low, high = min(filled), max(filled)
    counts = f"{prefix}buckets:{_numbers([buckets.get(i, 0.0) for i in range(low, high + 1)])}"
    return [f"{prefix}offset:{low}", counts] if low else [counts]


def _numbers(values: Sequence[float]) -> str:
    return "[" + " ".join(float_text(v) for v in values) + "]"
