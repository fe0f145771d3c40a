"""How many requests come: drawn per service and 15-second window, before anything knows how many pods there are.

That makes common random numbers: two variants of a scenario see the same users, also when one of them runs in
1-second steps where the other runs in 15-second ones, because finer steps only divide the window's draw.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pilothouse.base.entropy import Entropy
from pilothouse.worlds.rehearsal.load import LoadTable

WINDOW_S = 15.0
_SLACK_S = 1e-6

Counts = NDArray[np.int64]


class Arrivals:
    """Draws of all services; asked for consecutive spans of time."""

    def __init__(self, load: LoadTable, names: list[str], entropy: Entropy) -> None:
        self._load = load
        self._streams = [entropy.stream("arrivals", name) for name in names]
        self._within = entropy.stream("arrivals-within")
        self._after = entropy.stream("arrivals-after-change")
        self._left: Counts | None = None
        self._end_s = 0.0
        self._owed = np.zeros(len(names))

    def draw(self, start_s: float, end_s: float) -> Counts:
        """Requests that come in [start_s, end_s), which must not cross a multiple of 15 s."""
        if self._left is None or start_s >= self._end_s - _SLACK_S:
            self._open(start_s)
        assert self._left is not None
        if end_s >= self._end_s - _SLACK_S:
            got, self._left = self._left, None
            return got
        load = self._load
        now = load.rates((start_s + end_s) / 2) * (end_s - start_s)
        later = load.rates((end_s + self._end_s) / 2) * (self._end_s - end_s)
        share = np.divide(now, now + later, out=np.zeros_like(now), where=now + later > 0)
        got = self._within.binomial(self._left, share)
        self._left = self._left - got
        return got

    def changed(self) -> None:
        """The load was changed in the middle of a window: what is left of it is drawn again."""
        self._left = None

    def _open(self, start_s: float) -> None:
        self._end_s = (start_s + _SLACK_S) // WINDOW_S * WINDOW_S + WINDOW_S
        expected = self._load.rates((start_s + self._end_s) / 2) * (self._end_s - start_s)
        paced = self._load.paced
        # A window that is not whole belongs to a change; it must not use up the draws of the windows that follow.
        whole = self._end_s - start_s >= WINDOW_S - _SLACK_S
        if whole:
            drawn = [s.poisson(e) for s, e in zip(self._streams, expected.tolist())]
            counts = np.array(drawn, dtype=np.int64)
        else:
            counts = self._after.poisson(expected)
        if paced.any():
            owed = self._owed + expected
            even = np.floor(owed).astype(np.int64)
            self._owed = np.where(paced, owed - even, 0.0)
            counts = np.where(paced, even, counts)
        self._left = counts
