"""What a write costs: microseconds of CPU per create, status patch, watch hand-over and reconcile.

One template spec is shared by all pods, as a ReplicaSet stamps them; five watchers listen. Prints one line per figure.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

from pilothouse.base.actions import Decision, Object
from pilothouse.base.clock import ManualClock, cpu_seconds
from pilothouse.base.entropy import Entropy
from pilothouse.engines.schema.podspec import default_pod_spec
from pilothouse.kinds.core.configmap.kind import KIND as CONFIG_MAP
from pilothouse.kinds.core.namespace.kind import KIND as NAMESPACE
from pilothouse.kinds.core.pod.kind import KIND as POD
from pilothouse.kinds.core.service.kind import KIND as SERVICE
from pilothouse.machinery.client import Client
from pilothouse.machinery.events import EventRecorder
from pilothouse.machinery.kind import Kinds
from pilothouse.machinery.reconcile import ReconcileInput, Reconciler, WatchRule, own_key
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Store

PODS = 5_000
WATCHERS = 5
TEMPLATE = {
    "containers": [
        {
            "name": "api",
            "image": "registry.example.com/api:v1",
            "ports": [{"name": "http", "containerPort": 8080}],
            "env": [{"name": "MODE", "value": "fast"}],
            "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5},
        }
    ]
}


def pod(number: int, spec: Object) -> Object:
    """A pod as a ReplicaSet makes it."""
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"api-{number % 50}", "uid": f"u{number % 50}"}
    return {
        "metadata": {
            "generateName": f"api-{number % 50}-",
            "namespace": "default",
            "labels": {"app": "api", "pod-template-hash": f"{number % 50}"},
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": spec,
    }


def status(phase: str, ready: str) -> Object:
    """A status of the size that a kubelet writes."""
    time = "2026-01-05T00:00:00Z"
    conditions = [
        {"type": word, "status": ready, "lastTransitionTime": time}
        for word in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    container = {
        "name": "api",
        "ready": ready == "True",
        "started": True,
        "restartCount": 0,
        "image": "registry.example.com/api:v1",
        "imageID": "sha256:1",
        "containerID": "model://1",
        "state": {"running": {"startedAt": time}},
    }
    return {
        "phase": phase,
        "qosClass": "Burstable",
        "hostIP": "10.0.0.1",
        "podIP": "10.1.0.1",
        "podIPs": [{"ip": "10.1.0.1"}],
        "startTime": time,
        "conditions": conditions,
        "containerStatuses": [container],
    }


class Still:
    """A controller that decides nothing: what is left is the loop's own cost."""

    name = "still-controller"
    watches = (WatchRule("Pod", own_key),)

    def reconcile(self, view: ReconcileInput) -> Decision:
        view.client.get("Pod", view.namespace, view.name)
        return Decision()


def timed(what: str, count: int, work: Callable[[], None], limit_us: float) -> None:
    """Print the CPU microseconds of one of `count` repetitions beside its limit."""
    start_s = cpu_seconds()
    work()
    took_us = (cpu_seconds() - start_s) / count * 1e6
    print(f"{what:<44}{took_us:8.1f} us   (limit {limit_us:g} us)")


def main() -> None:
    gc.disable()
    clock = ManualClock()
    store = Store()
    write_path = WritePath(store, Kinds([POD, NAMESPACE, SERVICE, CONFIG_MAP]), clock, Entropy(1))
    start_s = cpu_seconds()
    write_path.create("Pod", {**pod(0, default_pod_spec(TEMPLATE)), "metadata": {"name": "first"}})
    print(f"{'first pod, schemas and rules loaded':<44}{(cpu_seconds() - start_s) * 1e3:8.1f} ms   (limit 50 ms)")
    template = default_pod_spec(TEMPLATE)
    watches = [store.watch("Pod") for _ in range(WATCHERS)]
    names: list[str] = []

    def create() -> None:
        names.extend(write_path.create("Pod", pod(n, template))["metadata"]["name"] for n in range(PODS))

    timed("create a pod of a shared template", PODS, create, 40)
    for watch in watches:
        watch.take()

    def patch(phase: str, ready: str) -> Callable[[], None]:
        def work() -> None:
            for name in names:
                write_path.patch("Pod", "default", name, {"status": status(phase, ready)}, subresource="status")

        return work

    timed("patch a whole pod status", PODS, patch("Running", "True"), 25)
    timed("patch it again, nothing differs", PODS, patch("Running", "True"), 25)

    def ready_patch() -> None:
        for name in names:
            write_path.patch("Pod", "default", name, {"status": {"phase": "Failed"}}, subresource="status")

    timed("patch one field of a status", PODS, ready_patch, 25)
    records = [store.get("Pod", "default", name) for name in names]

    def put() -> None:
        for record in records:
            assert record is not None
            store.put("Pod", record.object)

    timed("store write with five watchers", PODS, put, 8)

    def take() -> None:
        for watch in watches:
            watch.take()

    timed("take a change, five watchers", PODS * 4, take, 1)
    for watch in watches:
        watch.close()
    asyncio.run(reconcile(write_path, clock))

    def delete() -> None:
        for name in names:
            write_path.delete("Pod", "default", name)

    timed("delete an unscheduled pod (two changes)", PODS, delete, 40)


async def reconcile(write_path: WritePath, clock: ManualClock) -> None:
    """The loop's own cost per key: from queued to decided."""
    reconciler = Reconciler(Client(write_path), EventRecorder(clock), clock, [Still()])
    start_s = cpu_seconds()
    reconciler.start()
    for _ in range(3):
        await asyncio.sleep(0)
    took_us = (cpu_seconds() - start_s) / PODS * 1e6
    print(f"{'reconcile a key':<44}{took_us:8.1f} us   (limit 15 us)")
    await reconciler.stop()


if __name__ == "__main__":
    main()
