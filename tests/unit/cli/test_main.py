"""The command line: what it asks of a rehearsal, what it prints and writes, its exit codes, and no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.unit.report.sample import report

from pilothouse.base.errors import Finding, InputError, LimitExceeded, Place, Stalled
from pilothouse.cli import outputs
from pilothouse.cli.demo import EXAMPLE, SCENARIOS, example_folder
from pilothouse.cli.main import run
from pilothouse.cli.progress import fraction, note
from pilothouse.report.model import Progress, RehearseRequest, Report, Step

Answer = Callable[[RehearseRequest], Report]


class Asked:
    """Stands where `assemble.rehearse` is: keeps the requests, gives the answer that a test wants."""

    def __init__(self) -> None:
        self.requests: list[RehearseRequest] = []
        self.answer: Answer = lambda _request: report()

    def rehearse(self, request: RehearseRequest, progress: Progress) -> Report:
        self.requests.append(request)
        progress(Step(phase="rehearsing"))
        return self.answer(request)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    out = Asked()
    module = types.ModuleType("pilothouse.assemble")
    module.rehearse = out.rehearse  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pilothouse.assemble", module)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    return out


def test_every_option_reaches_the_request(asked: Asked) -> None:
    run(["rehearse", "a", "b", "-s", "s.yaml", "--seed", "7", "-n", "50", "-d", "90m", "--verify", "-j", "2"])
    assert asked.requests == [
        RehearseRequest(paths=("a", "b"), scenario="s.yaml", seed=7, runs=50, duration_s=5400.0, verify=True, jobs=2)
    ]


@pytest.mark.parametrize(("outcome", "code"), [("met", 0), ("not met", 1), ("undecided", 2), ("unusable", 3)])
def test_exit_codes(asked: Asked, outcome: str, code: int) -> None:
    answer: Report = msgspec.structs.replace(report(), outcome=outcome)
    asked.answer = lambda _request: answer
    assert run(["rehearse", "x"]) == code


def test_the_text_report_is_plain_in_a_pipe(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rehearse", "x"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("Rehearsal of spike-10x\n")
    assert "\x1b" not in out
    assert asked.requests[0].paths == ("x",)


@pytest.mark.usefixtures("asked")
def test_colour_adds_nothing_but_colour(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    outputs.show(report(), None)
    bare = capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    outputs.show(report(), None)
    coloured = capsys.readouterr().out
    assert "\x1b[" in coloured
    assert [line.rstrip() for line in strip(coloured).splitlines()] == bare.splitlines()
    monkeypatch.setenv("NO_COLOR", "1")
    outputs.show(report(), None)
    assert capsys.readouterr().out == bare


def strip(text: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.usefixtures("asked")
def test_json_and_yaml_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    run(["rehearse", "x", "-o", "json"])
    assert json.loads(capsys.readouterr().out)["scenario"] == "spike-10x"
    run(["rehearse", "x", "-o", "yaml"])
    assert capsys.readouterr().out.startswith("version: 0.1.0\n")


@pytest.mark.usefixtures("asked")
def test_files_are_written_into_folders_that_are_made(tmp_path: Path) -> None:
    files = {name: tmp_path / "out" / name for name in ("r.html", "r.xml", "r.ndjson")}
    arguments = ["--html", str(files["r.html"]), "--junit", str(files["r.xml"]), "--events", str(files["r.ndjson"])]
    assert run(["rehearse", "x", *arguments]) == 1
    assert files["r.html"].read_text().startswith("<!doctype html>")
    assert "<testsuites" in files["r.xml"].read_text()
    assert len(files["r.ndjson"].read_text().splitlines()) == 21


def test_a_scenario_may_name_its_files(asked: Asked, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    asked.answer = lambda _request: msgspec.structs.replace(report(), outputs={"json": str(path)})
    run(["rehearse", "x"])
    assert json.loads(path.read_text())["runs"] == 1


@pytest.mark.usefixtures("asked")
def test_a_file_that_cannot_be_written_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(["rehearse", "x", "--html", str(tmp_path / "file" / "r.html")]) == 3
    assert "error PH501" in capsys.readouterr().err


def test_each_scenario_found_in_the_paths_is_rehearsed(asked: Asked, tmp_path: Path) -> None:
    head = "apiVersion: pilothouse.dev/v1alpha1\nkind: Scenario\nmetadata: {name: %s}\nspec: {}\n"
    (tmp_path / "one.yaml").write_text(head % "one" + "---\n" + head % "two")
    outcomes = {"one": "met", "two": "undecided"}
    asked.answer = lambda request: msgspec.structs.replace(report(), outcome=outcomes[request.scenario_name])
    assert run(["rehearse", str(tmp_path)]) == 2
    assert [r.scenario_name for r in asked.requests] == ["one", "two"]
    assert {r.scenario for r in asked.requests} == {str(tmp_path / "one.yaml")}


def test_standard_input_is_read_once(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("kind: X"))
    run(["rehearse", "-"])
    assert asked.requests[0].stdin == "kind: X"


USAGE = [
    (["rehearse"], "Missing argument 'PATH...'"),
    (["rehearse", "x", "--runs", "0"], "0 is not in the range"),
    (["rehearse", "x", "--seed", "-1"], "-1 is not in the range"),
    (["rehearse", "x", "--duration", "soon"], "'soon' is not a duration"),
    (["rehearse", "x", "--duration", "0s"], "is not between"),
    (["rehearse", "x", "-o", "xml"], "'xml' is not one of"),
    (["rehearse", "x", "--nope"], "No such option"),
    (["reherse"], "No such command 'reherse'"),
    (["completion", "tcsh"], "'tcsh' is not one of"),
    (["demo", "nothing"], "'nothing' is not one of"),
]


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(("arguments", "message"), USAGE)
def test_usage_errors_are_three(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 3
    assert message in capsys.readouterr().err


ERRORS: list[tuple[BaseException, int, str]] = [
    (
        InputError(Finding("PH101", "bad", Place("a.yaml", 3), "mend it")),
        3,
        "a.yaml:3: error PH101: bad\n    → mend it",
    ),
    (LimitExceeded("more than 5 (X)"), 3, "error PH503: more than 5 (X)"),
    (Stalled(["a waits"]), 70, "error PH900: Stalled"),
    (ZeroDivisionError("division by zero"), 70, "error PH900: ZeroDivisionError: division by zero"),
    (RecursionError(), 70, "error PH900: RecursionError: no message"),
    (MemoryError(), 70, "error PH504: out of memory"),
    (KeyboardInterrupt(), 130, "stopped"),
]


@pytest.mark.parametrize(("error", "code", "message"), ERRORS)
def test_errors_end_in_words(
    asked: Asked, error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_request: RehearseRequest) -> Report:
        raise error

    asked.answer = fail
    assert run(["rehearse", "x"]) == code
    seen = capsys.readouterr().err
    assert message in seen
    assert "Traceback" not in seen


def test_debug_shows_the_traceback(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_request: RehearseRequest) -> Report:
        raise ZeroDivisionError

    asked.answer = fail
    assert run(["rehearse", "x", "--debug"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_the_demo_rehearses_its_scenarios_and_says_what_comes_next(
    asked: Asked, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["demo"]) == 0
    assert [r.scenario for r in asked.requests] == [f"scenarios/{s}.yaml" for s in SCENARIOS]
    assert "pilothouse rehearse PATH-TO-YOUR-MANIFESTS" in capsys.readouterr().out.splitlines()[-1]


def test_the_example_is_in_the_package() -> None:
    files = sorted(p.name for p in example_folder().rglob("*.yaml"))
    assert example_folder().name == EXAMPLE
    assert {"deployment.yaml", "hpa.yaml", "prometheus-rules.yaml"} < set(files)
    assert {f"{s}.yaml" for s in SCENARIOS} < set(files)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert "_PILOTHOUSE_COMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], ["rehearse", "--help"], ["demo", "-h"], ["completion", "--help"]]
)
def test_help_has_examples(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    assert "Examples:" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pilothouse.cli.main import run; run(['--help']);"
        "print([m for m in ('numpy', 'rich', 'yaml', 'asyncio', 'hcl2', 'pilothouse.assemble') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_a_closed_pipe_is_quiet() -> None:
    code = "from pilothouse.cli.main import main; import sys; main(['rehearse', '--help'])"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == ""


def test_progress_counts_runs_and_virtual_time() -> None:
    step = Step(phase="rehearsing", run=1, runs=4, at_s=1800, duration_s=3600)
    assert fraction(step) == 0.375
    assert note(step) == "rehearsing 00:30 of 01:00, run 2 of 4"
    assert note(Step(phase="reading")) == "reading"
