from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pilothouse.base.clock import DEFAULT_EPOCH_S, rfc3339
from pilothouse.engines.rolling import views
from pilothouse.engines.rolling.views import PodView

NOW_S = DEFAULT_EPOCH_S


def pod(phase: str = "Running", ready_ago_s: float | None = None, **metadata: Any) -> PodView:
    conditions = []
    if ready_ago_s is not None:
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": rfc3339(NOW_S - ready_ago_s)}]
    obj = {"metadata": {"name": "p", **metadata}, "status": {"phase": phase, "conditions": conditions}}
    return msgspec.convert(obj, PodView)


def test_a_pod_is_active_until_it_ends_or_is_deleted() -> None:
    now = rfc3339(NOW_S)
    assert pod().active
    assert not pod("Succeeded").active
    assert not pod("Failed").active
    assert not pod(deletionTimestamp=now).active
    assert pod(deletionTimestamp=now).terminating
    assert not pod("Failed", deletionTimestamp=now).terminating


@pytest.mark.parametrize(("ready_ago_s", "available", "left"), [(None, False, None), (2, False, 3), (5, True, None)])
def test_a_pod_is_available_once_it_was_ready_long_enough(
    ready_ago_s: float | None, available: bool, left: float | None
) -> None:
    seen = pod(ready_ago_s=ready_ago_s)
    assert seen.available(5, NOW_S) is available
    assert seen.available_in_s(5, NOW_S) == left


def test_adopting_and_releasing_keep_other_owners() -> None:
    other = {"uid": "o", "kind": "X"}
    me = views.controller_reference("apps/v1", "ReplicaSet", "rs", "u")
    owners = views.adopt([other], me)
    assert owners == [other, me]
    assert views.adopt(owners, me) == owners
    assert views.controller_of(owners) is me
    assert views.release(owners, "u") == [other]
