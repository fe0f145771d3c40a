"""Machine-readable forms: they say what the report says, the same bytes each time, in forms that other readers
accept."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import msgspec
import yaml
from tests.unit.report.sample import report, run

from pilothouse.base.manifests import load_text
from pilothouse.base.yaml_dialect import load
from pilothouse.report import formats, html
from pilothouse.report.model import Lane, Moment, RehearseRequest, Spot, command_of


def test_json_comes_back_the_same() -> None:
    data = formats.to_json(report())
    assert formats.from_json(data) == report()
    again = formats.to_json(formats.from_json(data))
    assert formats.to_json(formats.from_json(again)) == again
    assert list(json.loads(data))[:3] == ["version", "scenario", "madeUp"]


def test_yaml_says_the_same_to_kubectls_readers_and_others() -> None:
    tricky = msgspec.structs.replace(report(), scenario="y", model="017", next_command="on", version="1e3", command="")
    expected = json.loads(formats.to_json(tricky))
    text = formats.to_yaml(tricky)
    (document,) = load(text)
    assert document.value == expected
    assert yaml.safe_load(text) == expected
    assert load_text(text).findings[0].code == "PH108"


def test_events_are_one_json_object_per_line_in_virtual_time() -> None:
    lines = [json.loads(line) for line in formats.to_events(run()).splitlines()]
    assert len(lines) == len(run().moments)
    assert lines[0]["time"] == "2026-01-05T00:00:00.000000Z"
    assert lines[3]["time"] == "2026-01-05T00:20:30.500000Z"
    assert lines[3]["at"] == {"file": "monitoring/prometheus-rules.yaml", "line": 11}


def test_junit_has_a_case_per_expectation_and_the_command_that_replays_it() -> None:
    root = ElementTree.fromstring(formats.to_junit(report()))
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "2", "1")
    cases = {case.get("name"): case for case in suite}
    failed = cases["little of the budget burns"]
    assert (failed.get("file"), failed.get("line")) == ("scenarios/spike-10x.yaml", "25")
    failure = failed.find("failure")
    assert failure is not None
    assert failure.text is not None
    assert "--scenario scenarios/spike-10x.yaml --seed 1 --runs 1" in failure.text
    assert cases["someone is told"].find("failure") is None
    assert cases["the spike is affordable"].find("skipped") is not None
    assert cases["input files"].find("failure") is not None


def test_junit_survives_text_that_xml_cannot_hold() -> None:
    verdict = msgspec.structs.replace(report().verdicts[0], name='a<b & "c"\x00\x1b', seen="]]>\x08")
    root = ElementTree.fromstring(formats.to_junit(msgspec.structs.replace(report(), verdicts=[verdict], findings=[])))
    assert root[0][0].get("name") == 'a<b & "c"��'


class Tags(HTMLParser):
    """Checks that every tag is closed, in order."""

    void = ("meta", "br", "line", "rect", "path")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += [name for name, _value in attrs]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += [name for name, _value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_one_whole_file_without_scripts_or_other_files() -> None:
    text = html.render(report())
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert "svg" in tags.seen
    assert "script" not in tags.seen
    assert not {"src", "href"} & set(tags.attributes)
    assert "http" not in text.lower().replace("http_", "")
    for verdict in report().verdicts:
        assert verdict.name in text


def test_html_escapes_what_users_write() -> None:
    evil = '<script>alert("x")</script>'
    moments = [Moment(at_s=1, kind="fault", subject=evil, text=evil, at=Spot(file=evil, line=1))]
    lanes = [Lane(id="load", title=evil, unit=evil, step_s=60.0, subject=evil, values=[1.0, None, 2.0])]
    shown = msgspec.structs.replace(run(), moments=moments, lanes=lanes)
    verdict = msgspec.structs.replace(report().verdicts[0], name=evil, asked=evil, seen=evil, hint=evil)
    text = html.render(
        msgspec.structs.replace(report(), scenario=evil, shown=shown, verdicts=[verdict], next_command=evil)
    )
    assert "<script" not in text


def test_all_forms_are_the_same_each_time() -> None:
    for form in (formats.to_json, formats.to_yaml, formats.to_junit, html.render):
        assert form(report()) == form(report())


def test_the_command_of_a_request() -> None:
    request = RehearseRequest(paths=("k8s", "my rules"), scenario="s.yaml", seed=4, duration_s=90.0)
    assert command_of(request) == "pilothouse rehearse k8s 'my rules' --scenario s.yaml --seed 4 --duration 90s"
