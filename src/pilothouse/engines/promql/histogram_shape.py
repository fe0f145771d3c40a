"""What a single native histogram says: quantiles, fractions, variance, and trimming at a value.

Follows promql/quantile.go and FloatHistogram.TrimBuckets of Prometheus 3: interpolation is exponential in
exponential buckets, linear in custom ones and in the zero bucket.
"""

from __future__ import annotations

import math
from dataclasses import replace

from pilothouse.engines.promql.histogram import Bucket, FloatHistogram

NAN_RESULT = "input to histogram_quantile has NaN observations, result is NaN"
NAN_SKEW = "input to histogram_quantile has NaN observations, result is skewed higher"
NAN_EXCLUDED = "input to histogram_fraction has NaN observations, which are excluded from all fractions"


def fraction_below(bucket: Bucket, value: float, linear: bool) -> float:
    """The share of a finite bucket that lies at or below a value inside it."""
    if linear:
        return (value - bucket.lower) / (bucket.upper - bucket.lower)
    lower, upper, at = _log2(bucket.lower), _log2(bucket.upper), _log2(value)
    if value > 0:
        return (at - lower) / (upper - lower)
    return 1 - (at - upper) / (lower - upper)


def _log2(value: float) -> float:
    return math.log2(abs(value)) if value != 0 else -math.inf


def _zero_clipped(bucket: Bucket, histogram: FloatHistogram) -> Bucket:
    """The zero bucket is taken to begin or end at 0 when observations lie on one side only."""
    if not histogram.negative and histogram.positive:
        return replace(bucket, lower=0.0)
    if not histogram.positive and histogram.negative:
        return replace(bucket, upper=0.0)
    return bucket


def quantile(q: float, histogram: FloatHistogram) -> tuple[float, str]:
    """(the q-quantile, an info text or "")."""
    if q < 0:
        return -math.inf, ""
    if q > 1:
        return math.inf, ""
    if histogram.count == 0 or math.isnan(q):
        return math.nan, ""
    forward = math.isnan(histogram.sum) or q < 0.5
    buckets = histogram.all_buckets()
    if not forward:
        buckets.reverse()
    rank = (q if forward else 1 - q) * histogram.count
    seen, place, bucket = 0.0, len(buckets), Bucket(0.0, 0.0, True, True, 0.0)
    for number, candidate in enumerate(buckets):
        bucket = candidate
        seen += bucket.count
        if bucket.count != 0 and seen >= rank:
            place = number
            break
    if not histogram.custom and bucket.lower < 0 < bucket.upper:
        bucket = _zero_clipped(bucket, histogram)
    elif histogram.custom:
        if bucket.lower == -math.inf:
            if bucket.upper <= 0:
                return bucket.upper, ""
            bucket = replace(bucket, lower=0.0)
        elif bucket.upper == math.inf:
            return bucket.lower, ""
    seen = min(seen, histogram.count)
    if seen < rank:
        return (math.nan, NAN_RESULT) if math.isnan(histogram.sum) else (bucket.upper, "")
    rank = rank - (seen - bucket.count) if forward else seen - rank
    note = ""
    if math.isnan(histogram.sum):
        total = seen + sum(later.count for later in buckets[place + 1 :])
        note = NAN_SKEW if total < histogram.count else ""
        if buckets[place + 1 :]:
            # Upstream goes on with the last bucket it looked at for this check; its interpolation is kept as it is.
            bucket = buckets[-1]
    return _inside(bucket, rank / bucket.count if bucket.count else math.nan, histogram.custom), note


def _inside(bucket: Bucket, share: float, custom: bool) -> float:
    if custom or bucket.lower <= 0 <= bucket.upper:
        return bucket.lower + (bucket.upper - bucket.lower) * share
    lower, upper = _log2(bucket.lower), _log2(bucket.upper)
    if bucket.lower > 0:
        return math.pow(2.0, lower + (upper - lower) * share)
    return -math.pow(2.0, upper + (lower - upper) * (1 - share))


def fraction(lower: float, upper: float, histogram: FloatHistogram) -> tuple[float, str]:
    """(the share of observations between two values, an info text or "")."""
    if histogram.count == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan, ""
    if lower >= upper:
        return 0.0, ""
    low: float | None = None
    high: float | None = None
    rank = 0.0
    for found in histogram.all_buckets():
        bucket = found
        zero = bucket.lower <= 0 <= bucket.upper
        if zero:
            bucket = _zero_clipped(bucket, histogram)
        linear = histogram.custom or zero
        low = _rank_in(bucket, lower, rank, linear) if low is None else low
        high = _rank_in(bucket, upper, rank, linear) if high is None else high
        if low is not None and high is not None:
            break
        rank += found.count
    count, note = histogram.count, ""
    if math.isnan(histogram.sum):
        count = sum(bucket.count for bucket in histogram.all_buckets())
        note = NAN_EXCLUDED if count < histogram.count else ""
    low, high = (count if one is None or one > count else one for one in (low, high))
    return (high - low) / histogram.count, note


def _rank_in(bucket: Bucket, value: float, rank: float, linear: bool) -> float | None:
    """Observations at or below the value if this bucket can tell."""
    if bucket.lower >= value:
        return rank
    if bucket.upper <= value:
        return None
    if linear and bucket.lower == -math.inf:
        return bucket.count
    return rank + bucket.count * fraction_below(bucket, value, linear)


def variance(histogram: FloatHistogram) -> float:
    """Population variance with every observation at its bucket's middle."""
    if histogram.count == 0:
        return math.nan
    mean = histogram.sum / histogram.count
    terms = []
    for bucket in histogram.all_buckets():
        if bucket.count == 0:
            continue
        if histogram.custom:
            middle = (bucket.upper + bucket.lower) / 2.0
        elif bucket.lower <= 0 <= bucket.upper:
            middle = 0.0
        else:
            middle = math.copysign(math.sqrt(bucket.upper * bucket.lower), bucket.upper)
        terms.append(bucket.count * (middle - mean) * (middle - mean))
    total = math.fsum(terms) if all(math.isfinite(term) for term in terms) else sum(terms)
    return total / histogram.count


def trimmed(histogram: FloatHistogram, at: float, *, upper: bool) -> FloatHistogram:
    """Without the observations above (`</`) or below (`>/`) a value; count and sum are estimated anew if any went."""
    positive, negative = dict(histogram.positive), dict(histogram.negative)
    count = total = 0.0
    changed = False
    for buckets, found, side in (
        (positive, list(histogram.positive_buckets()), True),
        (negative, list(histogram.negative_buckets()), False),
    ):
        for index, bucket in found:
            if bucket.count == 0:
                continue
            kept, middle = _keep(bucket, at, upper, side, histogram.custom)
            if kept != bucket.count:
                buckets[index] = kept
                changed = True
            count += kept
            total += middle * kept
    zero = histogram.zero_count
    if zero > 0:
        sides = (any(histogram.negative.values()), any(histogram.positive.values()))
        zero, middle = _keep_zero(histogram.zero_bucket(), at, sides, upper)
        changed |= zero != histogram.zero_count
        count += zero
        total += middle * zero
    if not changed:
        return histogram
    trimmed_ = replace(histogram, positive=positive, negative=negative, zero_count=zero, count=count, sum=total)
    return trimmed_.compacted()


def _keep(bucket: Bucket, at: float, upper: bool, positive: bool, custom: bool) -> tuple[float, float]:
    """(observations kept, where they lie on average)."""
    whole = bucket.upper <= at if upper else bucket.lower >= at
    cut = bucket.lower < at if upper else bucket.upper > at
    if whole:
        return bucket.count, _middle(bucket.lower, bucket.upper, positive, custom)
    if not cut:
        return 0.0, 0.0
    if math.isinf(bucket.lower) or math.isinf(bucket.upper):
        return _keep_infinite(bucket, at, upper)
    below = bucket.count * fraction_below(bucket, at, custom)
    if upper:
        return below, _middle(bucket.lower, at, positive, custom)
    return bucket.count - below, _middle(at, bucket.upper, positive, custom)


def _keep_infinite(bucket: Bucket, at: float, upper: bool) -> tuple[float, float]:
    if bucket.lower == -math.inf:
        edge = bucket.upper
        if upper:
            if at > 0 and edge > 0 and not math.isinf(edge):
                return bucket.count * at / edge, at / 2
            return (bucket.count, at) if edge <= 0 else (0.0, 0.0)
        if at >= 0 and edge > at and not math.isinf(edge):
            return bucket.count * (1 - at / edge), (at + edge) / 2
        return 0.0, 0.0
    if upper:
        return 0.0, 0.0
    return (bucket.count, at) if at >= bucket.lower else (0.0, 0.0)


def _keep_zero(bucket: Bucket, at: float, sides: tuple[bool, bool], upper: bool) -> tuple[float, float]:
    has_negative, has_positive = sides
    low = 0.0 if has_positive and not has_negative else bucket.lower
    high = 0.0 if has_negative and not has_positive else bucket.upper
    if upper:
        if at <= low:
            return 0.0, 0.0
        if at >= high:
            return bucket.count, (low + high) / 2
        return bucket.count * ((at - low) / (high - low)), (low + at) / 2
    if at <= low:
        return bucket.count, (low + high) / 2
    if at >= high:
        return 0.0, 0.0
    return bucket.count * ((high - at) / (high - low)), (at + high) / 2


def _middle(low: float, high: float, positive: bool, linear: bool) -> float:
    if math.isinf(low):
        if math.isinf(high):
            return 0.0
        return high / 2 if high > 0 else high
    if math.isinf(high):
        return low
    if linear:
        return (low + high) / 2
    size = math.sqrt(abs(low * high))
    return size if positive else -size
