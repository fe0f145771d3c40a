"""What can be wrong with an expression: its syntax, or its meaning for the values at hand."""

from __future__ import annotations

from pilothouse.base.errors import PilothouseError


class ExprError(PilothouseError):
    """message: what is wrong; line, column: where, both from 1."""

    def __init__(self, message: str, text: str, offset: int) -> None:
        before = text[:offset]
        self.message = message
        self.line = before.count("\n") + 1
        self.column = offset - (before.rfind("\n") + 1) + 1
        super().__init__(f"{message} (line {self.line}, column {self.column})")
