"""What a rule is, once read: typed, checked, compiled. Built by `rule_file`, evaluated by `evaluation` and
`observation`.

Label sets are tuples of (name, value) pairs sorted by name, as everywhere in the series rooms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pilothouse.base.errors import Place

if TYPE_CHECKING:
    from pilothouse.engines.alerting.expansion import AlertTemplate
    from pilothouse.engines.alerting.queries import Query

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RecordingRule:
    """`labels` already has the group's labels merged in (the rule's own win)."""

    name: str
    query: Query
    labels: Labels
    place: Place = field(default_factory=Place)

    kind = "recording"

    @property
    def expr(self) -> str:
        return self.query.text


@dataclass(frozen=True, slots=True)
class AlertingRule:
    """An alert. label_templates and annotation_templates are in name order; for_ms and keep_firing_for_ms are 0
    when unset.
    """

    name: str
    query: Query
    labels: Labels
    annotations: Labels
    label_templates: tuple[tuple[str, AlertTemplate], ...]
    annotation_templates: tuple[tuple[str, AlertTemplate], ...]
    for_ms: int = 0
    keep_firing_for_ms: int = 0
    place: Place = field(default_factory=Place)

    kind = "alerting"

    @property
    def expr(self) -> str:
        return self.query.text


Rule = RecordingRule | AlertingRule


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules evaluated in order, at one time, every `interval_ms` (0: the evaluator's default).

    query_offset_ms: how far back queries look and results are stamped; None: the evaluator's default.
    limit: most series or alerts one rule may give; 0: no limit. subquery_step_ms: what the rules were compiled with.
    """

    name: str
    rules: tuple[Rule, ...]
    interval_ms: int = 0
    query_offset_ms: int | None = None
    limit: int = 0
    labels: Labels = ()
    subquery_step_ms: int = 60_000
    file: str = ""
    place: Place = field(default_factory=Place)

    def alerting_rules(self) -> Iterator[AlertingRule]:
        return (rule for rule in self.rules if isinstance(rule, AlertingRule))


def merged_labels(group: dict[str, str], own: dict[str, str]) -> Labels:
    """The group's labels under the rule's own."""
    return tuple(sorted({**group, **own}.items()))


def label_text(labels: Labels) -> str:
    """`{a="b", c="d"}`, as Prometheus prints a label set; a name that is no identifier is quoted."""
    return "{" + ", ".join(f"{_name(n)}={quoted(v)}" for n, v in labels) + "}"


def _name(name: str) -> str:
    plain = name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()
    return name if plain else quoted(name)


def quoted(text: str) -> str:
    """A double-quoted string as Go's %q prints it."""
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif char.isprintable():
            out.append(char)
        else:
            code = ord(char)
            out.append(f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return '"' + "".join(out) + '"'


_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
