"""Replays tests/cases/batch/refusals.txt through the write path; and what the kinds fill in by themselves."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.unit.kinds.workloads import example

from pilothouse.assemble.kinds import KINDS
from pilothouse.base.actions import Object
from pilothouse.base.clock import DEFAULT_EPOCH_S, ManualClock
from pilothouse.base.entropy import Entropy
from pilothouse.base.errors import Invalid
from pilothouse.engines.apply.merge_patch import apply_merge_patch
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Store

CASES = Path(__file__).parents[3] / "cases" / "batch" / "refusals.txt"
FOLDERS = (
    "apps/statefulset",
    "apps/daemonset",
    "apps/controllerrevision",
    "batch/job",
    "batch/cronjob",
    "core/replicationcontroller",
    "core/persistentvolumeclaim",
    "core/resourcequota",
    "core/limitrange",
    "core/endpoints",
)


def _cases() -> list[Any]:
    text = "\n".join(line for line in CASES.read_text().splitlines() if not line.startswith("#"))
    blocks = [block.strip().splitlines() for block in re.split(r"\n\s*\n", text) if block.strip()]
    return [pytest.param(head, causes, id=head[:70]) for head, *causes in blocks]


def _write_path() -> WritePath:
    return WritePath(Store(), KINDS, ManualClock(), Entropy(1))


def _name(obj: Object) -> str:
    kind = KINDS.of_object(obj)
    assert kind is not None
    return kind.name


@pytest.mark.parametrize(("head", "causes"), _cases())
def test_the_refusal_names_field_and_reason(head: str, causes: list[str]) -> None:
    folder, patch_text = head.split(" ", 1)
    patch = json.loads(patch_text.removeprefix("on update "))
    obj, path = example(folder), _write_path()
    seen = ["accepted"]
    try:
        if patch_text.startswith("on update "):
            path.create(_name(obj), obj)
            path.patch(_name(obj), "default", obj["metadata"]["name"], patch)
        else:
            path.create(_name(obj), apply_merge_patch(obj, patch))
    except Invalid as refusal:
        seen = [f"{cause.field}: {cause.message}" for cause in refusal.causes]
    assert seen == causes


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_example_is_accepted_and_applying_it_again_changes_nothing(folder: str) -> None:
    obj, path = example(folder), _write_path()
    name = _name(obj)
    inspection = path.inspect(name, obj)
    assert (inspection.unknown, inspection.causes) == ((), ())
    made = path.create(name, obj)
    again = path.patch(name, "default", made["metadata"]["name"], obj)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("folder", "status", "cells"),
    [
        ("apps/statefulset", {"readyReplicas": 2}, ["db", "2/3", "90s", "db", "postgres:17"]),
        (
            "apps/daemonset",
            {"desiredNumberScheduled": 3, "currentNumberScheduled": 2, "numberReady": 1},
            ["logs", 3, 2, 1, 0, 0, "<none>", "90s", "logs", "fluent-bit:3.1", "app=logs"],
        ),
        ("apps/controllerrevision", None, ["db-5f6d8", "<none>", 1, "90s"]),
        (
            "batch/job",
            {"succeeded": 2, "startTime": "2026-01-05T00:00:30Z"},
            ["migrate", "Running", "2/5", "60s", "90s", "migrate", "migrate:1.0"],
        ),
        (
            "batch/cronjob",
            {"lastScheduleTime": "2026-01-05T00:00:30Z", "active": [{}]},
            ["backup", "30 2 * * *", "Asia/Seoul", "False", 1, "60s", "90s", "backup", "backup:1.0", "<none>"],
        ),
        ("core/replicationcontroller", {"replicas": 2}, ["web", 2, 2, 0, "90s", "web", "nginx:1.27", "app=web"]),
        (
            "core/persistentvolumeclaim",
            {"phase": "Pending"},
            ["data-db-0", "Pending", "", "", "", "", "<unset>", "90s", "Filesystem"],
        ),
        (
            "core/resourcequota",
            {"hard": {"pods": "10", "limits.memory": "16Gi"}, "used": {"pods": "3", "limits.memory": "1Gi"}},
            ["team", "pods: 3/10", "limits.memory: 1Gi/16Gi", "90s"],
        ),
        ("core/endpoints", None, ["legacy", "10.1.2.3:80,10.1.2.4:80", "90s"]),
    ],
)  # fmt: skip
def test_columns_are_those_of_kubectl(folder: str, status: dict[str, Any] | None, cells: list[Any]) -> None:
    obj = example(folder)
    kind = KINDS[_name(obj)]
    made = _write_path().create(kind.name, obj)
    if status is not None:
        made = {**made, "status": status}
    row = [
        column.value(made, DEFAULT_EPOCH_S + 90) for column in kind.columns if column.name != "Selector" or cells[-1]
    ]
    assert row[: len(cells)] == cells


def test_a_small_job_gets_the_defaults_of_kubernetes() -> None:
    small = example("batch/job")
    small["spec"] = {"template": small["spec"]["template"]}
    made = _write_path().create("batch/Job", small)
    uid = made["metadata"]["uid"]
    spec = {key: value for key, value in made["spec"].items() if key != "template"}
    assert spec == {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 6,
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
        "manualSelector": False,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "TerminatingOrFailed",
    }
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert labels == made["metadata"]["labels"]
    assert labels["batch.kubernetes.io/job-name"] == "migrate"
    assert made["status"] == {}


def test_limits_of_containers_follow_from_their_bounds() -> None:
    obj = example("core/limitrange")
    obj["spec"]["limits"] = [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "10Mi"}}]
    entry = _write_path().create("LimitRange", obj)["spec"]["limits"][0]
    assert entry["default"] == {"cpu": "2"}
    assert entry["defaultRequest"] == {"cpu": "2", "memory": "10Mi"}


def test_a_daemon_set_counts_its_templates() -> None:
    path, mark = _write_path(), "deprecated.daemonset.template.generation"
    assert path.create("apps/DaemonSet", example("apps/daemonset"))["metadata"]["annotations"] == {mark: "1"}
    made = path.patch("apps/DaemonSet", "default", "logs", {"spec": {"minReadySeconds": 3}})
    assert made["metadata"]["annotations"][mark] == "1"
    patch = {"spec": {"template": {"metadata": {"annotations": {"x": "y"}}}}}
    assert path.patch("apps/DaemonSet", "default", "logs", patch)["metadata"]["annotations"][mark] == "2"
