"""Which slices a Service gets for its pods."""

from __future__ import annotations

from typing import Any

import msgspec

from pilothouse.base.actions import Create, Decision, Delete, Patch
from pilothouse.engines.rolling.views import PodView
from pilothouse.kinds.discovery.endpointslice.decide import decide
from pilothouse.kinds.discovery.endpointslice.views import ServiceView, SliceView

ZONES = {"n1": "eu-1a", "n2": ""}


def service(**spec: Any) -> ServiceView:
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
    full = {"clusterIP": "10.0.0.1", "selector": {"app": "web"}, "ports": ports, "ipFamilies": ["IPv4"], **spec}
    meta = {"name": "web", "namespace": "shop", "uid": "uid-svc", "labels": {"team": "a"}}
    return msgspec.convert({"metadata": meta, "spec": full}, ServiceView)


def pod(number: int, *, ready: bool = True, node: str = "n1", port: int = 8080, **more: Any) -> PodView:
    obj = {
        "metadata": {"name": f"p{number}", "namespace": "shop", "uid": f"uid-{number}", **more.pop("metadata", {})},
        "spec": {"nodeName": node, "containers": [{"name": "c", "ports": [{"name": "web", "containerPort": port}]}]},
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": f"10.1.{number // 250}.{number % 250 + 1}"}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            **more,
        },
    }
    return msgspec.convert(obj, PodView)


def decided(svc: ServiceView, pods: list[PodView], slices: list[SliceView] | None = None) -> Decision:
    return decide(svc, pods, slices or [], ZONES.get)


def stored(decision: Decision, present: list[SliceView] | None = None) -> list[SliceView]:
    """The slices after a decision was performed."""
    slices = {s.metadata.name: s for s in present or []}
    for number, action in enumerate(decision.actions):
        if isinstance(action, Create):
            obj = dict(action.object)
            obj["metadata"] = {**obj["metadata"], "name": f"{len(slices)}-{number}", "uid": f"u{len(slices)}-{number}"}
            slices[obj["metadata"]["name"]] = msgspec.convert(obj, SliceView)
        elif isinstance(action, Patch):
            old = slices[action.name]
            ports = action.patch.get("ports", old.ports)
            slices[action.name] = msgspec.structs.replace(old, endpoints=action.patch["endpoints"], ports=ports)
        elif isinstance(action, Delete):
            del slices[action.name]
    return list(slices.values())


def names(slices: list[SliceView]) -> list[list[str]]:
    return [[e["targetRef"]["name"] for e in s.endpoints] for s in slices]


def test_an_endpoint_says_where_the_pod_is_and_how_it_is() -> None:
    (create,) = decided(service(), [pod(1)]).actions
    assert isinstance(create, Create)
    assert create.object["endpoints"] == [
        {
            "addresses": ["10.1.0.2"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": "p1", "uid": "uid-1"},
            "nodeName": "n1",
            "zone": "eu-1a",
        }
    ]
    assert create.object["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert create.object["metadata"]["labels"] == {
        "team": "a",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }


def conditions_of(svc: ServiceView, one: PodView) -> tuple[bool, bool, bool]:
    (slice_,) = stored(decided(svc, [one]))
    conditions = slice_.endpoints[0]["conditions"]
    return conditions["ready"], conditions["serving"], conditions["terminating"]


def test_a_terminating_pod_may_serve_but_is_never_ready() -> None:
    assert conditions_of(service(), pod(1, metadata={"deletionTimestamp": "t"})) == (False, True, True)
    assert conditions_of(service(), pod(1, ready=False)) == (False, False, False)
    assert conditions_of(service(publishNotReadyAddresses=True), pod(1, ready=False)) == (True, False, False)


def test_pods_that_ended_or_have_no_address_are_left_out() -> None:
    assert names(stored(decided(service(), [pod(1, phase="Failed"), pod(2, podIPs=[])]))) == [[]]


def test_a_pod_on_an_unknown_node_is_left_out_and_looked_at_again() -> None:
    made = decided(service(), [pod(1, node="gone"), pod(2)])
    assert names(stored(made)) == [["p2"]]
    assert made.requeue_s is not None


def test_a_named_target_port_makes_a_slice_per_number() -> None:
    svc = service(ports=[{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}])
    slices = stored(decided(svc, [pod(1, port=80), pod(2, port=81), pod(3, port=80)]))
    assert [(s.ports[0]["port"], n) for s, n in zip(slices, names(slices), strict=True)] == [
        (80, ["p1", "p3"]),
        (81, ["p2"]),
    ]


def test_a_port_name_that_no_container_has_is_left_out() -> None:
    svc = service(ports=[{"name": "http", "port": 80, "targetPort": "nope", "protocol": "TCP"}])
    (slice_,) = stored(decided(svc, [pod(1)]))
    assert slice_.ports == []
    assert slice_.endpoints


def test_a_slice_holds_at_most_a_hundred_endpoints() -> None:
    assert sorted(map(len, names(stored(decided(service(), [pod(n) for n in range(230)]))))) == [30, 100, 100]


def test_nothing_is_written_when_nothing_changed() -> None:
    pods = [pod(n) for n in range(120)]
    slices = stored(decided(service(), pods))
    assert decided(service(), pods, slices).actions == ()


def test_one_changed_pod_changes_one_slice_and_keeps_the_other_endpoints_as_they_were() -> None:
    pods = [pod(n) for n in range(120)]
    slices = stored(decided(service(), pods))
    pods[5] = pod(5, ready=False)
    (patch,) = decided(service(), pods, slices).actions
    assert isinstance(patch, Patch)
    (before,) = [s for s in slices if s.metadata.name == patch.name]
    changed = [i for i, (a, b) in enumerate(zip(before.endpoints, patch.patch["endpoints"], strict=True)) if a is not b]
    assert changed == [5]


def test_new_pods_fill_the_slice_that_has_room() -> None:
    pods = [pod(n) for n in range(150)]
    slices = stored(decided(service(), pods))
    (patch,) = decided(service(), [*pods, pod(151)], slices).actions
    assert isinstance(patch, Patch)
    assert len(patch.patch["endpoints"]) == 51


def test_replaced_pods_take_the_places_of_those_that_went() -> None:
    slices = stored(decided(service(), [pod(n) for n in range(3)]))
    after = stored(decided(service(), [pod(0), pod(7), pod(2)], slices), slices)
    assert names(after) == [["p0", "p2", "p7"]]


def test_without_pods_one_empty_slice_stays() -> None:
    slices = stored(decided(service(), [pod(1)]))
    emptied = stored(decided(service(), [], slices), slices)
    assert names(emptied) == [[]]
    assert emptied[0].metadata.name == slices[0].metadata.name
    assert decided(service(), [], emptied).actions == ()


def test_slices_of_an_earlier_service_of_the_same_name_go() -> None:
    slices = stored(decided(service(), [pod(1)]))
    foreign = msgspec.structs.replace(slices[0].metadata, ownerReferences=[{"kind": "Service", "uid": "old"}])
    made = decided(service(), [pod(1)], [msgspec.structs.replace(slices[0], metadata=foreign)])
    assert [type(a) for a in made.actions] == [Create, Delete]


def test_both_address_families_get_their_own_slices() -> None:
    both = pod(1, podIPs=[{"ip": "10.1.0.9"}, {"ip": "fd00::9"}])
    made = decided(service(ipFamilies=["IPv4", "IPv6"]), [both])
    assert [(a.object["addressType"], a.object["endpoints"][0]["addresses"]) for a in made.actions] == [  # type: ignore[union-attr]
        ("IPv4", ["10.1.0.9"]),
        ("IPv6", ["fd00::9"]),
    ]


def test_a_service_without_a_selector_is_left_to_its_owner() -> None:
    assert decided(service(selector=None), [pod(1)]).actions == ()
    assert decided(service(type="ExternalName"), [pod(1)]).actions == ()


def test_a_headless_service_is_marked_and_names_its_pods_hosts() -> None:
    one = pod(1)
    hosted = msgspec.structs.replace(one, spec=msgspec.structs.replace(one.spec, hostname="db-0", subdomain="web"))
    (slice_,) = stored(decided(service(clusterIP="None"), [hosted]))
    assert slice_.metadata.labels["service.kubernetes.io/headless"] == ""
    assert slice_.endpoints[0]["hostname"] == "db-0"
