"""How the expectation `notified` ends, from what a run's Alertmanager sent."""

from __future__ import annotations

from typing import Any

import pytest

from pilothouse.assemble.endings import endings
from pilothouse.assemble.facts import Facts, Played
from pilothouse.base.errors import Place
from pilothouse.base.manifests import load_text
from pilothouse.kinds.pilothouse.scenario import read
from pilothouse.report.model import Ending, Notification


def sent(at_s: float, receiver: str, alert: str, status: Any = "firing") -> Notification:
    return Notification(
        at_s=at_s,
        receiver=receiver,
        integration="webhook",
        status=status,
        reason="first notification",
        group="{}",
        alerts=(alert,),
        firing=int(status == "firing"),
    )


SENT = (
    sent(600, "team", 'Slow{job="a"}'),
    sent(1300, "pager", 'Down{job="a"}'),
    sent(1500, "pager", 'Slower{job="a"}'),
    sent(1600, "pager", 'Down{job="a"}', "resolved"),
)


def ended(asked: str, *, routed: bool = True) -> Ending:
    """The ending of `expect: [{notified: {ASKED}}]` after a deploy at 20m."""
    text = (
        "apiVersion: pilothouse.dev/v1alpha1\nkind: Scenario\nmetadata: {name: s}\nspec:\n  duration: 1h\n"
        "  events: [{at: 20m, deploy: {deployment: web, image: 'web:v2'}}]\n"
        f"  expect: [{{notified: {{{asked}}}}}]\n"
    )
    (document,) = load_text(text).scenarios
    scenario, findings = read.parse(document)
    assert [str(f) for f in findings] == []
    nothing: Any = None
    facts = Facts(
        seed=1,
        start_epoch_s=0.0,
        duration_s=3600.0,
        history=nothing,
        database=nothing,
        phases=nothing,
        alerts=[],
        played=[Played("deploy", 1200.0, "web", "", Place())],
        incidents=[],
        routed=routed,
        receivers=("team", "pager"),
        notifications=SENT,
    )
    return endings(scenario.expect, facts)[0]


@pytest.mark.parametrize(
    ("asked", "holds", "seen"),
    [
        ("receiver: pager, atMost: 2", True, "pager was first notified at 21m40s; 2 notifications"),
        ("receiver: pager, atMost: 1", False, "pager was first notified at 21m40s; 2 notifications"),
        ("receiver: pager, within: 2m, after: deploy", True, "pager was first notified at 21m40s, 1m40s after the"),
        ("receiver: pager, within: 1m, after: deploy", False, "pager was first notified at 21m40s, 1m40s after the"),
        ("receiver: team, within: 5m, after: deploy", False, "team was never notified"),
        ("receiver: team, atMost: 0, from: 20m", True, "team was never notified"),
        ("atMost: 2", False, "team was first notified at 10m; 3 notifications"),
        ("alert: Slow, atMost: 1", True, "team was first notified at 10m"),
        ("receiver: pager, alert: Slow, atLeast: 1", False, "pager was never notified"),
        ("receiver: nobody, atMost: 1", None, "there is no receiver nobody; known: team, pager"),
        ("within: 5m, after: scale", None, "no scale took place"),
    ],
)
def test_notified(asked: str, holds: bool | None, seen: str) -> None:
    ending = ended(asked)
    assert ending.holds is holds
    assert ending.seen.startswith(seen)


def test_without_an_alertmanager_it_cannot_be_told() -> None:
    ending = ended("receiver: pager, atMost: 0", routed=False)
    assert (ending.holds, ending.seen) == (None, "no Alertmanager configuration was given")
