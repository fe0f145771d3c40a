"""Applies beyond the plain-text cases: objects from before the first apply, client-side apply's annotation, no-ops."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilothouse.engines.apply import server_side, shapes
from pilothouse.engines.apply.managers import APPLY, UPDATE, Managed, Owned, Owner
from pilothouse.engines.apply.server_side import LAST_APPLIED, ApplyConflict, Writer
from pilothouse.engines.schema import openapi

SCHEMAS = openapi.read_document("kubernetes-openapi/apis_apps_v1.json")["components"]["schemas"]
DEPLOYMENT = shapes.of_component(SCHEMAS, "io.k8s.api.apps.v1.Deployment")
KUBECTL = Writer("kubectl", "apps/v1", "2026-01-05T00:00:00Z")
OTHER = Writer("gitops", "apps/v1", "2026-01-05T00:00:00Z")


def deployment(replicas: int, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", **metadata},
        "spec": {"replicas": replicas},
    }


def client_side(replicas: int, applied: int) -> dict[str, Any]:
    return deployment(replicas, annotations={LAST_APPLIED: json.dumps(deployment(applied))})


def updated_by(obj: dict[str, Any], manager: str) -> Managed:
    who = Writer(manager, "apps/v1", "2026-01-04T00:00:00Z")
    return server_side.updated(DEPLOYMENT, {}, obj, {}, who)


def test_what_was_there_before_the_first_apply_has_an_owner() -> None:
    live = deployment(3)
    with pytest.raises(ApplyConflict, match=r'conflict with "before-first-apply" using apps/v1: \.spec\.replicas'):
        server_side.applied(DEPLOYMENT, live, deployment(5), {}, OTHER)
    result = server_side.applied(DEPLOYMENT, live, deployment(3), {}, OTHER)
    assert result.object is None
    assert list(result.managed) == [
        Owner("before-first-apply", UPDATE, "apps/v1", ""),
        Owner("gitops", APPLY, "", ""),
    ]


def test_objects_nobody_tracks_stay_untracked_until_then() -> None:
    assert server_side.updated(DEPLOYMENT, deployment(3), deployment(4), {}, OTHER) == {}


def test_spec_itself_belongs_to_nobody_where_go_always_writes_it() -> None:
    owned = updated_by(deployment(3), "ann")
    assert [entry.fields for entry in owned.values()] == [{"f:spec": {"f:replicas": {}}}]


def test_kubectl_takes_over_what_its_client_side_applied() -> None:
    live = client_side(3, applied=3)
    managed = updated_by(live, "kubectl-client-side-apply")
    result = server_side.applied(DEPLOYMENT, live, deployment(5), managed, KUBECTL)
    assert result.object is not None
    assert result.object["spec"]["replicas"] == 5
    kept = json.loads(result.object["metadata"]["annotations"][LAST_APPLIED])
    assert kept["spec"]["replicas"] == 5
    with pytest.raises(ApplyConflict):
        server_side.applied(DEPLOYMENT, live, deployment(5), managed, OTHER)


def test_kubectl_conflicts_over_what_changed_since() -> None:
    live = client_side(4, applied=3)
    managed = updated_by(live, "hpa")
    with pytest.raises(ApplyConflict, match=r"\.spec\.replicas"):
        server_side.applied(DEPLOYMENT, live, deployment(5), managed, KUBECTL)


@pytest.mark.parametrize(
    "annotation", ["", "{", "[]", '{"apiVersion":"v1"}', '{"apiVersion":"apps/v1","spec":{"x":1}}']
)
def test_an_annotation_that_says_nothing_allows_nothing(annotation: str) -> None:
    live = deployment(3, annotations={LAST_APPLIED: annotation})
    with pytest.raises(ApplyConflict):
        server_side.applied(DEPLOYMENT, live, deployment(5), updated_by(live, "ann"), KUBECTL)


def test_applying_again_changes_nothing_and_keeps_the_time() -> None:
    first = server_side.applied(DEPLOYMENT, {}, deployment(3), {}, OTHER)
    assert first.object is not None
    later = Writer("gitops", "apps/v1", "2026-02-01T00:00:00Z")
    again = server_side.applied(DEPLOYMENT, first.object, deployment(3), first.managed, later)
    assert again.object is None
    assert again.managed == first.managed


def test_a_schema_that_became_atomic_collapses_what_was_owned_below() -> None:
    schema = {"type": "object", "properties": {"args": {"type": "array", "items": {"type": "string"}}}}
    part = shapes.of_custom(schema, SCHEMAS)
    owner = Owner("ann", APPLY, "", "")
    managed = {owner: Owned({"f:args": {'v:"a"': {}}}, "v1")}
    assert server_side.reconciled(part, managed)[owner].fields == {"f:args": {}}
    untouched = {owner: Owned({"f:args": {}}, "v1")}
    assert server_side.reconciled(part, untouched)[owner].fields == {"f:args": {}}
