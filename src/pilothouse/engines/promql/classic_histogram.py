"""histogram_quantile, histogram_quantiles and histogram_fraction over classic buckets.

Buckets of one histogram are put together by their labels less `le`, once per set of columns; histograms with the
same bounds are then computed as one block [step, histogram, bucket]. Follows promql/quantile.go of Prometheus 3
(BucketQuantile, BucketFraction, smallDeltaTolerance 1e-12).
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

import numpy as np

from pilothouse.engines.promql.grid import Bools, Columns, Floats, Grid, Ints
from pilothouse.engines.tsdb.labels import METRIC_NAME, Labels, label_value

_TOLERANCE = 1e-12
_SMALLEST_NORMAL = 2.2250738585072014e-308


@dataclass(slots=True)
class Family:
    """Histograms with the same bounds. members [histogram, bucket]: column of each bucket; outputs: result columns."""

    bounds: Floats
    members: Ints
    outputs: Ints


@dataclass(slots=True)
class Buckets:
    """All histograms among some columns. bad: (metric name, le) of columns whose `le` is no number."""

    columns: Columns
    families: list[Family]
    bad: list[tuple[int, str, str]]


def parse_bound(text: str) -> float | None:
    """A bucket's upper bound, None when the label is missing or no number (Go's ParseFloat)."""
    if not text or text != text.strip() or "_" in text:
        return None
    try:
        return float.fromhex(text) if text.lower().lstrip("+-").startswith("0x") else float(text)
    except ValueError:
        return None


def find_buckets(columns: Columns) -> Buckets:
    """Histograms by their labels less `le`, their buckets sorted by bound."""
    members: dict[Labels, list[tuple[float, int]]] = {}
    bad: list[tuple[int, str, str]] = []
    for column, labels in enumerate(columns.labels):
        le = label_value(labels, "le")
        bound = parse_bound(le)
        if bound is None:
            bad.append((column, label_value(labels, METRIC_NAME), le))
            continue
        members.setdefault(tuple([pair for pair in labels if pair[0] != "le"]), []).append((bound, column))
    layouts: dict[tuple[float, ...], list[tuple[int, list[int]]]] = {}
    for output, buckets in enumerate(members.values()):
        buckets.sort(key=lambda item: item[0])
        bounds = tuple(bound for bound, _ in buckets)
        layouts.setdefault(bounds, []).append((output, [column for _, column in buckets]))
    families = [
        Family(
            np.array(bounds, dtype=np.float64),
            np.array([columns_of for _, columns_of in found], dtype=np.int64),
            np.array([output for output, _ in found], dtype=np.int64),
        )
        for bounds, found in layouts.items()
    ]
    return Buckets(Columns(list(members)).dropping_names(), families, bad)


@dataclass(slots=True)
class Forced:
    """Where counts had to be made monotonic: bounds and the largest difference, per step and histogram."""

    lowest: Floats
    highest: Floats
    largest: Floats
    cells: Bools


def quantiles(buckets: Buckets, grid: Grid, q: Floats) -> tuple[Grid, list[tuple[Ints, Forced]]]:
    """One quantile per step and histogram; and what was forced, per family with its result columns."""
    shape = (grid.steps, len(buckets.columns))
    values = np.zeros(shape, dtype=np.float64)
    present = np.zeros(shape, dtype=np.bool_)
    forced: list[tuple[Ints, Forced]] = []
    floats = grid.float_presence()
    for family in buckets.families:
        counts = grid.values[:, family.members]
        here = None if floats is None else floats[:, family.members]
        found, found_here, note = _family_quantiles(family, counts, here, q)
        values[:, family.outputs] = found
        present[:, family.outputs] = found_here
        if note.cells.any():
            forced.append((family.outputs, note))
    return Grid(buckets.columns, values, present), forced


def _family_quantiles(family: Family, counts: Floats, here: Bools | None, q: Floats) -> tuple[Floats, Bools, Forced]:
    steps, histograms, _ = counts.shape
    if here is None or here.all():
        found, note = block_quantile(q[:, None], family.bounds, counts)
        return found, np.ones((steps, histograms), dtype=np.bool_), note
    found = np.zeros((steps, histograms), dtype=np.float64)
    note = _no_force((steps, histograms))
    # Cells with the same set of present buckets are computed together; there are few such sets.
    patterns = np.packbits(here, axis=2).reshape(steps * histograms, -1)
    distinct, inverse = np.unique(patterns, axis=0, return_inverse=True)
    q_cells = np.broadcast_to(q[:, None], (steps, histograms)).reshape(-1)
    flat_counts, flat_found = counts.reshape(steps * histograms, -1), found.reshape(-1)
    for pattern in range(len(distinct)):
        cells = np.flatnonzero(inverse.reshape(-1) == pattern)
        kept = here.reshape(steps * histograms, -1)[cells[0]]
        if not kept.any():
            continue
        part, part_note = block_quantile(q_cells[cells], family.bounds[kept], flat_counts[cells][:, kept])
        flat_found[cells] = part
        for mine, theirs in (
            (note.lowest, part_note.lowest),
            (note.highest, part_note.highest),
            (note.largest, part_note.largest),
            (note.cells, part_note.cells),
        ):
            mine.reshape(-1)[cells] = theirs
    some: Bools = np.asarray(here.any(axis=2))
    return found, some, note


def _no_force(shape: tuple[int, ...]) -> Forced:
    return Forced(np.full(shape, np.inf), np.full(shape, -np.inf), np.zeros(shape), np.zeros(shape, dtype=np.bool_))


def block_quantile(q: Floats, bounds: Floats, counts: Floats) -> tuple[Floats, Forced]:
    """Quantile of cumulative counts [..., bucket]; q broadcasts to the leading shape. Bounds rise, may repeat."""
    note = _no_force(counts.shape[:-1])
    special = np.where(np.isnan(q), np.nan, np.where(q < 0, -np.inf, np.inf))
    outside = np.isnan(q) | (q < 0) | (q > 1)
    if bounds[-1] != np.inf:
        return np.broadcast_to(np.where(outside, special, np.nan), counts.shape[:-1]).copy(), note
    bounds, counts = coalesce(bounds, counts)
    if len(bounds) < 2:
        return np.broadcast_to(np.where(outside, special, np.nan), counts.shape[:-1]).copy(), note
    counts = _monotonic(bounds, counts, note)
    found = _interpolate(q, bounds, counts)
    note.cells &= ~np.broadcast_to(outside, note.cells.shape)
    return np.where(outside, special, found), note


def coalesce(bounds: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Buckets with one bound (le="1" and le="1.0") added up."""
    if len(bounds) < 2 or (np.diff(bounds) > 0).all():
        return bounds, counts
    distinct, starts = np.unique(bounds, return_index=True)
    return distinct, np.add.reduceat(counts, starts, axis=-1)


def _monotonic(bounds: Floats, counts: Floats, note: Forced) -> Floats:
    if (counts[..., 1:] >= counts[..., :-1]).all() and not _nearly(counts[..., :-1], counts[..., 1:]).any():
        return counts
    fixed = counts.copy()
    before = fixed[..., 0]
    for bucket in range(1, len(bounds)):
        now = fixed[..., bucket]
        near = _nearly(before, now)
        fell = (now < before) & ~near
        note.cells |= fell
        note.lowest = np.where(fell, np.minimum(note.lowest, bounds[bucket]), note.lowest)
        note.highest = np.where(fell, np.maximum(note.highest, bounds[bucket]), note.highest)
        note.largest = np.where(fell, np.maximum(note.largest, before - now), note.largest)
        before = np.where(near | fell, before, now)
        fixed[..., bucket] = before
    return fixed


def _nearly(a: Floats, b: Floats) -> Bools:
    """Different, but by no more than rounding (almost.Equal upstream)."""
    size, distance = np.abs(a) + np.abs(b), np.abs(a - b)
    tiny = (a == 0) | (b == 0) | (size < _SMALLEST_NORMAL)
    close = np.where(tiny, distance < _TOLERANCE * _SMALLEST_NORMAL, distance / size < _TOLERANCE)
    found: Bools = close & (a != b)
    return found


def _interpolate(q: Floats, bounds: Floats, counts: Floats) -> Floats:
    total = counts[..., -1]
    rank = q * total
    bucket = (counts[..., :-1] < rank[..., None]).sum(axis=-1)
    safe = np.maximum(bucket - 1, 0)
    below = np.where(bucket > 0, np.take_along_axis(counts, safe[..., None], axis=-1)[..., 0], 0.0)
    inside = np.take_along_axis(counts, bucket[..., None], axis=-1)[..., 0] - below
    start = np.where(bucket > 0, bounds[safe], 0.0)
    found = start + (bounds[bucket] - start) * ((rank - below) / inside)
    if bounds[0] <= 0:
        found = np.where(bucket == 0, bounds[0], found)
    found = np.where(bucket == len(bounds) - 1, bounds[-2], found)
    return np.where((total == 0) | np.isnan(total), np.nan, found)


def fractions(buckets: Buckets, grid: Grid, lower: Floats, upper: Floats) -> Grid:
    """The share of observations between two values, per step and histogram."""
    shape = (grid.steps, len(buckets.columns))
    values = np.zeros(shape, dtype=np.float64)
    present = np.zeros(shape, dtype=np.bool_)
    floats = grid.float_presence()
    for family in buckets.families:
        for step in range(grid.steps):
            for histogram, output in enumerate(family.outputs.tolist()):
                columns = family.members[histogram]
                kept = slice(None) if floats is None else floats[step, columns]
                bounds, counts = family.bounds[kept], grid.values[step, columns][kept]
                if len(bounds) == 0:
                    continue
                present[step, output] = True
                values[step, output] = fraction(float(lower[step]), float(upper[step]), bounds, counts)
    return Grid(buckets.columns, values, present)


def fraction(lower: float, upper: float, bounds: Floats, counts: Floats) -> float:
    """Share of one histogram's observations in (lower, upper], linear within buckets, none in infinite ones."""
    if bounds[-1] != math.inf:
        return math.nan
    bounds, counts = coalesce(bounds, counts)
    total = float(counts[-1])
    if total == 0 or math.isnan(total) or math.isnan(lower) or math.isnan(upper):
        return math.nan
    if lower >= upper:
        return 0.0
    edges, ranks = bounds.tolist(), counts.tolist()
    return (_rank(upper, edges, ranks) - _rank(lower, edges, ranks)) / total


def _rank(value: float, bounds: list[float], counts: list[float]) -> float:
    """How many observations lie at or below the value."""
    floor = 0.0 if bounds[0] > 0 else -math.inf
    if value <= floor:
        return 0.0
    bucket = bisect.bisect_left(bounds, value)
    if bucket == len(bounds):
        return counts[-1]
    if bounds[bucket] == value:
        return min(counts[bucket], counts[-1])
    below = counts[bucket - 1] if bucket else 0.0
    start = bounds[bucket - 1] if bucket else floor
    if start == -math.inf:
        return min(counts[bucket], counts[-1])
    found = below + (counts[bucket] - below) * (value - start) / (bounds[bucket] - start)
    return min(found, counts[-1])
