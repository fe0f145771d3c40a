"""Reading times, durations, limits and selectors from request parameters, with Prometheus' rules and words."""

from __future__ import annotations

import math
import re

from pilothouse.base.clock import parse_rfc3339
from pilothouse.base.duration import parse_prometheus_duration_ms
from pilothouse.engines.promql.errors import ParseError
from pilothouse.engines.promql.parser import parse_selector
from pilothouse.engines.tsdb import Matcher
from pilothouse.signals.metrics.go_numbers import parse_float, quote
from pilothouse.signals.metrics.page import Dialect
from pilothouse.wire.prometheus.exchange import ApiFailure, Form, bad_param

MIN_MS, MAX_MS = -(2**53), 2**53
"""Open ends of a time range: beyond any sample, small enough to compute with."""
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")
_FRACTION = re.compile(r"\.(\d{6})\d+")


def parse_time_ms(text: str) -> int:
    """Unix milliseconds of seconds with a fraction or of an RFC 3339 time; ValueError with Prometheus' words."""
    try:
        seconds = parse_float(text)
    except ValueError:
        if _RFC3339.fullmatch(text):
            # Nanoseconds are cut: Python keeps six digits and milliseconds are what counts.
            return math.floor(parse_rfc3339(_FRACTION.sub(r".\1", text.upper())) * 1000 + 1e-6)
        raise ValueError(f"cannot parse {quote(text)} to a valid timestamp") from None
    if not math.isfinite(seconds) or abs(seconds) > MAX_MS / 1000:
        raise ValueError(f"cannot parse {quote(text)} to a valid timestamp")
    return round(seconds * 1000)


def parse_duration_ms(text: str) -> float:
    """Milliseconds of a number of seconds or of a duration such as 5m; ValueError with Prometheus' words."""
    try:
        seconds = parse_float(text)
    except ValueError:
        try:
            return float(parse_prometheus_duration_ms(text))
        except ValueError:
            raise ValueError(f"cannot parse {quote(text)} to a valid duration") from None
    if not abs(seconds) * 1e9 <= 2**63:
        raise ValueError(f"cannot parse {quote(text)} to a valid duration. It overflows int64")
    return seconds * 1000


def time_param(form: Form, name: str, default_ms: int) -> int:
    value = form.get(name)
    if not value:
        return default_ms
    try:
        return parse_time_ms(value)
    except ValueError as why:
        raise bad_param(name, f"Invalid time value for '{name}': {why}") from None


def required_time(form: Form, name: str) -> int:
    try:
        return parse_time_ms(form.get(name))
    except ValueError as why:
        raise bad_param(name, why) from None


def duration_param(form: Form, name: str) -> float | None:
    """Milliseconds, None when absent."""
    value = form.get(name)
    if not value:
        return None
    try:
        return parse_duration_ms(value)
    except ValueError as why:
        raise bad_param(name, why) from None


def limit_param(form: Form, dialect: Dialect) -> int:
    """The `limit`, 0 for none; Prometheus 2 does not know it."""
    value = form.get("limit")
    if not value or dialect is Dialect.PROMETHEUS_2:
        return 0
    if not re.fullmatch(r"[+-]?[0-9]+", value):
        raise bad_param("limit", f"strconv.Atoi: parsing {quote(value)}: invalid syntax")
    if int(value) < 0:
        raise bad_param("limit", "limit must be non-negative")
    return int(value)


def number_param(form: Form, name: str) -> int:
    """An older kind of limit: -1 for none."""
    value = form.get(name)
    if not value:
        return -1
    if not re.fullmatch(r"[+-]?[0-9]+", value):
        raise ApiFailure("bad_data", f"{name} must be a number")
    return int(value)


def selectors(texts: list[str], *, named: bool) -> list[tuple[Matcher, ...]]:
    """The matchers of each `match[]`; each needs one that does not match the empty string.

    named: whether errors carry the parameter's name (`series` does, `labels` does not).
    """
    found = [matchers_of(text, "match[]" if named else "") for text in texts]
    for matchers in found:
        if all(matcher.matches("") for matcher in matchers):
            raise _refused("match[] must contain at least one non-empty matcher", "match[]" if named else "")
    return found


def matchers_of(text: str, param: str) -> tuple[Matcher, ...]:
    """The matchers of one series selector, name included."""
    try:
        return tuple(parse_selector(text).matchers)
    except ParseError as error:
        raise _refused(str(error), param) from None


def _refused(why: str, param: str) -> ApiFailure:
    return bad_param(param, why) if param else ApiFailure("bad_data", why)
