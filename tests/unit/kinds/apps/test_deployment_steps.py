"""Replays tests/cases/apps/deployment-steps.txt: sizes before, sizes written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.unit.kinds.apps.deployments import decision, deployment, replica_set

from pilothouse.base.actions import Create, Patch

CASES = Path(__file__).parents[3] / "cases" / "apps" / "deployment-steps.txt"
_SET = re.compile(r"(\w+) (\d+)/(\d+)(?: (\d+))?( =)?")


def _cases() -> list[Any]:
    blocks = re.split(r"\n\s*\n", "\n".join(x for x in CASES.read_text().splitlines() if not x.startswith("#")))
    fields = [dict(line.split(": ", 1) for line in block.strip().splitlines()) for block in blocks if block.strip()]
    return [pytest.param(f, id=f["case"]) for f in fields]


def _number(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def _deployment(text: str) -> tuple[dict[str, Any], int, int]:
    """(the object, the size the sets were scaled for, surge in whole pods when it is a number)."""
    words = dict(([*part.split(), ""])[:2] for part in text.split(", "))
    replicas = int(words["replicas"])
    steps = {"maxSurge": _number(words.get("surge", "25%")), "maxUnavailable": _number(words.get("unavailable", "25%"))}
    strategy: dict[str, Any] = {"type": words.get("strategy", "RollingUpdate")}
    if strategy["type"] == "RollingUpdate":
        strategy["rollingUpdate"] = steps
    obj = deployment(replicas=replicas, strategy=strategy, paused="paused" in words)
    surge = steps["maxSurge"]
    return obj, int(words.get("scaled-for", replicas)), surge if isinstance(surge, int) else 1


def _written(actions: tuple[Any, ...], before: dict[str, int]) -> list[str]:
    out = []
    for action in actions:
        if isinstance(action, Create):
            out.append(f"new {action.object['spec']['replicas']}")
        elif isinstance(action, Patch) and "replicas" in action.patch.get("spec", {}):
            after = action.patch["spec"]["replicas"]
            out.append(f"{action.name} {before[action.name]} -> {after}")
            before[action.name] = after
    return out


@pytest.mark.parametrize("case", _cases())
def test_sizes_are_written_as_the_case_says(case: dict[str, str]) -> None:
    obj, desired, surge = _deployment(case["deployment"])
    sets = []
    found = _SET.findall(case["sets"])
    for age, (name, size, available, counted, now) in enumerate(reversed(found)):
        image = "web:now" if now else ""
        sets.append(
            replica_set(
                name, int(size), int(available), age_s=age * 60.0, image=image, desired=desired, surge=surge,
                counted=int(counted) if counted else None, revision=len(found) - age,
            )
        )  # fmt: skip
    made = decision(obj, *reversed(sets))
    seen = _written(made.actions, {name: int(size) for name, size, *_ in found})
    assert seen == ([] if case["then"] == "nothing" else case["then"].split("; "))
