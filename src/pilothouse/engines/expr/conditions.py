"""successCondition and failureCondition of a metric: what they see and what they decide together.

Source: argo-rollouts 1.9 (9f8d111d8) `utils/evaluate`. Upstream checks types before it runs; here a branch that is not
reached is not checked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from pilothouse.engines.expr.builtins import type_name
from pilothouse.engines.expr.errors import ExprError
from pilothouse.engines.expr.program import Program, compile

_WHOLE = re.compile(r"[+-]?[0-9]+")
Verdict = Literal["Successful", "Failed", "Inconclusive"]


@lru_cache(maxsize=1024)
def _program(text: str) -> Program:
    return compile(text)


def condition_holds(result: Any, condition: str) -> bool:
    """Whether the condition is true of a measured `result`; ExprError when it is neither true nor false."""
    value = _program(condition).run(_names(result))
    if not isinstance(value, bool):
        raise ExprError(f"expected bool, but got {type_name(value)}", condition, 0)
    return value


def verdict(result: Any, success: str, failure: str) -> Verdict:
    """What a measurement means. Without conditions it is a success; with one, its opposite is the other outcome; with
    both false (or only the failure silent), nobody knows. ExprError says which condition failed and why."""
    succeeded = _judged("successCondition", result, success) if success else None
    failed = _judged("failureCondition", result, failure) if failure else None
    if failed is None:
        failed = succeeded is False
    if succeeded is None:
        succeeded = not failed
    if failed:
        return "Failed"
    return "Successful" if succeeded else "Inconclusive"


def _judged(which: str, result: Any, condition: str) -> bool:
    try:
        return condition_holds(result, condition)
    except ExprError as error:
        why = error.message
        if result is None or result == []:
            why = "metric result is nil or empty: no data returned from the metric provider"
        told = ExprError(f'could not evaluate {which} "{condition}": {why}', condition, 0)
        told.line, told.column = error.line, error.column
        raise told from None


def _names(result: Any) -> Mapping[str, Any]:
    return {
        "result": result,
        "asInt": _as_int,
        "asFloat": _as_float,
        "isNaN": _is_nan,
        "isInf": lambda value: math.isinf(_float(value)),
        "isNil": lambda _value: result is None,
        "default": lambda _value, otherwise: otherwise if result is None else result,
    }


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _is_nan(value: Any) -> bool:
    return math.isnan(_float(value))


def _as_int(value: Any) -> int:
    if isinstance(value, str):
        if not _WHOLE.fullmatch(value):
            raise ValueError(f'parsing "{value}": invalid syntax')
        return int(value)
    return int(_float(value))


def _as_float(value: Any) -> float:
    return float(value) if isinstance(value, str) else _float(value)
