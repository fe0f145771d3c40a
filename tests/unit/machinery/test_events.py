"""Events count repeats, keep the newest, and read as the API server shows them."""

from __future__ import annotations

from tests.unit.machinery.world import World, config

from pilothouse.base.clock import ManualClock
from pilothouse.machinery.events import Event, EventRecorder

REGARDING = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a", "uid": "u"}}


def test_repeats_count_up() -> None:
    clock = ManualClock()
    recorder = EventRecorder(clock)
    recorder.record(REGARDING, "Normal", "Pulled", "image is there", "kubelet")
    clock.advance(90)
    recorder.record(REGARDING, "Normal", "Pulled", "image is there", "kubelet")
    recorder.record(REGARDING, "Normal", "Pulled", "another image is there", "kubelet")
    first, second = recorder.events()
    assert (first.count, first.last_s - first.first_s) == (2, 90)
    assert second.count == 1


def test_the_ones_said_longest_ago_are_dropped_first() -> None:
    recorder = EventRecorder(ManualClock(), kept=2)
    heard: list[Event] = []
    recorder.subscribe(heard.append)
    for reason in ("A", "B", "A", "C"):
        recorder.record(REGARDING, "Normal", reason, "", "x")
    assert [event.reason for event in recorder.events()] == ["A", "C"]
    assert [event.reason for event in heard] == ["A", "B", "A", "C"]


def test_events_are_listed_as_objects() -> None:
    world = World()
    made = world.write_path.create("ConfigMap", config())
    world.events.record(made, "Warning", "Odd", "that is odd", "checker")
    (stored,) = world.client.list("Event", "default")
    obj = stored.object
    assert obj["involvedObject"]["name"] == "c"
    assert (obj["type"], obj["reason"], obj["message"], obj["count"]) == ("Warning", "Odd", "that is odd", 1)
    assert obj["firstTimestamp"] == obj["lastTimestamp"] == "2026-01-05T00:00:00Z"
    found = world.client.get("Event", "default", obj["metadata"]["name"])
    assert found is not None
    assert found.object == obj
    assert world.client.list("Event", "elsewhere") == []
    assert world.client.get("Event", "default", "nobody") is None
