"""`/series`, `/labels`, `/label/<name>/values` and `/federate`: what is stored, without evaluating anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from pilothouse.engines.tsdb import Labels, Matcher, is_absent, is_stale_value, label_value, make_matcher
from pilothouse.signals.metrics.exposition import TEXT_CONTENT_TYPE, escape_value
from pilothouse.signals.metrics.go_numbers import format_g
from pilothouse.signals.metrics.page import Dialect
from pilothouse.wire.prometheus.context import Context
from pilothouse.wire.prometheus.exchange import ApiFailure, Form, Response, success, text
from pilothouse.wire.prometheus.params import MAX_MS, MIN_MS, limit_param, matchers_of, selectors, time_param

TRUNCATED = "results truncated due to limit"
_EVERYTHING = (make_matcher("__name__", "=~", ".*"),)
_LEGACY_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def series(form: Form, context: Context) -> Response:
    if not form.all("match[]"):
        raise ApiFailure("bad_data", "no match[] parameter provided")
    limit = limit_param(form, context.dialect)
    start_ms, end_ms = time_param(form, "start", MIN_MS), time_param(form, "end", MAX_MS)
    found = stored_series(context, selectors(form.all("match[]"), named=True), start_ms, end_ms)
    return _limited([dict(labels) for labels in sorted(found)], limit)


def label_names(form: Form, context: Context) -> Response:
    limit = limit_param(form, context.dialect)
    start_ms, end_ms = time_param(form, "start", MIN_MS), time_param(form, "end", MAX_MS)
    wanted = selectors(form.all("match[]"), named=False)
    if not wanted and (start_ms, end_ms) == (MIN_MS, MAX_MS):
        return _limited(context.database.label_names(), limit)
    found = stored_series(context, wanted or [_EVERYTHING], start_ms, end_ms)
    return _limited(sorted({name for labels in found for name, _ in labels}), limit)


def label_values(form: Form, context: Context, name: str) -> Response:
    if context.dialect is Dialect.PROMETHEUS_2 and not _LEGACY_NAME.fullmatch(name):
        raise ApiFailure("bad_data", f'invalid label name: "{name}"')
    name = _unescaped(name)
    limit = limit_param(form, context.dialect)
    start_ms, end_ms = time_param(form, "start", MIN_MS), time_param(form, "end", MAX_MS)
    wanted = selectors(form.all("match[]"), named=False)
    if not wanted and (start_ms, end_ms) == (MIN_MS, MAX_MS):
        return _limited(context.database.label_values(name), limit)
    having = make_matcher(name, "!=", "")
    narrowed = [(*matchers, having) for matchers in wanted or [_EVERYTHING]]
    found = stored_series(context, narrowed, start_ms, end_ms)
    return _limited(sorted({label_value(labels, name) for labels in found}), limit)


def _unescaped(name: str) -> str:
    """A UTF-8 name in its URL form `U__a_2e_b` (model.UnescapeName): `_2e_` is a code point, `__` an underscore."""
    if not name.startswith("U__"):
        return name
    decoded, at, body = [], 0, name[3:]
    while at < len(body):
        part = re.compile(r"__|_([0-9a-fA-F]{1,6})_|[^_]").match(body, at)
        if part is None or (part[1] and int(part[1], 16) > 0x10FFFF):
            return name
        decoded.append("_" if part[0] == "__" else chr(int(part[1], 16)) if part[1] else part[0])
        at = part.end()
    return "".join(decoded)


def _limited(found: Sequence[object], limit: int) -> Response:
    if limit and len(found) > limit:
        return success(found[:limit], [TRUNCATED])
    return success(found)


def stored_series(
    context: Context, wanted: Iterable[tuple[Matcher, ...]], start_ms: int, end_ms: int
) -> dict[Labels, None]:
    """Label sets that pass any of the selectors and have a sample in [start, end], each once."""
    found: dict[Labels, None] = {}
    if start_ms > end_ms:
        return found
    for matchers in wanted:
        selection = context.database.select(matchers)
        present = np.zeros(selection.size, dtype=np.bool_)
        for part in selection.parts:
            first, last = part.row_span(start_ms - 1, end_ms)
            if last > first:
                present[part.positions] = ~is_absent(np.ascontiguousarray(part.block(first, last))).all(axis=0)
        for odd in selection.odd:
            present[odd.position] = bool(odd.samples(start_ms - 1, end_ms))
        found.update(dict.fromkeys(selection.labels[int(at)] for at in np.flatnonzero(present)))
    return found


def latest_samples(
    context: Context, matchers: tuple[Matcher, ...], after_ms: int, upto_ms: int
) -> dict[Labels, tuple[int, float]]:
    """The newest sample of each series with after < time <= upto; ended series are left out."""
    selection = context.database.select(matchers)
    found: dict[Labels, tuple[int, float]] = {}
    for part in selection.parts:
        first, last = part.row_span(after_ms, upto_ms)
        if last == first:
            continue
        block = np.ascontiguousarray(part.block(first, last))
        here = ~is_absent(block)
        rows = len(here) - 1 - here[::-1].argmax(axis=0)
        positions = np.arange(selection.size)[part.positions]
        for column in np.flatnonzero(here.any(axis=0)).tolist():
            row = int(rows[column])
            labels = selection.labels[int(positions[column])]
            found[labels] = (int(part.frame.times[first + row]), float(block[row, column]))
    for odd in selection.odd:
        samples = odd.samples(after_ms, upto_ms)
        if samples:
            found[selection.labels[odd.position]] = (samples[-1][0], samples[-1][1])
    return {labels: sample for labels, sample in found.items() if not is_stale_value(sample[1])}


def federate(form: Form, context: Context) -> Response:
    """The newest samples of the selected series as a text page, external labels attached, all families untyped."""
    try:
        wanted = [matchers_of(value, "") for value in form.all("match[]")]
    except ApiFailure as refused:
        return text(400, refused.message + "\n")
    now_ms = round(context.clock.time() * 1000)
    found: dict[Labels, tuple[int, float]] = {}
    for matchers in wanted:
        found.update(latest_samples(context, matchers, now_ms - context.lookback_ms, now_ms))
    external = dict(sorted(context.config.external_labels.items()))
    external.setdefault("instance", "")
    lines: list[str] = []
    family = ""
    for labels in sorted(found, key=lambda labels: (label_value(labels, "__name__"), labels)):
        name = label_value(labels, "__name__")
        if name != family:
            lines.append(f"# TYPE {name} untyped")
            family = name
        time_ms, value = found[labels]
        lines.append(f"{_federated(name, labels, external)} {format_g(value)} {time_ms}")
    return text(200, "".join(line + "\n" for line in lines), TEXT_CONTENT_TYPE)


def _federated(name: str, labels: Labels, external: dict[str, str]) -> str:
    own = dict(labels)
    pairs = [pair for pair in labels if pair[0] != "__name__"]
    pairs += [(key, value) for key, value in sorted(external.items()) if key not in own]
    shown = ",".join(f'{key}="{escape_value(value)}"' for key, value in pairs)
    return f"{name}{{{shown}}}"
