"""Kinds are found by name and by type; columns read as kubectl's."""

from __future__ import annotations

import pytest
from tests.unit.machinery.world import KINDS

from pilothouse.machinery.columns import human_duration, since
from pilothouse.machinery.kind import Component, Inline, Kind, Kinds


def test_kinds_are_found_by_name_and_type() -> None:
    deployment = Kind(
        "apps", "v1", "Deployment", "deployments", Component("apis_apps_v1.json", "io.k8s.api.apps.v1.Deployment")
    )
    kinds = Kinds([KINDS["Pod"], deployment])
    assert kinds["apps/Deployment"] is deployment
    assert kinds.of_type("apps/v1", "Deployment") is deployment
    assert kinds.of_object({"apiVersion": "v1", "kind": "Pod"}) is KINDS["Pod"]
    assert kinds.of_type("v1", "Deployment") is None
    assert kinds.get("Deployment") is None
    assert "Pod" in kinds
    assert (deployment.api_version, deployment.resource) == ("apps/v1", "deployments.apps")


def test_a_kind_is_listed_once() -> None:
    with pytest.raises(ValueError, match="kind Pod is listed twice"):
        Kinds([KINDS["Pod"], KINDS["Pod"]])


@pytest.mark.parametrize("kind", list(KINDS), ids=lambda kind: str(kind.name))
def test_every_schema_can_be_read(kind: Kind) -> None:
    fields = kind.schema.load().root.fields
    assert "metadata" in fields.nodes


def test_a_schema_of_our_own_is_made_once() -> None:
    calls: list[int] = []

    def source() -> dict[str, object]:
        calls.append(1)
        return {"type": "object", "properties": {}}

    inline = Inline(source)
    assert inline.load() is inline.load()
    assert calls == [1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (11_000, "3h3m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (180_000, "2d2h"),
        (691_200, "8d"),
        (70_000_000, "2y80d"),
        (300_000_000, "9y"),
    ],
)
def test_spans_read_as_in_kubectl(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_an_unknown_time_has_no_age() -> None:
    assert since(None, 0) == "<unknown>"
    assert since("1970-01-01T00:00:00Z", 90) == "90s"
