"""Durations, selectors, chance and moments: the small pure pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.base import duration, selectors
from pilothouse.base.clock import ManualClock, parse_rfc3339, rfc3339, rfc3339_micro
from pilothouse.base.entropy import Entropy


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("1.5h", 5400), ("250ms", 0.25), ("-2m", -120), ("0", 0)]
)
def test_go_durations(text: str, seconds: float) -> None:
    assert duration.parse_duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "1h-3m", "5x"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        duration.parse_duration_s(text)


@given(st.integers(min_value=1, max_value=10**12))
def test_prometheus_durations_read_back(ms: int) -> None:
    assert duration.parse_prometheus_duration_ms(duration.format_prometheus_duration(ms)) == ms


@pytest.mark.parametrize("text", ["5", "m5", "1m1h", "1.5h", "-5m", ""])
def test_prometheus_durations_are_strict(text: str) -> None:
    with pytest.raises(ValueError, match="not a valid duration"):
        duration.parse_prometheus_duration_ms(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(45, "45s"), (250, "4m10s"), (7500, "2h05m"), (0.25, "0.2s"), (273_600, "3d4h")]
)
def test_spans_for_people(seconds: float, text: str) -> None:
    assert duration.format_span(seconds) == text


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("app=api", {"app": "api"}, True),
        ("app==api,tier!=db", {"app": "api"}, True),
        ("env in (a, b),!gone", {"env": "b"}, True),
        ("env notin (a,b)", {"env": "a"}, False),
        ("present", {}, False),
        ("n>3", {"n": "4"}, True),
        ("n<3", {"n": "x"}, False),
        ("", {"any": "thing"}, True),
        ("a=", {"a": ""}, True),
    ],
)
def test_selectors_in_text(text: str, labels: dict[str, str], matches: bool) -> None:
    assert selectors.parse(text).matches(labels) is matches


@pytest.mark.parametrize("text", ["a=b=c", "a in (b", "a,,b", "=x", "in (a)x"])
def test_a_broken_selector_names_what_does_not_fit(text: str) -> None:
    with pytest.raises(ValueError, match="unable to parse requirement"):
        selectors.parse(text)


def test_a_null_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert not selectors.from_object(None).matches({"a": "b"})
    assert selectors.from_object({}).matches({"a": "b"})
    assert not selectors.from_labels({}).matches({"a": "b"})


def test_streams_do_not_disturb_each_other() -> None:
    one, two = Entropy(7), Entropy(7)
    one.stream("faults").random(1000)
    assert np.array_equal(one.stream("arrivals", "api").random(5), two.stream("arrivals", "api").random(5))
    assert not np.array_equal(
        Entropy(8).stream("arrivals", "api").random(5), Entropy(7).stream("arrivals", "api").random(5)
    )


def test_uids_are_version_4_and_differ() -> None:
    entropy = Entropy(1)
    uids = [entropy.uid() for _ in range(100)]
    assert len({*uids}) == 100
    assert all(u[14] == "4" and u[19] in "89ab" and len(u) == 36 for u in uids)


def test_moments_read_back() -> None:
    clock = ManualClock()
    clock.advance(3_723.25)
    assert rfc3339(clock.time()) == "2026-01-05T01:02:03Z"
    assert rfc3339_micro(clock.time()) == "2026-01-05T01:02:03.250000Z"
    assert parse_rfc3339(rfc3339_micro(clock.time())) == clock.time()
