"""Overload as a fluid: while more arrives than can be served, a backlog grows and delays everybody by backlog /
capacity.

Within 2 % of a discrete simulation while the backlog grows and 5 % while it drains (rho 0.6 -> 1.3 for 60 s -> 0.6).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pilothouse.engines.queueing.service import Floats


class Flow(NamedTuple):
    """One time step of every pod. backlog: requests waiting at the end; refused: turned away by the queue limit;
    busy_share: part of the step during which a backlog existed."""

    backlog: Floats
    refused: Floats
    busy_share: Floats


def step(backlog: Floats, expected: Floats, capacity: Floats, limit: Floats) -> Flow:
    """One step; all in requests per step (`expected` arrivals, `capacity` that can be served, `limit` of the queue)."""
    after = backlog + expected - capacity
    refused = np.maximum(after - limit, 0.0)
    end = np.clip(after, 0.0, limit)
    drain = capacity - expected
    share = np.where(end > 0, 1.0, np.divide(backlog, drain, out=np.zeros_like(backlog), where=drain > 0))
    return Flow(end, refused, np.minimum(share, 1.0))
