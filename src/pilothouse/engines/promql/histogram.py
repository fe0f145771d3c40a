"""Native histograms: exponential (schema -4…8) and custom-bucket (schema -53) ones, as values that never change.

Owns the arithmetic of model/histogram/float_histogram.go (Prometheus 3): addition with different schemas, zero
buckets and custom bounds brought to one layout, counter reset detection, scaling and the texts. Buckets are
dictionaries from index to count; bucket i reaches from bound(i-1), exclusive, to bound(i). `histogram_shape` holds
quantiles, fractions, variance and trimming.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pilothouse.engines.promql.go_format import general

CUSTOM = -53
UNKNOWN, RESET, NOT_RESET, GAUGE = "unknown", "reset", "not_reset", "gauge"

Buckets = dict[int, float]


class IncompatibleSchema(Exception):
    """Exponential and custom buckets cannot be combined."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket: bounds, whether they belong to it, and its count."""

    lower: float
    upper: float
    lower_inclusive: bool
    upper_inclusive: bool
    count: float

    def __str__(self) -> str:
        opening, closing = "[" if self.lower_inclusive else "(", "]" if self.upper_inclusive else ")"
        return f"{opening}{general(self.lower)},{general(self.upper)}{closing}:{general(self.count)}"


def bound(index: int, schema: int) -> float:
    """Upper bound of an exponential bucket; the last regular one ends at the largest float."""
    if schema < 0:
        exponent = float(index << -schema)
    else:
        exponent = index / (1 << schema)
    if exponent == 1024:
        return 1.7976931348623157e308
    if exponent > 1024:
        return math.inf
    whole = math.floor(exponent)
    try:
        return math.ldexp(2.0 ** (exponent - whole), whole)
    except OverflowError:
        return math.inf


@dataclass(frozen=True, slots=True, eq=False)
class FloatHistogram:
    """hint: "unknown", "reset", "not_reset" or "gauge"; bounds: upper bounds of custom buckets, the last one (+Inf)
    implied.
    """

    schema: int = 0
    count: float = 0.0
    sum: float = 0.0
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    positive: Buckets = field(default_factory=dict)
    negative: Buckets = field(default_factory=dict)
    bounds: tuple[float, ...] = ()
    hint: str = UNKNOWN

    @property
    def custom(self) -> bool:
        return self.schema == CUSTOM

    def __eq__(self, other: object) -> bool:
        """The same data bit by bit, empty buckets aside (the hint does not count)."""
        if not isinstance(other, FloatHistogram):
            return NotImplemented
        mine = (
            self.schema,
            _bits(self.count),
            _bits(self.sum),
            self.zero_threshold,
            _bits(self.zero_count),
            self.bounds,
        )
        theirs = (
            other.schema,
            _bits(other.count),
            _bits(other.sum),
            other.zero_threshold,
            _bits(other.zero_count),
            other.bounds,
        )
        return mine == theirs and all(
            _filled(a) == _filled(b) for a, b in ((self.positive, other.positive), (self.negative, other.negative))
        )

    def __hash__(self) -> int:
        return hash((self.schema, self.count, self.bounds))

    # Reading

    def upper_bound(self, index: int) -> float:
        if not self.custom:
            return bound(index, self.schema)
        if index < 0:
            return -math.inf
        return self.bounds[index] if index < len(self.bounds) else math.inf

    def positive_buckets(self) -> Iterator[tuple[int, Bucket]]:
        """(index, bucket) from zero outwards."""
        for index in sorted(self.positive):
            lower, upper = self.upper_bound(index - 1), self.upper_bound(index)
            first = self.custom and index == 0
            yield index, Bucket(lower, upper, first and lower == -math.inf, True, self.positive[index])

    def negative_buckets(self) -> Iterator[tuple[int, Bucket]]:
        """(index, bucket) from zero outwards."""
        for index in sorted(self.negative):
            lower, upper = -self.upper_bound(index), -self.upper_bound(index - 1)
            yield index, Bucket(lower, upper, True, False, self.negative[index])

    def zero_bucket(self) -> Bucket:
        return Bucket(-self.zero_threshold, self.zero_threshold, True, True, self.zero_count)

    def all_buckets(self) -> list[Bucket]:
        """Every bucket in rising order; ones that overlap the zero bucket end at its border."""
        edge = self.zero_threshold
        found = [
            replace(b, upper=-edge) if not self.custom and b.upper > -edge else b
            for _, b in reversed(list(self.negative_buckets()))
        ]
        if self.zero_count > 0:
            found.append(self.zero_bucket())
        found.extend(
            replace(b, lower=edge) if not self.custom and b.lower < edge else b for _, b in self.positive_buckets()
        )
        return found

    def __str__(self) -> str:
        parts = [f"count:{general(self.count)}", f"sum:{general(self.sum)}"]
        parts += [str(b) for _, b in reversed(list(self.negative_buckets())) if b.count != 0]
        if self.zero_count != 0:
            parts.append(str(self.zero_bucket()))
        parts += [str(b) for _, b in self.positive_buckets() if b.count != 0]
        return "{" + ", ".join(parts) + "}"

    def overflows(self) -> bool:
        """Whether anything in it is infinite."""
        values = (self.zero_count, self.count, self.sum, *self.positive.values(), *self.negative.values())
        return any(math.isinf(value) for value in (*values, *self.bounds))

    def following(self, previous: FloatHistogram | None) -> FloatHistogram:
        """This histogram as the next sample of a series: its hint says whether the counter was reset since `previous`.

        As Prometheus' storage answers: gauges and explicit resets stay, a first sample is unknown, and so is one
        after a reset or with another layout (tsdb/chunkenc/float_histogram.go).
        """
        if self.hint in (GAUGE, RESET):
            return self
        if previous is None or previous.hint == GAUGE:
            return self.with_hint(UNKNOWN)
        layouts = [(one.schema, one.zero_threshold, one.bounds) for one in (self, previous)]
        changed = layouts[0] != layouts[1] or self.with_hint(UNKNOWN).is_reset_from(previous)
        # The first sample of a chunk is "unknown" even after a reset: the chunk before it may be gone.
        return self.with_hint(UNKNOWN if changed else NOT_RESET)

    # Arithmetic

    def scaled(self, factor: float) -> FloatHistogram:
        return self._mapped(lambda value: value * factor, GAUGE if factor < 0 else self.hint)

    def divided(self, divisor: float) -> FloatHistogram:
        """Division by zero gives infinities and takes all buckets away."""
        found = self._mapped(lambda value: _divide(value, divisor), GAUGE if divisor < 0 else self.hint)
        return replace(found, positive={}, negative={}) if divisor == 0 else found

    def _mapped(self, change: object, hint: str) -> FloatHistogram:
        assert callable(change)
        return replace(
            self,
            count=change(self.count),
            sum=change(self.sum),
            zero_count=change(self.zero_count),
            positive={index: change(value) for index, value in self.positive.items()},
            negative={index: change(value) for index, value in self.negative.items()},
            hint=hint,
        )

    def with_hint(self, hint: str) -> FloatHistogram:
        return self if hint == self.hint else replace(self, hint=hint)

    def compacted(self) -> FloatHistogram:
        """Without empty buckets."""
        return replace(self, positive=_filled(self.positive), negative=_filled(self.negative))

    def plus(self, other: FloatHistogram) -> tuple[FloatHistogram, bool, bool]:
        """(sum, did counter reset hints collide, were custom bounds reconciled); IncompatibleSchema."""
        return self._combined(other, 1.0)

    def minus(self, other: FloatHistogram) -> tuple[FloatHistogram, bool, bool]:
        """As `plus`, but the difference."""
        return self._combined(other, -1.0)

    def _combined(self, other: FloatHistogram, sign: float) -> tuple[FloatHistogram, bool, bool]:
        if self.custom != other.custom:
            raise IncompatibleSchema
        hint, collision = joint_hint(self.hint, other.hint)
        mine, theirs, reconciled = align(self, other)
        found = replace(
            mine,
            count=mine.count + sign * theirs.count,
            sum=mine.sum + sign * theirs.sum,
            zero_count=mine.zero_count + sign * theirs.zero_count,
            positive=_joined(mine.positive, theirs.positive, sign),
            negative=_joined(mine.negative, theirs.negative, sign),
            hint=hint,
        )
        return found, collision, reconciled

    def at_schema(self, schema: int) -> FloatHistogram:
        """The same observations at a lower resolution."""
        if self.custom or schema >= self.schema:
            return self
        shift = self.schema - schema
        return replace(
            self, schema=schema, positive=_coarser(self.positive, shift), negative=_coarser(self.negative, shift)
        )

    def with_threshold(self, threshold: float) -> FloatHistogram:
        """The zero bucket widened to at least the threshold, further where it would cut a filled bucket."""
        if threshold <= self.zero_threshold:
            return self
        zero, threshold = self._zero_count_for(threshold)
        edge = threshold
        positive = {i: v for i, v in self.positive.items() if self.upper_bound(i - 1) >= edge}
        negative = {i: v for i, v in self.negative.items() if self.upper_bound(i - 1) >= edge}
        return replace(self, zero_threshold=threshold, zero_count=zero, positive=positive, negative=negative)

    def _zero_count_for(self, threshold: float) -> tuple[float, float]:
        while True:
            zero, widened = self.zero_count, threshold
            for buckets in (self.positive, self.negative):
                for index in sorted(buckets):
                    if self.upper_bound(index - 1) >= threshold:
                        break
                    zero += buckets[index]
                    if self.upper_bound(index) > threshold and buckets[index] != 0:
                        widened = self.upper_bound(index)
                        break
                if widened != threshold:
                    break
            if widened == threshold:
                return zero, threshold
            threshold = widened

    def is_reset_from(self, previous: FloatHistogram) -> bool:
        """Whether a counter reset lies between the previous histogram and this one (DetectReset)."""
        if self.hint in (RESET, NOT_RESET):
            return self.hint == RESET
        if self.count < previous.count:
            return True
        if self.custom:
            if not previous.custom:
                return True
            if self.bounds != previous.bounds:
                mine, theirs, _ = align(self, previous)
                return any(mine.positive.get(i, 0.0) < value for i, value in theirs.positive.items())
        if self.schema > previous.schema or self.zero_threshold < previous.zero_threshold:
            return True
        if not self.custom:
            zero, threshold = previous.zero_count, previous.zero_threshold
            if threshold != self.zero_threshold:
                zero, threshold = previous._zero_count_for(self.zero_threshold)
            if threshold != self.zero_threshold or self.zero_count < zero:
                return True
            previous = previous.at_schema(self.schema)
        return self._lost(self.positive, previous.positive) or self._lost(self.negative, previous.negative)

    def _lost(self, mine: Buckets, theirs: Buckets) -> bool:
        return any(
            mine.get(index, 0.0) < value
            for index, value in theirs.items()
            if self.custom or self.upper_bound(index) > self.zero_threshold
        )


def align(first: FloatHistogram, second: FloatHistogram) -> tuple[FloatHistogram, FloatHistogram, bool]:
    """Both at one layout: (first, second, were custom bounds reduced to the common ones)."""
    if first.custom:
        if first.bounds == second.bounds:
            return first, second, False
        common = tuple(edge for edge in first.bounds if edge in second.bounds)
        return _rebounded(first, common), _rebounded(second, common), True
    while first.zero_threshold != second.zero_threshold:
        first, second = first.with_threshold(second.zero_threshold), second.with_threshold(first.zero_threshold)
    schema = min(first.schema, second.schema)
    return first.at_schema(schema), second.at_schema(schema), False


def _rebounded(histogram: FloatHistogram, bounds: tuple[float, ...]) -> FloatHistogram:
    buckets: Buckets = {}
    for index, value in sorted(histogram.positive.items()):
        edge = histogram.upper_bound(index)
        target = next((i for i, candidate in enumerate(bounds) if candidate >= edge), len(bounds))
        buckets[target] = buckets.get(target, 0.0) + value
    return replace(histogram, bounds=bounds, positive=buckets)


def _bits(value: float) -> bytes:
    return struct.pack("<d", value)


def _filled(buckets: Buckets) -> Buckets:
    return {index: value for index, value in buckets.items() if value != 0}


def _joined(mine: Buckets, theirs: Buckets, sign: float) -> Buckets:
    found = dict(mine)
    for index, value in theirs.items():
        found[index] = found.get(index, 0.0) + sign * value
    return found


def _coarser(buckets: Buckets, shift: int) -> Buckets:
    found: Buckets = {}
    for index in sorted(buckets):
        target = ((index - 1) >> shift) + 1
        found[target] = found.get(target, 0.0) + buckets[index]
    return found


def _divide(value: float, divisor: float) -> float:
    if divisor != 0:
        return value / divisor
    if value == 0 or math.isnan(value):
        return math.nan
    return math.copysign(math.inf, value) * math.copysign(1.0, divisor)


def joint_hint(mine: str, theirs: str) -> tuple[str, bool]:
    if mine == theirs:
        return mine, False
    if GAUGE in (mine, theirs):
        return GAUGE, False
    return UNKNOWN, UNKNOWN not in (mine, theirs)


# Making histograms

_ENTRY = re.compile(r"([a-z_]+):(\[[^\]]*\]|\S+?)(?=\s|$|\}\})")


def from_description(text: str) -> FloatHistogram:
    """A histogram from the notation of rule tests, `{{schema:1 sum:5 count:4 buckets:[1 2 1]}}`; ValueError
    otherwise.
    """
    body = text.strip()
    if not (body.startswith("{{") and body.endswith("}}")):
        raise ValueError(f"not a histogram: {text!r}")
    entries = dict(_ENTRY.findall(body[2:-2].strip() + " "))
    known = "schema sum count z_bucket z_bucket_w custom_values buckets offset n_buckets n_offset counter_reset_hint"
    for key in entries:
        if key not in known.split():
            raise ValueError(f"bad histogram descriptor found: {key!r}")
    return FloatHistogram(
        schema=int(entries.get("schema", "0")),
        count=float(entries.get("count", "0")),
        sum=float(entries.get("sum", "0")),
        zero_threshold=float(entries.get("z_bucket_w", "0")),
        zero_count=float(entries.get("z_bucket", "0")),
        positive=_described(entries.get("buckets", ""), int(entries.get("offset", "0"))),
        negative=_described(entries.get("n_buckets", ""), int(entries.get("n_offset", "0"))),
        bounds=tuple(float(item) for item in entries.get("custom_values", "").strip("[]").split()),
        hint=entries.get("counter_reset_hint", UNKNOWN),
    )


def _described(text: str, offset: int) -> Buckets:
    return {offset + index: float(item) for index, item in enumerate(text.strip("[]").split())}


def from_classic(buckets: dict[float, float], count: float | None, total: float) -> FloatHistogram:
    """A custom-bucket histogram from classic cumulative counts by upper bound (convertnhcb)."""
    bounds = sorted(edge for edge in buckets if edge != math.inf)
    whole = count if count is not None else buckets.get(math.inf, max(buckets.values(), default=0.0))
    found: Buckets = {}
    before = 0.0
    for index, edge in enumerate(bounds):
        if buckets[edge] != before:
            found[index] = buckets[edge] - before
        before = buckets[edge]
    if whole != before:
        found[len(bounds)] = whole - before
    return FloatHistogram(CUSTOM, whole, total, positive=found, bounds=tuple(bounds))
