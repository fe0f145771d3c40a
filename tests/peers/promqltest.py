"""The set `promqltest`: the Prometheus project's own PromQL acceptance scripts, replayed on `engines.promql`.

One case per `eval`, named `CATEGORY FILE:LINE` (categories from index.json: core, native-histogram, experimental).
Does what the set's README asks: expectations, annotations, and the reference runner's two extra checks of instant
queries (pinned by `@`, and as the middle step of a range query).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilothouse.base.duration import parse_prometheus_duration_ms
from pilothouse.engines import promql
from pilothouse.engines.promql import ast
from pilothouse.engines.promql.histogram import FloatHistogram, from_classic, from_description
from pilothouse.engines.tsdb import STALE, Database, Labels, format_series, label_value, make_labels, with_label
from pilothouse.engines.tsdb.matchers import EQUAL

Point = tuple[float, FloatHistogram | None]
Points = list[Point | None]
MINUTE_MS = 60_000


def run(folder: Path) -> Iterator[tuple[str, str | None]]:
    """Every eval of every script."""
    categories = {
        (entry["file"], entry["line"]): entry["category"] for entry in json.loads((folder / "index.json").read_text())
    }
    for script in sorted(folder.glob("*.test")):
        for line, failure in run_script(script.read_text()):
            yield f"{categories.get((script.name, line), 'unlisted')} {script.name}:{line}", failure


def run_script(text: str) -> Iterator[tuple[int, str | None]]:
    """(line, failure) of each eval in a script."""
    lines = ["" if line.strip().startswith("#") else line.strip() for line in text.split("\n")]
    database = Database()
    at = 0
    while at < len(lines):
        line = lines[at]
        start = at
        at += 1
        if not line:
            continue
        if line == "clear":
            database = Database()
        elif line.startswith("load"):
            at = _block_end(lines, at)
            _load(database, line, lines[start + 1 : at])
        elif line.startswith("eval"):
            case = _Case.read(line, start + 1)
            at = case.read_expectations(lines, at)
            yield start + 1, _verdict(case, database)


def _block_end(lines: list[str], at: int) -> int:
    while at < len(lines) and lines[at]:
        at += 1
    return at


def _verdict(case: _Case, database: Database) -> str | None:
    try:
        return case.check(database)
    except promql.NotEvaluated as problem:
        return f"not evaluated: {problem}"


# Loading


def _load(database: Database, head: str, body: list[str]) -> None:
    word, _, step = head.partition(" ")
    step_ms = parse_prometheus_duration_ms(step.strip())
    series: dict[Labels, Points] = {}
    starts: dict[Labels, list[int | None]] = {}
    for line in body:
        name, points = _split_series(line)
        if points.startswith("@st") or name.endswith("@st"):
            starts[parse_metric(name.removesuffix("@st"))] = _start_times(points.removeprefix("@st").strip())
        else:
            series[parse_metric(name)] = parse_points(points)
    if word == "load_with_nhcb":
        series |= _with_custom_buckets(series)
    for labels, points_of in series.items():
        offsets = starts.get(labels, [])
        for index, point in enumerate(points_of):
            if point is None:
                continue
            moment = index * step_ms
            offset = offsets[index] if index < len(offsets) else None
            start_ms = 0 if offset is None else moment + offset
            database.append(labels, moment, point[0], histogram=point[1], start_ms=start_ms)


def _split_series(line: str) -> tuple[str, str]:
    """A series line into its name with labels and its points."""
    depth, quote, at = 0, "", 0
    while at < len(line):
        char = line[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in "\"'`":
            quote = char
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return line[: at + 1], line[at + 1 :].strip()
        elif char in " \t" and depth == 0:
            if line[at:].lstrip().startswith("{") and not line[at:].lstrip().startswith("{{"):
                at += 1
                continue
            return line[:at], line[at:].strip()
        at += 1
    return line, ""


def parse_metric(text: str) -> Labels:
    """Labels of `name{a="b"}`."""
    text = text.strip()
    if text.replace(" ", "") == "{}":
        return ()
    if "{" in text and text.endswith("}") and text[text.index("{") + 1 : -1].strip() == "":
        text = text[: text.index("{")]
    selector = promql.parse(text if not text.startswith("{") else f'{{x!="",{text[1:]}')
    assert isinstance(selector, ast.VectorSelector)
    return make_labels({m.name: m.value for m in selector.matchers if m.op == EQUAL})


_ITEM = re.compile(
    r"(?P<blank>_)(?:x(?P<gaps>\d+))?(?=\s|$)"
    r"|(?P<first>\{\{.*?\}\}|[+-]?(?:[0-9.][0-9.eE]*(?:(?<=[eE])[+-]\d+)?|[iI]nf|[nN]a[nN])|stale)"
    r"(?:(?P<sign>[+-])(?P<step>\{\{.*?\}\}|[+-]?(?:[0-9.][0-9.eE]*(?:(?<=[eE])[+-]\d+)?|[iI]nf|[nN]a[nN])))?"
    r"(?:x(?P<times>\d+))?(?=\s|$)"
)


def parse_points(text: str) -> Points:
    """The points of a series line, None for a gap."""
    found: Points = []
    at = 0
    while at < len(text):
        if text[at] in " \t":
            at += 1
            continue
        match = _ITEM.match(text, at)
        if match is None:
            raise ValueError(f"points cannot be read: {text[at:]!r}")
        at = match.end()
        if match["blank"]:
            found.extend([None] * int(match["gaps"] or 1))
        else:
            found.extend(_repeat(match))
    return found


def _repeat(match: re.Match[str]) -> Points:
    first, times = match["first"], int(match["times"] or 0)
    if first.startswith("{{"):
        histogram = from_description(first)
        made: Points = [(0.0, histogram)]
        step = from_description(match["step"]) if match["step"] else None
        for _ in range(times):
            if step is not None:
                histogram = histogram.plus(step)[0] if match["sign"] == "+" else histogram.minus(step)[0]
            made.append((0.0, histogram))
        return made
    value = STALE if first == "stale" else float(first)
    change = float(match["step"] or 0) * (-1 if match["sign"] == "-" else 1)
    values: Points = []
    for _ in range(times + 1):
        values.append((value, None))
        value = value + change if match["step"] else value
    return values


_START = re.compile(
    r"(?P<first>-?[0-9a-z]*?[0-9](?:ms|[smhd]))(?:(?P<sign>[+-])(?P<step>[0-9a-z]+?(?:ms|[smhd])))?(?:x(?P<times>\d+))?$"
)


def _start_times(text: str) -> list[int | None]:
    """Offsets (ms, relative to the sample) of a start timestamp line; None for `_`."""
    found: list[int | None] = []
    for item in text.split():
        if item.startswith("_"):
            found.extend([None] * int(item[2:] or 1) if item != "_" else [None])
            continue
        match = _START.match(item)
        assert match is not None, item
        first = _signed_ms(match["first"])
        step = 0 if match["step"] is None else _signed_ms(match["sign"].strip("+") + match["step"])
        found.extend(first + step * index for index in range(int(match["times"] or 0) + 1))
    return found


def _signed_ms(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    return sign * parse_prometheus_duration_ms(text.lstrip("+-"))


def _with_custom_buckets(series: dict[Labels, Points]) -> dict[Labels, Points]:
    """Native histograms with custom buckets made of the classic ones, under their base names."""
    families: dict[Labels, dict[int, dict[str, Any]]] = {}
    for labels, points in series.items():
        name = label_value(labels, "__name__")
        for suffix in ("_bucket", "_count", "_sum"):
            if not name.endswith(suffix):
                continue
            base = with_label(with_label(labels, "__name__", name.removesuffix(suffix)), "le", "")
            for index, point in enumerate(points):
                if point is None or point[1] is not None:
                    continue
                entry = families.setdefault(base, {}).setdefault(index, {"buckets": {}, "count": None, "sum": 0.0})
                if suffix == "_bucket":
                    entry["buckets"][float(label_value(labels, "le"))] = point[0]
                else:
                    entry[suffix[1:]] = point[0]
    made: dict[Labels, Points] = {}
    for base, entries in families.items():
        points_of: Points = [None] * (max(entries) + 1)
        for index, entry in entries.items():
            points_of[index] = (0.0, from_classic(entry["buckets"], entry["count"], entry["sum"]))
        made[base] = points_of
    return made


# Cases


@dataclass
class _Expect:
    kind: str
    text: str | None = None
    pattern: str | None = None

    def matches(self, found: str) -> bool:
        if self.text is not None:
            return found == self.text
        return self.pattern is None or re.search(self.pattern, found) is not None


@dataclass
class _Case:
    """One eval with what it expects."""

    query: str
    line: int
    start_ms: int
    end_ms: int
    step_ms: int
    instant: bool
    expects: list[_Expect] = field(default_factory=list)
    series: dict[Labels, Points] = field(default_factory=dict)
    order: list[Labels] = field(default_factory=list)
    scalar: float | None = None
    string: str | None = None
    range_vector: tuple[int, int, int] | None = None
    hinted: set[Labels] = field(default_factory=set)

    @classmethod
    def read(cls, line: str, number: int) -> _Case:
        match = re.match(r"eval(?:_(fail|warn|info|ordered))?\s+instant\s+(?:at\s+(\S+)\s+)?(.+)$", line)
        if match:
            moment = _time_ms(match[2] or "0")
            case = cls(match[3], number, moment, moment, 0, True)
        else:
            match = re.match(
                r"eval(?:_(fail|warn|info))?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.+)$", line
            )
            assert match is not None, line
            start, end, step = (_time_ms(match[i]) for i in (2, 3, 4))
            case = cls(match[5], number, start, end, step, False)
        if match[1]:
            case.expects.append(_Expect(match[1]))
        return case

    def read_expectations(self, lines: list[str], at: int) -> int:
        while at < len(lines) and lines[at]:
            line = lines[at]
            at += 1
            if line.startswith("expect "):
                self._expectation(line[7:].strip())
            elif re.fullmatch(r"[+-]?(?:[0-9.][0-9.eE+-]*|[iI]nf|[nN]a[nN]|0x[0-9a-fA-F]+)", line):
                self.scalar = float(line)
                break
            else:
                name, points = _split_series(line)
                labels = parse_metric(name)
                self.series[labels] = parse_points(points)
                self.order.append(labels)
                if "counter_reset_hint" in points:
                    self.hinted.add(labels)
        return at

    def _expectation(self, text: str) -> None:
        match = re.match(r"range vector from (\S+) to (\S+) step (\S+)$", text)
        if match:
            self.range_vector = (_time_ms(match[1]), _time_ms(match[2]), _time_ms(match[3]))
            return
        if text.startswith("string "):
            literal = promql.parse(text[7:].strip())
            assert isinstance(literal, ast.StringLiteral)
            self.string = literal.value
            return
        match = re.match(r"(\w+)(?:\s+(msg|regex):\s*(.*))?$", text)
        assert match is not None, text
        kind, how, what = match[1], match[2], match[3]
        self.expects.append(_Expect(kind, what if how == "msg" else None, what if how == "regex" else None))

    def expected(self, kind: str) -> list[_Expect]:
        return [expect for expect in self.expects if expect.kind == kind]

    def check(self, database: Database) -> str | None:
        fail = self.expected("fail")
        try:
            plan = promql.compile(self.query)
            answer = self._evaluate(plan, database)
        except (promql.EvalError, promql.ParseError) as problem:
            if isinstance(problem, promql.NotEvaluated):
                raise
            if not fail:
                return f"failed: {problem}"
            message = str(problem)
            return None if all(e.matches(message) for e in fail) else f"failed with {message!r}, wanted {fail[0]}"
        if fail:
            return f"must fail, gave {_short(answer)}"
        wrong = self._annotations(answer) or self._compare(answer)
        if wrong or not self.instant or self.string is not None or self.range_vector is not None:
            return wrong
        return self._pinned(database) or self._as_range(plan, database)

    def _evaluate(self, plan: promql.Plan, database: Database) -> promql.Answer:
        if self.instant:
            return plan.instant(database, self.start_ms)
        return plan.range(database, self.start_ms, self.end_ms, self.step_ms)

    def _annotations(self, answer: promql.Answer) -> str | None:
        for kind, found in (("warn", answer.warnings), ("info", answer.infos)):
            if self.expected(f"no_{kind}") and found:
                return f"no {kind} wanted, got {found}"
            wanted = self.expected(kind)
            if not wanted:
                continue
            if not found:
                return f"{kind} wanted, got none"
            if all(e.text is None and e.pattern is None for e in wanted):
                continue
            for expect in wanted:
                if not any(expect.matches(text) for text in found):
                    return f"no {kind} matches {expect.text or expect.pattern!r}: {found}"
            for text in found:
                if not any(expect.matches(text) for expect in wanted):
                    return f"unexpected {kind}: {text}"
        return None

    def _compare(self, answer: promql.Answer) -> str | None:
        match answer:
            case promql.String():
                return None if answer.value == self.string else f"string {answer.value!r}"
            case promql.Scalar():
                if self.scalar is not None and same_float(self.scalar, answer.value):
                    return None
                return f"scalar {answer.value}, wanted {self.scalar}"
            case promql.Vector():
                return self._compare_vector(answer)
            case promql.RangeVector():
                return self._compare_range_vector(answer)
        return self._compare_matrix(answer)

    def _compare_vector(self, answer: promql.Vector) -> str | None:
        if self.scalar is not None:
            return f"vector {_short(answer)}, wanted scalar {self.scalar}"
        if sorted(answer.labels) != sorted(self.series):
            return f"series {[format_series(one) for one in answer.labels]}"
        if self.expected("ordered") and answer.labels != self.order:
            return f"order {[format_series(one) for one in answer.labels]}"
        for index, labels in enumerate(answer.labels):
            histogram = None if answer.histograms is None else answer.histograms[index]
            got = (float(answer.values[index]), histogram)
            wanted = self.series[labels][0]
            if not same_point(wanted, got, labels in self.hinted):
                return f"{format_series(labels)}: {_shown(got)}, wanted {_shown(wanted)}"
        return None

    def _compare_matrix(self, answer: promql.Matrix) -> str | None:
        if answer.labels != sorted(answer.labels):
            return "range result is not sorted by labels"
        wanted = {labels: points for labels, points in self.series.items() if any(p is not None for p in points)}
        if sorted(answer.labels) != sorted(wanted):
            return f"series {[format_series(one) for one in answer.labels]}"
        for index, labels in enumerate(answer.labels):
            points = wanted[labels]
            for step in range(max(len(answer.times_ms), len(points))):
                expected = points[step] if step < len(points) else None
                got = None
                if step < len(answer.times_ms) and answer.present[index, step]:
                    histogram = None if answer.histograms is None else answer.histograms[index, step]
                    got = (float(answer.values[index, step]), histogram)
                if not same_point(expected, got, labels in self.hinted):
                    return f"{format_series(labels)} step {step}: {_shown(got)}, wanted {_shown(expected)}"
        return None

    def _compare_range_vector(self, answer: promql.RangeVector) -> str | None:
        if self.range_vector is None:
            return "a range vector was not wanted"
        start, end, step = self.range_vector
        times = list(range(start, end + 1, step))
        if sorted(answer.labels) != sorted(self.series):
            return f"series {[format_series(one) for one in answer.labels]}"
        for labels, samples in zip(answer.labels, answer.samples):
            expected = {t: p for t, p in zip(times, self.series[labels]) if p is not None}
            got = {t: (value, histogram) for t, value, histogram in samples}
            if sorted(expected) != sorted(got):
                return f"{format_series(labels)}: times {sorted(got)}"
            for moment, point in expected.items():
                if not same_point(point, got[moment], labels in self.hinted):
                    return f"{format_series(labels)} at {moment}: {_shown(got[moment])}, wanted {_shown(point)}"
        return None

    # The reference runner's further checks

    def _pinned(self, database: Database) -> str | None:
        """The query with every selector pinned to its time gives the same at other times."""
        tree = promql.parse(self.query)
        if _depends_on_time(tree):
            return None
        pinned = pin(self.query, self.start_ms)
        if pinned == self.query:
            return None
        for moment in (-10 * self.start_ms, 0, self.start_ms // 5, self.start_ms, 10 * self.start_ms):
            answer = promql.compile(pinned).instant(database, moment)
            wrong = self._compare(answer)
            if wrong:
                return f"pinned at {moment}: {wrong} ({pinned})"
        return None

    def _as_range(self, plan: promql.Plan, database: Database) -> str | None:
        if self.expected("ordered") or _asks_for_query_window(plan.expr):
            return None
        matrix = plan.range(database, self.start_ms - MINUTE_MS, self.start_ms + MINUTE_MS, MINUTE_MS)
        if matrix.labels != sorted(matrix.labels):
            return "range result is not sorted by labels"
        middle = matrix.at(1)
        if self.scalar is not None:
            return None if same_float(self.scalar, float(middle.values[0])) else f"range form: {middle.values[0]}"
        wrong = self._compare_vector(middle)
        return f"range form: {wrong}" if wrong else None


_TIME_FUNCTIONS = frozenset(
    [
        "days_in_month",
        "day_of_month",
        "day_of_week",
        "day_of_year",
        "hour",
        "minute",
        "month",
        "year",
        "predict_linear",
        "time",
        "timestamp",
    ]
)


def _walk(expr: ast.Expr) -> Iterable[ast.Expr]:
    yield expr
    for child in ast.children(expr):
        yield from _walk(child)


def _depends_on_time(expr: ast.Expr) -> bool:
    for node in _walk(expr):
        if isinstance(node, ast.Call) and (
            node.name in ("predict_linear", "time", "timestamp", "start_timestamp")
            or (node.name in _TIME_FUNCTIONS and not node.args)
        ):
            return True
    return False


def _asks_for_query_window(expr: ast.Expr) -> bool:
    for node in _walk(expr):
        if isinstance(node, ast.Call) and node.name in ("range", "step", "start", "end"):
            return True
        shift = getattr(node, "shift", None)
        exprs = (getattr(node, "range_expr", None), getattr(node, "step_expr", None), shift and shift.offset_expr)
        if any(e is not None and re.search(r"step\(\)|range\(\)", promql.to_text(e)) for e in exprs):
            return True
    return False


def pin(query: str, moment_ms: int) -> str:
    """The query with `@ moment` behind every selector and subquery that has none and stands in no pinned subquery."""
    places: list[int] = []
    _collect(promql.parse(query), places, query)
    for place in sorted(places, reverse=True):
        query = f"{query[:place]} @ {moment_ms / 1000:.3f}{query[place:]}"
    return query


def _collect(expr: ast.Expr, places: list[int], query: str) -> None:
    if isinstance(expr, ast.Call) and expr.name == "info":
        _collect(expr.args[0], places, query)
        return
    if isinstance(expr, (ast.VectorSelector, ast.Subquery)):
        if not expr.shift.has_at:
            places.append(expr.span[1])
        return
    if isinstance(expr, ast.MatrixSelector):
        if not expr.selector.shift.has_at:
            places.append(expr.span[1])
        return
    for child in ast.children(expr):
        _collect(child, places, query)


# Comparing


def same_float(wanted: float, got: float) -> bool:
    """Relative error 1e-6; NaN equals NaN."""
    if math.isnan(wanted) or math.isnan(got):
        return math.isnan(wanted) and math.isnan(got)
    if wanted == got:
        return True
    if math.isinf(wanted) or math.isinf(got):
        return False
    size, distance = abs(wanted) + abs(got), abs(wanted - got)
    if wanted == 0 or got == 0 or size < 2.3e-308:
        return distance < 1e-6 * 2.3e-308
    return distance / size < 1e-6


def same_point(wanted: Point | None, got: Point | None, hinted: bool) -> bool:
    if wanted is None or got is None:
        return wanted is None and got is None
    if wanted[1] is None or got[1] is None:
        return wanted[1] is None and got[1] is None and same_float(wanted[0], got[0])
    return same_histogram(wanted[1], got[1], hinted)


def same_histogram(wanted: FloatHistogram, got: FloatHistogram, hinted: bool) -> bool:
    if (wanted.schema, wanted.zero_threshold) != (got.schema, got.zero_threshold):
        return False
    if len(wanted.bounds) != len(got.bounds) or any(a != b for a, b in zip(wanted.bounds, got.bounds)):
        return False
    if hinted and wanted.hint != got.hint:
        return False
    pairs = [(wanted.count, got.count), (wanted.sum, got.sum), (wanted.zero_count, got.zero_count)]
    for mine, theirs in ((wanted.positive, got.positive), (wanted.negative, got.negative)):
        pairs.extend((mine.get(index, 0.0), theirs.get(index, 0.0)) for index in sorted({*mine, *theirs}))
    return all(same_float(a, b) for a, b in pairs)


def _time_ms(text: str) -> int:
    try:
        return round(float(text) * 1000)
    except ValueError:
        return _signed_ms(text)


def _shown(point: Point | None) -> str:
    if point is None:
        return "nothing"
    return str(point[1]) if point[1] is not None else repr(point[0])


def _short(answer: promql.Answer) -> str:
    return str(answer)[:200]
