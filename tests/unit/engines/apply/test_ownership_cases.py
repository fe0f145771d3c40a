"""Replays tests/cases/apply/ownership.yaml: updates and applies of several managers, one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pilothouse.engines.apply import field_sets, server_side, shapes
from pilothouse.engines.apply.managers import Managed, Owner
from pilothouse.engines.apply.server_side import ApplyConflict, Writer
from pilothouse.engines.apply.typed_values import ShapeError, check
from pilothouse.engines.schema import openapi

FILE = Path(__file__).parents[3] / "cases" / "apply" / "ownership.yaml"
CASES = list(yaml.safe_load_all(FILE.read_text()))
META = openapi.read_document("kubernetes-openapi/api_v1.json")["components"]["schemas"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_ownership(case: dict[str, Any]) -> None:
    part = shapes.of_custom(case["schema"], META)
    live: dict[str, Any] = {}
    managed: Managed = {}
    for number, step in enumerate(case["steps"]):
        refusal = ""
        try:
            live, managed = _written(part, live, managed, step)
        except (ApplyConflict, ShapeError) as error:
            refusal = str(error)
        assert refusal == step.get("refused", ""), number
        if "gives" in step:
            assert live == step["gives"], number
        if "owners" in step:
            assert _shown(managed) == step["owners"], number


def _written(
    part: shapes.Part, live: dict[str, Any], managed: Managed, step: dict[str, Any]
) -> tuple[dict[str, Any], Managed]:
    new = step["object"]
    who = Writer(step.get("apply") or step["update"], "v1", "2026-01-05T00:00:00Z")
    if "update" in step:
        return new, server_side.updated(part, live, new, managed, who)
    check(part, new)
    result = server_side.applied(part, live, new, managed, who, force=step.get("force", False))
    return live if result.object is None else dict(result.object), result.managed


def _shown(managed: Managed) -> dict[str, list[str]]:
    return {
        _name(owner): sorted(map(field_sets.path_text, field_sets.paths(owned.fields)))
        for owner, owned in managed.items()
    }


def _name(owner: Owner) -> str:
    return f"{owner.manager} {owner.operation}"
