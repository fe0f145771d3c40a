"""`pilothouse test rules`: exit codes, forms of the output, files written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilothouse.cli.main import run

TEST = """\
evaluation_interval: 1m
tests:
  - name: sum
    interval: 1m
    input_series: [{series: x, values: 1+1x5}]
    promql_expr_test:
      - {expr: x, eval_time: 2m, exp_samples: [{labels: x, value: 3}]}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)
    path = Path("t.yml")
    path.write_text(TEST)
    return path


def test_success(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test", "rules", str(file)]) == 0
    assert capsys.readouterr().out == "Unit Testing:  t.yml\n  SUCCESS\n\n1 file, 1 test: all passed\n"


def test_failure(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(TEST.replace("value: 3", "value: 4"))
    assert run(["test", "rules", str(file), "--junit", "out/j.xml"]) == 1
    assert "        exp: {__name__=" in capsys.readouterr().out
    assert 'failures="1"' in Path("out/j.xml").read_text()


def test_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test", "rules", str(file), "-o", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["outcome"], report["files"][0]["tests"]) == ("passed", [{"name": "sum", "failures": []}])


def test_usage(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test", "rules", str(file), "--run", "("]) == 3
    assert "is no regular expression" in capsys.readouterr().err
    assert run(["test", "rules", "none.yml"]) == 3
    assert run(["test", "rules", "--help"]) == 0
    assert "Examples:" in capsys.readouterr().out
