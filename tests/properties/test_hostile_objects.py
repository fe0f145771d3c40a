"""Broken objects of every kind are accepted or refused with an ApiError; nothing else comes out of the write path."""

from __future__ import annotations

import copy
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from hypothesis import event, given, settings
from hypothesis import strategies as st
from tests.unit.machinery.world import KINDS, World

from pilothouse.base.errors import ApiError

FOLDERS = {"": "core", "monitoring.coreos.com": "monitoring"}
CASES = Path(__file__).parents[1] / "cases" / "schema"

WRONG: list[Any] = [
    None,
    True,
    -1,
    0,
    2**70,
    1.5,
    "",
    "x",
    "🙂",
    "\x00",
    [],
    [None],
    [[]],
    {},
    {"a": None},
    {"": ""},
    ["x"],
]
JUNK = st.sampled_from(WRONG)


def rich_pod() -> Any:
    return yaml.safe_load((CASES / "rich-pod.yaml").read_text())


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path into a value."""
    out = [path] if path else []
    if isinstance(value, dict):
        for key, entry in value.items():
            out += places(entry, (*path, key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            out += places(entry, (*path, index))
    return out


def broken(obj: Any, path: tuple[Any, ...], junk: Any) -> Any:
    out = copy.deepcopy(obj)
    holder = out
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = junk
    return out


def examples() -> list[tuple[str, Any]]:
    out: list[tuple[str, Any]] = [("Pod", rich_pod())]
    for kind in KINDS:
        path = resources.files("pilothouse").joinpath("kinds", FOLDERS[kind.group], kind.kind.lower(), "example.yaml")
        out.append((kind.name, yaml.safe_load(path.read_text())))
    return out


EXAMPLES = examples()
BROKEN = st.sampled_from(EXAMPLES).flatmap(
    lambda entry: st.tuples(st.just(entry[0]), st.just(entry[1]), st.sampled_from(places(entry[1])), JUNK)
)


@settings(max_examples=600, deadline=None)
@given(BROKEN, st.booleans())
def test_only_api_errors_come_out(case: tuple[str, Any, tuple[Any, ...], Any], update: bool) -> None:
    kind, obj, path, junk = case
    world = World()
    sent = broken(obj, path, junk)
    world.write_path.inspect(kind, sent)
    try:
        if update:
            made = world.write_path.create(kind, obj)
            metadata = made["metadata"]
            where = (kind, metadata.get("namespace", ""), metadata["name"])
            world.write_path.patch(*where, sent)
            world.write_path.patch(*where, sent, subresource="status")
            world.write_path.replace(kind, sent)
        else:
            world.write_path.create(kind, sent)
    except ApiError as refusal:
        event(f"refused with {refusal.code}")


def test_the_rich_pod_is_good() -> None:
    made = World().write_path.create("Pod", rich_pod())
    assert made["metadata"]["uid"]
