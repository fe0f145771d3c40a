"""Native histograms of rule tests: how they are stored and printed. The query engine passes them on without computing.

Texts follow Prometheus 3 `FloatHistogram.TestExpression`; reset hints those that its storage gives back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pilothouse.engines.alerting.gotemplate.formatting import float_text
from pilothouse.engines.alerting.series_notation import HistogramLiteral, Value


def stored_hints(values: Sequence[Value]) -> list[Value]:
    """The values with the reset hints that reading them back from storage would show: a first sample has none."""
    out: list[Value] = []
    before: HistogramLiteral | None = None
    for value in values:
        if isinstance(value, HistogramLiteral):
            if value.hint != "gauge" and before is not None:
                value = replace(value, hint="reset" if _was_reset(before, value) else "not_reset")
            before = value
        out.append(value)
    return out


def _was_reset(before: HistogramLiteral, now: HistogramLiteral) -> bool:
    if now.hint == "reset" or before.schema != now.schema:
        return True
    if now.count < before.count or now.zero_count < before.zero_count:
        return True
    return any(
        count < was
        for old, new in (
            (_absolute(before.offset, before.buckets), _absolute(now.offset, now.buckets)),
            (
                _absolute(before.negative_offset, before.negative_buckets),
                _absolute(now.negative_offset, now.negative_buckets),
            ),
        )
        for index, was in old.items()
        for count in (new.get(index, 0.0),)
    )


def _absolute(offset: int, counts: tuple[float, ...]) -> dict[int, float]:
    return {offset + index: count for index, count in enumerate(counts)}


def histogram_text(histogram: HistogramLiteral) -> str:
    """`{{count:2 sum:3 buckets:[2]}}`, the one form in which histograms are compared."""
    h, parts = histogram, []
    for name, value in (
        ("schema", h.schema), ("count", h.count), ("sum", h.sum), ("z_bucket", h.zero_count),
        ("z_bucket_w", h.zero_width),
    ):  # fmt: skip
        if value:
            parts.append(f"{name}:{float_text(float(value))}")
    if h.custom_values:
        parts.append(f"custom_values:{_numbers(h.custom_values)}")
    if h.hint:
        parts.append(f"counter_reset_hint:{h.hint}")
    for prefix, offset, counts in (("", h.offset, h.buckets), ("n_", h.negative_offset, h.negative_buckets)):
        offset, counts = _compact(offset, counts)
        if counts and offset:
            parts.append(f"{prefix}offset:{offset}")
        if counts:
            parts.append(f"{prefix}buckets:{_numbers(counts)}")
    return "{{" + " ".join(parts) + "}}"


def _numbers(values: tuple[float, ...]) -> str:
    return "[" + " ".join(float_text(v) for v in values) + "]"


def _compact(offset: int, counts: tuple[float, ...]) -> tuple[int, tuple[float, ...]]:
    """Without empty buckets at either end."""
    filled = [i for i, count in enumerate(counts) if count]
    return (offset + filled[0], counts[filled[0] : filled[-1] + 1]) if filled else (0, ())
