"""Machine-readable forms of a report: JSON, YAML, NDJSON of what happened, JUnit XML. Pure; the same report, the
same bytes."""

from __future__ import annotations

import re
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec
import yaml

from pilothouse.base.clock import rfc3339_micro
from pilothouse.base.yaml_dialect import resolve
from pilothouse.report.model import Report, RunResult, Verdict
from pilothouse.report.wording import place, share


def to_json(report: Report) -> bytes:
    """Indented JSON, keys in the order of `report.model`, ended by a line feed."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def from_json(data: bytes) -> Report:
    """A report read back; msgspec.ValidationError when it is none."""
    return msgspec.json.decode(data, type=Report)


def to_yaml(report: Report) -> str:
    """The same as `to_json`, as YAML that kubectl's dialect and YAML 1.2 read alike."""
    value = msgspec.json.decode(msgspec.json.encode(report))
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)


class Dumper(yaml.SafeDumper):
    """Quotes texts that some YAML reader would take for a number, a truth value or null."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = '"' if value == "" or not isinstance(resolve(value), str) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


Dumper.add_representer(str, _text)


def to_events(run: RunResult) -> bytes:
    """One JSON object per line and moment: `time` (virtual, RFC 3339), `seed`, and the moment's own fields."""
    lines = []
    for moment in run.moments:
        fields: dict[str, Any] = msgspec.to_builtins(moment)
        head = {"time": rfc3339_micro(run.start_epoch_s + moment.at_s), "seed": run.seed}
        lines.append(msgspec.json.encode({**head, **fields}) + b"\n")
    return b"".join(lines)


def to_junit(report: Report) -> str:
    """One test case per expectation; an undecided one is skipped. Findings of severity error make a failing case."""
    errors = [f for f in report.findings if f.severity == "error"]
    failures = sum(v.outcome == "not met" for v in report.verdicts) + bool(errors)
    skipped = sum(v.outcome == "undecided" for v in report.verdicts)
    tests = len(report.verdicts) + bool(errors)
    name = quoteattr(clean(report.scenario))
    counts = f'tests="{tests}" failures="{failures}" errors="0" skipped="{skipped}"'
    out = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites {counts}>", f"<testsuite name={name} {counts}>"]
    for verdict in report.verdicts:
        out.append(_case(report, verdict))
    if errors:
        text = "\n".join(f"{place(f.at)}: {f.code}: {f.message}. {f.remedy}" for f in errors)
        case = f'<testcase classname={name} name="input files">'
        out.append(
            f"{case}<failure message={quoteattr(f'{len(errors)} errors')}>{escape(clean(text))}</failure></testcase>"
        )
    return "\n".join([*out, "</testsuite>", "</testsuites>"]) + "\n"


def _case(report: Report, verdict: Verdict) -> str:
    attributes = f"classname={quoteattr(clean(report.scenario))} name={quoteattr(clean(verdict.name))}"
    if verdict.at is not None:
        attributes += f' file={quoteattr(clean(verdict.at.file))} line="{verdict.at.line}"'
    lines = [f"asked: {verdict.asked}", f"seen: {verdict.seen}"]
    if share(verdict):
        lines.append(f"held in {share(verdict)}, wanted {verdict.wanted}")
    lines += [f"why: {w.text} ({place(w.at)})" for w in verdict.why]
    if verdict.hint:
        lines.append(f"hint: {verdict.hint}")
    if verdict.first_failing_seed is not None and report.command:
        lines.append(f"replay: {_replay(report.command, verdict.first_failing_seed)}")
    body = escape(clean("\n".join(lines)))
    message = quoteattr(clean(verdict.seen))
    if verdict.outcome == "not met":
        inner = f"<failure message={message}>{body}</failure>"
    elif verdict.outcome == "undecided":
        inner = f"<skipped message={message}/><system-out>{body}</system-out>"
    else:
        inner = f"<system-out>{body}</system-out>"
    return f"<testcase {attributes}>{inner}</testcase>"


def _replay(command: str, seed: int) -> str:
    """The report's command with one seed and one run."""
    bare = re.sub(r" --(seed|runs) \S+", "", command)
    return f"{bare} --seed {seed} --runs 1"


def clean(text: str) -> str:
    """Without the control characters that XML 1.0 cannot hold."""
    return re.sub(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "�", text)
