"""The label index: from matchers to series numbers.

Owns the postings (label name -> value -> ascending series numbers) and the per-name generation counters that let
plans keep a selection until a series with that name appears or vanishes. Called by `database` only.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from pilothouse.engines.tsdb.labels import METRIC_NAME, Labels, label_value
from pilothouse.engines.tsdb.matchers import EQUAL, Matcher

Numbers = npt.NDArray[np.int64]
_NONE: Numbers = np.zeros(0, dtype=np.int64)


class LabelIndex:
    """Postings over all living series; numbers only ever grow, so every posting list is sorted."""

    def __init__(self) -> None:
        self._postings: dict[str, dict[str, array[int]]] = {}
        self._all: array[int] = array("q")
        self._by_name: dict[str, int] = {}
        self.generation = 0

    def add(self, number: int, labels: Labels) -> None:
        self._all.append(number)
        for name, value in labels:
            by_value = self._postings.get(name)
            if by_value is None:
                by_value = self._postings[name] = {}
            posting = by_value.get(value)
            if posting is None:
                posting = by_value[value] = array("q")
            posting.append(number)
        self._changed(label_value(labels, METRIC_NAME))

    def rebuild(self, living: Iterable[tuple[int, Labels]], gone: Iterable[Labels]) -> None:
        """Start over with the living series (after retention removed some)."""
        for labels in gone:
            self._changed(label_value(labels, METRIC_NAME))
        self._postings.clear()
        self._all = array("q")
        for number, labels in living:
            self._all.append(number)
            for name, value in labels:
                self._postings.setdefault(name, {}).setdefault(value, array("q")).append(number)

    def touch(self, labels: Labels) -> None:
        """A known series found a further place: selections that hold it are out of date."""
        self._changed(label_value(labels, METRIC_NAME))

    def _changed(self, metric: str) -> None:
        self.generation += 1
        self._by_name[metric] = self.generation

    def generation_of(self, metric: str | None) -> int:
        """Changes exactly when the set of series with this metric name does (None: any name)."""
        return self.generation if metric is None else self._by_name.get(metric, 0)

    def label_names(self) -> list[str]:
        return sorted(self._postings)

    def label_values(self, name: str) -> list[str]:
        return sorted(self._postings.get(name, ()))

    def cardinality(self) -> list[tuple[str, int]]:
        """(metric name, series) with the most series first."""
        counted = [(name, len(posting)) for name, posting in self._postings.get(METRIC_NAME, {}).items()]
        return sorted(counted, key=lambda item: (-item[1], item[0]))

    def select(self, matchers: Sequence[Matcher]) -> Numbers:
        """Ascending numbers of the series that pass every matcher; a label that is missing counts as ""."""
        found: Numbers | None = None
        # Equalities first: they are a dictionary look-up and make everything after them small.
        for matcher in sorted(matchers, key=_cost):
            matched = self._matching(matcher)
            if matched is not None:
                found = matched if found is None else np.intersect1d(found, matched, assume_unique=True)
            else:
                pool = _numbers(self._all) if found is None else found
                found = np.setdiff1d(pool, self._failing(matcher), assume_unique=True)
            if found.size == 0:
                return found
        return _numbers(self._all) if found is None else found

    def _matching(self, matcher: Matcher) -> Numbers | None:
        """Numbers that pass, or None when series without the label pass too (then `_failing` is the smaller
        question).
        """
        if matcher.matches(""):
            return None
        by_value = self._postings.get(matcher.name)
        if by_value is None:
            return _NONE
        if matcher.op == EQUAL:
            posting = by_value.get(matcher.value)
            return _NONE if posting is None else _numbers(posting)
        if matcher.values is not None and not matcher.negative:
            return _union([by_value[value] for value in sorted(matcher.values) if value in by_value])
        return _union([posting for value, posting in by_value.items() if matcher.matches(value)])

    def _failing(self, matcher: Matcher) -> Numbers:
        by_value = self._postings.get(matcher.name, {})
        return _union([posting for value, posting in by_value.items() if not matcher.matches(value)])


def _cost(matcher: Matcher) -> int:
    if matcher.op == EQUAL and matcher.value:
        return 0
    return 1 if matcher.values is not None and not matcher.negative else 2


def _numbers(posting: array[int]) -> Numbers:
    # A copy: a view would pin the buffer and the next append to the posting would fail.
    return np.array(posting, dtype=np.int64)


def _union(postings: list[array[int]]) -> Numbers:
    if not postings:
        return _NONE
    if len(postings) == 1:
        return _numbers(postings[0])
    # Values of one label are disjoint, so sorting the concatenation is the union.
    return np.sort(np.concatenate([_numbers(posting) for posting in postings]))
