"""Every function of the language: argument types, how many may be left out, what comes back.

Follows promql/parser/functions.go of Prometheus 3. `optional` counts trailing arguments that may be missing; -1
means any number of further ones. Read by the parser and the checker.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signature:
    """One function. args: types by position; optional: see the module; experimental: behind a flag upstream."""

    name: str
    args: tuple[str, ...]
    returns: str = "vector"
    optional: int = 0
    experimental: bool = False


_LETTERS = {"v": "vector", "s": "scalar", "m": "matrix", "t": "string"}

_VECTOR_TO_VECTOR = """
    abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor ln log10 log2 rad sgn sin sinh sort
    sort_desc sqrt tan tanh timestamp histogram_avg histogram_count histogram_sum histogram_stddev histogram_stdvar
"""
_MATRIX_TO_VECTOR = """
    absent_over_time avg_over_time changes count_over_time delta deriv first_over_time idelta increase irate
    last_over_time max_over_time min_over_time present_over_time rate resets stddev_over_time stdvar_over_time
    sum_over_time
"""
_DATES = "days_in_month day_of_month day_of_week day_of_year hour minute month year"

# name: (argument letters, optional, returns)
_OTHERS: dict[str, tuple[str, int, str]] = {
    "clamp": ("vss", 0, "v"),
    "clamp_max": ("vs", 0, "v"),
    "clamp_min": ("vs", 0, "v"),
    "histogram_fraction": ("ssv", 0, "v"),
    "histogram_quantile": ("sv", 0, "v"),
    "label_join": ("vttt", -1, "v"),
    "label_replace": ("vtttt", 0, "v"),
    "pi": ("", 0, "s"),
    "predict_linear": ("ms", 0, "v"),
    "quantile_over_time": ("sm", 0, "v"),
    "round": ("vs", 1, "v"),
    "scalar": ("v", 0, "s"),
    "time": ("", 0, "s"),
    "vector": ("s", 0, "v"),
}
_EXPERIMENTAL: dict[str, tuple[str, int, str]] = {
    "double_exponential_smoothing": ("mss", 0, "v"),
    "end": ("", 0, "s"),
    "histogram_quantiles": ("vtss", 9, "v"),
    "info": ("vv", 1, "v"),
    "mad_over_time": ("m", 0, "v"),
    "max_of": ("ss", 0, "s"),
    "min_of": ("ss", 0, "s"),
    "range": ("", 0, "s"),
    "sort_by_label": ("vt", -1, "v"),
    "sort_by_label_desc": ("vt", -1, "v"),
    "start": ("", 0, "s"),
    "start_timestamp": ("v", 0, "v"),
    "step": ("", 0, "s"),
    "ts_of_first_over_time": ("m", 0, "v"),
    "ts_of_last_over_time": ("m", 0, "v"),
    "ts_of_max_over_time": ("m", 0, "v"),
    "ts_of_min_over_time": ("m", 0, "v"),
}


def _table() -> dict[str, Signature]:
    found = [Signature(name, ("vector",)) for name in _VECTOR_TO_VECTOR.split()]
    found += [Signature(name, ("matrix",)) for name in _MATRIX_TO_VECTOR.split()]
    found += [Signature(name, ("vector",), optional=1) for name in _DATES.split()]
    for table, experimental in ((_OTHERS, False), (_EXPERIMENTAL, True)):
        for name, (args, optional, returns) in table.items():
            types = tuple(_LETTERS[letter] for letter in args)
            found.append(Signature(name, types, _LETTERS[returns], optional, experimental))
    return {signature.name: signature for signature in found}


SIGNATURES = _table()
