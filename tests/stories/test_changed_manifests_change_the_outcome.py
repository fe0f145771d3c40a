"""A changed line in a manifest changes the outcome in the direction that it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.stories.rehearsals import (
    autoscaler,
    deployment,
    figure,
    firing,
    play,
    rules,
    scenario,
    service,
    shown,
)

pytestmark = pytest.mark.slow

DEPLOY = {"at": "2m", "deploy": {"deployment": "api", "image": "shop/api:v2"}}
BAD = {"at": "2m", "fault": {"kind": "BadVersion", "image": "*:v2", "errorRate": 0.2}}


def _healthy_at(report: Any) -> float:
    """When the rollout was through, seconds since the start."""
    return next(m.at_s for m in shown(report).moments if m.kind == "rollout" and "is Healthy" in m.text)


def test_a_higher_max_surge_rolls_out_faster(tmp_path: Path) -> None:
    at = {}
    for surge in (1, 4):
        folder = tmp_path / str(surge)
        folder.mkdir()
        objects = [deployment(replicas=8, surge=surge), service(), scenario("10m", events=[DEPLOY])]
        at[surge] = _healthy_at(play(folder, objects))
    assert at[4] < at[1] - 30


def test_a_lower_autoscaler_target_runs_more_pods(tmp_path: Path) -> None:
    pods = {}
    for target in (40, 80):
        folder = tmp_path / str(target)
        folder.mkdir()
        report = play(folder, [deployment(), service(), autoscaler(target), scenario(rps=40)])
        pods[target] = figure(report, "pods.ready.mean")
    assert pods[40] > 1.5 * pods[80]


def test_a_longer_for_fires_later_or_not_at_all(tmp_path: Path) -> None:
    first = {}
    for hold in ("1m", "5m", "40m"):
        folder = tmp_path / hold
        folder.mkdir()
        report = play(folder, [deployment(), service(), rules(hold), scenario("20m", events=[DEPLOY, BAD])])
        first[hold] = firing(report, "HighErrorRate")
    assert first["1m"][0][0] + 230 <= first["5m"][0][0] <= first["1m"][0][0] + 260
    assert first["40m"] == []


def test_a_tighter_memory_limit_kills_pods(tmp_path: Path) -> None:
    crashes = rules("0m", "increase(kube_pod_container_status_restarts_total[10m]) > 0", "Restarting")
    leaking = [{"at": "1m", "fault": {"kind": "MemoryLeak", "service": "api", "rate": "20MiB/min"}}]
    fired = {}
    for limit in ("300Mi", "2Gi"):
        folder = tmp_path / limit
        folder.mkdir()
        report = play(folder, [deployment(memory_limit=limit), service(), crashes, scenario("20m", events=leaking)])
        fired[limit] = firing(report, "Restarting")
    assert fired["300Mi"]
    assert not fired["2Gi"]


def test_a_tighter_cpu_limit_makes_answers_slower(tmp_path: Path) -> None:
    p99 = {}
    for limit in ("250m", "2"):
        folder = tmp_path / limit
        folder.mkdir()
        p99[limit] = figure(
            play(folder, [deployment(cpu="100m", cpu_limit=limit), service(), scenario()]), "latency.p99"
        )
    assert p99["250m"] > 2 * p99["2"]


def test_fewer_most_replicas_leave_more_errors_in_a_spike(tmp_path: Path) -> None:
    spike = [{"at": "5m", "load": {"service": "api", "times": 8, "for": "10m"}}]
    errors = {}
    for most in (4, 20):
        folder = tmp_path / str(most)
        folder.mkdir()
        objects = [deployment(), service(), autoscaler(60, most), scenario(events=spike, pod={"timeout": "2s"})]
        errors[most] = figure(play(folder, objects), "errors.ratio")
    assert errors[4] > 1.5 * errors[20]


def test_pods_that_fit_on_no_node_wait_and_more_nodes_help(tmp_path: Path) -> None:
    ready = {}
    for nodes in (1, 4):
        folder = tmp_path / str(nodes)
        folder.mkdir()
        pool = {"pool": {"min": nodes, "max": nodes, "cpu": "2", "memory": "8Gi"}}
        objects = [deployment(replicas=8), service(), scenario("5m", cluster={"nodeGroups": pool})]
        ready[nodes] = figure(play(folder, objects), "pods.ready.max")
    assert ready == {1: 4, 4: 8}


def test_the_control_run_without_the_fault_stays_green(tmp_path: Path) -> None:
    expect = [
        {"name": "caught", "alert": {"name": "HighErrorRate", "within": "8m", "after": "deploy"}},
        {"name": "good one passes", "without": "BadVersion", "alert": {"name": "HighErrorRate", "fires": False}},
    ]
    report = play(
        tmp_path, [deployment(), service(), rules(), scenario(events=[DEPLOY, BAD], expect=expect, seeds={"runs": 2})]
    )
    assert [(v.name, v.outcome) for v in report.verdicts] == [("caught", "met"), ("good one passes", "met")]
    assert report.outcome == "met"
