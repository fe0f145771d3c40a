"""Remembering by identity: once per object, never for an equal one, and not for ever."""

from __future__ import annotations

from pilothouse.engines.schema.identity_cache import REMEMBERED, IdentityCache, by_identity
from pilothouse.engines.schema.pod_defaults import image_tag
from pilothouse.engines.schema.sharing import change, change_each, fill


def test_the_same_object_is_asked_once() -> None:
    calls: list[dict[str, int]] = []

    @by_identity
    def size(obj: dict[str, int]) -> int:
        calls.append(obj)
        return len(obj)

    one, other = {"a": 1}, {"a": 1}
    assert [size(one), size(one), size(other)] == [1, 1, 1]
    assert len(calls) == 2


def test_memory_is_bounded() -> None:
    cache: IdentityCache[list[int], int] = IdentityCache(len)
    for _ in range(REMEMBERED + 10):
        cache([])
    assert len(cache._seen) <= REMEMBERED


def test_changes_share() -> None:
    obj = {"a": 1, "list": [{"x": 1}, {"x": 2}]}
    assert fill(obj, {"a": 5}) is obj
    assert fill(obj, {"b": 5}) == {"b": 5, **obj}
    assert change(obj, "nothing", lambda _value: 1) is obj
    assert change(obj, "list", lambda values: change_each(values, lambda v: v)) is obj
    out = change(obj, "list", lambda values: change_each(values, lambda v: fill(v, {"y": 0}) if v["x"] == 2 else v))
    assert out["list"][0] is obj["list"][0]
    assert out["list"][1] == {"x": 2, "y": 0}


def test_image_tags() -> None:
    assert image_tag("web") == "latest"
    assert image_tag("registry:5000/web") == "latest"
    assert image_tag("registry:5000/web:v1") == "v1"
    assert image_tag("web@sha256:00") == ""
