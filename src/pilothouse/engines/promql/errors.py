"""What goes wrong with a query, and what is odd about a result.

    InputError
    ├── ParseError          the text is no expression: position and Prometheus' wording
    └── EvalError           the expression cannot be evaluated on this data
        └── NotEvaluated    a part of the language that this engine parses but does not compute

Annotations (warnings and infos) travel with results; their texts follow util/annotations/annotations.go of
Prometheus 3.
"""

from __future__ import annotations

from collections.abc import Iterator

from pilothouse.base.errors import Finding, InputError, Place

Span = tuple[int, int]
"""Start and end offset in the query text."""


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """1-based line and column of an offset; columns count bytes, as Prometheus' do."""
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, len(text[start:offset].encode("utf-8", "surrogatepass")) + 1


def position(text: str, offset: int) -> str:
    """`line:column`, or `unknown position` for an empty query."""
    if not text:
        return "unknown position"
    line, column = line_and_column(text, offset)
    return f"{line}:{column}"


class ParseError(InputError):
    """The query cannot be parsed. `str()` reads as Prometheus': `1:5: parse error: …`."""

    def __init__(self, message: str, query: str, span: Span) -> None:
        self.message, self.query, self.span = message, query, span
        line, column = line_and_column(query, span[0])
        self.line, self.column = line, column
        super().__init__(
            Finding("PH3001", f"{position(query, span[0])}: parse error: {message}", Place("", line, column))
        )

    def __str__(self) -> str:
        return self.finding.message

    def caret(self) -> str:
        """The offending line with a caret under the place."""
        lines = self.query.split("\n")
        shown = lines[self.line - 1] if self.line <= len(lines) else ""
        start = self.query.rfind("\n", 0, self.span[0]) + 1
        return f"{shown}\n{' ' * (self.span[0] - start)}^"


class EvalError(InputError):
    """The query is well-formed but fails on this data, as Prometheus' would."""

    code = "PH3002"

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(Finding(self.code, message))

    def __str__(self) -> str:
        return self.message


class NotEvaluated(EvalError):
    """Parsed and typed, but not computed by this engine; docs/compatibility.md lists these."""

    code = "PH3003"


class Annotations:
    """Warnings and infos of one evaluation, each once, in the order they arose."""

    __slots__ = ("_found", "query")

    def __init__(self, query: str) -> None:
        self.query = query
        self._found: dict[tuple[str, str, int], None] = {}

    def warn(self, text: str, offset: int) -> None:
        self._found[("warning", text, offset)] = None

    def info(self, text: str, offset: int) -> None:
        self._found[("info", text, offset)] = None

    def __bool__(self) -> bool:
        return bool(self._found)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """(severity, text with its position)."""
        for severity, text, offset in self._found:
            yield severity, f"PromQL {severity}: {text} ({position(self.query, offset)})"

    @property
    def warnings(self) -> list[str]:
        return [text for severity, text in self if severity == "warning"]

    @property
    def infos(self) -> list[str]:
        return [text for severity, text in self if severity == "info"]
