"""The time-series database in memory: frames of series that share their sample times, and a label index over them.

Public face: `Database` (with `frame`, `append`, `select`, `drop_before`), `Frame`, `Outcome`, label and matcher
makers, and the two special NaNs `STALE` and `ABSENT`. May touch base and numpy only; signals, alerting and the
query engine call it.
"""

from pilothouse.engines.tsdb.database import Database
from pilothouse.engines.tsdb.frame import Frame, Outcome
from pilothouse.engines.tsdb.labels import (
    EMPTY,
    METRIC_NAME,
    Labels,
    format_labels,
    format_series,
    label_value,
    make_labels,
    with_label,
    without_name,
)
from pilothouse.engines.tsdb.limits import Limits
from pilothouse.engines.tsdb.matchers import InvalidPattern, Matcher, make_matcher, name_matcher
from pilothouse.engines.tsdb.samples import ABSENT, STALE, is_absent, is_stale, is_stale_value

__all__ = [
    "ABSENT",
    "EMPTY",
    "METRIC_NAME",
    "STALE",
    "Database",
    "Frame",
    "InvalidPattern",
    "Labels",
    "Limits",
    "Matcher",
    "Outcome",
    "format_labels",
    "format_series",
    "is_absent",
    "is_stale",
    "is_stale_value",
    "label_value",
    "make_labels",
    "make_matcher",
    "name_matcher",
    "with_label",
    "without_name",
]
