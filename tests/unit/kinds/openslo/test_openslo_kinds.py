"""The kinds of OpenSLO, Sloth and Pyrra in a store: their examples are taken, wrong ones refused, columns filled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import pilothouse.kinds
from pilothouse.base.clock import ManualClock
from pilothouse.base.entropy import Entropy
from pilothouse.base.errors import Invalid
from pilothouse.base.manifests import load_paths, load_text
from pilothouse.engines.slo import read, storable
from pilothouse.kinds.core.namespace.kind import KIND as NAMESPACE
from pilothouse.kinds.openslo.alertcondition.kind import KIND as ALERT_CONDITION
from pilothouse.kinds.openslo.alertnotificationtarget.kind import KIND as TARGET
from pilothouse.kinds.openslo.alertpolicy.kind import KIND as ALERT_POLICY
from pilothouse.kinds.openslo.datasource.kind import KIND as DATA_SOURCE
from pilothouse.kinds.openslo.service.kind import KIND as SERVICE
from pilothouse.kinds.openslo.sli.kind import KIND as SLI
from pilothouse.kinds.openslo.slo.kind import KIND as SLO
from pilothouse.kinds.pyrra.servicelevelobjective.kind import KIND as PYRRA
from pilothouse.kinds.sloth.prometheusservicelevel.kind import KIND as SLOTH
from pilothouse.machinery.kind import Kind, Kinds
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Store

OURS = [SLO, SLI, SERVICE, DATA_SOURCE, ALERT_POLICY, ALERT_CONDITION, TARGET, SLOTH, PYRRA]
FOLDER = Path(pilothouse.kinds.__file__).parent


def example(kind: Kind) -> Path:
    group = {"openslo": "openslo", "sloth.slok.dev": "sloth", "pyrra.dev": "pyrra"}[kind.group]
    return FOLDER / group / kind.kind.lower() / "example.yaml"


def path() -> WritePath:
    made = WritePath(Store(), Kinds([NAMESPACE, *OURS]), ManualClock(), Entropy(1))
    made.create("Namespace", {"metadata": {"name": "default"}})
    return made


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.name)
def test_the_example_is_stored_without_loss(kind: Kind) -> None:
    body = yaml.safe_load(example(kind).read_text())
    write = path()
    assert write.inspect(kind.name, body).unknown == ()
    stored = write.create(kind.name, body)
    assert stored["spec"].items() >= {k: v for k, v in body["spec"].items() if k != "indicator"}.items()
    cells = [column.value(stored, 0.0) for column in kind.columns]
    assert cells[0] == body["metadata"]["name"]
    assert cells[1] != "" or kind in (SLOTH, SERVICE)


@pytest.mark.parametrize("kind", [SLO, SLOTH, PYRRA], ids=lambda kind: kind.name)
def test_the_example_makes_an_slo(kind: Kind) -> None:
    reading = read(load_paths([str(example(kind))]).objects)
    assert len(reading.slos) == 1
    assert [f for f in reading.findings if f.severity != "note"] == []


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        (SLO, {"budgetingMethod": "Sometimes"}, "spec.budgetingMethod"),
        (SLO, {"objectives": [{"target": 1}]}, "spec.objectives[0].target"),
        (SLO, {"service": ""}, "spec.service"),
        (ALERT_POLICY, {"notificationTargets": []}, "spec.notificationTargets"),
        (TARGET, {"target": ""}, "spec.target"),
        (PYRRA, {"target": "101"}, "spec.target"),
        (PYRRA, {"window": "month"}, "spec.window"),
        (SLOTH, {"slos": []}, "spec.slos"),
    ],
)
def test_a_wrong_object_is_refused_with_its_field(kind: Kind, change: dict[str, Any], field: str) -> None:
    body = yaml.safe_load(example(kind).read_text())
    body["spec"].update(change)
    with pytest.raises(Invalid) as refused:
        path().create(kind.name, body)
    assert field in [cause.field for cause in refused.value.causes]


def test_a_document_is_fitted_to_the_metadata_of_an_api_server() -> None:
    text = """
apiVersion: openslo/v1
kind: Service
metadata: {name: shop, displayName: The shop, labels: {team: [a, b], tier: one}}
spec: {}
"""
    (document,) = load_text(text).objects
    kept = storable(document)
    assert kept is not None
    assert kept.object["metadata"] == {
        "name": "shop",
        "labels": {"team": "a_b", "tier": "one"},
        "annotations": {"openslo.com/display-name": "The shop"},
    }
    assert path().create(SERVICE.name, kept.object)["metadata"]["labels"]["team"] == "a_b"


def test_a_document_that_breaks_the_format_is_not_kept() -> None:
    (document,) = load_text("{apiVersion: openslo/v1, kind: SLO, metadata: {name: x}, spec: {service: y}}").objects
    assert storable(document) is None
