"""Replays tests/cases/apps/refusals.txt through the write path; and what the kinds fill in by themselves."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.unit.kinds.apps.cluster import KINDS, example

from pilothouse.base.actions import Object
from pilothouse.base.clock import DEFAULT_EPOCH_S, ManualClock
from pilothouse.base.entropy import Entropy
from pilothouse.base.errors import Invalid
from pilothouse.engines.apply.merge_patch import apply_merge_patch
from pilothouse.machinery.kind import Kind, Kinds
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Store

CASES = Path(__file__).parents[3] / "cases" / "apps" / "refusals.txt"


def _cases() -> list[Any]:
    text = "\n".join(line for line in CASES.read_text().splitlines() if not line.startswith("#"))
    blocks = [block.strip().splitlines() for block in re.split(r"\n\s*\n", text) if block.strip()]
    return [pytest.param(head, causes, id=head[:70]) for head, *causes in blocks]


def _write_path() -> WritePath:
    return WritePath(Store(), Kinds(KINDS), ManualClock(), Entropy(1))


def _kind(obj: Object) -> Kind:
    kind = Kinds(KINDS).of_object(obj)
    assert kind is not None
    return kind


@pytest.mark.parametrize(("head", "causes"), _cases())
def test_the_refusal_names_field_and_reason(head: str, causes: list[str]) -> None:
    folder, patch_text = head.split(" ", 1)
    update = patch_text.startswith("on update ")
    patch = json.loads(patch_text.removeprefix("on update "))
    obj, path = example(folder), _write_path()
    kind = _kind(obj)
    seen = ["accepted"]
    try:
        if update:
            path.create(kind.name, obj)
            path.patch(kind.name, "default", obj["metadata"]["name"], patch)
        else:
            path.create(kind.name, apply_merge_patch(obj, patch))
    except Invalid as refusal:
        seen = [f"{cause.field}: {cause.message}" for cause in refusal.causes]
    assert seen == causes


def test_a_small_deployment_gets_the_defaults_of_kubernetes() -> None:
    small = example("apps/deployment")
    template = small["spec"]["template"]
    small["spec"] = {"selector": small["spec"]["selector"], "template": template}
    made = _write_path().create("apps/Deployment", small)
    spec = {key: value for key, value in made["spec"].items() if key not in ("selector", "template")}
    assert spec == {
        "replicas": 1,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }
    assert made["spec"]["template"]["spec"]["restartPolicy"] == "Always"
    assert made["status"] == {}


def test_first_statuses_are_those_of_kubernetes() -> None:
    path = _write_path()
    assert path.create("apps/ReplicaSet", example("apps/replicaset"))["status"] == {"replicas": 0}
    budget = path.create("policy/PodDisruptionBudget", example("policy/poddisruptionbudget"))
    zeros = dict.fromkeys(("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"), 0)
    assert budget["status"] == zeros


def test_annotations_of_a_deployment_count_as_a_new_generation_but_its_revision_does_not() -> None:
    path = _write_path()
    path.create("apps/Deployment", example("apps/deployment"))

    def generation(**annotations: str) -> int:
        patched = path.patch("apps/Deployment", "default", "web", {"metadata": {"annotations": annotations}})
        number: int = patched["metadata"]["generation"]
        return number

    assert generation(**{"deployment.kubernetes.io/revision": "1"}) == 1
    assert generation(note="x") == 2
    assert generation(note="x") == 2


@pytest.mark.parametrize(
    ("folder", "status", "cells"),
    [
        (
            "apps/deployment",
            {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
            ["web", "1/3", 2, 1, "90s", "web", "nginx:1.27", "app=web"],
        ),
        (
            "apps/replicaset",
            {"replicas": 2, "readyReplicas": 1},
            ["web", 2, 2, 1, "90s", "web", "nginx:1.27", "app=web"],
        ),
        ("policy/poddisruptionbudget", {"disruptionsAllowed": 1}, ["web", "N/A", "1", 1, "90s"]),
        ("discovery/endpointslice", None, ["web-1", "IPv4", "80", "10.1.2.3", "90s"]),
    ],
)
def test_columns_are_those_of_kubectl(folder: str, status: dict[str, Any] | None, cells: list[Any]) -> None:
    obj = example(folder)
    kind = _kind(obj)
    made = {**_write_path().create(kind.name, obj), "status": status}
    assert [column.value(made, DEFAULT_EPOCH_S + 90) for column in kind.columns] == cells


def test_long_lists_of_endpoints_are_cut() -> None:
    obj = example("discovery/endpointslice")
    obj["endpoints"] = [{"addresses": [f"10.0.0.{n}"]} for n in range(1, 6)]
    column = next(c for c in _kind(obj).columns if c.name == "Endpoints")
    assert column.value(obj, 0) == "10.0.0.1,10.0.0.2,10.0.0.3 + 2 more..."
