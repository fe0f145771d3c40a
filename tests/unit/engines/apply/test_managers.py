"""managedFields read and written: who is whom, the order of entries, and how many updaters are kept apart."""

from __future__ import annotations

from typing import Any

import pytest

from pilothouse.engines.apply import managers
from pilothouse.engines.apply.managers import APPLY, UPDATE, Managed, Owned, Owner


def entry(manager: str, operation: str = UPDATE, version: str = "v1", **more: Any) -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": version,
        "fieldsType": "FieldsV1",
        "fieldsV1": {f"f:{manager}": {}},
        **more,
    }


def test_reading_and_writing_are_inverse_and_sorted() -> None:
    entries = [
        entry("zoe", time="2026-01-01T00:00:01Z"),
        entry("ann", time="2026-01-01T00:00:02Z"),
        entry("ann", subresource="status"),
        entry("bob", APPLY, time="2026-01-01T00:00:09Z"),
    ]
    written = managers.written(managers.read(entries))
    assert written == [entries[3], entries[2], entries[0], entries[1]]


def test_an_applier_is_the_same_in_every_version_an_updater_is_not() -> None:
    assert len(managers.read([entry("a", APPLY, "v1"), entry("a", APPLY, "v2")])) == 1
    assert len(managers.read([entry("a", UPDATE, "v1"), entry("a", UPDATE, "v2")])) == 2


def test_only_times_may_differ() -> None:
    old, new = [entry("a", time="2026-01-01T00:00:01Z"), entry("b")], [entry("b"), entry("a")]
    assert managers.same_but_times(old, new)
    assert not managers.same_but_times(old, [entry("a")])
    assert not managers.same_but_times(old, [entry("a"), entry("c")])


@pytest.mark.parametrize(
    "broken",
    [
        {"operation": "Guess"},
        {"apiVersion": ""},
        {"fieldsType": "FieldsV2"},
        {"fieldsV1": {"nothing": {}}},
    ],
)
def test_entries_of_clients_may_be_unreadable(broken: dict[str, Any]) -> None:
    with pytest.raises(managers.BadEntries):
        managers.read([{**entry("a"), **broken}], trusted=False)


def test_the_oldest_updaters_of_a_version_become_one() -> None:
    managed: Managed = {
        Owner(f"m{number:02}", UPDATE, "v1", ""): Owned({f"f:{number}": {}}, "v1", f"2026-01-01T00:00:{number:02}Z")
        for number in range(12)
    }
    applier = Owner("gitops", APPLY, "", "")
    managed[applier] = Owned({"f:x": {}}, "v1")
    capped = managers.capped(managed)
    bucket = capped[Owner(managers.ANCIENT, UPDATE, "v1", "")]
    assert bucket.fields == {"f:0": {}, "f:1": {}, "f:2": {}}
    assert bucket.time == "2026-01-01T00:00:02Z"
    assert len([owner for owner in capped if owner.operation == UPDATE]) == managers.MAX_UPDATERS
    assert applier in capped
    assert managers.capped(capped) is capped


def test_owners_as_conflicts_name_them() -> None:
    assert str(Owner("helm", APPLY, "", "")) == '"helm"'
    assert str(Owner("kubelet", UPDATE, "v1", "status")) == '"kubelet" with subresource "status" using v1'
