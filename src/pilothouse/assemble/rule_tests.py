"""`pilothouse test rules`: finds promtool's unit-test files, reads the rule files they name, runs them, reports.

The evaluation is `engines.alerting.unittests`; here are paths, reading and findings. Called by `cli`.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence

from pilothouse import __version__
from pilothouse.assemble.found import found
from pilothouse.assemble.yaml_files import YamlFile, read_yaml
from pilothouse.base import manifests
from pilothouse.base.errors import Finding, Place
from pilothouse.engines.alerting.codes import finding
from pilothouse.engines.alerting.rule_file import parse_rule_groups
from pilothouse.engines.alerting.unittests import TestFileError, read_test_file, run_test_file
from pilothouse.report.rule_tests import RuleTest, RuleTestFile, RuleTestReport, outcome_of


def run_test_files(
    paths: Sequence[str], *, run: str | None = None, ignore_unknown_fields: bool = False
) -> RuleTestReport:
    """Runs the test files of all paths: files, globs, folders (every test file below them).

    run: only tests whose name matches this regular expression. Wrong input never raises; it is in the report.
    """
    files = []
    expanded = [each for path in paths for each in _expanded(path)]
    for each in expanded:
        if isinstance(each, Finding):
            files.append(RuleTestFile(file=each.place.file, findings=(found(each),)))
            continue
        files.append(_test_file(each, run, ignore_unknown_fields))
    return RuleTestReport(version=__version__, outcome=outcome_of(files), files=tuple(files))


# Which files


def _expanded(path: str) -> list[str | Finding]:
    if os.path.isdir(path):
        return _in_folder(path)
    if not os.path.exists(path) and glob.has_magic(path):
        matches = sorted(glob.glob(path, recursive=True))
        return [e for m in matches for e in _expanded(m)] or [_nothing(path, "no file matches", "check the pattern")]
    return [path]


def _in_folder(folder: str) -> list[str | Finding]:
    read = manifests.load_paths([folder], wanted="tests")
    files = list(dict.fromkeys(d.file for d in read.rule_tests))
    broken = [f for f in read.findings if f.severity == "error" and f.place.line]
    if files or broken:
        return [*files, *broken]
    remedy = "a test file has `tests:` and `rule_files:` or `evaluation_interval:` at its top"
    return [_nothing(folder, "no rule unit-test file is in this folder", remedy)]


def _nothing(path: str, message: str, remedy: str) -> Finding:
    return finding("PH250", message, Place(path), remedy)


# One file


def _test_file(path: str, run: str | None, ignore_unknown_fields: bool) -> RuleTestFile:
    read = read_yaml(path)
    if isinstance(read, Finding):
        return RuleTestFile(file=path, findings=(found(read),))
    try:
        names = read_test_file(read.value).rule_files
    except TestFileError as error:
        return RuleTestFile(file=path, findings=(found(_unusable(path, str(error))),))
    rules, warnings, findings = _rule_files(path, names)
    findings += _rule_findings(rules, ignore_unknown_fields)
    rule_files = tuple(r.file for r in rules)
    if findings:
        shown = tuple(found(f) for f in findings)
        return RuleTestFile(file=path, rule_files=rule_files, warnings=tuple(warnings), findings=shown)
    documents = [(r.file, r.value, r.place_of) for r in rules]
    name = os.path.basename(path)
    result = run_test_file(
        read.value, documents, run=run, ignore_unknown_fields=ignore_unknown_fields, default_name=name
    )
    return RuleTestFile(
        file=path,
        rule_files=rule_files,
        warnings=tuple(warnings),
        findings=tuple(found(_unusable(path, e)) for e in result.errors),
        tests=tuple(RuleTest(name=g.name, failures=g.failures) for g in result.groups),
    )


def _unusable(path: str, message: str) -> Finding:
    return finding("PH250", message, Place(path), "docs/test-rules.md shows the form of the file")


def _rule_files(path: str, patterns: Sequence[str]) -> tuple[list[YamlFile], list[str], list[Finding]]:
    """The rule files a test file names, relative to itself; a pattern without a match is a warning, as in promtool."""
    rules: list[YamlFile] = []
    warnings: list[str] = []
    findings: list[Finding] = []
    folder = os.path.dirname(path)
    for pattern in patterns:
        matches = sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))
        if not matches:
            warnings.append(f"no file match pattern {os.path.join(folder, pattern)}")
        for match in matches:
            read = read_yaml(match)
            if isinstance(read, Finding):
                findings.append(read)
            else:
                rules.append(read)
    return rules, warnings, findings


def _rule_findings(rules: Sequence[YamlFile], ignore_unknown_fields: bool) -> list[Finding]:
    """The errors of the rule files: promtool refuses a test then, and so do we."""
    ignored = ("PH201",) if ignore_unknown_fields else ()
    return [
        f
        for rule in rules
        for f in parse_rule_groups(rule.value, rule.place_of)[1]
        if f.severity == "error" and f.code not in ignored
    ]
