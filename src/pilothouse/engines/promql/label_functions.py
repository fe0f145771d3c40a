"""label_replace and label_join: functions of labels, worked out once per set of columns."""

from __future__ import annotations

import re

import numpy as np

from pilothouse.engines.promql.errors import EvalError
from pilothouse.engines.promql.functions import grid_of
from pilothouse.engines.promql.grid import Bools, Columns, Grid, Ints, Memo, merge_columns
from pilothouse.engines.promql.run import Node, Run
from pilothouse.engines.tsdb.labels import METRIC_NAME, Labels, is_label_name, label_value, with_label
from pilothouse.engines.tsdb.matchers import InvalidPattern, compile_anchored

_REFERENCE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})")


class Relabelling:
    """Common to both: new labels per column, names marked as kept when `__name__` was written, equal results merged."""

    def __init__(self, inner: Node) -> None:
        self.inner = inner
        self._columns: Memo[tuple[Columns, Ints | None, list[Labels], Bools]] = Memo()

    def relabel(self, labels: Labels) -> tuple[Labels, bool]:
        """(new labels, was `__name__` set)."""
        raise NotImplementedError

    def evaluate(self, run: Run, times: Ints) -> Grid:
        grid = grid_of(self.inner, run, times)
        known = self._columns.get(grid.columns)
        if known is None:
            known = self._columns.put(self._work_out(grid.columns), grid.columns)
        columns, target, unique, drop = known
        if target is None:
            return grid.with_columns(columns)
        return merge_columns(unique, target, grid, drop)

    def _work_out(self, columns: Columns) -> tuple[Columns, Ints | None, list[Labels], Bools]:
        made = [self.relabel(labels) for labels in columns.labels]
        drop = columns.drop & ~np.array([named for _, named in made], dtype=np.bool_)
        places: dict[Labels, int] = {}
        target = np.array([places.setdefault(labels, len(places)) for labels, _ in made], dtype=np.int64)
        if len(places) == len(made):
            return Columns([labels for labels, _ in made], drop), None, [], drop
        merged = np.zeros(len(places), dtype=np.bool_)
        np.logical_or.at(merged, target, drop)
        return columns, target, list(places), merged


class LabelReplace(Relabelling):
    """label_replace(v, dst, replacement, src, regex)."""

    def __init__(self, inner: Node, target: str, replacement: str, source: str, pattern: str) -> None:
        super().__init__(inner)
        self.target, self.replacement, self.source, self.pattern = target, replacement, source, pattern
        try:
            self.regex = compile_anchored(pattern)
        except InvalidPattern:
            raise EvalError(f"invalid regular expression in label_replace(): {pattern}") from None
        if not is_label_name(target):
            raise EvalError(f"invalid destination label name in label_replace(): {target}")

    def relabel(self, labels: Labels) -> tuple[Labels, bool]:
        match = self.regex.match(label_value(labels, self.source))
        if match is None:
            return labels, False
        groups: list[str] = [match.group(i) or "" for i in range(self.regex.groups + 1)]
        names: dict[str, str] = {name: groups[number] for name, number in self.regex.groupindex.items()}

        def expand(reference: re.Match[str]) -> str:
            name: str | None = reference[1] or reference[2]
            if name is None:
                return "$"
            if name.isdigit():
                return groups[int(name)] if int(name) < len(groups) else ""
            return names.get(name, "")

        value = _REFERENCE.sub(expand, self.replacement)
        return with_label(labels, self.target, value), self.target == METRIC_NAME


class LabelJoin(Relabelling):
    """label_join(v, dst, separator, src…)."""

    def __init__(self, inner: Node, target: str, separator: str, sources: list[str]) -> None:
        super().__init__(inner)
        self.target, self.separator, self.sources = target, separator, sources
        for source in sources:
            if not is_label_name(source):
                raise EvalError(f"invalid source label name in label_join(): {source}")
        if not is_label_name(target):
            raise EvalError(f"invalid destination label name in label_join(): {target}")

    def relabel(self, labels: Labels) -> tuple[Labels, bool]:
        value = self.separator.join(label_value(labels, source) for source in self.sources)
        return with_label(labels, self.target, value), self.target == METRIC_NAME
