"""Whatever stands in an SLO document, reading it ends with findings, and what is usable makes rules that parse."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.engines.slo.documents_of import OPENSLO, SPEC
from tests.unit.engines.slo.test_openslo import COMPOSITE, POLICY, SLICES, THRESHOLD, WITH_POLICY
from tests.unit.engines.slo.test_pyrra import RATIO
from tests.unit.engines.slo.test_sloth import ALPHA, GOOD, KUBERNETES, PLUGINS

from pilothouse.base.manifests import Document
from pilothouse.engines import promql, slo
from pilothouse.engines.slo import words

TEXTS = [
    SPEC.format(objective="99.9"),
    GOOD.rstrip() + PLUGINS,
    KUBERNETES,
    ALPHA,
    OPENSLO,
    SLICES,
    THRESHOLD,
    RATIO,
    *COMPOSITE.split("---"),
    WITH_POLICY,
    *POLICY.split("---")[1:],
]
NONSENSE: list[Any] = [None, True, 0, -1, 1e300, float("nan"), "", "x", "{{", "a(", [], [None], {}, {"a": 1}, [[1]]]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _paths(entry, (*path, key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _paths(entry, (*path, index))


def _changed(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    out = copy.deepcopy(body)
    owner = out
    for part in path[:-1]:
        owner = owner[part]
    owner[path[-1]] = value
    return out


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_broken_value_never_breaks_the_reading(data: st.DataObject) -> None:
    bodies = [yaml.safe_load(text) for text in TEXTS]
    which = data.draw(st.integers(0, len(bodies) - 1))
    path = data.draw(st.sampled_from(list(_paths(bodies[which]))))
    bodies[which] = _changed(bodies[which], path, copy.deepcopy(data.draw(st.sampled_from(NONSENSE))))
    documents = [Document(body, f"{index}.yaml", 1, 1) for index, body in enumerate(bodies)]
    reading = slo.read(documents)
    for each in reading.slos:
        words.explain(each)
        for group in slo.groups_of(each):
            assert group["rules"]
            for rule in group["rules"]:
                if each.source.spec != "prometheus/v1":
                    promql.parse(rule["expr"])
    slo.rule_objects(reading.slos)
    for document in documents:
        slo.storable(document)
