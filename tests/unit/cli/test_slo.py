"""`pilothouse slo` and `pilothouse budget calc`: what they print, in which form, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pilothouse.cli.main import run

SPEC = """\
version: prometheus/v1
service: shop
slos:
  - name: availability
    objective: 99.9
    sli: {raw: {error_ratio_query: '1 - avg_over_time(up[{{.window}}])'}}
    alerting: {name: ShopBurn, ticket_alert: {disable: true}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("slo.yaml")
    path.write_text(SPEC)
    return path


def test_list(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["slo", "list", str(file)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "shop-availability",
        "99.9%",
        "30d",
        "43.2",
        "minutes",
        "Occurrences",
        "page",
        "slo.yaml:4:5",
    ]
    assert run(["slo", "list", str(file), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["budgetSeconds"] == 2592


def test_show(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["slo", "show", str(file), "--name", "availability"]) == 0
    (shown,) = yaml.safe_load(capsys.readouterr().out)
    assert [w["burnRate"] for w in shown["alertWindows"]] == [14.4, 6]
    assert shown["errorRatio"]["query"] == "(1 - avg_over_time(up[5m]))"


def test_explain(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["slo", "explain", str(file), "--burn-rate", "14.4"]) == 0
    out = capsys.readouterr().out
    assert "43.2 minutes of complete outage" in out
    assert "A burn rate of 14.4: the budget burns 14.4 times as fast as it may; all of it" in out


def test_rules_are_a_rule_file_that_the_rule_tests_take(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["slo", "rules", str(file)]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert [len(g["rules"]) for g in printed["groups"]] == [8, 7, 1]
    Path("rules.yaml").write_text(yaml.safe_dump(printed))
    Path("t.yaml").write_text("rule_files: [rules.yaml]\nevaluation_interval: 1m\ntests: []\n")
    assert run(["test", "rules", "t.yaml"]) == 0


def test_rules_as_objects_and_with_options(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["slo", "rules", str(file), "--form", "prometheusrule", "-o", "json", "--no-alerts", "-l", "a=b"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["kind"], made["metadata"]["name"]) == ("PrometheusRule", "shop-availability")
    rules = [rule for group in made["spec"]["groups"] for rule in group["rules"]]
    assert all(rule["labels"]["a"] == "b" and "record" in rule for rule in rules)


def test_another_period_with_its_windows(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tier = "{errorBudgetPercent: 5, shortWindow: 4m, longWindow: 40m}"
    pair = f"{{quick: {tier}, slow: {tier}}}"
    Path("w.yaml").write_text(
        f"apiVersion: sloth.slok.dev/v1\nkind: AlertWindows\nspec: {{sloPeriod: 10d, page: {pair}, ticket: {pair}}}\n"
    )
    assert run(["slo", "rules", str(file), "--period", "10d", "--windows", "w.yaml"]) == 0
    names = [r["record"] for r in yaml.safe_load(capsys.readouterr().out)["groups"][0]["rules"]]
    assert names == [f"slo:sli_error:ratio_rate{w}" for w in ("4m", "40m", "10d")]


def test_what_is_wrong_is_said_and_the_rest_is_printed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(SPEC + "  - {name: bad, objective: 200, sli: {raw: {error_ratio_query: x}}}\n")
    assert run(["slo", "list", str(file)]) == 3
    captured = capsys.readouterr()
    assert "shop-availability" in captured.out
    assert "slo.yaml:8:28: error PH720" in captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["slo", "show", "slo.yaml", "--name", "other"],
        ["slo", "rules", "slo.yaml", "--label", "x"],
        ["slo", "rules", "slo.yaml", "--period", "soon"],
        ["slo", "rules", "slo.yaml", "--windows", "slo.yaml"],
        ["slo", "rules", "slo.yaml", "--windows", "missing.yaml"],
        ["slo", "list", "missing.yaml"],
        ["budget", "calc", "most"],
        ["budget", "calc", "101%"],
        ["budget", "calc", "99%", "--window", "soon"],
    ],
)
def test_unusable_arguments(file: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert file.exists()
    assert run(arguments) == 3
    assert "Traceback" not in capsys.readouterr().err


def test_the_table_of_nines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["budget", "calc"]) == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    month = rows["OBJECTIVE"].index("MONTH")
    assert [rows[nines][month] for nines in ("99%", "99.9%", "99.99%", "99.999%")] == [
        "7h18m",
        "43m48s",
        "4m22s",
        "26s",
    ]
    assert rows["99.9%"][rows["OBJECTIVE"].index("30d")] == "43m12s"


def test_one_objective(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["budget", "calc", "99.9%", "--window", "30d", "--requests", "1000000"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("99.9% of 30d: 0.1 % may fail, 43.2 minutes (43m12s) of complete outage\n1,000 requests")
    assert "14.4x" in out


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_budget_for_programs(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["budget", "calc", "0.999", "--window", "30d", "-o", form]) == 0
    (row,) = yaml.safe_load(capsys.readouterr().out)
    assert row["objective"] == "99.9%"
    assert row["windows"]["30d"]["seconds"] == 2592
    assert [a["burnRate"] for a in row["windows"]["30d"]["alerts"]] == [14.4, 6, 3, 1]


@pytest.mark.parametrize("command", [["slo"], ["slo", "rules"], ["slo", "explain"], ["budget", "calc"]])
def test_help_answers(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--help"]) == 0
    assert "Usage: pilothouse" in capsys.readouterr().out
