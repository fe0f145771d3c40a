"""What can go wrong in a template; the message is worded as Go words it."""

from __future__ import annotations


class TemplateError(Exception):
    """The text cannot be parsed; `line` is 1-based within the template."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class ExecutionError(Exception):
    """A parsed template failed while running."""


class CallError(Exception):
    """A template function refuses its arguments; execution adds where."""
