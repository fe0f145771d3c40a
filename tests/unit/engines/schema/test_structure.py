"""Fitting objects to schemas: what is dropped, filled, refused, shared and remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pilothouse.engines.schema import openapi
from pilothouse.engines.schema.structure import Findings
from pilothouse.engines.schema.wording import path_text

POD = openapi.component("kubernetes-openapi/api_v1.json", "io.k8s.api.core.v1.Pod")
FOLDER = Path(__file__).parents[3] / "cases" / "schema"


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def fit(schema: openapi.Schema, obj: dict[str, Any]) -> tuple[dict[str, Any], Findings]:
    found = Findings()
    return schema.fit(obj, found), found


def widget(**spec: Any) -> tuple[dict[str, Any], list[str]]:
    schema = openapi.custom_schema(read("widget.yaml"))
    fitted, found = fit(schema, {"spec": {"size": 1, **spec}})
    unknown = [f"unknown {path_text(path)}" for path in found.unknown]
    return fitted["spec"], unknown + [f"{c.field}: {c.message}" for c in schema.causes(fitted)]


def test_a_fitting_spec_comes_back_itself() -> None:
    fitted, found = fit(POD, {"spec": {"containers": [{"name": "c", "resources": {}}]}})
    assert not found
    again, _ = fit(POD, fitted)
    assert again["spec"] is fitted["spec"]


def test_only_changed_parts_are_new() -> None:
    container = {"name": "c", "resources": {}}
    fitted, found = fit(POD, {"spec": {"containers": [container, {"name": "d", "nope": 1, "resources": {}}]}})
    assert fitted["spec"]["containers"][0] is container
    assert fitted["spec"]["containers"][1] == {"name": "d", "resources": {}}
    assert [path_text(path) for path in found.unknown] == ["spec.containers[1].nope"]


def test_findings_are_not_forgotten_by_remembering() -> None:
    spec = {"containers": [{"name": "c", "imagePullPolicy": "Perhaps", "wrong": 1}]}
    for _ in range(2):
        _, found = fit(POD, {"spec": spec})
        assert len(found.unknown) == 1
        assert [cause.field for cause in found.causes] == ["spec.containers[0].imagePullPolicy"]


@pytest.mark.parametrize("case", read("decoding.yaml"), ids=lambda case: str(case["pod"]))
def test_wrong_types_read_as_from_go(case: dict[str, Any]) -> None:
    _, found = fit(POD, case["pod"])
    assert POD.decoding_error(found) == case["error"]


def test_whole_floats_are_integers() -> None:
    fitted, found = fit(POD, {"spec": {"containers": [], "priority": 3.0}})
    assert not found
    assert fitted["spec"]["priority"] == 3
    assert isinstance(fitted["spec"]["priority"], int)


def test_statuses_are_walked_only_where_they_changed() -> None:
    stored = {"phase": "Running", "conditions": [{"type": "Ready", "nonsense": 1}]}
    found = Findings()
    fitted = POD.fit_status({**stored, "podIP": "10.0.0.1"}, stored, found)
    assert fitted["conditions"] is stored["conditions"]
    assert not found


def test_what_a_status_keeps_is_not_overwritten_by_defaults() -> None:
    node = openapi.component("kubernetes-openapi/api_v1.json", "io.k8s.api.core.v1.Node")
    stored = {"daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}, "phase": "Running"}
    fitted = node.fit_status({**stored, "phase": "Terminated"}, stored, Findings())
    assert fitted["daemonEndpoints"] is stored["daemonEndpoints"]
    assert fitted["phase"] == "Terminated"


def test_custom_resources_are_filled_and_pruned() -> None:
    spec, problems = widget(
        gone=1, list=[{"id": "a", "gone": 1}], free={"a": "x", "b": 1}, any={"x": [1]}, note=None, mode=None
    )
    assert spec == {
        "size": 1,
        "mode": "slow",
        "list": [{"id": "a", "n": 7}],
        "free": {"a": "x", "b": 1},
        "any": {"x": [1]},
        "note": None,
    }
    assert problems == ["unknown spec.gone", "unknown spec.list[0].gone"]


@pytest.mark.parametrize("case", read("constraints.yaml"), ids=lambda case: str(case["spec"]))
def test_constraints_of_custom_resources(case: dict[str, Any]) -> None:
    _, problems = widget(**case["spec"])
    assert problems == [case["problem"], *case.get("also", ())]


def test_values_that_keep_to_every_constraint_pass() -> None:
    _, problems = widget(
        mode="fast",
        name="ab",
        ratio=1.5,
        port="http",
        when="2026-01-05T00:00:00Z",
        tags={"a": "b"},
        either={"a": 1},
        most=5,
    )
    assert problems == []


def test_a_version_that_is_not_there() -> None:
    with pytest.raises(KeyError, match="has no version 'v9'"):
        openapi.custom_resource("crds/monitoring.coreos.com/servicemonitors.monitoring.coreos.com.json", "v9")
