"""What a world's specification refuses, and what it assumes aloud."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from pilothouse.worlds.rehearsal import faults
from pilothouse.worlds.rehearsal.spec import SpecError, assumptions, parse_world


def api(**fields: Any) -> dict[str, Any]:
    return {"services": {"api": fields}}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (api(lod={}), "unknown field `lod`"),
        (api(load={"base": "-5rps"}), "services.api.load.base: '-5rps' is not a rate"),
        (api(load={"base": "1e999"}), "is not a rate"),
        (api(load={"shape": "square"}), "services"),
        (api(load={"ratio": 0.5}), "services.api.load.ratio"),
        (api(load={"peakAt": "25:00"}), "is not a time of day"),
        (api(pod={"service": {"mean": "0s"}}), "must be more than zero"),
        (api(pod={"service": {"mean": "soon"}}), "is not a duration"),
        (api(pod={"service": {"mean": "1s", "sigma": 9}}), "between 0 and 3"),
        (api(pod={"discipline": "lifo"}), '"lifo" is not a discipline'),
        (api(pod={"discipline": {"pool": 0}}), "at least one worker"),
        (api(pod={"workers": 0}), "services.api.pod.workers"),
        (api(pod={"buckets": [1.0, 0.5]}), "rising"),
        (api(good={"errorRate": 2}), "is not a share"),
        (api(balancing="sticky"), "is not one of random, round_robin, least_connections"),
        ({"step": "1ms"}, "at least 100ms"),
        ({"cluster": {"nodeGroups": {"g": {"min": 3, "max": 2}}}}, "cluster.nodeGroups.g"),
    ],
)
def test_nonsense_is_refused_with_its_path(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_world(raw)


def test_every_default_that_matters_is_an_assumption() -> None:
    named = {a.name for a in assumptions(parse_world(api(load={"base": "5rps"})))}
    assert {"services.api.pod.service", "services.api.pod.start", "services.api.good.errorRate", "imagePull"} <= named


def test_given_values_are_not_assumptions() -> None:
    spec = parse_world(api(pod={"service": {"mean": "20ms"}, "timeout": "2s"}, balancing="round-robin"))
    named = {a.name for a in assumptions(spec)}
    assert named.isdisjoint({"services.api.pod.service", "services.api.pod.timeout", "services.api.balancing"})


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"kind": "Gremlins"}, "'Gremlins' is not a fault; there are BadVersion, PodKill"),
        ({"kind": "BadVersion"}, "missing required field `image`"),
        ({"kind": "BadVersion", "image": "x", "errorRate": 3}, "fault.errorRate"),
        ({"kind": "BadVersion", "image": "x", "leak": "2MiB"}, "is not a growth"),
        ({"kind": "PodKill", "service": "a", "count": 0}, "fault.count"),
        ({"kind": "PodCrashLoop"}, "needs a service or an image"),
        ({"kind": "DependencySlow", "service": "a", "delay": "-1s"}, "must not be negative"),
        ({"kind": "ZoneLoss", "zone": "a", "extra": 1}, "unknown field `extra`"),
    ],
)
def test_faults_say_what_does_not_fit(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        faults.parse_fault(raw)


def test_every_fault_is_listed_and_described() -> None:
    assert [f.type for f in faults.FAULTS] == list(get_args(faults.Fault))
    assert all(f.summary and (f.chaos_mesh or f.aws_fis) for f in faults.FAULTS)


def test_a_fault_from_a_scenario() -> None:
    fault = faults.parse_fault({"kind": "BadVersion", "image": "*:v2", "errorRate": 0.03, "latencyFactor": 1.4})
    assert fault == faults.BadVersion(image="*:v2", error_rate=0.03, latency_factor=1.4)


@pytest.mark.parametrize("image", ["api:v2", "ghcr.io/org/api:v2", "registry:5000/api:v2"])
def test_globs_match_with_and_without_registry(image: str) -> None:
    assert faults.image_matches("*:v2", image)
    assert faults.image_matches("api:v2", image)
    assert not faults.image_matches("api:v1", image)
