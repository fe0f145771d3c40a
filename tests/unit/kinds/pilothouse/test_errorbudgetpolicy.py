"""ErrorBudgetPolicy: phases and their thaw, Events and records, Rollouts held and let go, and the admission of releases
through the real write path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.base.actions import Decision, Emit, Object, Patch
from pilothouse.base.clock import DEFAULT_EPOCH_S, ManualClock
from pilothouse.base.entropy import Entropy
from pilothouse.base.errors import ForbiddenWrite, Invalid
from pilothouse.engines.slo.status import BudgetStatus
from pilothouse.kinds.apps.deployment.kind import KIND as DEPLOYMENT
from pilothouse.kinds.apps.replicaset.kind import KIND as REPLICASET
from pilothouse.kinds.core.namespace.kind import KIND as NAMESPACE
from pilothouse.kinds.pilothouse.errorbudgetpolicy.admission import POLICIES, error_budget
from pilothouse.kinds.pilothouse.errorbudgetpolicy.controller import ErrorBudgetPolicyController
from pilothouse.kinds.pilothouse.errorbudgetpolicy.decide import Budget, decide
from pilothouse.kinds.pilothouse.errorbudgetpolicy.kind import KIND
from pilothouse.kinds.pilothouse.errorbudgetpolicy.schema import PHASES
from pilothouse.kinds.pilothouse.errorbudgetpolicy.spec import APPROVED, FIX, HELD
from pilothouse.machinery.client import Client
from pilothouse.machinery.events import EventRecorder
from pilothouse.machinery.kind import Kinds
from pilothouse.machinery.reconcile import ReconcileInput
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Store

NOW_S = DEFAULT_EPOCH_S
KINDS = Kinds([NAMESPACE, DEPLOYMENT, REPLICASET, KIND])
STATUS = BudgetStatus(
    "shop-availability", "shop", "availability", 0, 0.999, 2592000.0, 2592.0, 3600.0, 0.0, 0.0, 0.0, (), (), None
)


def budget(left: float | None, name: str = "availability") -> Budget:
    if left is None:
        return Budget(name, replace(STATUS, error_ratio=None, burned=None))
    return Budget(name, replace(STATUS, burned=1 - left))


def policy(status: Any = None, **spec: Any) -> dict[str, Any]:
    body = {
        "apiVersion": "pilothouse.dev/v1alpha1",
        "kind": "ErrorBudgetPolicy",
        "metadata": {"name": "shop", "namespace": "default", "generation": 1},
        "spec": {"slos": ["availability"], **spec},
    }
    return {**body, "status": status} if status else body


def look(obj: dict[str, Any], left: float | None, after_s: float = 0.0, rollouts: Any = ()) -> Decision:
    return decide(obj, [budget(left)], rollouts, [], NOW_S + after_s)


def follow(lefts: Sequence[tuple[float, float | None]], **spec: Any) -> list[str]:
    """The phases that a policy goes through when (time, share left) are looked at one after the other."""
    obj, phases = policy(**spec), []
    for after_s, left in lefts:
        decision = look(obj, left, after_s)
        assert decision.status is not None
        obj = {**obj, "status": decision.status}
        phases.append(decision.status["phase"])
    return phases


# Phases


@pytest.mark.parametrize(
    ("left", "phase"),
    [(1.0, "Open"), (0.51, "Open"), (0.5, "Warning"), (0.2, "ApprovalRequired"), (0.0, "Frozen"), (-2.0, "Frozen")],
)
def test_thresholds(left: float, phase: str) -> None:
    assert follow([(0, left)]) == [phase]


def test_a_freeze_thaws_only_after_a_calm_while_above_the_margin() -> None:
    minutes = [(0, -0.1), (60, 0.05), (600, 0.15), (1800, 0.15), (2399, 0.15), (2400, 0.15)]
    assert follow(minutes) == ["Frozen"] * 5 + ["ApprovalRequired"]


def test_a_relapse_starts_the_calm_anew() -> None:
    assert follow([(0, -0.1), (60, 0.15), (900, 0.05), (1000, 0.15), (2000, 0.15), (2801, 0.15)]) == [
        *["Frozen"] * 5,
        "ApprovalRequired",
    ]


def test_a_full_recovery_goes_straight_to_open() -> None:
    assert follow([(0, -0.1), (60, 0.9), (1860, 0.9)]) == ["Frozen", "Frozen", "Open"]


def test_nothing_changes_while_nothing_is_measured() -> None:
    assert follow([(0, None)]) == ["Open"]
    assert follow([(0, -0.1), (60, None), (90_000, None)]) == ["Frozen"] * 3


def test_the_slo_with_the_least_left_counts() -> None:
    decision = decide(policy(), [budget(0.9), budget(0.1, "latency"), budget(None, "new")], [], [], NOW_S)
    assert decision.status is not None
    assert decision.status["phase"] == "ApprovalRequired"
    assert decision.status["message"].startswith("latency: 10 % of the error budget is left")


def test_own_thresholds_and_thaw() -> None:
    spec = {"thresholds": [{"left": "10%", "action": "Freeze"}], "thaw": {"margin": "0%", "after": "0s"}}
    assert follow([(0, 0.2), (1, 0.1), (2, 0.11)], **spec) == ["Open", "Frozen", "Open"]


@given(st.lists(st.one_of(st.none(), st.floats(min_value=-3, max_value=1)), max_size=12))
def test_whatever_happened_calm_opens_again(lefts: list[float | None]) -> None:
    moments = [(float(60 * i), left) for i, left in enumerate(lefts)]
    calm = [(10_000.0, 1.0), (10_000.0 + 1800, 1.0)]
    assert follow([*moments, *calm])[-1] == "Open"


# What is told


def test_a_change_of_phase_is_an_event_and_a_record_with_the_remedy() -> None:
    decision = look(policy(), -0.1)
    (event,) = decision.actions
    assert isinstance(event, Emit)
    assert (event.type, event.reason) == ("Warning", "ReleasesFrozen")
    assert "overdrawn by 4.3 minutes" in event.message
    assert FIX in event.message
    assert decision.status is not None
    (record,) = decision.status["records"]
    assert (record["from"], record["to"], record["message"]) == ("Open", "Frozen", event.message)


def test_a_second_look_tells_nothing_new() -> None:
    first = look(policy(), -0.1).status
    again = look(policy(first), -0.1, 60)
    assert again.actions == ()
    assert again.status == first


def test_an_unknown_slo_is_a_condition_and_one_event() -> None:
    decision = decide(policy(), [Budget("availability", None)], [], [], NOW_S)
    assert [a.reason for a in decision.actions if isinstance(a, Emit)] == ["UnknownSLO"]
    assert decision.status is not None
    found = {c["type"]: c["status"] for c in decision.status["conditions"]}
    assert found == {"SLOsFound": "False", "Measured": "False"}
    assert decide(policy(decision.status), [Budget("availability", None)], [], [], NOW_S + 60).actions == ()


# Rollouts


def rollout(annotations: dict[str, str] | None = None, *, paused: bool = False, current: str = "new") -> dict[str, Any]:
    spec: dict[str, Any] = {"replicas": 2, **({"paused": True} if paused else {})}
    metadata = {"name": "web", "namespace": "default", "annotations": annotations or {}}
    return {"metadata": metadata, "spec": spec, "status": {"currentPodHash": current, "stableRS": "old"}}


def _patches(decision: Decision) -> list[dict[str, Any]]:
    return [dict(a.patch) for a in decision.actions if isinstance(a, Patch)]


def test_a_freeze_holds_a_rollout_on_its_way() -> None:
    assert _patches(look(policy(), -0.1, rollouts=[rollout()])) == [
        {"metadata": {"annotations": {HELD: "shop"}}, "spec": {"paused": True}}
    ]


@pytest.mark.parametrize("obj", [rollout(paused=True), rollout(current="old"), rollout({FIX: "stops the crash"})])
def test_it_leaves_alone_what_is_paused_done_or_a_fix(obj: dict[str, Any]) -> None:
    assert _patches(look(policy(), -0.1, rollouts=[obj])) == []


def test_a_thaw_lets_go_what_the_policy_held_and_nothing_else() -> None:
    held, other = rollout({HELD: "shop"}, paused=True), rollout({HELD: "another"}, paused=True)
    expected = {"metadata": {"annotations": {HELD: None}}, "spec": {"paused": None}}
    assert _patches(look(policy(), 0.9, rollouts=[held, other, rollout(paused=True)])) == [expected]


# The write path


class World:
    """A store with the hook, a policy and a Deployment."""

    def __init__(self, phase: str = "Frozen", **spec: Any) -> None:
        self.store = Store()
        self.clock = ManualClock()
        self.path = WritePath(self.store, KINDS, self.clock, Entropy(1), (error_budget,))
        self.path.create("Namespace", {"metadata": {"name": "default"}})
        self.path.create(POLICIES, policy(**spec))
        self.path.put_status(POLICIES, "default", "shop", {"phase": phase, "since": "x", "message": "used up"})
        self.deployment = self.path.create("apps/Deployment", deployment())

    def patch(self, body: dict[str, Any]) -> Object:
        return self.path.patch("apps/Deployment", "default", "web", body)


def deployment(image: str = "web:1") -> dict[str, Any]:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }


def release(image: str = "web:2", **annotations: str) -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}
    return {"metadata": {"annotations": annotations}, "spec": spec}


def test_a_release_is_refused_with_reason_and_remedy() -> None:
    with pytest.raises(ForbiddenWrite) as refused:
        World().patch(release())
    text = str(refused.value)
    assert text.startswith('deployments.apps "web" is forbidden: ErrorBudgetPolicy shop is Frozen')
    assert "used up" in text
    assert FIX in text


@pytest.mark.parametrize("phase", ["Open", "Warning"])
def test_a_release_passes_while_there_is_budget(phase: str) -> None:
    assert World(phase).patch(release())["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"


def test_scaling_labels_and_restarts_pass() -> None:
    world = World()
    world.patch({"spec": {"replicas": 5}})
    world.patch({"metadata": {"labels": {"x": "y"}}})
    restart = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}}}
    world.patch({"spec": {"template": restart}})
    made = world.path.create("apps/Deployment", {**deployment(), "metadata": {"name": "other", "namespace": "default"}})
    assert made["metadata"]["name"] == "other"


def test_a_reliability_fix_passes_once() -> None:
    world = World()
    world.patch(release("web:2", **{FIX: "stops the crash"}))
    with pytest.raises(ForbiddenWrite):
        world.patch(release("web:3", **{FIX: "stops the crash"}))
    world.patch(release("web:3", **{FIX: "and the leak"}))


def test_an_empty_mark_is_none() -> None:
    with pytest.raises(ForbiddenWrite):
        World().patch(release("web:2", **{FIX: " "}))


def test_an_approval_passes_where_approval_is_asked_and_not_in_a_freeze() -> None:
    World("ApprovalRequired").patch(release("web:2", **{APPROVED: "ana"}))
    with pytest.raises(ForbiddenWrite):
        World("ApprovalRequired").patch(release("web:2"))
    with pytest.raises(ForbiddenWrite):
        World("Frozen").patch(release("web:2", **{APPROVED: "ana"}))


def test_a_way_back_passes() -> None:
    world = World("Open")
    body = world.deployment
    template = body["spec"]["template"]
    labels = {**template["metadata"]["labels"], "pod-template-hash": "abc"}
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "web",
        "uid": body["metadata"]["uid"],
        "controller": True,
    }
    world.path.create(
        "apps/ReplicaSet",
        {
            "metadata": {"name": "web-abc", "namespace": "default", "ownerReferences": [owner], "labels": labels},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {**template, "metadata": {"labels": labels}},
            },
        },
    )
    world.patch(release("web:2"))
    world.path.put_status(POLICIES, "default", "shop", {"phase": "Frozen"})
    world.patch(release("web:1"))
    with pytest.raises(ForbiddenWrite):
        world.patch(release("web:3"))


@pytest.mark.parametrize(
    ("covers", "refused"),
    [
        ({"names": ["web"]}, True),
        ({"names": ["other"]}, False),
        ({"kinds": ["Rollout"]}, False),
        ({"selector": {"matchLabels": {"app": "web"}}}, True),
        ({"selector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}}, False),
    ],
)
def test_only_covered_workloads_are_held(covers: dict[str, Any], refused: bool) -> None:
    world = World(covers=covers)
    if refused:
        with pytest.raises(ForbiddenWrite):
            world.patch(release())
    else:
        world.patch(release())


def test_taking_the_label_away_does_not_open_the_door() -> None:
    world = World(covers={"selector": {"matchLabels": {"app": "web"}}})
    body = release()
    body["metadata"]["labels"] = {"app": None}
    with pytest.raises(ForbiddenWrite):
        world.patch(body)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"slos": []}, "spec.slos"),
        ({"slos": ["a"], "thresholds": [{"left": "much", "action": "Warn"}]}, "spec.thresholds[0].left"),
        ({"slos": ["a"], "thresholds": [{"left": "1%", "action": "Stop"}]}, "spec.thresholds[0].action"),
        ({"slos": ["a"], "thresholds": [{"left": "1%", "action": "Warn"}] * 2}, "spec.thresholds[1].action"),
        (
            {"slos": ["a"], "thresholds": [{"left": "1%", "action": "Warn"}, {"left": "5%", "action": "Freeze"}]},
            "spec.thresholds",
        ),
        ({"slos": ["a"], "thaw": {"after": "soon"}}, "spec.thaw.after"),
        ({"slos": ["a"], "thaw": {"margin": "lots"}}, "spec.thaw.margin"),
    ],
)
def test_what_a_policy_must_be(spec: dict[str, Any], field: str) -> None:
    world = World()
    body = {"metadata": {"name": "p", "namespace": "default"}, "spec": spec}
    with pytest.raises(Invalid) as refused:
        world.path.create(POLICIES, body)
    assert [c.field for c in refused.value.causes] == [field]


def test_defaults_are_written() -> None:
    world = World()
    stored = world.path.create(POLICIES, {"metadata": {"name": "p", "namespace": "default"}, "spec": {"slos": ["a"]}})
    assert [t["action"] for t in stored["spec"]["thresholds"]] == ["Warn", "RequireApproval", "Freeze"]
    assert stored["spec"]["thaw"] == {"margin": "10%", "after": "30m"}
    assert PHASES[0] == "Open"


# The controller


class Budgets:
    """Every SLO has the same share left."""

    def __init__(self, left: float) -> None:
        self.left = left

    def status(self, name: str, now_s: float) -> BudgetStatus | None:  # noqa: ARG002 - the port's signature
        return budget(self.left).status


def _reconciled(world: World, left: float) -> Decision:
    events = EventRecorder(world.clock)
    client = Client(world.path, {"Event": events})
    controller = ErrorBudgetPolicyController(client, Budgets(left))
    return controller.reconcile(ReconcileInput(client, "default", "shop", NOW_S, None, events))


def test_the_controller_asks_for_the_budgets_of_the_policy() -> None:
    decision = _reconciled(World("Open"), -1.0)
    assert decision.status is not None
    assert decision.status["phase"] == "Frozen"
    assert decision.requeue_s == 60


def test_a_deleted_policy_leaves_nothing_to_do() -> None:
    world = World()
    world.store.remove(POLICIES, "default", "shop")
    assert _reconciled(world, -1.0) == Decision()
