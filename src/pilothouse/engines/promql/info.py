"""info(v, selector): data labels of info metrics joined to the series of a vector by `instance` and `job`.

Follows promql/info.go of Prometheus 3: of several info series for one pair the newest sample decides, two of one
time are an error, `@` and `offset` of the first argument also decide when the info series are read.
"""

from __future__ import annotations

import numpy as np

from pilothouse.engines.promql import ast
from pilothouse.engines.promql.errors import EvalError
from pilothouse.engines.promql.functions import grid_of
from pilothouse.engines.promql.grid import Bools, Columns, Grid, Ints, Objects, merge_columns
from pilothouse.engines.promql.run import Node, Run
from pilothouse.engines.promql.selectors import InstantSelector
from pilothouse.engines.tsdb.labels import METRIC_NAME, Labels, format_labels, label_value, make_labels
from pilothouse.engines.tsdb.matchers import EQUAL, REGEX, Matcher, make_matcher

IDENTIFYING = ("instance", "job")
_DEFAULT = make_matcher(METRIC_NAME, EQUAL, "target_info")
_ANY_INFO = make_matcher(METRIC_NAME, REGEX, ".+_info")

Identity = tuple[str, str, str]
"""(info metric name, instance, job)."""


class Info:
    """The info() function."""

    def __init__(self, expr: ast.Call, inner: Node) -> None:
        self.inner = inner
        selector = expr.args[1] if len(expr.args) > 1 else None
        matchers = selector.matchers if isinstance(selector, ast.VectorSelector) else []
        self.data = [matcher for matcher in matchers if matcher.name != METRIC_NAME]
        self.names = info_names([matcher for matcher in matchers if matcher.name == METRIC_NAME])
        self.shift = governing_shift(expr.args[0])

    def evaluate(self, run: Run, times: Ints) -> Grid:
        base = grid_of(self.inner, run, times)
        if len(base.columns) == 0:
            return base
        ignored = [self._is_info(labels) for labels in base.columns.labels]
        info, moments = self._read(run, times, base, ignored)
        newest = _Newest(info, moments, len(times))
        return self._joined(base, ignored, newest)

    def _is_info(self, labels: Labels) -> bool:
        name = label_value(labels, METRIC_NAME)
        return all(matcher.matches(name) for matcher in self.names)

    def _read(self, run: Run, times: Ints, base: Grid, ignored: list[bool]) -> tuple[Grid, Ints]:
        """Info series that share identifying labels with the base, and when their samples were taken."""
        matchers: list[Matcher] = []
        for label in IDENTIFYING:
            values = {label_value(one, label) for one, skip in zip(base.columns.labels, ignored) if not skip} - {""}
            if values:
                matchers.append(_any_of(label, sorted(values)))
        if not matchers:
            return Grid(Columns([]), np.zeros((len(times), 0))), np.zeros((len(times), 0), dtype=np.int64)
        wanted = ast.VectorSelector((0, 0), "", [*matchers, *self.data, *self.names], self.shift)
        grid, moments = InstantSelector(wanted).read(run, times, want_times=True)
        assert moments is not None
        if grid.histogram_mask().any():
            raise EvalError("info sample should be float")
        return grid, moments

    def _joined(self, base: Grid, ignored: list[bool], newest: _Newest) -> Grid:
        labels: list[Labels] = []
        drops: list[bool] = []
        sources: list[int] = []
        masks: list[Bools] = []
        present = base.presence()
        for column, one in enumerate(base.columns.labels):
            here = present[:, column]
            found = {one: here} if ignored[column] else self._enriched(one, here, newest)
            for made, mask in found.items():
                labels.append(made)
                drops.append(bool(base.columns.drop[column]))
                sources.append(column)
                masks.append(mask)
        if not labels:
            return Grid(Columns([]), np.zeros((base.steps, 0)))
        histograms: Objects | None = None if base.histograms is None else base.histograms[:, sources]
        cells = Grid(Columns(labels), base.values[:, sources], np.stack(masks, axis=1), histograms)
        places: dict[Labels, int] = {}
        target = np.array([places.setdefault(one, len(places)) for one in labels], dtype=np.int64)
        merged = np.zeros(len(places), dtype=np.bool_)
        np.logical_or.at(merged, target, np.array(drops))
        return merge_columns(list(places), target, cells, merged)

    def _enriched(self, labels: Labels, here: Bools, newest: _Newest) -> dict[Labels, Bools]:
        """Result labels of one base series, each with the steps where it holds."""
        found: dict[Labels, Bools] = {}
        instance, job = (label_value(labels, name) for name in IDENTIFYING)
        names = [name for name in newest.names if (name, instance, job) in newest.column_of]
        if not names:
            self._add(found, labels, [], here)
            return found
        chosen = np.stack([newest.column_of[(name, instance, job)] for name in names], axis=1)
        combos, inverse = np.unique(chosen[here], axis=0, return_inverse=True)
        steps = np.flatnonzero(here)
        for number, combo in enumerate(combos.tolist()):
            mask = np.zeros(len(here), dtype=np.bool_)
            mask[steps[inverse.reshape(-1) == number]] = True
            self._add(found, labels, [newest.labels[i] for i in combo if i >= 0], mask)
        return found

    def _add(self, found: dict[Labels, Bools], labels: Labels, infos: list[Labels], mask: Bools) -> None:
        if not infos and not all(matcher.matches("") for matcher in self.data):
            return
        wanted = {matcher.name for matcher in self.data}
        own = dict(labels)
        extra: dict[str, str] = {}
        for info in infos:
            for name, value in info:
                if name == METRIC_NAME or (wanted and name not in wanted):
                    continue
                if extra.get(name, value) != value:
                    raise EvalError(f"conflicting label: {name}")
                if name not in own:
                    extra[name] = value
        made = make_labels({**own, **extra})
        found[made] = found[made] | mask if made in found else mask


class _Newest:
    """Per identity and step the column of the info series with the newest sample, -1 where there is none."""

    def __init__(self, grid: Grid, moments: Ints, steps: int) -> None:
        self.labels = list(grid.columns.labels)
        self.column_of: dict[Identity, Ints] = {}
        best: dict[Identity, Ints] = {}
        present = grid.presence()
        for column, labels in enumerate(self.labels):
            name, instance, job = (label_value(labels, key) for key in (METRIC_NAME, *IDENTIFYING))
            identity = (name, instance, job)
            held = self.column_of.setdefault(identity, np.full(steps, -1, dtype=np.int64))
            newest = best.setdefault(identity, np.full(steps, np.iinfo(np.int64).min, dtype=np.int64))
            here, when = present[:, column], moments[:, column]
            clash = here & (held >= 0) & (newest == when)
            if clash.any():
                step = int(np.flatnonzero(clash)[0])
                self._refuse(int(held[step]), column, int(when[step]))
            better = here & (when > newest)
            held[better], newest[better] = column, when[better]
        self.names = list(dict.fromkeys(identity[0] for identity in self.column_of))

    def _refuse(self, first: int, second: int, when: int) -> None:
        raise EvalError(
            f"found duplicate series for info metric: existing {format_labels(self.labels[first])} @ {when},"
            f" new {format_labels(self.labels[second])} @ {when}"
        )


def info_names(matchers: list[Matcher]) -> list[Matcher]:
    """The matchers that say which metrics are info metrics."""
    if any(not matcher.negative for matcher in matchers):
        return matchers
    return [_ANY_INFO, *matchers] if matchers else [_DEFAULT]


def governing_shift(expr: ast.Expr) -> ast.Shift:
    """`@` and offset of the first selector in the argument, with those of subqueries around it until an `@` pins
    them.
    """
    path = _path_to_selector(expr)
    if not path:
        return ast.Shift()
    selector = path[-1]
    assert isinstance(selector, ast.VectorSelector)
    found = ast.Shift(selector.shift.offset_s, selector.shift.offset_expr, selector.shift.at_ms, selector.shift.at_edge)
    for outer in reversed(path[:-1]):
        if found.has_at:
            break
        if isinstance(outer, ast.Subquery):
            found.offset_s += outer.shift.offset_s
            found.at_ms, found.at_edge = outer.shift.at_ms, outer.shift.at_edge
    return found


def _path_to_selector(expr: ast.Expr) -> list[ast.Expr]:
    if isinstance(expr, ast.VectorSelector):
        return [expr]
    for child in ast.children(expr):
        below = _path_to_selector(child)
        if below:
            return [expr, *below]
    return []


def _any_of(label: str, values: list[str]) -> Matcher:
    known = frozenset(values)
    return Matcher(label, REGEX, "|".join(values), known, known.__contains__)
