"""Aggregations that pick series (topk, bottomk, limitk, limit_ratio) or count their values.

Picked series keep all their labels. topk and bottomk mark the order in which an instant query lists them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pilothouse.engines.promql.grid import Bools, Columns, Floats, Grid, Ints
from pilothouse.engines.promql.printer import format_number
from pilothouse.engines.tsdb.labels import METRIC_NAME, Labels, with_label


def _ranks(keys: Floats, here: Bools, groups: Ints) -> Ints:
    """Position of each series among the present ones of its group when sorted by key (stable), one step."""
    order = np.lexsort((keys, groups))
    order = order[here[order]]
    ranks = np.full(len(keys), np.iinfo(np.int64).max, dtype=np.int64)
    if len(order):
        sorted_groups = groups[order]
        begins = np.flatnonzero(np.append(True, sorted_groups[1:] != sorted_groups[:-1]))
        sizes = np.diff(np.append(begins, len(order)))
        ranks[order] = np.arange(len(order)) - np.repeat(begins, sizes)
    return ranks


def topk(grid: Grid, groups: Ints, count: int, k: Floats, *, largest: bool) -> Grid:
    """The k largest (or smallest) floats of each group; NaN comes last."""
    floats = grid.presence() & ~grid.histogram_mask()
    wanted = np.clip(np.trunc(k), 0, len(grid.columns)).astype(np.int64)
    picked = np.zeros(grid.values.shape, dtype=np.bool_)
    sign = -1.0 if largest else 1.0
    for step in range(grid.steps):
        if wanted[step] < 1:
            continue
        row, here = grid.values[step], floats[step]
        if count == 1 and len(row) > 64 and wanted[step] * 8 < len(row):
            candidates = _few(row, here, int(wanted[step]), sign)
            ranks = _ranks(
                np.where(np.isnan(row), np.inf, sign * row)[candidates], here[candidates], groups[candidates]
            )
            picked[step, candidates[ranks < wanted[step]]] = True
            continue
        ranks = _ranks(np.where(np.isnan(row), np.inf, sign * row), here, groups)
        picked[step] = ranks < wanted[step]
    return _kept(grid, picked)


def _few(row: Floats, here: Bools, k: int, sign: float) -> Ints:
    """Columns that can be among the first k: everything up to the k-th key, found without sorting all."""
    keys = np.where(here & ~np.isnan(row), sign * row, np.inf)
    border = np.partition(keys, k - 1)[k - 1]
    return np.flatnonzero(keys <= border)


def limitk(grid: Grid, groups: Ints, count: int, k: Floats) -> Grid:
    """The first k series of each group, in label order."""
    del count
    order = _label_order(grid.columns)
    wanted = np.clip(np.trunc(k), 0, len(grid.columns)).astype(np.int64)
    present = grid.presence()
    picked = np.zeros(present.shape, dtype=np.bool_)
    for step in range(grid.steps):
        picked[step] = _ranks(order, present[step], groups) < wanted[step]
    return _kept(grid, picked)


def _label_order(columns: Columns) -> Floats:
    ranks = np.empty(len(columns), dtype=np.float64)
    ranks[sorted(range(len(columns)), key=lambda i: columns.labels[i])] = np.arange(len(columns))
    return ranks


def limit_ratio(grid: Grid, ratio: Floats) -> Grid:
    """Series whose label hash falls under the ratio; r and r-1 complement each other."""
    offsets = np.array([_hash_ratio(labels) for labels in grid.columns.labels], dtype=np.float64)
    capped = np.clip(ratio, -1.0, 1.0)[:, None]
    picked = np.where(capped >= 0, offsets < capped, offsets >= 1.0 + capped)
    return _kept(grid, picked & grid.presence())


def _hash_ratio(labels: Labels) -> float:
    """A number in [0, 1) from the labels, the same in every process (FNV-1a, 64 bit)."""
    found = 0xCBF29CE484222325
    for byte in "\xff".join(part for pair in labels for part in pair).encode("utf-8", "surrogatepass"):
        found = ((found ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    found ^= found >> 32
    return (found & 0xFFFFFFFF) / 4294967296.0


def _kept(grid: Grid, picked: Bools) -> Grid:
    """Only the picked cells; columns that are never picked go, which keeps what follows small."""
    used = np.flatnonzero(picked.any(axis=0))
    if len(used) == len(grid.columns):
        return Grid(grid.columns, grid.values, picked, grid.histograms)
    columns = Columns([grid.columns.labels[i] for i in used.tolist()], grid.columns.drop[used])
    histograms = None if grid.histograms is None else grid.histograms[:, used]
    return Grid(columns, grid.values[:, used], picked[:, used], histograms)


def count_values(grid: Grid, label: str, grouping: Sequence[str], without: bool) -> Grid:
    """How many series of a group have each value, one output series per group and value."""
    wanted = frozenset(grouping) | (frozenset() if without else {label})
    present = grid.presence()
    places: dict[Labels, int] = {}
    prefixes: dict[tuple[Labels, str], int] = {}
    keys = [_count_key(labels, wanted, without) for labels in grid.columns.labels]
    steps, series = np.nonzero(present)
    if len(steps) == 0:
        return Grid(Columns([]), np.zeros((grid.steps, 0)))
    targets = np.empty(len(steps), dtype=np.int64)
    texts = _texts(grid, steps, series)
    for cell, (column, text) in enumerate(zip(series.tolist(), texts)):
        known = prefixes.get((keys[column], text))
        if known is None:
            made = _count_labels(keys[column], label, text, wanted, without)
            known = prefixes[(keys[column], text)] = places.setdefault(made, len(places))
        targets[cell] = known
    width = len(places)
    counts = np.bincount(steps * width + targets, minlength=grid.steps * width).reshape(grid.steps, width)
    return Grid(Columns(list(places)), counts.astype(np.float64), counts > 0)


def _count_key(labels: Labels, wanted: frozenset[str], without: bool) -> Labels:
    if without:
        return tuple([pair for pair in labels if pair[0] not in wanted and pair[0] != METRIC_NAME])
    return tuple([pair for pair in labels if pair[0] in wanted])


def _count_labels(key: Labels, label: str, text: str, wanted: frozenset[str], without: bool) -> Labels:
    found = with_label(key, label, text)
    return _count_key(found, wanted, without)


def _texts(grid: Grid, steps: Ints, series: Ints) -> list[str]:
    values = grid.values[steps, series]
    distinct, inverse = np.unique(values.view(np.int64), return_inverse=True)
    shown = [format_number(value) for value in distinct.view(np.float64).tolist()]
    texts = [shown[i] for i in inverse.tolist()]
    if grid.histograms is not None:
        for cell, histogram in enumerate(grid.histograms[steps, series].tolist()):
            if histogram is not None:
                texts[cell] = str(histogram)
    return texts
