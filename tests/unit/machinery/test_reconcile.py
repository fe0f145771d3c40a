"""The loop: keys without doubles, actions in order, status when it differs, looking again, and what happens after a
failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.unit.machinery.world import World, config, owned_by, pod

from pilothouse.base.actions import Create, Decision, Delete, Emit, Patch
from pilothouse.base.errors import ApiError
from pilothouse.machinery.reconcile import ReconcileInput, Reconciler, WatchRule, own_key, owner_key
from pilothouse.store.watch import Breath


class Scripted:
    """A controller whose decision is a function of its input; it remembers what it was asked."""

    name = "scripted-controller"

    def __init__(self, decide: Callable[[ReconcileInput], Decision], kind: str = "ConfigMap", *more: WatchRule) -> None:
        self.watches = (WatchRule(kind, own_key), *more)
        self.decide = decide
        self.asked: list[str] = []
        self.failures: list[Exception | None] = []

    def reconcile(self, view: ReconcileInput) -> Decision:
        self.asked.append(view.name)
        self.failures.append(view.last_failure)
        return self.decide(view)


async def settle(rounds: int = 20) -> None:
    for _ in range(rounds):
        await Breath()


def run(world: World, controller: Scripted, story: Callable[[], Any] = lambda: None) -> Reconciler:
    async def body() -> Reconciler:
        reconciler = Reconciler(world.client, world.events, world.clock, [controller])
        reconciler.start()
        await settle()
        story()
        await settle()
        await reconciler.stop()
        return reconciler

    return asyncio.run(body())


def reasons(world: World) -> list[tuple[str, str, int]]:
    return [(event.reason, event.message, event.count) for event in world.events.events()]


def test_existing_objects_are_reconciled_once_each() -> None:
    world = World()
    for name in ("b", "a"):
        world.write_path.create("ConfigMap", config(name))
    controller = Scripted(lambda _view: Decision())
    run(world, controller)
    assert controller.asked == ["b", "a"]


def test_many_changes_of_one_object_are_one_key() -> None:
    world = World()
    controller = Scripted(lambda _view: Decision())

    def story() -> None:
        world.write_path.create("ConfigMap", config())
        for number in range(5):
            world.write_path.patch("ConfigMap", "default", "c", {"data": {"k": str(number)}})

    run(world, controller, story)
    assert controller.asked == ["c"]


def test_dependents_bring_their_owner() -> None:
    world = World()
    owner = world.write_path.create("ConfigMap", config("owner"))
    controller = Scripted(lambda _view: Decision(), "ConfigMap", WatchRule("Pod", owner_key("ConfigMap")))

    def story() -> None:
        world.write_path.create("Pod", {**pod(), "metadata": {"name": "p", "ownerReferences": owned_by(owner)}})
        world.write_path.create("Pod", pod("free"))

    run(world, controller, story)
    assert controller.asked == ["owner", "owner"]


def test_actions_are_performed_in_order_and_told() -> None:
    world = World()
    world.write_path.create("ConfigMap", config())

    def decide(view: ReconcileInput) -> Decision:
        if view.client.get("Pod", "default", "p") is not None or view.name != "c":
            return Decision()
        owner = view.client.get("ConfigMap", "default", "c")
        assert owner is not None
        return Decision(
            (
                Create("Pod", pod(), event_ok="SuccessfulCreate"),
                Patch("Pod", "default", "p", {"metadata": {"labels": {"a": "b"}}}),
                Emit(owner.object, "Normal", "Made", "all is well"),
                Create("Pod", pod("q")),
                Delete("Pod", "default", "q", event_ok="SuccessfulDelete"),
                Delete("Pod", "default", "never-there"),
            )
        )

    reconciler = run(world, Scripted(decide))
    assert list(reconciler.failures) == []
    assert [s.object["metadata"].get("labels") for s in world.store.list("Pod")] == [{"a": "b"}]
    assert reasons(world) == [
        ("SuccessfulCreate", "Created pod: p", 1),
        ("Made", "all is well", 1),
        ("SuccessfulDelete", "Deleted pod: q", 1),
    ]


def test_the_status_is_written_only_when_it_differs() -> None:
    world = World()
    world.write_path.create("Pod", pod())
    controller = Scripted(lambda _view: Decision(status={"phase": "Running", "qosClass": "BestEffort"}), "Pod")
    run(world, controller)
    assert world.store.revision == 2
    assert controller.asked == ["p", "p"]


def test_a_failed_action_is_retried_with_the_reason_and_the_status_is_still_written() -> None:
    world = World()
    world.write_path.create("Pod", pod())

    def decide(_view: ReconcileInput) -> Decision:
        bad = Create("ConfigMap", {"metadata": {"name": "Bad_Name"}}, event_ok="SuccessfulCreate")
        return Decision((bad, Create("ConfigMap", config())), status={"phase": "Failed"})

    async def body() -> tuple[Scripted, Reconciler]:
        controller = Scripted(decide, "Pod")
        reconciler = Reconciler(world.client, world.events, world.clock, [controller])
        reconciler.start()
        while len(controller.asked) < 4:
            await asyncio.wait([asyncio.ensure_future(settle(2))])
        await reconciler.stop()
        return controller, reconciler

    controller, reconciler = asyncio.run(body())
    stored = world.store.get("Pod", "default", "p")
    assert stored is not None
    assert stored.object["status"]["phase"] == "Failed"
    assert world.store.count("ConfigMap") == 0
    assert controller.failures[0] is None
    assert all(isinstance(failure, ApiError) for failure in controller.failures[1:])
    (event,) = world.events.events()
    assert event.reason == "FailedCreate"
    assert event.message.startswith('Error creating: ConfigMap "Bad_Name" is invalid')
    attempts = [(failure.attempt, failure.retry_s) for failure in reconciler.failures]
    assert attempts[:3] == [(1, 0.005), (2, 0.01), (3, 0.02)]


def test_a_broken_controller_does_not_stop_the_others() -> None:
    world = World()
    world.write_path.create("ConfigMap", config("bad"))
    world.write_path.create("ConfigMap", config("good"))

    def decide(view: ReconcileInput) -> Decision:
        if view.name == "bad":
            raise ZeroDivisionError("division by zero")
        return Decision()

    controller = Scripted(decide)
    reconciler = run(world, controller)
    assert "good" in controller.asked
    assert isinstance(reconciler.failures[0].error, ZeroDivisionError)
    assert reconciler.failures[0].name == "bad"


def test_a_rule_that_cannot_read_an_object_does_not_stop_the_worker() -> None:
    def broken(_change: Any) -> Any:
        raise ValueError("unreadable")

    world = World()
    controller = Scripted(lambda _view: Decision(), "ConfigMap", WatchRule("Pod", broken))

    world.write_path.create("ConfigMap", config())

    def story() -> None:
        world.write_path.create("Pod", pod())

    reconciler = run(world, controller, story)
    assert controller.asked == ["c"]
    assert [str(failure.error) for failure in reconciler.failures] == ["unreadable"]


def test_other_kinds_are_heard_of_once_there_is_an_object_of_its_own() -> None:
    heard: list[str] = []

    def note(change: Any) -> Any:
        heard.append(change.object["metadata"]["name"])
        return ()

    world = World()
    controller = Scripted(lambda _view: Decision(), "ConfigMap", WatchRule("Pod", note))

    async def body() -> None:
        reconciler = Reconciler(world.client, world.events, world.clock, [controller])
        reconciler.start()
        for write in (("Pod", pod("early")), ("ConfigMap", config()), ("Pod", pod("late"))):
            world.write_path.create(*write)
            await settle()
        await reconciler.stop()

    asyncio.run(body())
    assert heard == ["late"]
    assert controller.asked == ["c"]


def test_requeue_looks_again() -> None:
    world = World()
    world.write_path.create("ConfigMap", config())

    async def body() -> int:
        controller = Scripted(lambda _view: Decision(requeue_s=0.001))
        reconciler = Reconciler(world.client, world.events, world.clock, [controller])
        reconciler.start()
        while len(controller.asked) < 3:
            await asyncio.wait([asyncio.ensure_future(settle(2))])
        await reconciler.stop()
        return len(controller.asked)

    assert asyncio.run(body()) >= 3


def test_decisions_can_be_traced() -> None:
    world = World()
    world.write_path.create("ConfigMap", config())
    seen: list[tuple[str, tuple[str, str], tuple[str, ...]]] = []

    async def body() -> None:
        reconciler = Reconciler(
            world.client,
            world.events,
            world.clock,
            [Scripted(lambda _view: Decision(notes=("nothing to do",)))],
            on_decision=lambda controller, key, decision: seen.append((controller, key, decision.notes)),
        )
        reconciler.start()
        await settle()
        await reconciler.stop()

    asyncio.run(body())
    assert seen == [("scripted-controller", ("default", "c"), ("nothing to do",))]
