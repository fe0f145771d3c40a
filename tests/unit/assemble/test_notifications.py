"""Who is told of a run's alerts and what is held back, from transitions alone."""

from __future__ import annotations

from typing import Any

from pilothouse.assemble.notifications import alert_text, route, told_since
from pilothouse.base.errors import Place
from pilothouse.engines.alerting.alertmanager import Config, Silence, parse_config, parse_matchers
from pilothouse.engines.alerting.evaluation import Transition

START_MS = 1_767_571_200_000
BASE: dict[str, Any] = {
    "route": {
        "receiver": "team",
        "group_by": ["alertname"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "1h",
        "routes": [{"receiver": "pager", "matchers": ['severity="page"']}],
    },
    "receivers": [
        {"name": "team", "webhook_configs": [{"url": "http://localhost/team"}]},
        {"name": "pager", "pagerduty_configs": [{"routing_key": "k"}]},
    ],
}


def config(**changes: Any) -> Config:
    parsed, findings = parse_config({**BASE, **changes}, Place("am.yml", 1))
    assert findings == []
    assert parsed is not None
    return parsed


def step(at_s: float, name: str, *, fires: bool, **labels: str) -> Transition:
    """The alert begins to fire, or is over, so many seconds after the start."""
    time_ms = START_MS + round(at_s * 1000)
    pairs = tuple(sorted({"alertname": name, **labels}.items()))
    before, after = ("inactive", "firing") if fires else ("firing", "inactive")
    return Transition(
        time_ms=time_ms,
        group="g",
        rule=name,
        labels=pairs,
        before=before,  # type: ignore[arg-type]
        after=after,  # type: ignore[arg-type]
        active_at_ms=time_ms,
        value=1.0,
        annotations=(),
        place=Place("rules.yml", 3),
    )


def told(config: Config, *steps: Transition, until_s: float = 7200, silences: tuple[Silence, ...] = ()) -> list[str]:
    routed = route(config, steps, START_MS + round(until_s * 1000), silences)
    sent, held = told_since(routed, START_MS)
    lines = [f"{n.at_s:g} {n.receiver} {n.status} {'+'.join(n.alerts)}: {n.reason}" for n in sent]
    return lines + [f"{h.from_s:g}-{h.to_s} {h.alert} {h.receiver} {h.kind}" for h in held]


def test_an_alert_is_told_after_the_wait_repeated_and_resolved() -> None:
    steps = (step(60, "A", fires=True, severity="page"), step(4000, "A", fires=False, severity="page"))
    assert told(config(), *steps) == [
        '90 pager firing A{severity="page"}: first notification',
        '3990 pager firing A{severity="page"}: repeat interval elapsed',
        '4290 pager resolved A{severity="page"}: all alerts resolved',
    ]


def test_alerts_of_one_group_are_one_notification() -> None:
    steps = [step(60 + n, "A", fires=True, pod=str(n)) for n in range(3)]
    assert told(config(), *steps, until_s=600) == [
        '90 team firing A{pod="0"}+A{pod="1"}+A{pod="2"}: first notification'
    ]


def test_an_alert_that_is_over_before_its_wait_is_held_back() -> None:
    assert told(config(), step(60, "A", fires=True), step(75, "A", fires=False)) == ["60-75.0 A team too_short"]


def test_inhibition_names_the_source_and_ends_with_it() -> None:
    rules = [{"source_matchers": ["alertname=Root"], "target_matchers": ["alertname=Leaf"]}]
    steps = [step(0, "Root", fires=True), step(10, "Leaf", fires=True), step(1000, "Root", fires=False)]
    found = config(inhibit_rules=rules)
    assert told(found, *steps, until_s=1800) == [
        "30 team firing Root: first notification",
        "1230 team resolved Root: all alerts resolved",
        "1240 team firing Leaf: first notification",
        "40-1240.0 Leaf team inhibited",
    ]
    _sent, held = told_since(route(found, steps, START_MS + 1_800_000), START_MS)
    assert held[0].why.startswith('inhibited by {alertname="Root"}')


def test_silences_time_intervals_and_receivers_without_a_way_out() -> None:
    silence = Silence("s1", tuple(parse_matchers('alertname="A"')), START_MS, START_MS + 600_000, "deploy")
    assert told(config(), step(60, "A", fires=True), until_s=1000, silences=(silence,)) == [
        "690 team firing A: first notification",
        "90-690.0 A team silenced",
    ]
    night = {"name": "night", "time_intervals": [{"times": [{"start_time": "00:00", "end_time": "06:00"}]}]}
    muted = config(time_intervals=[night], route={**BASE["route"], "routes": [], "receiver": "team"})
    assert told(muted, step(60, "A", fires=True), until_s=100) == ["90 team firing A: first notification"]
    child = {"receiver": "pager", "matchers": ["alertname=A"], "mute_time_intervals": ["night"]}
    muted = config(time_intervals=[night], route={**BASE["route"], "routes": [child]})
    assert told(muted, step(60, "A", fires=True), until_s=100) == ["90-None A pager muted_time"]
    nowhere = config(receivers=[{"name": "team"}, BASE["receivers"][1]])
    assert told(nowhere, step(60, "A", fires=True), until_s=100) == ["90-None A team no_integration"]


def test_what_was_before_the_start_is_left_out() -> None:
    steps = (step(-500, "A", fires=True), step(-300, "A", fires=False), step(60, "B", fires=True))
    assert told(config(), *steps, until_s=100) == ["90 team firing B: first notification"]


def test_an_alert_reads_with_its_name_first() -> None:
    assert alert_text((("alertname", "A"), ("job", "x"))) == 'A{job="x"}'
    assert alert_text((("alertname", "A"),)) == "A"


def test_an_alert_that_comes_back_waits_for_its_group_again() -> None:
    steps = (step(60, "A", fires=True), step(600, "A", fires=False), step(4000, "A", fires=True))
    assert told(config(), *steps, until_s=4100)[-1] == "4030 team firing A: first notification"
