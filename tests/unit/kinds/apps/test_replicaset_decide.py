"""What one pass of a ReplicaSet creates, deletes, claims and counts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pilothouse.base.actions import Create, Decision, Delete, Patch
from pilothouse.base.clock import DEFAULT_EPOCH_S, rfc3339
from pilothouse.engines.rolling.views import PodView, controller_reference
from pilothouse.kinds.apps.replicaset.decide import Observed, SetView, decide

NOW_S = DEFAULT_EPOCH_S
ME = controller_reference("apps/v1", "ReplicaSet", "web-1", "uid-rs")
TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "web", "rev": "1"}, "annotations": {"a": "b"}},
    "spec": {"containers": [{"name": "app", "image": "web:1"}]},
}


def replica_set(replicas: int = 2, *, status: dict[str, Any] | None = None, **spec: Any) -> SetView:
    obj = {
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "uid-rs", "generation": 3},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE, **spec},
        "status": status or {},
    }
    return msgspec.convert(obj, SetView)


def pod(
    name: str, *, ready_s: float | None = 60, phase: str = "Running", mine: bool = True, **metadata: Any
) -> PodView:
    conditions = []
    if ready_s is not None:
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": rfc3339(NOW_S - ready_s)}]
    meta = {
        "name": name,
        "namespace": "shop",
        "uid": f"uid-{name}",
        "labels": {"app": "web", "rev": "1"},
        "creationTimestamp": rfc3339(NOW_S - 100),
        "ownerReferences": [ME] if mine else [],
        **metadata,
    }
    spec = {"nodeName": "n1"}
    return msgspec.convert(
        {"metadata": meta, "spec": spec, "status": {"phase": phase, "conditions": conditions}}, PodView
    )


def seen(replicas: SetView, *owned: PodView, **more: Any) -> Decision:
    return decide(replicas, Observed(owned=owned, **more), NOW_S)


def test_missing_pods_are_created_from_the_template() -> None:
    made = seen(replica_set(3), pod("a"))
    assert len(made.actions) == 2
    create = made.actions[0]
    assert isinstance(create, Create)
    assert create.event_ok == "SuccessfulCreate"
    assert create.object["metadata"] == {
        "generateName": "web-1-",
        "namespace": "shop",
        "labels": TEMPLATE["metadata"]["labels"],
        "annotations": {"a": "b"},
        "ownerReferences": [ME],
    }
    assert create.object["spec"] is TEMPLATE["spec"]


def test_one_pass_creates_at_most_five_hundred() -> None:
    assert len(seen(replica_set(2000)).actions) == 500


def test_pods_that_ended_or_go_are_replaced() -> None:
    gone = [pod("a", phase="Failed"), pod("b", deletionTimestamp=rfc3339(NOW_S))]
    made = seen(replica_set(2), *gone)
    assert [type(a) for a in made.actions] == [Create, Create]
    assert made.status == {"replicas": 0, "terminatingReplicas": 1, "observedGeneration": 3}


def test_the_least_valuable_pods_are_deleted() -> None:
    pods = [pod("a"), pod("b", ready_s=None), pod("c")]
    made = seen(replica_set(2), *pods, related=lambda: pods)
    assert made.actions == (Delete("Pod", "shop", "b", uid="uid-b", event_ok="SuccessfulDelete"),)


def test_a_set_that_is_being_deleted_leaves_its_pods_alone() -> None:
    view = replica_set(5)
    going = msgspec.structs.replace(view, metadata=msgspec.structs.replace(view.metadata, deletionTimestamp="x"))
    assert seen(going, pod("a")).actions == ()


def test_the_status_counts_labels_readiness_and_availability_apart() -> None:
    pods = [pod("a", ready_s=10), pod("b", ready_s=3), pod("c", ready_s=None), pod("d", labels={"app": "web"})]
    made = seen(replica_set(4, minReadySeconds=5), *pods)
    assert made.status == {
        "replicas": 4,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 2,
        "terminatingReplicas": 0,
        "observedGeneration": 3,
    }
    assert made.requeue_s == pytest.approx(2.0)


def test_without_min_ready_seconds_nothing_is_waited_for() -> None:
    assert seen(replica_set(1), pod("a", ready_s=0)).requeue_s is None


def test_matching_pods_without_a_controller_are_adopted_and_counted() -> None:
    stray, other = pod("s", mine=False), pod("o", mine=False, labels={"app": "else"})
    made = seen(replica_set(2), pod("a"), orphans=[stray, other])
    (adopt,) = made.actions
    assert isinstance(adopt, Patch)
    assert (adopt.name, adopt.patch["metadata"]["ownerReferences"]) == ("s", [ME])
    assert made.status is not None
    assert made.status["replicas"] == 2


def test_pods_that_no_longer_match_are_released_and_replaced() -> None:
    made = seen(replica_set(1), pod("a", labels={"app": "debug"}))
    release, create = made.actions
    assert isinstance(release, Patch)
    assert release.patch == {"metadata": {"uid": "uid-a", "ownerReferences": None}}
    assert isinstance(create, Create)


def test_a_refused_creation_stands_in_the_status_with_its_first_words() -> None:
    failed = seen(replica_set(1), failure="exceeded quota: pods").status
    assert failed is not None
    (condition,) = failed["conditions"]
    assert (condition["type"], condition["reason"]) == ("ReplicaFailure", "FailedCreate")
    assert condition["message"] == "exceeded quota: pods"
    again = seen(replica_set(1, status=dict(failed)), failure="something else").status
    assert again is not None
    assert again["conditions"] == [condition]


def test_the_failure_goes_when_pods_could_be_made() -> None:
    failed = seen(replica_set(1), failure="exceeded quota: pods").status
    healed = seen(replica_set(1, status=dict(failed or {})), pod("a")).status
    assert healed is not None
    assert "conditions" not in healed
