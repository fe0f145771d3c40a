"""Looking only at the pods that changed leads to the slices that looking at all of them leads to."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.kinds.discovery.test_endpointslice_decide import ZONES, decided, pod, service, stored

from pilothouse.base.actions import Patch
from pilothouse.engines.rolling.views import PodView
from pilothouse.kinds.discovery.endpointslice.kept import Kept, keep, touched
from pilothouse.kinds.discovery.endpointslice.views import ServiceView, SliceView

RECORD = object()


def endpoints(slices: list[SliceView]) -> list[list[str]]:
    return sorted(sorted(repr(sorted(e.items(), key=str)) for e in s.endpoints or ()) for s in slices)


def kept_picture(svc: ServiceView, pods: list[PodView]) -> tuple[Kept, list[SliceView]]:
    slices = stored(decided(svc, pods))
    found = keep(RECORD, svc, slices)
    assert found is not None
    assert found.holds(RECORD, slices)
    return found, slices


change = st.tuples(st.integers(0, 12), st.sampled_from(["gone", "ready", "unready", "moved", "new labels"]))


@given(st.lists(st.lists(change, min_size=1, max_size=4), min_size=1, max_size=6), st.integers(1, 10))
def test_changed_pods_lead_where_all_pods_lead(batches: list[list[tuple[int, str]]], size: int) -> None:
    svc = service()
    labels = {"labels": {"app": "web"}}
    pods = {n: pod(n, metadata=labels) for n in range(size)}
    found, slices = kept_picture(svc, list(pods.values()))
    for batch in batches:
        for number, what in batch:
            pods.pop(number, None)
            if what == "new labels":
                continue
            if what != "gone":
                node = "n2" if what == "moved" else "n1"
                pods[number] = pod(number, ready=what != "unready", node=node, metadata=labels)
        changed = {f"uid-{n}": pods.get(n) for n, _ in batch}
        decision = touched(found, svc, changed.items(), ZONES.get)
        everything = stored(decided(svc, list(pods.values()), slices), slices)
        if decision is None:
            found, slices = kept_picture(svc, list(pods.values()))
            continue
        slices = stored(decision, slices)
        assert endpoints(slices) == endpoints(everything)
        assert found.holds(RECORD, slices)


def test_one_changed_pod_is_one_changed_entry() -> None:
    svc = service()
    pods = [pod(n, metadata={"labels": {"app": "web"}}) for n in range(50)]
    found, slices = kept_picture(svc, pods)
    before = slices[0].endpoints
    worse = pod(7, ready=False, metadata={"labels": {"app": "web"}})
    decision = touched(found, svc, [("uid-7", worse)], ZONES.get)
    assert decision is not None
    (patch,) = decision.actions
    assert isinstance(patch, Patch)
    after = patch.patch["endpoints"]
    assert [n for n, (old, new) in enumerate(zip(before, after)) if old is not new] == [7]


def test_the_picture_ends_when_somebody_else_writes_a_slice() -> None:
    svc = service()
    found, slices = kept_picture(svc, [pod(1), pod(2)])
    meddled = [msgspec.structs.replace(s, endpoints=s.endpoints[:1]) for s in slices]
    assert not found.holds(RECORD, meddled)
    assert not found.holds(object(), slices)
    assert not found.holds(RECORD, [])


def test_a_pod_with_other_ports_or_an_unknown_node_needs_a_look_at_everything() -> None:
    svc = service(ports=[{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}])
    labels = {"labels": {"app": "web"}}
    found, _ = kept_picture(svc, [pod(1, metadata=labels)])
    for odd in (pod(2, port=9000, metadata=labels), pod(2, node="nowhere", metadata=labels)):
        assert touched(found, svc, [("uid-2", odd)], ZONES.get) is None


def test_a_full_slice_needs_a_look_at_everything() -> None:
    svc = service()
    labels = {"labels": {"app": "web"}}
    found, _ = kept_picture(svc, [pod(n, metadata=labels) for n in range(100)])
    assert touched(found, svc, [("uid-100", pod(100, metadata=labels))], ZONES.get) is None
