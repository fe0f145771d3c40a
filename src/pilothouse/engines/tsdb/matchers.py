"""Label matchers: =, !=, =~ and !~ with RE2 syntax, anchored at both ends as Prometheus anchors them.

Owns the four tests and their printing. A literal, an alternation of literals, a fixed prefix (`api-.*`) and the two
match-everything patterns are answered without the regex engine. Called by the label index and the query compiler.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import re2

from pilothouse.engines.tsdb.labels import METRIC_NAME, is_legacy_label_name, quote

EQUAL, NOT_EQUAL, REGEX, NOT_REGEX = "=", "!=", "=~", "!~"

_PLAIN = re.compile(r"[^\\.+*?()|\[\]{}^$]*")


class InvalidPattern(ValueError):
    """The regular expression cannot be compiled; the text is RE2's reason as Prometheus words it."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label test. `values` holds the finite set a regex stands for, or None when there is no such set."""

    name: str
    op: str
    value: str
    values: frozenset[str] | None = field(default=None, compare=False)
    _test: Callable[[str], bool] | None = field(default=None, compare=False, repr=False)

    def matches(self, value: str) -> bool:
        """Whether a label with this value ("" for none) passes."""
        if self.op == EQUAL:
            return value == self.value
        if self.op == NOT_EQUAL:
            return value != self.value
        assert self._test is not None
        return self._test(value) == (self.op == REGEX)

    def matches_pattern(self, value: str) -> bool:
        """The test without its negation: does the value equal the text or match the pattern?"""
        if self._test is None:
            return value == self.value
        return self._test(value)

    @property
    def negative(self) -> bool:
        return self.op in (NOT_EQUAL, NOT_REGEX)

    def __str__(self) -> str:
        name = self.name if is_legacy_label_name(self.name) else quote(self.name)
        return f"{name}{self.op}{quote(self.value)}"


def make_matcher(name: str, op: str, value: str) -> Matcher:
    """A matcher from its parts; raises InvalidPattern when a regex does not compile."""
    if op in (EQUAL, NOT_EQUAL):
        return Matcher(name, op, value)
    values, test = _compile(value)
    return Matcher(name, op, value, values, test)


def name_matcher(metric: str) -> Matcher:
    """The matcher of a metric name written in front of the braces."""
    return Matcher(METRIC_NAME, EQUAL, metric)


def _compile(pattern: str) -> tuple[frozenset[str] | None, Callable[[str], bool]]:
    alternatives = _literals(pattern)
    if alternatives is not None:
        return alternatives, alternatives.__contains__
    # A dot does not match a newline only without the `s` flag; Prometheus compiles with it (labels/regexp.go).
    if pattern == ".*":
        return None, lambda _value: True
    if pattern == ".+":
        return None, bool
    compiled = compile_anchored(pattern)
    if pattern.endswith((".*", ".+")) and _PLAIN.fullmatch(pattern[:-2]):
        prefix, shortest = pattern[:-2], len(pattern) - 2 + (pattern[-1] == "+")
        return None, lambda value: value.startswith(prefix) and len(value) >= shortest
    return None, lambda value: compiled.match(value) is not None


def _literals(pattern: str) -> frozenset[str] | None:
    """The finite set of texts that `a|b|c` or `(a|b|c)` stands for."""
    body = pattern
    for opening in ("(?:", "("):
        if body.startswith(opening) and body.endswith(")"):
            body = body[len(opening) : -1]
            break
    parts = body.split("|")
    return frozenset(parts) if all(_PLAIN.fullmatch(part) for part in parts) else None


def compile_anchored(pattern: str) -> re2._Regexp:
    """The RE2 program for a fully anchored pattern; InvalidPattern with RE2's own reason."""
    options = re2.Options()
    options.log_errors = False
    try:
        # Compiled once as written, so that an unbalanced pattern is refused before the wrapper could balance it.
        re2.compile(pattern, options)
        return re2.compile(f"^(?s:{pattern})$", options)
    except re2.error as problem:
        raise InvalidPattern(_reason(problem)) from None


# RE2 words some problems differently from Go's regexp/syntax, which Prometheus quotes.
_GO_WORDING = {
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid repetition size": "invalid repeat count",
}


def _reason(problem: Exception) -> str:
    text = problem.args[0] if problem.args else str(problem)
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    cause, _, where = str(text).partition(": ")
    cause = _GO_WORDING.get(cause, cause)
    shown = f"{cause}: `{where}`" if where else cause
    return f"error parsing regexp: {shown}"
