"""The world as a whole: equal seeds give equal worlds, events act at their exact moment, the history adds up."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.worlds.rehearsal.town import Town, one_service, play

from pilothouse.worlds.rehearsal.faults import BadVersion, PodKill
from pilothouse.worlds.rehearsal.spec import SpecError
from pilothouse.worlds.rehearsal.world import ChangeLoad, StartFault

ROOT = Path(__file__).parents[4]
LIMITS = {"limits": {"cpu": "1", "memory": "256Mi"}}
PROBE = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5}


async def busy_story(town: Town) -> None:
    """Growth, a spike, a kill, a bad version: something of everything."""
    for name in "abcd":
        await town.add_pod(name, resources=LIMITS, readinessProbe=PROBE)
    await town.wait(100)
    town.world.apply(ChangeLoad("api", times=4, for_s=60))
    town.world.apply(StartFault(PodKill(service="api", count=1)))
    await town.wait(33)
    town.world.apply(StartFault(BadVersion(image="*:v1", error_rate=0.1), for_s=50))
    await town.wait(200)


def digest(seed: int) -> str:
    """Everything that a run leaves behind, as one hash."""
    town = play(one_service("60rps"), busy_story, seed)
    pods, history = town.world.pods, town.world.history
    made = hashlib.blake2b(digest_size=16)
    for column in (pods.requests, pods.latency, pods.cpu_s, pods.memory, history.world("time_s")):
        made.update(column.tobytes())
    made.update(repr([(e.reason, e.message, e.first_s, e.count) for e in town.events.events()]).encode())
    made.update(repr(town.pod("a")).encode())
    return made.hexdigest()


def test_the_same_seed_gives_the_same_world_whatever_the_hash_seed() -> None:
    code = "from tests.unit.worlds.rehearsal.test_world import digest; print(digest(3))"
    outcomes = {digest(3)}
    for hash_seed in ("0", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "NOISE": "x" * int(hash_seed)}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        outcomes.add(done.stdout.strip())
    assert len(outcomes) == 1


def test_another_seed_gives_another_world() -> None:
    assert digest(3) != digest(4)


def test_a_load_change_acts_at_its_exact_moment() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("a", resources=LIMITS)
        await town.wait(97)
        town.world.apply(ChangeLoad("api", times=5, for_s=7))
        await town.wait(60)

    town = play(one_service("40rps"), story)
    history = town.world.history
    times, offered = history.world("time_s") - town.clock.epoch_s, history.column("offered", "api")
    high = times[offered > 100]
    assert (high.min() > 97, high.max()) == (True, 104)


def test_a_pod_takes_requests_from_the_moment_it_is_ready() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("a", resources=LIMITS, readinessProbe=PROBE)
        await town.wait(60)

    town = play(one_service("100rps", service={"mean": "5ms"}), story)
    # Ready at 5 s: what came before met nobody.
    assert town.world.history.totals("api")["unrouted"] == pytest.approx(500, rel=0.15)


def test_a_slow_service_is_stepped_finely_only_while_it_matters() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("a", resources=LIMITS)
        await town.wait(1800)

    steps = play(one_service("10rps"), story).world.history.world("step_s")
    assert steps.max() == 15
    assert (steps < 15).sum() < 30


def test_fixed_steps_are_kept() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("a", resources=LIMITS)
        await town.wait(300)

    steps = play({**one_service("10rps"), "step": "5s"}, story).world.history.world("step_s")
    assert steps.max() == 5


def test_events_about_nobody_are_refused() -> None:
    async def story(town: Town) -> None:
        with pytest.raises(SpecError, match="there is no service 'web'; there are: api"):
            town.world.apply(ChangeLoad("web", times=2))
        with pytest.raises(SpecError, match="there is no service 'web'"):
            town.world.apply(StartFault(PodKill(service="web")))

    play(one_service(), story)
