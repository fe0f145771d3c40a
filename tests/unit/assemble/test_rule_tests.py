"""Which test files are found, what is said of broken ones, and that the rest still runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.assemble.rule_tests import run_test_files
from pilothouse.report import rule_tests as told
from pilothouse.report.text import plain

RULES = """\
groups:
  - name: g
    rules:
      - {alert: Down, expr: up == 0, for: 1m, labels: {code: "0500"}, annotations: {at: "{{ $labels.job }}"}}
"""
TEST = """\
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - name: goes down
    interval: 1m
    input_series:
      - {series: 'up{job="a"}', values: 1 0 0 0}
    alert_rule_test:
      - eval_time: 2m
        alertname: Down
        exp_alerts:
          - {exp_labels: {job: a, code: 0500}, exp_annotations: {at: WHERE}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """tests/good.yml and tests/bad.yml beside rules.yml, and rules that no test names."""
    monkeypatch.chdir(tmp_path)
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "rules.yml").write_text(RULES)
    (tests / "good.yml").write_text(TEST.replace("WHERE", "a"))
    (tests / "bad.yml").write_text(TEST.replace("WHERE", "b"))
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_a_folder_holds_its_test_files_only() -> None:
    report = run_test_files(["tests"])
    assert [(f.file, f.outcome) for f in report.files] == [("tests/bad.yml", "failed"), ("tests/good.yml", "passed")]
    assert (report.outcome, report.exit_code) == ("failed", 1)


@pytest.mark.usefixtures("folder")
def test_rule_files_are_relative_to_the_test_and_labels_stay_text() -> None:
    report = run_test_files(["tests/go*.yml"])
    assert report.outcome == "passed"
    assert report.files[0].rule_files == ("tests/rules.yml",)


@pytest.mark.usefixtures("folder")
def test_a_failure_shows_expected_and_got() -> None:
    text = plain(told.render(run_test_files(["tests/bad.yml"])))
    assert text == (
        "Unit Testing:  tests/bad.yml\n"
        "  FAILED:\n"
        "    name: goes down,\n"
        "    alertname: Down, time: 2m,\n"
        "        exp:[\n"
        "            0:\n"
        '              Labels:{alertname="Down", code="0500", job="a"}\n'
        '              Annotations:{at="b"}\n'
        "            ],\n"
        "        got:[\n"
        "            0:\n"
        '              Labels:{alertname="Down", code="0500", job="a"}\n'
        '              Annotations:{at="a"}\n'
        "            ]\n"
        "\n"
        "1 file, 1 test: 1 failed\n"
    )


@pytest.mark.usefixtures("folder")
def test_one_test_can_be_chosen() -> None:
    assert run_test_files(["tests/bad.yml"], run="never").outcome == "passed"
    assert run_test_files(["tests/bad.yml"], run="goes").outcome == "failed"


@pytest.mark.parametrize(
    ("name", "text", "finding"),
    [
        ("t.yml", "tests: [\n", "t.yml:2 PH101 did not find expected node content (while parsing a flow node)"),
        ("t.yml", "- 1\n", "t.yml PH250 the test file is not a mapping"),
        ("t.yml", "tests: 3\n", "t.yml PH250 yaml: unmarshal errors: 'tests' must be a list"),
        ("t.yml", "tests: []\nmore: 1\n", "t.yml PH250 yaml: unmarshal errors: field more not found in type"),
        (
            "t.yml",
            "rule_files: [r.yml]\ntests: []\n",
            'r.yml:5 PH207 group "g", rule 1, "A": could not parse expression',
        ),
    ],
)
def test_broken_files_are_findings_with_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, finding: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.yml").write_text("groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: up ==\n")
    Path(name).write_text(text)
    report = run_test_files([name])
    (found,) = report.files[0].findings
    assert f"{found.at} {found.code} {found.message}".startswith(finding)
    assert (report.outcome, report.exit_code) == ("unusable", 3)


def test_files_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    report = run_test_files(["none.yml", "none*.yml", "empty"])
    assert [f.findings[0].code for f in report.files] == ["PH120", "PH250", "PH250"]
    assert report.exit_code == 3


@pytest.mark.usefixtures("folder")
def test_a_failing_test_outweighs_an_unusable_file() -> None:
    assert run_test_files(["none.yml", "tests/bad.yml"]).exit_code == 1
    assert run_test_files(["none.yml", "tests/good.yml"]).exit_code == 3


def test_a_rule_file_that_is_missing_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "t.yml"
    path.write_text("rule_files: [none.yml]\nevaluation_interval: 1m\ntests: []\n")
    report = run_test_files([str(path)])
    assert report.files[0].warnings == (f"no file match pattern {tmp_path}/none.yml",)
    assert report.exit_code == 0


@pytest.mark.usefixtures("folder")
def test_junit_has_a_suite_per_file() -> None:
    text = told.to_junit(run_test_files(["none.yml", "tests"]))
    assert text.count("<testsuite ") == 3
    assert '<testsuite name="tests/bad.yml" tests="1" failures="1" errors="0">' in text
    assert '<testcase classname="tests/good.yml" name="goes down"/>' in text
    assert '<error message="there is no such file or folder">' in text
