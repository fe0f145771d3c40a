"""Plain-text cases of what the write path stores and refuses: tests/cases/objects/*.yaml, one document per case.

case:     what it shows
kind:     the kind's full name
write:    the object that is created (metadata.name defaults to "x")
stored:   what the stored object must contain, compared part by part
absent:   dotted paths that must not be stored
refused:  the field errors, in any order, as "field: message"; or one text that the refusal contains
unknown:  fields that are dropped with a warning
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.machinery.world import World

from pilothouse.base.errors import ApiError, Invalid

FOLDER = Path(__file__).parents[3] / "cases" / "objects"


def cases() -> Iterator[Any]:
    for path in sorted(FOLDER.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield pytest.param(document, id=f"{path.stem}: {document['case']}")


def contains(actual: Any, expected: Any, path: str = "") -> list[str]:
    """Where the actual value lacks what is expected."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return [miss for key, value in expected.items() for miss in contains(actual.get(key), value, f"{path}.{key}")]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        return [m for n, (a, e) in enumerate(zip(actual, expected)) for m in contains(a, e, f"{path}[{n}]")]
    return [] if actual == expected else [f"{path}: {actual!r} instead of {expected!r}"]


def at(obj: Any, path: str) -> Any:
    for step in path.split("."):
        obj = obj[int(step)] if isinstance(obj, list) else (obj or {}).get(step)
    return obj


@pytest.mark.parametrize("case", list(cases()))
def test_case(case: dict[str, Any]) -> None:
    world = World()
    obj = {**case["write"], "metadata": {"name": "x", **case["write"].get("metadata", {})}}
    if "unknown" in case:
        assert list(world.write_path.inspect(case["kind"], obj).unknown) == case["unknown"]
    if "refused" in case:
        with pytest.raises(ApiError) as refusal:
            world.write_path.create(case["kind"], obj)
        if isinstance(case["refused"], str):
            assert case["refused"] in refusal.value.message
        else:
            assert isinstance(refusal.value, Invalid)
            assert sorted(f"{c.field}: {c.message}" for c in refusal.value.causes) == sorted(case["refused"])
        assert world.store.revision == 0
        return
    stored = world.write_path.create(case["kind"], obj)
    assert contains(stored, case.get("stored", {})) == []
    for path in case.get("absent", ()):
        assert at(stored, path) is None, path
