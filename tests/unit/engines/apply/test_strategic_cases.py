"""Replays tests/cases/apply/strategic.yaml: an object, a strategic merge patch and what comes of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pilothouse.engines.apply import shapes
from pilothouse.engines.apply.strategic import StrategicError, apply_strategic_patch

FILE = Path(__file__).parents[3] / "cases" / "apply" / "strategic.yaml"
COMPONENTS, *CASES = list(yaml.safe_load_all(FILE.read_text()))
META = {"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": COMPONENTS["components"]["Meta"]}
PART = shapes.of_component({**COMPONENTS["components"], **META}, "Thing")


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_strategic_patch(case: dict[str, Any]) -> None:
    original, patch = case["from"], case["patch"]
    before = copy.deepcopy((original, patch))
    if "refused" in case:
        with pytest.raises(StrategicError) as refusal:
            apply_strategic_patch(PART, original, patch)
        assert (str(refusal.value), refusal.value.code) == (case["refused"], case["code"])
    else:
        assert apply_strategic_patch(PART, original, patch) == case["gives"]
    assert (original, patch) == before


def test_what_does_not_change_is_shared() -> None:
    original: dict[str, Any] = {"metadata": {"labels": {"a": "1"}}, "items": [{"name": "a"}, {"name": "b"}]}
    assert apply_strategic_patch(PART, original, {}) is original
    assert apply_strategic_patch(PART, original, {"items": [{"name": "a"}]}) is original
    changed = apply_strategic_patch(PART, original, {"items": [{"name": "a", "value": "x"}]})
    assert changed["metadata"] is original["metadata"]
    assert changed["items"][1] is original["items"][1]
