"""Bad input is named with its place and a remedy, the rest is rehearsed, and nobody ever sees a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.stories.rehearsals import deployment, rules, scenario, service

pytestmark = pytest.mark.slow


def _rehearse(folder: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pilothouse", "rehearse", str(folder), "--duration", "2m", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    text = done.stdout + done.stderr
    assert "Traceback" not in text
    return done.returncode, text


def _write(folder: Path, *objects: object) -> None:
    for number, obj in enumerate(objects):
        text = obj if isinstance(obj, str) else yaml.safe_dump(obj, sort_keys=False)
        (folder / f"{number:02d}.yaml").write_text(text)


GOOD = (deployment(replicas=2), service())


@pytest.mark.parametrize(
    ("broken", "code", "line"),
    [
        ("a: [1,\nb: 2\n", "PH101", "02.yaml:2"),
        ("apiVersion: shop/v9\nkind: Unicorn\nmetadata: {name: u}\n", "PH301", "02.yaml:2"),
        ("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: sum(rate(x[5m])) >\n", "PH207", "02.yaml:5"),
        (yaml.safe_dump({**deployment(replicas=-3), "metadata": {"name": "other"}}), "PH307", "02.yaml"),
        (yaml.safe_dump({**deployment(cpu="lots"), "metadata": {"name": "other"}}), "PH307", "02.yaml"),
        ('module "eks" {\n  eks_managed_node_groups = {\n', "PH601", "02.tf"),
    ],
    ids=["yaml", "unknown kind", "rule", "negative replicas", "absurd cpu", "terraform"],
)
def test_the_broken_part_is_named_and_the_rest_goes_on(tmp_path: Path, broken: str, code: str, line: str) -> None:
    _write(tmp_path, *GOOD)
    (tmp_path / ("02.tf" if line.endswith(".tf") else "02.yaml")).write_text(broken)
    status, text = _rehearse(tmp_path, "-o", "json")
    assert code in text
    assert line.partition(":")[0] in text
    assert status in (0, 2)
    assert '"requests.total"' in text


def test_a_scenario_that_names_what_is_not_there(tmp_path: Path) -> None:
    wrong = scenario(events=[{"at": "1m", "fault": {"kind": "Nonsense"}}], seeds={"runs": 0})
    wrong["spec"]["services"] = {"nobody": {"load": {"base": "-1rps"}}}
    _write(tmp_path, *GOOD, wrong)
    status, text = _rehearse(tmp_path)
    assert all(code in text for code in ("PH407", "PH404", "PH406"))
    assert "02.yaml:" in text
    assert status == 2


def test_a_missing_reference_is_told_with_its_line(tmp_path: Path) -> None:
    api = deployment(replicas=2)
    api["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "absent"}}]
    _write(tmp_path, api, service())
    _status, text = _rehearse(tmp_path)
    assert "PH304" in text
    assert "shop/absent" in text


@pytest.mark.parametrize("arguments", [["--runs", "0"], ["--duration", "-5m"], ["--duration", "soon"], ["--jobs", "x"]])
def test_absurd_arguments_are_unusable_input(tmp_path: Path, arguments: list[str]) -> None:
    _write(tmp_path, *GOOD)
    status, text = _rehearse(tmp_path, *arguments)
    assert status == 3
    assert "Error" in text


def test_nothing_usable_is_exit_3(tmp_path: Path) -> None:
    assert _rehearse(tmp_path)[0] == 3
    _write(tmp_path, "}{")
    assert _rehearse(tmp_path)[0] == 3
    assert _rehearse(tmp_path / "absent")[0] == 3


def test_rules_alone_are_enough(tmp_path: Path) -> None:
    _write(tmp_path, rules())
    status, text = _rehearse(tmp_path)
    assert status == 0
    assert "HighErrorRate" in text
