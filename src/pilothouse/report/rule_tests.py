"""What `pilothouse test rules` answers, and how it reads: promtool's words on a terminal, JSON, JUnit XML. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

import msgspec

from pilothouse.report.formats import clean
from pilothouse.report.model import Found, Record
from pilothouse.report.timeline import Line
from pilothouse.report.wording import count, place

Outcome = Literal["passed", "failed", "unusable"]
EXIT_CODES: dict[Outcome, int] = {"passed": 0, "failed": 1, "unusable": 3}


class RuleTest(Record, frozen=True, kw_only=True):
    """One entry of `tests:`. failures: what was expected and what was got, as promtool words it."""

    name: str
    failures: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.failures


class RuleTestFile(Record, frozen=True, kw_only=True):
    """One test file. findings: why it, or a rule file it names, cannot be used; then nothing was run."""

    file: str
    rule_files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    findings: tuple[Found, ...] = ()
    tests: tuple[RuleTest, ...] = ()

    @property
    def outcome(self) -> Outcome:
        if any(f.severity == "error" for f in self.findings):
            return "unusable"
        return "passed" if all(t.passed for t in self.tests) else "failed"


class RuleTestReport(Record, frozen=True, kw_only=True):
    """All files, in the order given. outcome: failed when a test failed, else unusable when a file was."""

    version: str
    outcome: Outcome
    files: tuple[RuleTestFile, ...]

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.outcome]


def outcome_of(files: Sequence[RuleTestFile]) -> Outcome:
    """The outcome of them all; unusable when there is no file."""
    outcomes = [f.outcome for f in files] or ["unusable"]
    return "failed" if "failed" in outcomes else "unusable" if "unusable" in outcomes else "passed"


def render(report: RuleTestReport) -> list[Line]:
    """The lines for a terminal: a block per file, then the sum."""
    out: list[Line] = []
    for file in report.files:
        out += [[("Unit Testing:  ", ""), (file.file, "bold")]]
        out += [[(f"  WARNING: {warning}", "warn")] for warning in file.warnings]
        out += _body(file)
        out.append([])
    tests = [t for f in report.files for t in f.tests]
    failed = sum(not t.passed for t in tests)
    unusable = sum(f.outcome == "unusable" for f in report.files)
    words = [f"{count(len(report.files), 'file')}, {count(len(tests), 'test')}"]
    words += [f"{failed} failed"] if failed else []
    words += [f"{count(unusable, 'file')} cannot be used"] if unusable else []
    if report.outcome == "passed":
        words.append("all passed")
    return [*out, [(": ".join([words[0], ", ".join(words[1:])]), "good" if report.outcome == "passed" else "bad")]]


def _body(file: RuleTestFile) -> list[Line]:
    if file.outcome == "passed":
        return [[("  SUCCESS", "good")]]
    out: list[Line] = [[("  FAILED:", "bad")]]
    for found in file.findings:
        out.append([(f"    {place(found.at)}: {found.severity} {found.code}: {found.message}", "")])
        out += [[(f"        {line}", "dim")] for line in found.remedy.splitlines()]
    for test in file.tests:
        out += [[(line, "")] for failure in test.failures for line in failure.splitlines()]
    return out


def to_json(report: RuleTestReport) -> bytes:
    """Indented JSON, ended by a line feed."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def to_junit(report: RuleTestReport) -> str:
    """A test suite per file, a test case per entry of `tests:`; an unusable file is an error."""
    suites = [_suite(file) for file in report.files]
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>", *suites, "</testsuites>"]) + "\n"


def _suite(file: RuleTestFile) -> str:
    name = quoteattr(clean(file.file))
    unusable = file.outcome == "unusable"
    failures = sum(not t.passed for t in file.tests)
    counts = f'tests="{len(file.tests) + unusable}" failures="{failures}" errors="{int(unusable)}"'
    out = [f"<testsuite name={name} {counts}>"]
    if unusable:
        text = "\n".join(f"{place(f.at)}: {f.code}: {f.message}" for f in file.findings)
        message = quoteattr(clean(file.findings[0].message))
        out.append(f'<testcase classname={name} name="the file"><error message={message}>{escape(clean(text))}</error>')
        out.append("</testcase>")
    for test in file.tests:
        head = f"<testcase classname={name} name={quoteattr(clean(test.name))}"
        if test.passed:
            out.append(f"{head}/>")
            continue
        text = "\n".join(test.failures)
        message = quoteattr(f"{len(test.failures)} not as expected")
        out.append(f"{head}><failure message={message}>{escape(clean(text))}</failure></testcase>")
    return "\n".join([*out, "</testsuite>"])
