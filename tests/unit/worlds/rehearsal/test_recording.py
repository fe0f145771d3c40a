"""What a monitoring system sees: names, labels, values, resets, gaps; and what the metrics APIs answer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from tests.unit.worlds.rehearsal.town import Town, one_service, play

from pilothouse.base import selectors
from pilothouse.engines.tsdb import Database, is_absent, is_stale, make_matcher
from pilothouse.worlds.rehearsal.faults import MetricsGap, PodCrashLoop
from pilothouse.worlds.rehearsal.world import StartFault, StopFault

LIMITS = {"limits": {"cpu": "1", "memory": "256Mi"}, "requests": {"cpu": "250m", "memory": "200Mi"}}


def series(database: Database, name: str, **labels: str) -> dict[tuple[tuple[str, str], ...], list[float]]:
    """{labels: values row by row} of a metric; NaN where there is nothing (or a staleness marker)."""
    matchers = tuple(make_matcher(k, "=", v) for k, v in {"__name__": name, **labels}.items())
    selection = database.select(matchers)
    found = {}
    for part in selection.parts:
        block = part.block(0, part.frame.rows)
        for column, position in enumerate(np.arange(len(selection.labels))[part.positions]):
            found[selection.labels[position]] = block[:, column].tolist()
    return found


def one(database: Database, name: str, **labels: str) -> list[float]:
    found = series(database, name, **labels)
    assert len(found) == 1, sorted(found)
    return next(iter(found.values()))


def run(minutes: float = 2, names: list[str] | None = None, rate: str = "50rps", **pod: Any) -> Town:
    async def story(town: Town) -> None:
        await town.add_pod("p", resources=LIMITS, ports=[{"containerPort": 8080}])
        await town.wait(minutes * 60)

    spec = one_service(rate, **pod)
    return play(spec if names is None else {**spec, "metricNames": names}, story)


def test_applications_are_scraped_with_their_targets_labels() -> None:
    town = run()
    (labels,) = series(town.database, "http_requests_total", status="200")
    assert dict(labels) == {
        "__name__": "http_requests_total",
        "container": "c",
        "endpoint": "http",
        "handler": "/",
        "instance": "10.0.0.2:8080",
        "job": "api",
        "method": "GET",
        "namespace": "default",
        "pod": "p",
        "service": "api",
        "status": "200",
    }
    values = one(town.database, "http_requests_total", status="200")
    assert values[-1] == town.world.pods.requests[0, 0]
    assert all(b >= a for a, b in pairwise(values) if b == b and a == a)


def test_histograms_are_cumulative_and_complete() -> None:
    town = run()
    last = {dict(k)["le"]: v[-1] for k, v in series(town.database, "http_request_duration_seconds_bucket").items()}
    ordered = [last[le] for le in sorted(last, key=float)]
    assert ordered == sorted(ordered)
    assert {"0.005", "1.0", "10.0", "+Inf"} <= set(last)
    count = one(town.database, "http_request_duration_seconds_count")[-1]
    assert last["+Inf"] == count == town.world.history.totals("api")["served"]
    # 20 ms of work on one core at 50/s is full use: the mean is well above the service time.
    assert one(town.database, "http_request_duration_seconds_sum")[-1] / count > 0.02


def test_containers_are_named_as_cadvisor_names_them() -> None:
    town = run(rate="10rps")
    (labels,) = series(town.database, "container_memory_usage_bytes")
    got = dict(labels)
    assert (got["namespace"], got["pod"], got["container"], got["image"], got["node"]) == (
        "default",
        "p",
        "c",
        "api:v1",
        "n1",
    )
    assert one(town.database, "container_spec_memory_limit_bytes")[-1] == 256 * 2**20
    cpu = one(town.database, "container_cpu_usage_seconds_total")
    # 10 requests of 20 ms a second, for 15 s.
    assert cpu[-1] - cpu[-2] == pytest.approx(15 * 0.2, rel=0.25)


def test_objects_become_kube_state_metrics() -> None:
    town = run(rate="1rps")
    assert one(town.database, "kube_pod_status_phase", phase="Running")[-1] == 1
    assert one(town.database, "kube_pod_status_ready", condition="true")[-1] == 1
    assert one(town.database, "kube_pod_container_status_restarts_total")[-1] == 0
    assert one(town.database, "kube_pod_container_resource_limits", resource="cpu")[-1] == 1
    assert one(town.database, "kube_pod_container_resource_requests", resource="memory")[-1] == 200 * 2**20


def test_many_pods_share_a_histogram_per_version() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", resources=LIMITS)
        await town.wait(60)
        town.world.pods.drop_histograms()
        await town.wait(60)

    town = play(one_service("20rps"), story)
    own = np.array(one(town.database, "http_request_duration_seconds_count", pod="p"))
    assert is_stale(own).sum() == 1
    shared = one(town.database, "http_request_duration_seconds_count", version="api:v1")
    assert shared[-1] == pytest.approx(75 * 20, rel=0.15)  # the step that ends at 60 s already counts
    assert one(town.database, "http_request_duration_seconds_sum", version="api:v1")[-1] / shared[-1] > 0.02


def test_many_pods_have_pages_per_version() -> None:
    """Sums go on when a pod of the version is replaced; no series names a pod."""

    async def story(town: Town) -> None:
        town.world.pods.drop_histograms()
        for name in ("p", "q"):
            await town.add_pod(name, resources=LIMITS)
        await town.wait(90)
        await town.client.delete("Pod", "default", "p", grace_s=0)
        await town.add_pod("r", resources=LIMITS)
        await town.wait(60)

    town = play(one_service("100rps"), story)
    answered = one(town.database, "http_requests_total", status="200")
    rises = [b - a for a, b in pairwise(v for v in answered if not np.isnan(v))]
    assert min(rises) >= 0
    assert answered[-1] > 10_000
    limit = one(town.database, "container_spec_memory_limit_bytes")
    assert limit[-1] == 2 * 256 * 1024**2
    assert one(town.database, "kube_pod_container_status_restarts_total")[-1] == 0
    assert not any("pod" in dict(labels) for labels in _all_labels(town.database))


def test_only_what_is_read_is_written() -> None:
    town = run(names=["http_requests_total", "kube_pod_info"])
    names = {dict(labels)["__name__"] for labels in _all_labels(town.database)}
    assert names == {"http_requests_total", "kube_pod_info"}


def _all_labels(database: Database) -> list[tuple[tuple[str, str], ...]]:
    return list(database.select((make_matcher("__name__", "=~", ".+"),)).labels)


def test_a_restart_resets_counters_and_keeps_the_series() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", resources=LIMITS)
        await town.wait(60)
        number = town.world.apply(StartFault(PodCrashLoop(service="api", after=1)))
        await town.wait(2)
        town.world.apply(StopFault(number))
        await town.wait(60)

    town = play(one_service("20rps"), story)
    values = one(town.database, "http_requests_total", status="200")
    falls = [i for i, (a, b) in enumerate(pairwise(values)) if b < a]
    assert len(falls) == 1
    assert one(town.database, "kube_pod_container_status_restarts_total")[-1] == 1


def test_a_crashed_container_is_down_and_its_series_go_stale() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", resources=LIMITS)
        await town.wait(60)
        town.world.apply(StartFault(PodCrashLoop(service="api", after=1)))
        await town.wait(100)

    town = play(one_service("20rps"), story)
    assert 0.0 in one(town.database, "up")
    values = np.array(one(town.database, "http_requests_total", status="200"))
    stale = np.flatnonzero(is_stale(values))
    assert len(stale) >= 1
    assert is_absent(values[stale[-1] + 1 : stale[-1] + 2]).all()


def test_a_pod_that_goes_ends_its_series() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", resources=LIMITS)
        await town.wait(60)
        await town.client.delete("Pod", "default", "p", grace_s=0)
        await town.wait(60)
        await town.add_pod("q", resources=LIMITS)
        await town.wait(60)

    town = play(one_service("20rps"), story)
    gone = np.array(one(town.database, "http_requests_total", status="200", pod="p"))
    assert is_stale(gone).sum() == 1
    fresh = np.array(one(town.database, "http_requests_total", status="200", pod="q"))
    assert np.nanmax(fresh) < np.nanmax(gone) * 1.5


def test_a_scrape_gap_leaves_nothing_but_up() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", resources=LIMITS)
        await town.wait(60)
        town.world.apply(StartFault(MetricsGap(of="scrape"), for_s=60))
        await town.wait(120)

    town = play(one_service("20rps"), story)
    up = one(town.database, "up")
    assert up.count(0.0) == 4
    assert up[-1] == 1
    values = np.array(one(town.database, "http_requests_total", status="200"))
    assert is_stale(values).sum() == 1
    # Counting went on unseen.
    assert values[-1] == town.world.pods.requests[0, 0]


def test_resource_metrics_come_from_the_last_two_samples() -> None:
    town = run(5, rate="10rps")
    (usage,) = town.world.metrics.pod_metrics("default", selectors.parse("app=api"))
    assert usage.name == "p"
    assert usage.window_s == 15
    assert usage.usage["c"]["cpu"] == pytest.approx(0.2, rel=0.3)
    assert usage.usage["c"]["memory"] == pytest.approx(100 * 2**20, rel=0.01)
    assert town.world.metrics.pod_metrics("default", selectors.parse("app=other")) == []
    assert town.world.metrics.pod_metrics("elsewhere", selectors.EVERYTHING) == []


def test_requests_per_second_are_a_two_minute_rate() -> None:
    town = run(6, rate="10rps")
    (value,) = town.world.metrics.pods_metric(
        "default", "http_requests_per_second", selectors.EVERYTHING, selectors.EVERYTHING
    )
    assert value.object == "p"
    assert value.value == pytest.approx(10, rel=0.2)


def test_a_gap_of_resource_metrics_is_no_answer() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", resources=LIMITS)
        await town.wait(60)
        town.world.apply(StartFault(MetricsGap(of="resource")))
        await town.wait(60)
        assert town.world.metrics.pod_metrics("default", selectors.EVERYTHING) == []

    play(one_service("20rps"), story)


def test_other_custom_metrics_are_asked_of_the_series() -> None:
    asked: list[str] = []

    async def story(town: Town) -> None:
        await town.add_pod("p", resources=LIMITS)

        def query(text: str, _time_ms: int) -> list[tuple[tuple[tuple[str, str], ...], float]]:
            asked.append(text)
            return [((("pod", "p"),), 4.5)]

        town.world.metrics._query = query
        await town.wait(30)
        (value,) = town.world.metrics.pods_metric(
            "default", "jobs_per_second", selectors.EVERYTHING, selectors.parse("queue=mail")
        )
        assert value.value == 4.5

    play(one_service(), story)
    assert asked == ['sum by (pod) (rate(jobs_total{namespace="default",queue="mail"}[2m]))']
