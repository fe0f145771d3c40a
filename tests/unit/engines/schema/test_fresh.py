"""Entries of lists that are stored ones are not walked again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.engines.schema import openapi
from pilothouse.engines.schema.structure import Findings, fresh


@given(st.lists(st.integers(0, 9), unique=True), st.lists(st.integers(0, 9), unique=True))
def test_fresh_is_what_is_not_known(value: list[int], known: list[int]) -> None:
    entries = [object() for _ in range(10)]
    new, old = [entries[i] for i in value], [entries[i] for i in known]
    assert fresh(new, old) == [i for i, entry in enumerate(new) if not any(entry is other for other in old)]


def test_a_changed_entry_of_a_stored_list_is_still_pruned() -> None:
    schema = openapi.component(
        "kubernetes-openapi/apis_discovery.k8s.io_v1.json", "io.k8s.api.discovery.v1.EndpointSlice"
    )
    first = {"addresses": ["10.0.0.1"], "conditions": {"ready": True}}
    stored = {"addressType": "IPv4", "endpoints": [first]}
    proposed = {**stored, "endpoints": [first, {"addresses": ["10.0.0.2"], "colour": "blue"}]}
    found = Findings()
    fitted = schema.fit(proposed, found, stored)
    assert fitted["endpoints"] == [first, {"addresses": ["10.0.0.2"], "conditions": {}}]
    assert fitted["endpoints"][0] is first
    assert found.unknown == [("endpoints", 1, "colour")]
