"""No Rollout gets stuck: whatever people do to it, from the state it is in a good version still gets through.

Generated commands, faults and waits lead to a state; then the way on is taken that a person has (a good template,
unpause, promote in full), and the Rollout has to become Healthy in a few virtual minutes. Reconciles may not fail.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.peers._scripted_rollouts import NAMESPACE, Cluster

from pilothouse.base import virtual_loop
from pilothouse.kinds.argoproj.rollout import commands, conditions
from pilothouse.kinds.argoproj.rollout.reading import KIND_NAME

_STEPS = [{"setWeight": 30}, {"pause": {}}, {"setWeight": 60}, {"pause": {"duration": "20s"}}, {"setWeight": 0}]
_ROUTED = {"canaryService": "canary", "stableService": "stable", "trafficRouting": {"nginx": {"stableIngress": "web"}}}
_STRATEGIES: dict[str, dict[str, Any]] = {
    "canary": {"canary": {"maxSurge": 1, "maxUnavailable": 0, "steps": _STEPS}},
    "canary without steps": {"canary": {}},
    "routed": {"canary": {"steps": _STEPS, **_ROUTED}},
    "dynamic": {"canary": {"steps": _STEPS, "dynamicStableScale": True, **_ROUTED}},
    "blue-green": {"blueGreen": {"activeService": "stable", "previewService": "canary", "autoPromotionEnabled": False}},
    "preview": {"blueGreen": {"activeService": "stable", "autoPromotionSeconds": 5, "previewReplicaCount": 1}},
}
_COMMANDS = st.sampled_from(
    ["good", "bad", "back", "promote", "full", "abort", "retry", "pause", "unpause", "restart", "wait"]
) | st.tuples(st.just("scale"), st.integers(0, 6))


def _template(version: str, *, bad: bool = False) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "app", "image": f"app:{version}"}
    if bad:
        container["command"] = ["/bad"]
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}


async def _prepare(cluster: Cluster, strategy: dict[str, Any]) -> None:
    port = {"port": 80, "targetPort": 80}
    for name in ("canary", "stable"):
        service = {"metadata": {"name": name}, "spec": {"selector": {"app": "web"}, "ports": [port]}}
        await cluster.client.create("Service", {"apiVersion": "v1", "kind": "Service", **service})
    backend = {"service": {"name": "stable", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    ingress = {"metadata": {"name": "web"}, "spec": {"rules": [{"http": {"paths": paths}}]}}
    await cluster.client.create(
        "networking.k8s.io/Ingress", {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", **ingress}
    )
    spec = {
        "replicas": 3,
        "progressDeadlineSeconds": 30,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": strategy,
        "template": _template("v0"),
    }
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"}, "spec": spec}
    await cluster.client.create(KIND_NAME, rollout)


async def _do(cluster: Cluster, command: Any, number: int) -> None:
    stored = cluster.client.get(KIND_NAME, NAMESPACE, "web")
    assert stored is not None
    changes: list[commands.Change] = []
    match command:
        case "good" | "bad" | "back":
            version = "v0" if command == "back" else f"v{number}"
            changes = [commands.Change({"spec": {"template": _template(version, bad=command == "bad")}})]
        case "promote" | "full":
            changes = commands.promote(stored.object, full=command == "full")
        case "abort":
            changes = commands.abort()
        case "retry":
            changes = commands.retry()
        case "pause" | "unpause":
            changes = [commands.Change({"spec": {"paused": command == "pause"}})]
        case "restart":
            changes = commands.restart(cluster.clock.time())
        case ("scale", replicas):
            changes = [commands.Change({"spec": {"replicas": replicas}})]
    for change in changes:
        await cluster.client.patch(KIND_NAME, NAMESPACE, "web", change.patch, change.subresource)
    await asyncio.sleep(25.0 if command == "wait" else 3.0)


@pytest.mark.parametrize("name", _STRATEGIES)
@settings(max_examples=5, deadline=None, derandomize=True)
@given(script=st.lists(_COMMANDS, max_size=8))
def test_a_good_version_gets_through_from_every_state(name: str, script: list[Any]) -> None:
    async def main(loop: virtual_loop.VirtualLoop) -> tuple[str, str]:
        cluster = Cluster(loop)
        await _prepare(cluster, _STRATEGIES[name])
        cluster.start()
        await asyncio.sleep(10.0)
        for number, command in enumerate(script, 1):
            await _do(cluster, command, number)
        await _do(cluster, "unpause", 0)
        await _do(cluster, "good", 99)
        await _do(cluster, "full", 0)
        await asyncio.sleep(200.0)
        assert not cluster.reconciler.failures, cluster.reconciler.failures[-1]
        stored = cluster.client.get(KIND_NAME, NAMESPACE, "web")
        assert stored is not None
        return conditions.seen_phase(stored.object)

    phase, message = virtual_loop.run(main)
    assert phase == "Healthy", message
