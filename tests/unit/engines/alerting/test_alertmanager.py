"""Routing, grouping, muting and what receivers get, against one small configuration per story."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.base.clock import parse_rfc3339
from pilothouse.base.errors import Finding, Place
from pilothouse.engines.alerting.alertmanager import (
    AlertmanagerState,
    Config,
    HeldAlert,
    Matcher,
    Notification,
    Silence,
    fingerprint,
    parse_config,
    parse_matchers,
)
from pilothouse.engines.alerting.alertmanager.intervals import parse_interval
from pilothouse.engines.alerting.alertmanager.messages import Renderer
from pilothouse.engines.alerting.alertmanager.operator import combined_document

S, M, H = 1000, 60_000, 3_600_000
BASE: dict[str, Any] = {
    "route": {"receiver": "all", "group_by": ["alertname"]},
    "receivers": [
        {"name": "all", "webhook_configs": [{"url": "http://all"}]},
        {"name": "page", "webhook_configs": [{"url": "http://page"}]},
        {"name": "chat", "slack_configs": [{"channel": "#ops", "api_url": "http://slack"}]},
    ],
}


def config(**changes: Any) -> Config:
    found, findings = read({**BASE, **changes})
    assert findings == []
    assert found is not None
    return found


def read(document: Any) -> tuple[Config | None, list[Finding]]:
    return parse_config(document, Place("alertmanager.yml", 1))


def routed(*routes: dict[str, Any], **changes: Any) -> Config:
    return config(route={**BASE["route"], "routes": list(routes)}, **changes)


def alert(at_ms: int = 0, until_ms: int | None = None, **labels: str) -> HeldAlert:
    return HeldAlert(tuple(sorted({"alertname": "A", **labels}.items())), (("summary", "s"),), at_ms, until_ms)


def told(found: list[Notification]) -> list[tuple[int, str, str, int]]:
    """(seconds, receiver, reason, alerts) of each notification."""
    return [(n.time_ms // S, n.receiver, n.reason, len(n.alerts)) for n in found]


def test_a_group_waits_then_tells_then_repeats() -> None:
    state = AlertmanagerState(config())
    state.receive([alert(pod="a"), alert(pod="b")], 0)
    assert state.advance(29 * S) == []
    assert told(state.advance(30 * S)) == [(30, "all", "first notification", 2)]
    assert state.advance(4 * H) == []
    # The repeat interval must have passed, so it is the first look after four hours that tells again.
    assert told(state.advance(5 * H)) == [(30 + 4 * 3600 + 300, "all", "repeat interval elapsed", 2)]


def test_a_new_alert_of_a_known_group_waits_for_the_group_interval() -> None:
    state = AlertmanagerState(config())
    state.receive([alert(pod="a")], 0)
    state.advance(M)
    state.receive([alert(M, pod="b")], M)
    assert told(state.advance(10 * M)) == [(330, "all", "new alerts added", 2)]


def test_a_resolved_alert_is_told_once_and_the_group_ends() -> None:
    state = AlertmanagerState(config())
    state.receive([alert(pod="a")], 0)
    state.advance(M)
    state.receive([alert(0, 2 * M, pod="a")], 2 * M)
    found = state.advance(10 * H)
    assert told(found) == [(330, "all", "all alerts resolved", 1)]
    assert (found[0].status, found[0].alerts[0].ends_at_ms) == ("resolved", 2 * M)
    assert state.groups() == []


def test_an_alert_that_resolves_within_the_group_wait_is_never_told() -> None:
    state = AlertmanagerState(config())
    state.receive([alert(pod="a")], 0)
    state.receive([alert(0, 10 * S, pod="a")], 10 * S)
    assert state.advance(H) == []


def test_receivers_that_do_not_want_resolved_alerts_are_not_told() -> None:
    state = AlertmanagerState(config(route={"receiver": "chat"}))
    state.receive([alert(pod="a")], 0)
    state.advance(M)
    state.receive([alert(0, 2 * M, pod="a")], 2 * M)
    assert state.advance(H) == []
    state.receive([alert(H, pod="a")], H)
    assert told(state.advance(2 * H)) == [(3630, "chat", "first notification", 1)]


def test_an_old_alert_is_told_at_once() -> None:
    state = AlertmanagerState(config())
    state.receive([alert(0, pod="a")], H)
    assert told(state.advance(H)) == [(3600, "all", "first notification", 1)]


def test_routes_match_first_and_continue_goes_on() -> None:
    cfg = routed(
        {"matchers": ['severity="page"'], "receiver": "page", "continue": True, "group_wait": "1s"},
        {"match_re": {"team": "ops|db"}, "receiver": "chat"},
        {"match": {"team": "ops"}, "receiver": "page"},
    )
    assert [r.receiver for r in cfg.route.matching({"severity": "page", "team": "ops"})] == ["page", "chat"]
    assert [r.receiver for r in cfg.route.matching({"team": "web"})] == ["all"]
    page = cfg.route.routes[0]
    assert (page.group_wait_ms, page.group_interval_ms, page.group_by) == (S, 5 * M, ("alertname",))
    assert (page.key, page.id) == ('{}/{severity="page"}', '{}/{severity="page"}/0')


def test_three_dots_group_by_all_labels() -> None:
    state = AlertmanagerState(config(route={"receiver": "all", "group_by": ["..."]}))
    state.receive([alert(pod="a"), alert(pod="b")], 0)
    assert [n.group_key for n in state.advance(M)] == [
        '{}:{alertname="A", pod="a"}',
        '{}:{alertname="A", pod="b"}',
    ]


def test_inhibition_needs_a_firing_source_with_equal_labels() -> None:
    rule = {"source_matchers": ['severity="page"'], "target_matchers": ['severity="info"'], "equal": ["dc"]}
    state = AlertmanagerState(config(inhibit_rules=[rule]))
    state.receive([alert(severity="page", dc="x"), alert(severity="info", dc="x"), alert(severity="info", dc="y")], 0)
    first = state.advance(M)
    assert sorted(dict(a.labels)["dc"] for a in first[0].alerts) == ["x", "y"]
    held = state.unnotified(M)
    assert [(h.kind, dict(h.labels)["severity"]) for h in held] == [("inhibited", "info")]
    assert 'inhibited by {alertname="A", dc="x", severity="page"}' in held[0].text
    state.receive([alert(0, 2 * M, severity="page", dc="x")], 2 * M)
    assert len(state.advance(6 * M)[0].alerts) == 3


def test_an_alert_on_both_sides_of_a_rule_does_not_mute_itself() -> None:
    rule = {"source_matchers": ['alertname="A"'], "target_matchers": ['alertname="A"']}
    state = AlertmanagerState(config(inhibit_rules=[rule]))
    state.receive([alert(pod="a")], 0)
    assert len(state.advance(M)) == 1


def test_a_silence_mutes_while_it_lasts() -> None:
    state = AlertmanagerState(config())
    state.add_silence(Silence("s1", (Matcher("pod", "a"),), 0, 6 * M, "maintenance"))
    state.receive([alert(pod="a")], 0)
    assert state.advance(5 * M) == []
    assert [(h.kind, h.text) for h in state.unnotified(5 * M)] == [("silenced", "silenced by s1 (maintenance)")]
    assert told(state.advance(11 * M)) == [(630, "all", "first notification", 1)]


def test_expiring_a_silence_lets_the_alert_through() -> None:
    state = AlertmanagerState(config(), silences=[Silence("s1", (Matcher("pod", "a"),), 0, H)])
    state.receive([alert(pod="a")], 0)
    state.advance(M)
    state.expire_silence("s1", 2 * M)
    assert told(state.advance(6 * M)) == [(330, "all", "first notification", 1)]


def test_mute_and_active_intervals_hold_a_route_back() -> None:
    night = {"name": "night", "time_intervals": [{"times": [{"start_time": "00:00", "end_time": "06:00"}]}]}
    cfg = routed(
        {"matchers": ["pod=a"], "receiver": "page", "mute_time_intervals": ["night"]},
        {"matchers": ["pod=b"], "receiver": "page", "active_time_intervals": ["night"]},
        time_intervals=[night],
    )
    state = AlertmanagerState(cfg)
    state.receive([alert(pod="a"), alert(pod="b")], 0)
    assert [dict(n.alerts[0].labels)["pod"] for n in state.advance(M)] == ["b"]
    assert [h.text for h in state.unnotified(M)] == ["muted by time interval night"]
    first_after = state.advance(7 * H)
    assert next(n.time_ms for n in first_after if n.alerts[0].labels[1] == ("pod", "a")) >= 6 * H


def test_an_alert_that_waits_says_for_what() -> None:
    state = AlertmanagerState(config())
    state.receive([alert(pod="a")], 0)
    (held,) = state.why(alert(pod="a").labels, 10 * S)
    assert (held.kind, held.text) == ("waiting", "waits 20s for the group's group_wait")


@given(st.lists(st.tuples(st.integers(0, 120), st.sampled_from("abc"), st.booleans()), max_size=12))
@settings(max_examples=60, deadline=None)
def test_advancing_late_gives_the_same_as_advancing_often(events: list[tuple[int, str, bool]]) -> None:
    histories = []
    for often in (True, False):
        state, out = AlertmanagerState(config()), []
        for minute, pod, ends in sorted(events):
            out += state.advance(minute * M)
            state.receive([alert(minute * M, minute * M if ends else None, pod=pod)], minute * M)
        last = max((minute for minute, _pod, _ends in events), default=0)
        steps = range(last, last + 300) if often else [last + 299]
        out += [n for minute in steps for n in state.advance(minute * M)]
        histories.append(told(out))
    assert histories[0] == histories[1]


# Notation


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('a="b"', [Matcher("a", "b")]),
        ("a=b", [Matcher("a", "b")]),
        ('{a="b", c!~"d|e",}', [Matcher("a", "b"), Matcher("c", "d|e", "!~")]),
        ('"größe"="5"', [Matcher("größe", "5")]),
        (r'a="x\"y"', [Matcher("a", 'x"y')]),
        ("a=~5..", [Matcher("a", "5..", "=~")]),
        ("a=", [Matcher("a", "")]),
        ("", []),
    ],
)
def test_matchers_are_read_in_both_notations(text: str, want: list[Matcher]) -> None:
    assert parse_matchers(text) == want


@pytest.mark.parametrize("text", ["a", '="b"', 'a="b', 'a=~"("', "a=b,,c=d"])
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_matchers(text)


@pytest.mark.parametrize(
    ("interval", "moment", "inside"),
    [
        ({"times": [{"start_time": "09:00", "end_time": "17:00"}]}, "2026-01-05T09:00:00Z", True),
        ({"times": [{"start_time": "09:00", "end_time": "17:00"}]}, "2026-01-05T17:00:00Z", False),
        ({"weekdays": ["monday:friday"]}, "2026-01-05T00:00:00Z", True),
        ({"weekdays": ["saturday", "sunday"]}, "2026-01-05T00:00:00Z", False),
        ({"days_of_month": ["-3:-1"]}, "2026-02-26T00:00:00Z", True),
        ({"days_of_month": ["31"]}, "2026-02-28T00:00:00Z", False),
        ({"months": ["january:march"], "years": ["2025:2026"]}, "2026-03-31T23:59:00Z", True),
        ({"years": [2027]}, "2026-03-31T23:59:00Z", False),
        ({"times": [{"start_time": "09:00", "end_time": "10:00"}], "location": "UTC"}, "2026-01-05T09:30:00Z", True),
    ],
)
def test_time_intervals(interval: dict[str, Any], moment: str, inside: bool) -> None:
    assert parse_interval(interval).contains(round(parse_rfc3339(moment) * 1000)) is inside


@pytest.mark.parametrize(
    ("interval", "message"),
    [
        (
            {"times": [{"start_time": "10:00", "end_time": "09:00"}]},
            "start time cannot be equal or greater than end time",
        ),
        ({"times": [{"start_time": "9:00", "end_time": "10:00"}]}, "couldn't parse timestamp 9:00, invalid format"),
        ({"weekdays": ["friday:monday"]}, "start day cannot be before end day"),
        ({"weekdays": ["freitag"]}, "freitag is not a valid weekday"),
        ({"days_of_month": ["0"]}, "0 is not a valid day of the month: out of range"),
        ({"months": ["may:march"]}, "end month march is before start month may"),
        ({"location": "Mars/Olympus"}, "unknown time zone Mars/Olympus"),
        ({"hours": []}, "field hours not found in type timeinterval.TimeInterval"),
    ],
)
def test_time_intervals_that_are_none(interval: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_interval(interval)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"route": None}, "PH264", "no routes provided"),
        ({"route": {"group_by": ["a"]}}, "PH264", "root route must specify a default receiver"),
        ({"route": {"receiver": "all", "matchers": ["a=b"]}}, "PH264", "root route must not have any matchers"),
        ({"route": {"receiver": "nobody"}}, "PH264", 'undefined receiver "nobody" used in route'),
        ({"route": {"receiver": "all", "group_by": ["a", "a"]}}, "PH264", 'duplicated label "a" in group_by'),
        ({"route": {"receiver": "all", "group_by": ["a", "..."]}}, "PH264", "cannot have wildcard group_by"),
        ({"route": {"receiver": "all", "group_interval": "0s"}}, "PH262", "group_interval cannot be zero"),
        ({"route": {"receiver": "all", "routes": [{"matchers": ["!"]}]}}, "PH263", "bad matcher format: !"),
        (
            {"route": {"receiver": "all", "routes": [{"mute_time_intervals": ["x"]}]}},
            "PH266",
            'undefined time interval "x"',
        ),
        ({"receivers": [*BASE["receivers"], {"name": "all"}]}, "PH265", 'notification config name "all" is not unique'),
        ({"receivers": [*BASE["receivers"], {"name": "x", "email_configs": [{}]}]}, "PH265", "missing email config"),
        (
            {"receivers": [*BASE["receivers"], {"name": "x", "pigeon_configs": []}]},
            "PH261",
            "field pigeon_configs not found",
        ),
        ({"extra": 1}, "PH261", "field extra not found"),
    ],
)
def test_mistakes_are_findings_in_alertmanagers_words(changes: dict[str, Any], code: str, words: str) -> None:
    _found, findings = read({**BASE, **changes})
    assert [f.code for f in findings] == [code]
    assert words in findings[0].message


def test_a_broken_child_route_is_left_out_and_its_alerts_go_to_the_parent() -> None:
    found, findings = read(
        {**BASE, "route": {"receiver": "all", "routes": [{"matchers": ["a=b"], "receiver": "nobody"}]}}
    )
    assert len(findings) == 1
    assert found is not None
    assert [r.receiver for r in found.route.matching({"a": "b"})] == ["all"]


# Messages


def message_of(cfg: Config, *alerts: HeldAlert) -> Any:
    state = AlertmanagerState(cfg)
    state.receive(alerts, 0)
    return Renderer(cfg, "http://am").render(state.advance(M)[0])


def test_the_webhook_body_is_version_4() -> None:
    message = message_of(config(), alert(pod="a", dc="x"), alert(pod="b", dc="x"))
    body = message.body
    assert (message.target, body["version"], body["status"], body["receiver"]) == ("http://all", "4", "firing", "all")
    assert body["commonLabels"] == {"alertname": "A", "dc": "x"}
    assert body["groupLabels"] == {"alertname": "A"}
    assert body["groupKey"] == '{}:{alertname="A"}'
    first = body["alerts"][0]
    assert (first["startsAt"], first["endsAt"]) == ("1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z")
    assert first["fingerprint"] == fingerprint(alert(pod="a", dc="x").labels)


def test_slack_gets_an_attachment_with_the_default_texts() -> None:
    message = message_of(config(route={"receiver": "chat", "group_by": ["alertname"]}), alert(pod="a"))
    (attachment,) = message.body["attachments"]
    assert message.body["channel"] == "#ops"
    assert attachment["title"] == "[FIRING:1] A (a)"
    assert attachment["title_link"] == "http://am/#/alerts?receiver=chat"
    assert attachment["color"] == "danger"


def test_email_is_text_with_headers_and_own_templates() -> None:
    receivers = [
        {
            "name": "mail",
            "email_configs": [{"to": "ops@x", "text": "{{ .CommonLabels.pod | toUpper }} {{ len .Alerts }}"}],
        }
    ]
    cfg = config(route={"receiver": "mail"}, receivers=receivers, **{"global": {"smtp_from": "am@x"}})
    message = message_of(cfg, alert(pod="a"))
    head, body = message.body.split("\n\n", 1)
    assert "From: am@x\nTo: ops@x\nSubject: [FIRING:1]  (A a)\n" in head
    assert body == "A 1\n"


# AlertmanagerConfig


def test_an_alertmanagerconfig_sees_its_own_namespace_only() -> None:
    obj = yaml.safe_load("""
        metadata: {name: team, namespace: shop}
        spec:
          route:
            receiver: hook
            groupBy: [alertname]
            groupWait: 1s
            routes: [{receiver: hook, matchers: [{name: sev, value: page, matchType: "="}], activeTimeIntervals: [day]}]
          receivers: [{name: hook, webhookConfigs: [{urlSecret: {name: s, key: url}, sendResolved: false}]}]
          inhibitRules: [{sourceMatch: [{name: a, value: b}], targetMatch: [{name: c, value: d}], equal: [e]}]
          muteTimeIntervals:
            - name: day
              timeIntervals: [{times: [{startTime: "08:00", endTime: "18:00"}], weekdays: ["monday:friday"]}]
    """)
    found, findings = read(combined_document(BASE, [obj]))
    assert findings == []
    assert found is not None
    assert [r.receiver for r in found.route.matching({"namespace": "shop"})] == ["shop/team/hook"]
    assert [r.receiver for r in found.route.matching({"namespace": "other"})] == ["all"]
    integration = found.receivers["shop/team/hook"].integrations[0]
    assert (integration.send_resolved, integration.settings["url"]) == (False, "secret://s/url")
    assert str(found.inhibit_rules[0]) == '{a="b",namespace="shop"} over {c="d",namespace="shop"} equal (e)'
    assert list(found.time_intervals) == ["shop/team/day"]
