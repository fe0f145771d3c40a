"""The sizes that workloads ask for are as the store has them at every moment."""

from __future__ import annotations

from typing import Any

from pilothouse.store.memory import Store
from pilothouse.worlds.rehearsal.sizes import Workload, WorkloadSizes


class _Reader:
    """The two methods of a client that are asked for."""

    def __init__(self, store: Store) -> None:
        self.get, self.watch = store.get, store.watch


def _put(store: Store, name: str, replicas: int | None) -> None:
    spec = {} if replicas is None else {"replicas": replicas}
    store.put("apps/Deployment", {"metadata": {"namespace": "default", "name": name, "uid": name}, "spec": spec})


def test_sizes_follow_the_store() -> None:
    store, workloads = Store(), dict[int, Workload]()
    reader: Any = _Reader(store)
    sizes = WorkloadSizes(reader, 3, workloads)
    assert sizes.now().tolist() == [0, 0, 0]
    _put(store, "a", 3)
    workloads[1] = ("apps/Deployment", "default", "a")
    assert sizes.now().tolist() == [0, 3, 0]
    _put(store, "a", 5)
    _put(store, "b", None)
    assert sizes.now().tolist() == [0, 5, 0]
    workloads[2] = ("apps/Deployment", "default", "b")
    workloads[-1] = ("apps/Deployment", "default", "a")
    assert sizes.now().tolist() == [0, 5, 1]
    store.remove("apps/Deployment", "default", "a")
    assert sizes.now().tolist() == [0, 0, 1]
