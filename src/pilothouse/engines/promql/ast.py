"""The syntax tree of a query. Nodes hold what was written; nothing here computes.

Made by `parser`, checked by `check`, printed by `printer`, compiled by `plan`. Every node knows its span in the text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pilothouse.engines.promql.errors import Span
from pilothouse.engines.promql.signatures import Signature
from pilothouse.engines.tsdb.matchers import Matcher

VECTOR, SCALAR, MATRIX, STRING, NONE = "vector", "scalar", "matrix", "string", "none"

_DOCUMENTED = {VECTOR: "instant vector", MATRIX: "range vector"}


def documented_type(kind: str) -> str:
    """The word that error texts use for a type."""
    return _DOCUMENTED.get(kind, kind)


@dataclass(slots=True)
class Expr:
    """Any expression."""

    span: Span

    @property
    def type(self) -> str:
        return NONE


@dataclass(slots=True)
class NumberLiteral(Expr):
    value: float
    duration: bool = False

    @property
    def type(self) -> str:
        return SCALAR


@dataclass(slots=True)
class StringLiteral(Expr):
    value: str

    @property
    def type(self) -> str:
        return STRING


@dataclass(slots=True)
class DurationExpr(Expr):
    """Arithmetic on durations. op: + - * / % ^ (left None: unary), step, range, min_of, max_of."""

    op: str
    left: Expr | None = None
    right: Expr | None = None
    wrapped: bool = False

    @property
    def type(self) -> str:
        return SCALAR


@dataclass(slots=True)
class Shift:
    """When a selector or subquery looks: `offset` and `@`. offset_s is what was written, in seconds."""

    offset_s: float = 0.0
    offset_expr: DurationExpr | None = None
    at_ms: int | None = None
    at_edge: str = ""
    """"start" or "end" for `@ start()` and `@ end()`."""

    @property
    def has_offset(self) -> bool:
        return self.offset_s != 0 or self.offset_expr is not None

    @property
    def has_at(self) -> bool:
        return self.at_ms is not None or bool(self.at_edge)


@dataclass(slots=True)
class VectorSelector(Expr):
    name: str
    matchers: list[Matcher]
    shift: Shift = field(default_factory=Shift)
    anchored: bool = False
    smoothed: bool = False
    any_labels: bool = False
    """True for the second argument of info(), which may match everything."""

    @property
    def type(self) -> str:
        return VECTOR


@dataclass(slots=True)
class MatrixSelector(Expr):
    selector: VectorSelector
    range_s: float
    range_expr: DurationExpr | None = None

    @property
    def type(self) -> str:
        return MATRIX


@dataclass(slots=True)
class Subquery(Expr):
    expr: Expr
    range_s: float
    range_expr: DurationExpr | None = None
    step_s: float = 0.0
    """0 when the default resolution applies."""
    step_expr: DurationExpr | None = None
    shift: Shift = field(default_factory=Shift)

    @property
    def type(self) -> str:
        return MATRIX


@dataclass(slots=True)
class Paren(Expr):
    expr: Expr

    @property
    def type(self) -> str:
        return self.expr.type


@dataclass(slots=True)
class Unary(Expr):
    op: str
    expr: Expr

    @property
    def type(self) -> str:
        return self.expr.type


@dataclass(slots=True)
class Matching:
    """How the two sides of a binary operator find each other. card: one-to-one, many-to-one, one-to-many,
    many-to-many.
    """

    card: str = "one-to-one"
    on: bool = False
    labels: list[str] = field(default_factory=list)
    include: list[str] = field(default_factory=list)
    fill_left: float | None = None
    fill_right: float | None = None


@dataclass(slots=True)
class Binary(Expr):
    op: str
    left: Expr
    right: Expr
    matching: Matching | None
    bool_modifier: bool = False

    @property
    def type(self) -> str:
        if self.left.type == SCALAR and self.right.type == SCALAR:
            return SCALAR
        return VECTOR


@dataclass(slots=True)
class Aggregate(Expr):
    op: str
    expr: Expr
    param: Expr | None = None
    grouping: list[str] = field(default_factory=list)
    without: bool = False

    @property
    def type(self) -> str:
        return VECTOR


@dataclass(slots=True)
class Call(Expr):
    signature: Signature
    args: list[Expr]

    @property
    def name(self) -> str:
        return self.signature.name

    @property
    def type(self) -> str:
        return self.signature.returns


COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
SET_OPERATORS = frozenset(("and", "or", "unless"))
AGGREGATORS = frozenset(
    [
        "sum",
        "avg",
        "count",
        "min",
        "max",
        "group",
        "stddev",
        "stdvar",
        "topk",
        "bottomk",
        "count_values",
        "quantile",
        "limitk",
        "limit_ratio",
    ]
)
AGGREGATORS_WITH_PARAM = frozenset(("topk", "bottomk", "count_values", "quantile", "limitk", "limit_ratio"))


def unwrap(expr: Expr) -> Expr:
    """The expression inside any parentheses."""
    while isinstance(expr, Paren):
        expr = expr.expr
    return expr


def children(expr: Expr) -> list[Expr]:
    """Direct sub-expressions that are evaluated (durations are not)."""
    match expr:
        case MatrixSelector():
            return [expr.selector]
        case Subquery() | Paren() | Unary():
            return [expr.expr]
        case Binary():
            return [expr.left, expr.right]
        case Aggregate():
            return [expr.param, expr.expr] if expr.param is not None else [expr.expr]
        case Call():
            return list(expr.args)
    return []
