"""Relabelling: the rules of `relabel_configs` and `metric_relabel_configs`, every action of Prometheus 3.

Follows `model/relabel/relabel.go`. Regexes are RE2 and anchored at both ends; templates expand as Go's
`Regexp.Expand` does (`$1`, `${name}`, `$$`). Pure functions over plain dicts of labels; called by `targets`, `scrape`
and `discovery`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import re2

from pilothouse.engines.tsdb.matchers import InvalidPattern, compile_anchored

ACTIONS = (
    "replace",
    "keep",
    "drop",
    "keepequal",
    "dropequal",
    "hashmod",
    "labelmap",
    "labeldrop",
    "labelkeep",
    "lowercase",
    "uppercase",
)
_NEEDS_TARGET = frozenset({"replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal"})
_DEFAULTS: Mapping[str, Any] = {
    "separator": ";",
    "regex": "(.*)",
    "modulus": 0,
    "replacement": "$1",
    "target_label": "",
}
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TARGET_TEMPLATE = re.compile(r"(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+")
_TEMPLATE_PART = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))")
_FIELDS = frozenset({"source_labels", "separator", "regex", "modulus", "target_label", "replacement", "action"})


class RelabelError(ValueError):
    """A rule that Prometheus would refuse when it loads its configuration; the text is its wording."""


@dataclass(frozen=True, slots=True)
class RelabelRule:
    """One rule, checked and compiled. `apply` changes the labels in place and says whether to keep them."""

    action: str
    source_labels: tuple[str, ...] = ()
    separator: str = ";"
    pattern: str = "(.*)"
    modulus: int = 0
    target_label: str = ""
    replacement: str = "$1"
    _regex: Any = field(default=None, compare=False, repr=False)

    def apply(self, labels: dict[str, str]) -> bool:
        value = self.separator.join([labels.get(name, "") for name in self.source_labels])
        return _PERFORM[self.action](self, labels, value)

    def matches(self, text: str) -> bool:
        return self.pattern == "(.*)" or self._regex.match(text) is not None


def parse_rule(raw: Mapping[str, Any]) -> RelabelRule:
    """A rule from its YAML mapping; RelabelError when Prometheus would refuse it."""
    unknown = [key for key in raw if key not in _FIELDS]
    if unknown:
        raise RelabelError(f"field {unknown[0]} not found in type relabel.plain")
    action = str(raw.get("action") or "replace").lower()
    if action not in ACTIONS:
        raise RelabelError(f'unknown relabel action "{raw.get("action")}"')
    given = {key: _DEFAULTS[key] if raw.get(key) is None else raw[key] for key in _DEFAULTS}
    pattern = str(given["regex"])
    try:
        regex = _compiled(pattern)
    except InvalidPattern as why:
        raise RelabelError(str(why)) from None
    rule = RelabelRule(
        action,
        tuple(str(name) for name in raw.get("source_labels") or ()),
        str(given["separator"]),
        pattern,
        int(given["modulus"]),
        str(given["target_label"]),
        str(given["replacement"]),
        regex,
    )
    _validate(rule)
    return rule


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re2._Regexp:
    return compile_anchored(pattern)


def _validate(rule: RelabelRule) -> None:
    action, target = rule.action, rule.target_label
    if action == "hashmod" and rule.modulus == 0:
        raise RelabelError("relabel configuration for hashmod requires non-zero modulus")
    if action in _NEEDS_TARGET and not target:
        raise RelabelError(f"relabel configuration for {action} action requires 'target_label' value")
    named = _TARGET_TEMPLATE if action == "replace" and "$" in target else _LABEL_NAME
    if action in _NEEDS_TARGET and not named.fullmatch(target):
        raise RelabelError(f"\"{target}\" is invalid 'target_label' for {action} action")
    if action in ("lowercase", "uppercase", "keepequal", "dropequal") and rule.replacement != "$1":
        raise RelabelError(f"'replacement' can not be set for {action} action")
    if action == "labelmap" and not _TARGET_TEMPLATE.fullmatch(rule.replacement):
        raise RelabelError(f"\"{rule.replacement}\" is invalid 'replacement' for {action} action")
    default = rule.separator == ";" and rule.modulus == 0 and rule.replacement == "$1"
    if action in ("keepequal", "dropequal") and not (default and rule.pattern == "(.*)"):
        raise RelabelError(f"{action} action requires only 'source_labels' and `target_label`, and no other fields")
    if action in ("labeldrop", "labelkeep") and not (default and not target and not rule.source_labels):
        raise RelabelError(f"{action} action requires only 'regex', and no other fields")


def relabel(labels: Mapping[str, str], rules: Iterable[RelabelRule]) -> dict[str, str] | None:
    """The labels after all rules, empty values left out; None when a rule dropped them."""
    changed = dict(labels)
    for rule in rules:
        if not rule.apply(changed):
            return None
    return {name: value for name, value in changed.items() if value}


def expand(template: str, match: Any) -> str:
    """Go's template expansion: an unknown or unmatched group is empty, `$$` is a dollar."""

    def part(found: re.Match[str]) -> str:
        if found[1]:
            return "$"
        name = found[2] or found[3]
        try:
            return match.group(int(name) if name.isdigit() else name) or ""
        except (IndexError, KeyError, re2.error):
            return ""

    return _TEMPLATE_PART.sub(part, template)


def _set(labels: dict[str, str], name: str, value: str) -> None:
    if value:
        labels[name] = value
    else:
        labels.pop(name, None)


def _replace(rule: RelabelRule, labels: dict[str, str], value: str) -> bool:
    match = rule._regex.match(value)
    if match is not None:
        target = expand(rule.target_label, match)
        if _LABEL_NAME.fullmatch(target):
            _set(labels, target, expand(rule.replacement, match))
    return True


def _hashmod(rule: RelabelRule, labels: dict[str, str], value: str) -> bool:
    digest = hashlib.md5(value.encode(errors="surrogateescape"), usedforsecurity=False).digest()
    labels[rule.target_label] = str(int.from_bytes(digest[8:], "big") % rule.modulus)
    return True


def _labelmap(rule: RelabelRule, labels: dict[str, str], _value: str) -> bool:
    for name, value in list(labels.items()):
        match = rule._regex.match(name)
        if match is not None:
            _set(labels, expand(rule.replacement, match), value)
    return True


def _labeldrop(rule: RelabelRule, labels: dict[str, str], _value: str) -> bool:
    for name in [name for name in labels if rule.matches(name)]:
        del labels[name]
    return True


def _labelkeep(rule: RelabelRule, labels: dict[str, str], _value: str) -> bool:
    for name in [name for name in labels if not rule.matches(name)]:
        del labels[name]
    return True


def _change_case(change: Callable[[str], str]) -> Callable[[RelabelRule, dict[str, str], str], bool]:
    def perform(rule: RelabelRule, labels: dict[str, str], value: str) -> bool:
        _set(labels, rule.target_label, change(value))
        return True

    return perform


_PERFORM: dict[str, Callable[[RelabelRule, dict[str, str], str], bool]] = {
    "replace": _replace,
    "keep": lambda rule, _labels, value: rule.matches(value),
    "drop": lambda rule, _labels, value: not rule.matches(value),
    "keepequal": lambda rule, labels, value: labels.get(rule.target_label, "") == value,
    "dropequal": lambda rule, labels, value: labels.get(rule.target_label, "") != value,
    "hashmod": _hashmod,
    "labelmap": _labelmap,
    "labeldrop": _labeldrop,
    "labelkeep": _labelkeep,
    "lowercase": _change_case(str.lower),
    "uppercase": _change_case(str.upper),
}
