"""Binary operators between scalars and vectors: arithmetic, comparisons, set operators and the matching of series.

Matching is worked out from labels once per pair of column sets and kept: every pair of series with one signature
becomes a result column, present where both sides are. Upstream's errors (duplicates on the "one" side, several
matches) are then questions about presence per step. Follows VectorBinop, VectorAnd/Or/Unless and VectorscalarBinop
of promql/engine.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pilothouse.engines.promql import ast
from pilothouse.engines.promql.errors import EvalError
from pilothouse.engines.promql.grid import (
    Bools,
    Columns,
    Floats,
    Grid,
    Ints,
    Memo,
    Value,
    any_column,
    drop_metadata,
    empty_grid,
    hits,
)
from pilothouse.engines.promql.histogram_binary import combine_cells
from pilothouse.engines.promql.run import Node, Run
from pilothouse.engines.tsdb.labels import METRIC_NAME, Labels, format_labels, with_label

ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": lambda left, right: power(left, right),
    "atan2": np.arctan2,
}
COMPARE: dict[str, Callable[[Floats, Floats], Bools]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def power(left: Floats, right: Floats) -> Floats:
    found: Floats = np.power(left, right)
    return found


def keeps_schema(op: str) -> bool:
    """Whether the result still measures what the operand did (comparisons do, arithmetic does not)."""
    return op not in ARITHMETIC


class ScalarBinary:
    """Both sides are scalars."""

    def __init__(self, expr: ast.Binary, left: Node, right: Node) -> None:
        self.op, self.left, self.right = expr.op, left, right

    def evaluate(self, run: Run, times: Ints) -> Floats:
        left, right = self.left.evaluate(run, times), self.right.evaluate(run, times)
        assert isinstance(left, np.ndarray)
        assert isinstance(right, np.ndarray)
        if self.op in COMPARE:
            return COMPARE[self.op](left, right).astype(np.float64)
        return ARITHMETIC[self.op](left, right)


class VectorScalarBinary:
    """A vector and a scalar, either way round."""

    def __init__(self, expr: ast.Binary, vector: Node, scalar: Node, *, swapped: bool) -> None:
        self.expr, self.vector, self.scalar, self.swapped = expr, vector, scalar, swapped

    def evaluate(self, run: Run, times: Ints) -> Grid:
        grid, scalar = self.vector.evaluate(run, times), self.scalar.evaluate(run, times)
        assert isinstance(grid, Grid)
        assert isinstance(scalar, np.ndarray)
        other = scalar[:, None]
        if grid.histograms is not None or self.expr.op in ("</", ">/"):
            return self._cells(run, grid, np.broadcast_to(other, grid.values.shape))
        left, right = (other, grid.values) if self.swapped else (grid.values, other)
        op, present = self.expr.op, grid.present
        columns = grid.columns
        if op not in COMPARE:
            return Grid(columns.dropping_names(), ARITHMETIC[op](left, right), present)
        kept = COMPARE[op](left, right)
        if self.expr.bool_modifier:
            return Grid(columns.dropping_names(), kept.astype(np.float64), present)
        return Grid(columns, grid.values, kept if present is None else kept & present)

    def _cells(self, run: Run, grid: Grid, other: Floats) -> Grid:
        scalar = Grid(grid.columns, other)
        left, right = (scalar, grid) if self.swapped else (grid, scalar)
        found = combine_cells(self.expr, run, left, right, grid.presence())
        values, histograms = found.values, found.histograms
        if self.expr.op in COMPARE and not self.expr.bool_modifier:
            # The vector's sample stays, whichever side it stood on.
            values, histograms = grid.values, grid.histograms
        columns = grid.columns
        if not keeps_schema(self.expr.op) or self.expr.bool_modifier:
            columns = columns.dropping_names()
        return Grid(columns, values, found.present, histograms)


@dataclass(slots=True)
class Pairing:
    """Result columns from pairs of series. many/one: column of each side per result; signature: its match group.

    many_groups, one_groups: match group per column of each side (all columns, matched or not); `merge` says where
    result columns with equal labels go, None when all differ.
    """

    columns: Columns
    many: Ints
    one: Ints
    signature: Ints
    groups: int
    many_groups: Ints
    one_groups: Ints
    one_unique: bool
    many_unique: bool
    merge: Ints | None
    merged: Columns
    plain: bool


class VectorBinary:
    """Arithmetic or comparison between two vectors."""

    def __init__(self, expr: ast.Binary, left: Node, right: Node) -> None:
        assert expr.matching is not None
        self.expr, self.left, self.right, self.matching = expr, left, right, expr.matching
        self._pairing: Memo[Pairing] = Memo()

    def evaluate(self, run: Run, times: Ints) -> Grid:
        left, right = self.left.evaluate(run, times), self.right.evaluate(run, times)
        assert isinstance(left, Grid)
        assert isinstance(right, Grid)
        filled = self.matching.fill_left is not None or self.matching.fill_right is not None
        if filled:
            left, right = _fill_missing(self.matching, left, right)
        if len(left.columns) == 0 or len(right.columns) == 0:
            return empty_grid(len(times))
        swapped = self.matching.card == "one-to-many"
        many, one = (right, left) if swapped else (left, right)
        pairing = self._pairing.get(many.columns, one.columns)
        if pairing is None:
            changes_schema = not keeps_schema(self.expr.op)
            made = pair_up(self.matching, many.columns, one.columns, changes_schema, self.expr.bool_modifier)
            pairing = self._pairing.put(made, many.columns, one.columns)
        self._refuse_duplicates(pairing, one, many, swapped)
        many_cells, one_cells = _take(many, pairing.many), _take(one, pairing.one)
        present = _both(many_cells.present, one_cells.present)
        self._refuse_several(pairing, present, len(times))
        left_cells, right_cells = (one_cells, many_cells) if swapped else (many_cells, one_cells)
        return self._combine(run, pairing, left_cells, right_cells, present)

    def _combine(self, run: Run, pairing: Pairing, left: Grid, right: Grid, present: Bools | None) -> Grid:
        op = self.expr.op
        if left.histograms is not None or right.histograms is not None or op in ("</", ">/"):
            here = np.ones(left.values.shape, dtype=np.bool_) if present is None else present
            found = combine_cells(self.expr, run, left, right, here)
        else:
            if op not in COMPARE:
                found = Grid(pairing.columns, ARITHMETIC[op](left.values, right.values), present)
            else:
                kept = COMPARE[op](left.values, right.values)
                if self.expr.bool_modifier:
                    found = Grid(pairing.columns, kept.astype(np.float64), present)
                else:
                    found = Grid(pairing.columns, left.values, kept if present is None else kept & present)
        found = found.with_columns(pairing.columns)
        return found if pairing.merge is None else _merged(found, pairing)

    def _refuse_duplicates(self, pairing: Pairing, one: Grid, many: Grid, swapped: bool) -> None:
        if pairing.one_unique:
            return
        present = one.presence()
        doubled = hits(present, pairing.one_groups, pairing.groups) > 1
        if not doubled.any():
            return
        doubled &= any_column(many.presence())[:, None]
        if not doubled.any():
            return
        step, group = (int(index[0]) for index in np.nonzero(doubled))
        columns = np.flatnonzero((pairing.one_groups == group) & present[step])
        first, second = (one.columns.labels[i] for i in columns[:2].tolist())
        matched = match_labels(first, self.matching.on, self.matching.labels)
        shown = sorted((format_labels(first), format_labels(second)))
        side = "left" if swapped else "right"
        raise EvalError(
            f"found duplicate series for the match group {format_labels(matched)} on the {side} hand-side of the"
            f" operation: [{shown[0]}, {shown[1]}]"
            ";many-to-many matching not allowed: matching labels must be unique on one side"
        )

    def _refuse_several(self, pairing: Pairing, present: Bools | None, steps: int) -> None:
        """One-to-one: a match group may give one result; otherwise results of a group must differ in labels."""
        one_to_one = self.matching.card == "one-to-one"
        if pairing.many_unique if one_to_one else pairing.merge is None:
            return
        target = pairing.signature if one_to_one else pairing.merge
        assert target is not None
        width = pairing.groups if one_to_one else len(pairing.merged)
        here = np.ones((steps, len(pairing.many)), dtype=np.bool_) if present is None else present
        if (hits(here, target, width) > 1).any():
            if one_to_one:
                raise EvalError(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                )
            raise EvalError("multiple matches for labels: grouping labels must ensure unique matches")


def _take(grid: Grid, columns: Ints) -> Grid:
    present = None if grid.present is None else grid.present[:, columns]
    histograms = None if grid.histograms is None else grid.histograms[:, columns]
    if len(columns) == grid.values.shape[1] and len(columns) == 1:
        return grid
    return Grid(grid.columns, grid.values[:, columns], present, histograms)


def _both(left: Bools | None, right: Bools | None) -> Bools | None:
    if left is None:
        return right
    return left if right is None else left & right


def _merged(grid: Grid, pairing: Pairing) -> Grid:
    """Columns with equal labels put together; a later one wins where (only among filtered results) two are present."""
    assert pairing.merge is not None
    width = len(pairing.merged)
    values = np.zeros((grid.steps, width), dtype=np.float64)
    present = np.zeros((grid.steps, width), dtype=np.bool_)
    histograms = None if grid.histograms is None else np.full((grid.steps, width), None, dtype=object)
    steps, series = np.nonzero(grid.presence())
    targets = pairing.merge[series]
    values[steps, targets] = grid.values[steps, series]
    present[steps, targets] = True
    if histograms is not None and grid.histograms is not None:
        histograms[steps, targets] = grid.histograms[steps, series]
    return Grid(pairing.merged, values, present, histograms)


def match_labels(labels: Labels, on: bool, names: list[str]) -> Labels:
    """The labels that decide whether two series match."""
    if on:
        return tuple([pair for pair in labels if pair[0] in names])
    return tuple([pair for pair in labels if pair[0] not in names and pair[0] != METRIC_NAME])


def signatures(matching: ast.Matching, columns: Columns, places: dict[Labels, int]) -> Ints:
    """Match group of each column, numbered by first appearance in `places`."""
    names, on = frozenset(matching.labels), matching.on
    found = []
    for labels in columns.labels:
        if on:
            key = tuple([pair for pair in labels if pair[0] in names])
        else:
            key = tuple([pair for pair in labels if pair[0] not in names and pair[0] != METRIC_NAME])
        found.append(places.setdefault(key, len(places)))
    return np.array(found, dtype=np.int64)


def pair_up(matching: ast.Matching, many: Columns, one: Columns, arithmetic: bool, bool_modifier: bool) -> Pairing:
    """All pairs of series with one signature, and the labels of their results."""
    places: dict[Labels, int] = {}
    one_groups = signatures(matching, one, places)
    many_groups = signatures(matching, many, places)
    members: dict[int, list[int]] = {}
    for column, group in enumerate(one_groups.tolist()):
        members.setdefault(group, []).append(column)
    pairs = [
        (column, other, group) for column, group in enumerate(many_groups.tolist()) for other in members.get(group, ())
    ]
    result = [result_labels(matching, many.labels[m], one.labels[o], arithmetic) for m, o, _ in pairs]
    drop = many.drop[[m for m, _, _ in pairs]] | bool_modifier if pairs else np.zeros(0, dtype=np.bool_)
    drop = np.asarray(drop, dtype=np.bool_)
    unique: dict[Labels, int] = {}
    target = [unique.setdefault(labels, len(unique)) for labels in result]
    columns = Columns(result, drop)
    distinct = len(unique) == len(result)
    merged_drop = np.zeros(len(unique), dtype=np.bool_)
    merged_drop[target] = drop
    return Pairing(
        columns,
        np.array([m for m, _, _ in pairs], dtype=np.int64),
        np.array([o for _, o, _ in pairs], dtype=np.int64),
        np.array([g for _, _, g in pairs], dtype=np.int64),
        len(places),
        many_groups,
        one_groups,
        len(set(one_groups.tolist())) == len(one_groups),
        len(set(many_groups.tolist())) == len(many_groups),
        None if distinct else np.array(target, dtype=np.int64),
        columns if distinct else Columns(list(unique), merged_drop),
        distinct,
    )


def result_labels(matching: ast.Matching, many: Labels, one: Labels, arithmetic: bool) -> Labels:
    """Labels of a result (resultMetric upstream)."""
    labels = drop_metadata(many) if arithmetic else many
    if matching.card == "one-to-one":
        names = frozenset(matching.labels)
        labels = tuple([pair for pair in labels if (pair[0] in names) == matching.on])
    for name in matching.include:
        labels = with_label(labels, name, next((value for key, value in one if key == name), ""))
    return labels


def _fill_missing(matching: ast.Matching, left: Grid, right: Grid) -> tuple[Grid, Grid]:
    """Both sides with fill values standing in for match groups that a side lacks at a step."""
    places: dict[Labels, int] = {}
    left_groups, right_groups = signatures(matching, left.columns, places), signatures(matching, right.columns, places)
    keys = list(places)
    fill_left, fill_right = matching.fill_left, matching.fill_right
    if matching.card == "one-to-many":
        # Upstream swaps the sides of group_right before it fills, so left means the "many" side here too.
        fill_left, fill_right = fill_right, fill_left
    left_here, right_here = _groups_here(left, left_groups, len(keys)), _groups_here(right, right_groups, len(keys))
    if fill_right is not None:
        right = _with_fill(right, keys, left_here & ~right_here, fill_right)
    if fill_left is not None:
        left = _with_fill(left, keys, right_here & ~left_here, fill_left)
    return left, right


def _groups_here(grid: Grid, groups: Ints, count: int) -> Bools:
    return hits(grid.presence(), groups, count) > 0


def _with_fill(grid: Grid, keys: list[Labels], missing: Bools, fill: float) -> Grid:
    needed = np.flatnonzero(missing.any(axis=0))
    if len(needed) == 0:
        return grid
    added = [keys[i] for i in needed.tolist()]
    columns = Columns(
        [*grid.columns.labels, *added], np.append(grid.columns.drop, np.zeros(len(added), dtype=np.bool_))
    )
    values = np.concatenate([grid.values, np.full((grid.steps, len(added)), fill)], axis=1)
    present = np.concatenate([grid.presence(), missing[:, needed]], axis=1)
    histograms = grid.histograms
    if histograms is not None:
        histograms = np.concatenate([histograms, np.full((grid.steps, len(added)), None, dtype=object)], axis=1)
    return Grid(columns, values, present, histograms)


class SetBinary:
    """and, or, unless."""

    def __init__(self, expr: ast.Binary, left: Node, right: Node) -> None:
        assert expr.matching is not None
        self.op, self.left, self.right, self.matching = expr.op, left, right, expr.matching
        self._groups: Memo[tuple[Ints, Ints, int]] = Memo()
        self._joined: Memo[Columns] = Memo()

    def evaluate(self, run: Run, times: Ints) -> Value:
        left, right = self.left.evaluate(run, times), self.right.evaluate(run, times)
        assert isinstance(left, Grid)
        assert isinstance(right, Grid)
        known = self._groups.get(left.columns, right.columns)
        if known is None:
            places: dict[Labels, int] = {}
            made = signatures(self.matching, left.columns, places), signatures(self.matching, right.columns, places)
            known = self._groups.put((*made, len(places)), left.columns, right.columns)
        left_groups, right_groups, count = known
        if self.op == "or":
            return self._or(left, right, left_groups, right_groups, count)
        here = _groups_here(right, right_groups, count)[:, left_groups]
        kept = left.presence() & (here if self.op == "and" else ~here)
        return Grid(left.columns, left.values, kept, left.histograms)

    def _or(self, left: Grid, right: Grid, left_groups: Ints, right_groups: Ints, count: int) -> Grid:
        if len(right.columns) == 0:
            return left
        if len(left.columns) == 0:
            return right
        columns = self._joined.get(left.columns, right.columns)
        if columns is None:
            drop = np.append(left.columns.drop, right.columns.drop)
            made = Columns([*left.columns.labels, *right.columns.labels], drop)
            columns = self._joined.put(made, left.columns, right.columns)
        extra = right.presence() & ~_groups_here(left, left_groups, count)[:, right_groups]
        histograms = None
        if left.histograms is not None or right.histograms is not None:
            histograms = np.concatenate([_histograms(left), _histograms(right)], axis=1)
        values = np.concatenate([left.values, right.values], axis=1)
        return Grid(columns, values, np.concatenate([left.presence(), extra], axis=1), histograms)


def _histograms(grid: Grid) -> np.ndarray[tuple[int, ...], np.dtype[np.object_]]:
    if grid.histograms is None:
        return np.full(grid.values.shape, None, dtype=object)
    return grid.histograms
