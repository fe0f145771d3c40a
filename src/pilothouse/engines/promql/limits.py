"""The query engine's limits and defaults, each with its reason."""

from __future__ import annotations

DEFAULT_LOOKBACK_MS = 300_000
"""Prometheus' --query.lookback-delta."""

DEFAULT_SUBQUERY_STEP_MS = 60_000
"""Resolution of `[1h:]`: Prometheus takes the global evaluation interval, one minute by default."""

MAX_STEPS = 2_000_000
"""Steps of one range query: 30 days at 15 s are 172,800; beyond this a step was most likely mistyped.
(The HTTP API has its own, smaller limit of 11,000 points, as Prometheus'.)"""

BLOCK_CELLS = 150_000
"""Cells (steps x series) worked on at once: 1.2 MB an array stays in the cache and below the size at which the
allocator asks the system for fresh pages each time (measured: 4 us a step for 300 series, against 20 us with blocks
of a million)."""
