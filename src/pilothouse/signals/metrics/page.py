"""What a scraped page holds once it is read: samples as columns, metadata, exemplars, and where reading stopped.

`Shape` is everything that stays the same while a target exposes the same series: readers hand back the *same* object
as long as nothing but values changed, so that callers can keep column numbers per shape. Pure data; no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from pilothouse.engines.tsdb.labels import Labels


class Dialect(Enum):
    """Whose rules decide the corners. The generations differ in names, commas, bucket bounds and content types."""

    PROMETHEUS_2 = 2
    PROMETHEUS_3 = 3


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One example behind a sample; `time_ms` is None when the page gave none."""

    labels: Labels
    value: float
    time_ms: int | None


@dataclass(frozen=True, slots=True)
class MetadataLine:
    """One `# TYPE`, `# HELP` or `# UNIT` line; field is "type", "help" or "unit"."""

    metric: str
    field: str
    text: str


@dataclass(frozen=True, slots=True)
class PageError:
    """Why reading stopped, in Prometheus' words, and where (1-based; columns count characters)."""

    message: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message}"


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The series of a page in page order: `texts[i]` as written, `labels[i]` parsed
    (duplicate names are kept, storage refuses them); and the metadata lines."""

    texts: list[str]
    labels: list[Labels]
    metadata: list[MetadataLine]


@dataclass(slots=True)
class Page:
    """A page read up to its end or its first error; `values[i]` belongs to `shape.labels[i]`.

    times_ms and exemplars are sparse: only the indexes that carry one.
    """

    shape: Shape
    values: list[float]
    times_ms: dict[int, int] = field(default_factory=dict)
    exemplars: dict[int, Exemplar] = field(default_factory=dict)
    error: PageError | None = None
