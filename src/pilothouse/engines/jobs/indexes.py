"""Sets of completion indexes as ordered ranges, in memory and as the text of a status (`0-2,5`).

Source: `indexed_job_utils.go`, Kubernetes 1.36. A Job may have 100,000 indexes, so nothing here is a list of all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Indexes:
    """Ranges (first, last), in order, that neither touch nor overlap."""

    ranges: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def __contains__(self, index: object) -> bool:
        if not isinstance(index, int):
            return False
        at = bisect_left(self.ranges, index, key=lambda r: r[1])
        return at < len(self.ranges) and self.ranges[at][0] <= index

    def __str__(self) -> str:
        return ",".join(_text(first, last) for first, last in self.ranges)

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges:
            yield from range(first, last + 1)

    def plus(self, more: Iterable[int]) -> Indexes:
        """With these indexes as well."""
        return _joined([*self.ranges, *((index, index) for index in more)])


def _text(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"


def _joined(ranges: list[tuple[int, int]]) -> Indexes:
    out: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if out and first <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], last))
        else:
            out.append((first, last))
    return Indexes(tuple(out))


def parse(text: str | None, completions: int) -> Indexes:
    """The indexes below `completions` that a text names; parts that cannot be read say nothing.

    >>> str(parse("0-2,4,5,9", 8))
    '0-2,4,5'
    """
    ranges = []
    for part in (text or "").split(","):
        low, _, high = part.partition("-")
        if low.isdigit() and (high or low).isdigit() and int(low) < completions:
            ranges.append((int(low), min(int(high or low), completions - 1)))
    return _joined(ranges)


def first_free(taken: Container[int], count: int, completions: int) -> list[int]:
    """The `count` lowest indexes that are not taken."""
    out: list[int] = []
    for index in range(completions):
        if len(out) >= count:
            break
        if index not in taken:
            out.append(index)
    return out
