"""Traffic through the pod table: nothing is lost, chance is what it should be, faults and limits act, steps agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pilothouse.base.entropy import Entropy
from pilothouse.base.limits import LATENCY_SERIES_PER_POD_UP_TO
from pilothouse.worlds.rehearsal.faults import ActiveFaults, BadVersion, DependencySlow, MemoryLeak
from pilothouse.worlds.rehearsal.history import History
from pilothouse.worlds.rehearsal.load import LoadChange, LoadTable
from pilothouse.worlds.rehearsal.pods import STATUSES, Group, Identity, PodTable
from pilothouse.worlds.rehearsal.service import resolve
from pilothouse.worlds.rehearsal.spec import parse_world
from pilothouse.worlds.rehearsal.traffic import Traffic


def make(services: dict[str, Any], pods: int = 3, *, seed: int = 1, image: str = "v1", cpu: float = 1.0) -> Traffic:
    """Traffic over `pods` ready pods of each service, at time 0."""
    spec = parse_world({"services": services})
    known = [resolve(name, model) for name, model in spec.services.items()]
    columns = max(len(s.edges_s) for s in known) + 1
    load = LoadTable(0.0)
    for model in spec.services.values():
        load.add(model.load)
    table = PodTable(columns)
    history = History([s.name for s in known], [s.edges_s for s in known], columns)
    traffic = Traffic(known, load, table, ActiveFaults(), Entropy(seed), history)
    for index in range(len(known)):
        for number in range(pods):
            add(traffic, index, f"{index}-{number}", image, cpu)
    return traffic


def add(traffic: Traffic, service: int, name: str, image: str = "v1", cpu: float = 1.0, now_s: float = 0.0) -> int:
    who = Identity("d", name, name, "c", image)
    slot = traffic.pods.add(who, Group(service, image, cpu, 2**30))
    traffic.pods.start(slot, now_s)
    traffic.pods.set_listening(slot, True, now_s)
    traffic.pods.set_ready(slot, True, now_s)
    return slot


def play(traffic: Traffic, until_s: float, step_s: float | None = 15.0, start_s: float = 0.0) -> None:
    """Advance in fixed steps, or adaptive ones (None)."""
    now_s = start_s
    while now_s < until_s - 1e-9:
        step = traffic.next_step_s(now_s) if step_s is None else step_s
        end_s = min(round(now_s + step, 6), until_s)
        traffic.advance(now_s, end_s)
        now_s = end_s


def service(rate: str = "60rps", **more: Any) -> dict[str, Any]:
    pod = {"service": {"mean": "20ms", "sigma": 0.5}, **more.pop("pod", {})}
    return {"load": {"base": rate, **more.pop("load", {})}, "pod": pod, "good": {"errorRate": 0.0}, **more}


def test_every_request_is_accounted_for() -> None:
    traffic = make({"a": service("100rps"), "b": service("400rps")}, pods=2)
    play(traffic, 600, 15)
    for name in ("a", "b"):
        totals = traffic.history.totals(name)
        slots = np.flatnonzero(traffic.pods.service == traffic.history.services.index(name))
        waiting = traffic.pods.backlog[slots].sum() + traffic.pods.carry[slots].sum()
        assert totals["arrived"] == pytest.approx(totals["served"] + totals["refused"] + waiting, abs=3)
        assert traffic.pods.requests[slots].sum() == totals["served"] + totals["refused"]
        assert traffic.pods.latency[slots].sum() == totals["served"]


def test_arrivals_are_poisson() -> None:
    traffic = make({"a": service("2rps")})
    play(traffic, 15 * 4000)
    counts = traffic.history.column("arrived", "a")
    assert counts.mean() == pytest.approx(30, rel=0.01)
    assert counts.var() == pytest.approx(30, rel=0.08)


def test_paced_arrivals_hardly_vary() -> None:
    traffic = make({"a": service("2.5rps", load={"arrivals": "paced"})})
    play(traffic, 15 * 100)
    assert set(traffic.history.column("arrived", "a").tolist()) <= {37.0, 38.0}


def test_the_users_are_the_same_whatever_the_pods_and_the_step() -> None:
    def arrived(pods: int, step_s: float, extra: bool) -> list[float]:
        services = {"a": service("20rps"), **({"b": service("5rps")} if extra else {})}
        traffic = make(services, pods)
        play(traffic, 300, step_s)
        times, counts = traffic.history.world("time_s"), traffic.history.column("arrived", "a")
        return [float(counts[(times > t) & (times <= t + 15)].sum()) for t in range(0, 300, 15)]

    assert arrived(2, 15, False) == arrived(9, 15, True) == arrived(3, 1, False) == arrived(3, 5, True)


def test_other_seeds_meet_other_users() -> None:
    first, second = make({"a": service()}, seed=1), make({"a": service()}, seed=2)
    for traffic in (first, second):
        play(traffic, 60)
    assert first.history.totals("a")["arrived"] != second.history.totals("a")["arrived"]


def test_a_load_change_in_a_window_leaves_later_windows_alone() -> None:
    def arrived(change: bool) -> list[float]:
        traffic = make({"a": service("20rps")})
        play(traffic, 20, 5)
        if change:
            traffic.load.change(LoadChange(0, 20.0, times=3.0, for_s=10.0))
            traffic.changed()
        play(traffic, 120, 5, start_s=20)
        return [float(x) for x in traffic.history.column("arrived", "a")]

    changed, plain = arrived(True), arrived(False)
    assert sum(changed[4:6]) > 1.8 * sum(plain[4:6])
    assert [sum(changed[i : i + 3]) for i in range(6, 24, 3)] == [sum(plain[i : i + 3]) for i in range(6, 24, 3)]


def test_errors_follow_the_rate_and_the_bad_version() -> None:
    services = {"a": {**service("200rps"), "good": {"errorRate": 0.01}}}
    traffic = make(services, pods=3)
    slot = add(traffic, 0, "new", "v2")
    traffic.faults.start(BadVersion(image="v2", error_rate=0.2))
    play(traffic, 900)
    failed = traffic.pods.requests[:, STATUSES.index("500")]
    ratio = failed / np.maximum(traffic.pods.requests.sum(axis=1), 1)
    assert ratio[slot] == pytest.approx(0.2, rel=0.05)
    assert ratio[0] == pytest.approx(0.01, rel=0.25)


def test_cpu_follows_served_requests() -> None:
    traffic = make({"a": service("100rps")}, pods=4)
    play(traffic, 600)
    served = traffic.history.totals("a")["served"]
    assert traffic.pods.cpu_s.sum() == pytest.approx(served * 0.02 + 4 * 600 * 0.002)


def test_the_cpu_limit_bounds_cpu_and_the_rest_waits_or_is_refused() -> None:
    traffic = make({"a": service("200rps", pod={"queue": 100, "timeout": "1s"})}, pods=2, cpu=0.5)
    play(traffic, 300, 1)
    # Half a core serves 25 requests a second: each takes 40 ms.
    assert traffic.pods.cpu_s[0] == pytest.approx(0.5 * 300, rel=0.02)
    totals = traffic.history.totals("a")
    assert totals["served"] == pytest.approx(2 * 25 * 300, rel=0.02)
    assert totals["refused"] > 0.6 * totals["arrived"]
    assert traffic.pods.requests[:, STATUSES.index("504")].sum() > 0.9 * totals["served"]
    assert traffic.history.quantile("a", 0.5) > 1.0


def test_a_slow_dependency_costs_time_and_capacity_but_no_cpu() -> None:
    plain, slow = make({"a": service("60rps")}), make({"a": service("60rps")})
    slow.faults.start(DependencySlow(service="a", delay="20ms"))
    for traffic in (plain, slow):
        play(traffic, 600)
    assert slow.history.quantile("a", 0.5) > 1.7 * plain.history.quantile("a", 0.5)
    assert slow.pods.cpu_s.sum() == pytest.approx(plain.pods.cpu_s.sum())


def test_a_leak_grows_until_the_limit_is_reported() -> None:
    traffic = make({"a": service("10rps", pod={"memory": {"base": "100Mi"}})}, pods=1)
    traffic.faults.start(MemoryLeak(service="a", rate="60MiB/min"))
    play(traffic, 60)
    assert traffic.pods.memory[0] == pytest.approx(160 * 2**20, rel=0.02)
    play(traffic, 1200, start_s=60)
    assert traffic.overfull is not None
    assert traffic.overfull.tolist() == [0]


def test_warming_up_takes_longer() -> None:
    cold = service("10rps", pod={"warmup": {"duration": "60s", "factor": 3}})
    traffic = make({"a": cold}, pods=1)
    play(traffic, 180, 1)
    times = traffic.history.world("time_s")
    assert traffic.history.quantile("a", 0.5, 0, 20) > 2 * traffic.history.quantile("a", 0.5, int((times < 70).sum()))


def test_without_ready_pods_requests_meet_nobody() -> None:
    traffic = make({"a": service("10rps")}, pods=1)
    traffic.pods.set_ready(0, False, 0.0)
    play(traffic, 60)
    totals = traffic.history.totals("a")
    assert totals["unrouted"] == totals["errors"] == totals["arrived"] > 0


def test_a_pod_that_does_not_listen_loses_its_share() -> None:
    traffic = make({"a": service("100rps")}, pods=4)
    traffic.pods.set_listening(0, False, 0.0)
    play(traffic, 300)
    totals = traffic.history.totals("a")
    assert totals["unrouted"] / totals["arrived"] == pytest.approx(0.25, abs=0.02)
    assert traffic.pods.requests[0].sum() == 0


def test_an_unready_pod_still_works_off_its_queue() -> None:
    traffic = make({"a": service("200rps")}, pods=1)
    play(traffic, 10, 1)
    assert traffic.pods.backlog[0] > 500
    traffic.pods.set_ready(0, False, 10.0)
    play(traffic, 60, 1, start_s=10)
    assert traffic.pods.backlog[0] == 0


def test_retries_come_again_within_their_budget() -> None:
    def retried(budget: float, most: int) -> float:
        model = {**service("100rps"), "good": {"errorRate": 0.3}, "retries": {"max": most, "budget": budget}}
        traffic = make({"a": model})
        play(traffic, 1500)
        totals = traffic.history.totals("a")
        return totals["retried"] / (totals["arrived"] - totals["retried"])

    assert retried(1.0, 0) == 0
    assert retried(1.0, 1) == pytest.approx(0.3, abs=0.01)
    assert retried(1.0, 2) == pytest.approx(0.3 + 0.09, abs=0.01)
    assert retried(0.1, 2) == pytest.approx(0.1, abs=0.005)


@pytest.mark.parametrize("seed", [1, 2])
def test_adaptive_steps_agree_with_one_second_steps(seed: int) -> None:
    """A 2.5x spike over three pods: slow requests within a tenth of one-second steps, with far fewer steps."""

    def slow(step_s: float | None) -> tuple[float, int]:
        traffic = make({"a": service("84rps", pod={"queue": 100000}, slow=0.5)}, pods=3, seed=seed)
        traffic.load.change(LoadChange(0, 1200.0, times=2.5, for_s=120.0))
        play(traffic, 3600, step_s)
        totals = traffic.history.totals("a")
        return totals["slow"] / totals["arrived"], len(traffic.history)

    adaptive, few = slow(None)
    fine, many = slow(1.0)
    assert adaptive == pytest.approx(fine, rel=0.1)
    assert few * 5 < many


def test_single_pods_of_a_large_service_do_not_force_fine_steps() -> None:
    traffic = make({"a": service("600rps")}, pods=40)
    play(traffic, 60)
    traffic.pods.set_ready(0, False, 60.0)
    assert traffic.next_step_s(60.0) == pytest.approx(15)
    for slot in range(1, 8):
        traffic.pods.set_ready(slot, False, 60.0)
    assert traffic.next_step_s(60.0) == pytest.approx(1)


def test_many_pods_share_histograms_per_service_and_version() -> None:
    traffic = make({"a": service("30rps")}, pods=4)
    per_pod = make({"a": service("30rps")}, pods=4)
    traffic.pods.drop_histograms()
    for one in (traffic, per_pod):
        play(one, 3000)
    served = traffic.history.totals("a")["served"]
    assert sum(int(row.sum()) for row in traffic.pods.group_latency.values()) == served
    assert traffic.history.quantile("a", 0.9) == pytest.approx(per_pod.history.quantile("a", 0.9), rel=0.02)
    assert LATENCY_SERIES_PER_POD_UP_TO > 4


def test_reused_slots_start_from_zero_and_never_move() -> None:
    traffic = make({"a": service("30rps")}, pods=3)
    play(traffic, 60)
    pods = traffic.pods
    before = pods.requests[2].copy()
    pods.remove(1, 60.0)
    slot = add(traffic, 0, "again", now_s=60.0)
    assert slot == 1
    assert pods.requests[1].sum() == 0
    assert np.array_equal(pods.requests[2], before)
    who = pods.identity[1]
    assert who is not None
    assert who.incarnation == 2


def test_the_table_grows_without_moving_rows() -> None:
    traffic = make({"a": service("30rps")}, pods=2)
    play(traffic, 60)
    before = traffic.pods.requests[0].copy()
    for number in range(500):
        add(traffic, 0, f"more-{number}")
    assert traffic.pods.capacity >= 502
    assert np.array_equal(traffic.pods.requests[0], before)


def test_equal_seeds_give_equal_bytes() -> None:
    def digest() -> bytes:
        traffic = make({"a": service("100rps"), "b": service("10rps")}, pods=3, seed=7)
        play(traffic, 600, None)
        return traffic.pods.requests.tobytes() + traffic.pods.latency.tobytes() + traffic.pods.cpu_s.tobytes()

    assert digest() == digest()
