"""What one pass of a Deployment writes besides sizes: status, conditions, annotations, history, claims."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.kinds.apps.deployments import NOW_S, OWNER, decision, deployment, replica_set, template

from pilothouse.base.actions import Create, Decision, Delete, Emit, Patch
from pilothouse.base.clock import rfc3339
from pilothouse.engines.rolling.views import PodView, ReplicaSetView
from pilothouse.kinds.apps.deployment.views import REVISION, REVISION_HISTORY

HISTORY = {REVISION: "1"}


def conditions(made: Decision) -> dict[str, tuple[str, str]]:
    assert made.status is not None
    return {c["type"]: (c["status"], c["reason"]) for c in made.status.get("conditions", ())}


def progressing(reason: str, status: str = "True", ago_s: float = 0.0) -> dict[str, Any]:
    then = rfc3339(NOW_S - ago_s)
    return {
        "type": "Progressing",
        "status": status,
        "reason": reason,
        "message": "",
        "lastUpdateTime": then,
        "lastTransitionTime": then,
    }


def available(status: str = "True") -> dict[str, Any]:
    reason = "MinimumReplicasAvailable" if status == "True" else "MinimumReplicasUnavailable"
    return {**progressing(reason, status), "type": "Available"}


def steady(**more: Any) -> dict[str, Any]:
    counts = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3, "terminatingReplicas": 0}
    return {
        "observedGeneration": 1,
        **counts,
        "conditions": [available(), progressing("NewReplicaSetAvailable")],
        **more,
    }


def of(made: Decision, kind: type[Any]) -> list[Any]:
    return [action for action in made.actions if isinstance(action, kind)]


def messages(made: Decision) -> list[str]:
    return [f"{e.reason}: {e.message}" for e in of(made, Emit)]


# -- the new set --


def test_the_first_set_is_named_labelled_and_annotated_as_upstream_does() -> None:
    made = decision(deployment(annotations={"team": "a", "kubectl.kubernetes.io/last-applied-configuration": "{}"}))
    (create,) = of(made, Create)
    obj = create.object
    hash_ = obj["metadata"]["labels"]["pod-template-hash"]
    assert obj["metadata"]["name"] == f"web-{hash_}"
    assert set(hash_) <= set("bcdfghjklmnpqrstvwxz2456789")
    assert obj["metadata"]["annotations"] == {
        "team": "a",
        REVISION: "1",
        "deployment.kubernetes.io/desired-replicas": "3",
        "deployment.kubernetes.io/max-replicas": "4",
    }
    assert obj["metadata"]["ownerReferences"] == [OWNER]
    assert obj["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": hash_}
    assert obj["spec"]["template"]["metadata"]["labels"] == {"app": "web", "pod-template-hash": hash_}
    assert messages(made) == [f"ScalingReplicaSet: Scaled up replica set web-{hash_} from 0 to 3"]
    assert conditions(made) == {"Progressing": ("True", "NewReplicaSetCreated")}


def test_the_same_template_gets_the_same_name_and_a_collision_another() -> None:
    first, again = (of(decision(deployment()), Create)[0].object["metadata"]["name"] for _ in range(2))
    moved = of(decision(deployment(status={"collisionCount": 1})), Create)[0].object["metadata"]["name"]
    assert first == again != moved


def test_a_name_taken_by_another_set_counts_a_collision() -> None:
    taken = msgspec.convert(replica_set("other", 1, 1), ReplicaSetView)
    made = decision(deployment(status={"collisionCount": 2}), set_named=lambda _name: taken)
    assert made.status == {"collisionCount": 3}
    assert not made.actions


def test_a_refused_set_is_told_and_tried_again() -> None:
    made = decision(deployment(), failure="quota exceeded")
    assert of(made, Create)
    (name,) = (c.object["metadata"]["name"] for c in of(made, Create))
    text = f'Failed to create new replica set "{name}": quota exceeded'
    assert f"ReplicaSetCreateError: {text}" in messages(made)
    assert conditions(made) == {"Progressing": ("False", "ReplicaSetCreateError")}


def test_going_back_to_an_old_template_raises_the_revision_and_keeps_the_past_one() -> None:
    old = replica_set("v1", 0, 0, age_s=60, image="web:now", revision=1)
    made = decision(deployment(), old, replica_set("v2", 3, 3, revision=2))
    annotations = of(made, Patch)[0].patch["metadata"]["annotations"]
    assert of(made, Patch)[0].name == "v1"
    assert annotations == {REVISION: "3", REVISION_HISTORY: "1"}


def test_a_long_revision_history_loses_its_oldest_entries() -> None:
    old = replica_set("v1", 0, 0, image="web:now", revision=1000)
    old["metadata"]["annotations"][REVISION_HISTORY] = ",".join(str(n) for n in range(100, 600))
    made = decision(deployment(), old, replica_set("v2", 3, 3, revision=1001))
    history = of(made, Patch)[0].patch["metadata"]["annotations"][REVISION_HISTORY]
    assert len(history) <= 2000
    assert history.endswith(",599,1000")


def test_a_changed_min_ready_seconds_reaches_the_new_set() -> None:
    made = decision(deployment(minReadySeconds=7), replica_set("v1", 3, 3, image="web:now"))
    assert of(made, Patch)[0].patch["spec"] == {"minReadySeconds": 7}


def test_of_two_sets_with_the_present_template_the_older_is_the_new_one() -> None:
    twins = [replica_set(name, 3, 3, age_s=age, image="web:now") for name, age in (("young", 0.0), ("aged", 60.0))]
    made = decision(deployment(status=steady(), annotations=HISTORY), *twins)
    assert [(p.name, p.patch["spec"]) for p in of(made, Patch) if "spec" in p.patch] == [("young", {"replicas": 0})]


# -- status --


def test_nothing_changes_when_all_is_as_it_should_be() -> None:
    obj = deployment(status=steady(), annotations=HISTORY)
    made = decision(obj, replica_set("v1", 3, 3, image="web:now"))
    assert made.actions == ()
    assert made.status == obj["status"]
    assert made.requeue_s is None


def test_a_finished_rollout_is_complete_and_available() -> None:
    status = {**steady(), "availableReplicas": 2, "readyReplicas": 2}
    status["conditions"] = [available("False"), progressing("ReplicaSetUpdated", ago_s=30)]
    made = decision(deployment(status=status, annotations=HISTORY), replica_set("v1", 3, 3, image="web:now"))
    assert conditions(made) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    progress = next(c for c in made.status["conditions"] if c["type"] == "Progressing")  # type: ignore[index]
    assert progress["message"] == 'ReplicaSet "v1" has successfully progressed.'
    assert progress["lastTransitionTime"] == rfc3339(NOW_S - 30)


def test_a_pod_lost_after_completion_changes_availability_but_not_progress() -> None:
    made = decision(deployment(status=steady(), annotations=HISTORY), replica_set("v1", 3, 2, image="web:now"))
    assert conditions(made) == {
        "Available": ("False", "MinimumReplicasUnavailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    assert made.status is not None
    assert made.status["unavailableReplicas"] == 1


def stuck(ago_s: float, deadline_s: int | None = 60) -> Decision:
    status = {
        "observedGeneration": 1,
        "replicas": 4,
        "updatedReplicas": 1,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "unavailableReplicas": 1,
        "terminatingReplicas": 0,
        "conditions": [available(), progressing("ReplicaSetUpdated", ago_s=ago_s)],
    }
    obj = deployment(status=status, annotations={REVISION: "2"}, progressDeadlineSeconds=deadline_s)
    return decision(obj, replica_set("v1", 3, 3, age_s=60), replica_set("v2", 1, 0, image="web:now", revision=2))


def test_without_progress_it_looks_again_just_after_the_deadline() -> None:
    made = stuck(20)
    assert conditions(made)["Progressing"] == ("True", "ReplicaSetUpdated")
    assert made.requeue_s == pytest.approx(41.0)


def test_the_deadline_passes_strictly_after_its_moment() -> None:
    made = stuck(60)
    assert conditions(made)["Progressing"] == ("True", "ReplicaSetUpdated")
    assert made.requeue_s == pytest.approx(0.01)


def test_after_the_deadline_it_has_failed_to_progress() -> None:
    made = stuck(61)
    assert conditions(made)["Progressing"] == ("False", "ProgressDeadlineExceeded")
    assert made.requeue_s is None


def test_without_a_deadline_there_is_no_progressing_condition() -> None:
    assert "Progressing" not in conditions(stuck(1000, None))
    assert "Progressing" not in conditions(stuck(1000, 2**31 - 1))


def test_a_failure_of_the_new_set_stands_in_the_deployment() -> None:
    failure = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": "quota",
        "lastTransitionTime": rfc3339(NOW_S),
    }
    made = decision(
        deployment(status=steady(), annotations=HISTORY), replica_set("v1", 3, 3, image="web:now", conditions=[failure])
    )
    assert conditions(made)["ReplicaFailure"] == ("True", "FailedCreate")


def test_terminating_pods_are_unknown_until_every_set_has_counted_them() -> None:
    made = decision(
        deployment(status=steady(), annotations=HISTORY),
        replica_set("v1", 3, 3, image="web:now", terminatingReplicas=2),
        replica_set("v0", 0, 0, age_s=60, revision=0, terminatingReplicas=None),
    )
    assert made.status is not None
    assert "terminatingReplicas" not in made.status


# -- pause --


def test_pausing_is_noted_before_anything_else_in_the_status() -> None:
    obj = deployment(status=steady(), annotations=HISTORY, paused=True)
    made = decision(obj, replica_set("v1", 3, 2, image="web:now"))
    assert conditions(made) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("Unknown", "DeploymentPaused"),
    }
    assert made.status is not None
    assert made.status["availableReplicas"] == 3


def test_resuming_goes_on_in_the_same_pass() -> None:
    status = {"conditions": [progressing("DeploymentPaused", "Unknown")]}
    made = decision(deployment(status=status))
    assert of(made, Create)
    assert conditions(made) == {"Progressing": ("Unknown", "DeploymentResumed")}


def test_a_deployment_that_timed_out_keeps_saying_so_while_paused() -> None:
    status = steady(conditions=[available(), progressing("ProgressDeadlineExceeded", "False")])
    made = decision(
        deployment(status=status, annotations=HISTORY, paused=True), replica_set("v1", 3, 3, image="web:now")
    )
    assert conditions(made)["Progressing"] == ("False", "ProgressDeadlineExceeded")


# -- history --


def test_the_oldest_empty_sets_beyond_the_limit_go() -> None:
    old = [replica_set(f"v{n}", 0, 0, age_s=600 - n, revision=n) for n in (1, 2, 3)]
    obj = deployment(status=steady(), annotations={REVISION: "4"}, revisionHistoryLimit=1)
    made = decision(obj, *old, replica_set("v4", 3, 3, image="web:now", revision=4))
    assert [d.name for d in of(made, Delete)] == ["v1", "v2"]


def test_a_set_that_still_counts_pods_is_not_deleted() -> None:
    old = [replica_set("v1", 0, 0, counted=1, age_s=60), replica_set("v2", 0, 0, age_s=30, revision=2)]
    obj = deployment(status=steady(), annotations={REVISION: "3"}, revisionHistoryLimit=1)
    assert not of(decision(obj, *old, replica_set("v3", 3, 3, image="web:now", revision=3)), Delete)


# -- claims --


def test_matching_sets_without_a_controller_are_adopted_and_nothing_else_happens_yet() -> None:
    orphan = replica_set("v1", 2, 2, image="web:now")
    orphan["metadata"]["ownerReferences"] = []
    made = decision(deployment(), orphans=[msgspec.convert(orphan, ReplicaSetView)])
    (patch,) = made.actions
    assert isinstance(patch, Patch)
    assert patch.patch == {"metadata": {"ownerReferences": [OWNER]}}
    assert made.status is None


def test_an_adopted_set_is_found_not_made() -> None:
    made = decision(deployment(annotations=HISTORY), replica_set("v1", 3, 3, image="web:now"))
    assert not of(made, Create)
    assert conditions(made) == {"Progressing": ("True", "FoundNewReplicaSet")}


def test_a_set_whose_labels_no_longer_match_is_released() -> None:
    stray = replica_set("v1", 3, 3)
    stray["metadata"]["labels"] = {"app": "else"}
    (patch,) = decision(deployment(), stray).actions
    assert isinstance(patch, Patch)
    assert patch.patch == {"metadata": {"ownerReferences": None}}


def test_a_deployment_that_is_being_deleted_only_counts() -> None:
    obj = deployment(replicas=9)
    obj["metadata"]["deletionTimestamp"] = rfc3339(NOW_S)
    made = decision(obj, replica_set("v1", 3, 3, image="web:now"))
    assert made.actions == ()
    assert made.status is not None
    assert made.status["replicas"] == 3


def test_recreate_waits_for_pods_that_are_still_going() -> None:
    pod = msgspec.convert({"metadata": {"name": "p", "deletionTimestamp": rfc3339(NOW_S)}}, PodView)
    obj = deployment(strategy={"type": "Recreate"})
    empty = replica_set("v1", 0, 0)
    assert not of(decision(obj, empty, pods_of=lambda _uid: [pod]), Create)
    assert of(decision(obj, empty), Create)


def test_an_empty_selector_is_refused_with_an_event() -> None:
    made = decision(deployment(selector={}))
    assert messages(made) == ["SelectingAll: This deployment is selecting all pods. A non-empty selector is required."]


def test_the_template_is_compared_without_its_hash_label() -> None:
    labelled = replica_set("v1", 3, 3)
    labelled["spec"]["template"] = template("web:now", **{"pod-template-hash": "whatever"})
    assert not of(decision(deployment(status=steady(), annotations=HISTORY), labelled), Create)
