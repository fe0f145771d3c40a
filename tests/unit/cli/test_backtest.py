"""`pilothouse backtest`: options, exit codes, forms of the report, files written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilothouse.cli.main import run

CASE = Path(__file__).parents[2] / "cases" / "backtest" / "two-versions"


@pytest.fixture(autouse=True)
def in_the_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(CASE)


def test_text_is_the_case_s(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["backtest", "rules.yml", "--from", "history.om", "-a", "alertmanager.yml", "--diff", "new-rules.yml"]
    assert run(line) == 0
    assert capsys.readouterr().out == (CASE / "expected.txt").read_text()


def test_machine_forms_and_html(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["backtest", "rules.yml", "--from", "history.om", "--html", str(tmp_path / "b.html")]
    assert run([*line, "-o", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["outcome"] == "done"
    assert run([*line, "-o", "yaml"]) == 0
    assert capsys.readouterr().out.startswith("version: ")
    assert "<h2>When</h2>" in (tmp_path / "b.html").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--start", "yesterday"], "'yesterday' is no time"),
        (["--step", "5"], "'5' is not a duration"),
        (["--header", "token"], "'token' is not NAME:VALUE"),
    ],
)
def test_usage(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backtest", "rules.yml", "--from", "history.om", *options]) == 3
    assert said in capsys.readouterr().err


def test_nothing_usable(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backtest", "rules.yml", "--from", "none.om"]) == 3
    assert "PH120" in capsys.readouterr().out
    assert run(["backtest", "--help"]) == 0
    assert "Examples:" in capsys.readouterr().out
