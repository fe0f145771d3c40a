"""Label selectors, as apimachinery 1.36 reads them: `matchLabels` objects and the text form of `?labelSelector=`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition. operator: In, NotIn, Exists, DoesNotExist, Gt, Lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case "Gt" | "Lt":
                try:
                    left, right = int(value or ""), int(self.values[0])
                except (ValueError, IndexError):
                    return False
                return left > right if self.operator == "Gt" else left < right
        return False


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold; none at all selects everything. `nothing` selects nothing (a null selector)."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        return not self.nothing and all(r.matches(labels) for r in self.requirements)


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def from_object(selector: Mapping[str, Any] | None) -> Selector:
    """A `metav1.LabelSelector`: None selects nothing, {} everything; ValueError on an unknown operator."""
    if selector is None:
        return NOTHING
    out = [Requirement(k, "In", (v,)) for k, v in (selector.get("matchLabels") or {}).items()]
    for entry in selector.get("matchExpressions") or ():
        operator = entry.get("operator", "")
        if operator not in ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"):
            raise ValueError(f'"{operator}" is not a valid label selector operator')
        out.append(Requirement(entry.get("key", ""), operator, tuple(entry.get("values") or ())))
    return Selector(tuple(out))


def from_labels(labels: Mapping[str, str] | None) -> Selector:
    """A plain map selector (Service, ReplicationController): None selects nothing."""
    if not labels:
        return NOTHING
    return Selector(tuple(Requirement(k, "In", (v,)) for k, v in labels.items()))


_TERM = re.compile(
    r"\s*(?:(?P<not>!)\s*(?P<absent>[^\s,=!()<>]+)"
    r"|(?P<key>[^\s,=!()<>]+)\s*(?:(?P<set>in|notin)\s*\((?P<values>[^()]*)\)|(?P<op>==|=|!=|>|<)\s*(?P<value>[^\s,=!()<>]*))?)\s*(?:,|$)"
)


def parse(text: str) -> Selector:
    """The text form (`a=b,c!=d,e in (x,y),!f,g`); ValueError with the part that does not fit."""
    out: list[Requirement] = []
    at = 0
    while at < len(text.rstrip()):
        term = _TERM.match(text, at)
        if term is None:
            raise ValueError(f'unable to parse requirement: found "{text[at:].strip()}"')
        out.append(_requirement(term))
        at = term.end()
    return Selector(tuple(out))


def _requirement(term: re.Match[str]) -> Requirement:
    if term["not"]:
        return Requirement(term["absent"], "DoesNotExist")
    if term["set"]:
        values: Sequence[str] = [v.strip() for v in term["values"].split(",")]
        return Requirement(term["key"], "In" if term["set"] == "in" else "NotIn", tuple(values))
    if term["op"] is None:
        return Requirement(term["key"], "Exists")
    operator = {"=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt"}[term["op"]]
    return Requirement(term["key"], operator, (term["value"],))
