"""How many requests per second are offered at any moment: day curves, traces, and the changes that events make.

Pure functions of time; the draws are in `arrivals`. `LoadTable` evaluates all services at once.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from pilothouse.worlds.rehearsal.spec import LoadSpec, SpecError, rate_per_s, seconds, time_of_day_s

Floats = NDArray[np.float64]
DAY_S = 86_400.0
_RECENT = 16
"""Moments whose rates are remembered: a step asks for the same ones up to three times."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A recorded load: seconds from the start of the run and requests per second, straight lines between."""

    times_s: Floats
    rates: Floats

    def at(self, elapsed_s: float) -> float:
        return float(np.interp(elapsed_s, self.times_s, self.rates))


@dataclass(frozen=True, slots=True)
class LoadChange:
    """An event: from `start_s` for `for_s` seconds the load is `times` as high, or `rps`; it takes `ramp_s` to get
    there and back.

    Times are Unix seconds. service: its index.
    """

    service: int
    start_s: float
    times: float = 1.0
    rps: float | None = None
    for_s: float = math.inf
    ramp_s: float = 0.0

    def strength(self, at_s: float) -> float:
        """0 outside, 1 in full force, between while ramping."""
        since, left = at_s - self.start_s, self.start_s + self.for_s - at_s
        if since < 0 or left <= 0:
            return 0.0
        if self.ramp_s <= 0:
            return 1.0
        return min(1.0, since / self.ramp_s, left / self.ramp_s)


def parse_trace(text: str, name: str) -> Trace:
    """A trace from CSV with the header `time,rps`; SpecError names the line that does not fit."""
    rows = list(csv.reader(io.StringIO(text)))
    head = [cell.strip() for cell in rows[0]] if rows else []
    if head[:2] != ["time", "rps"]:
        raise SpecError(f"{PurePath(name).name}:1", "the first line must be `time,rps`")
    times: list[float] = []
    rates: list[float] = []
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        at = f"{PurePath(name).name}:{number}"
        if len(row) < 2:
            raise SpecError(at, "needs a time and a rate")
        moment = row[0].strip()
        time_s = seconds(float(moment) if moment.replace(".", "", 1).isdigit() else moment, at)
        if times and time_s <= times[-1]:
            raise SpecError(at, "times must rise")
        times.append(time_s)
        rates.append(rate_per_s(row[1].strip(), at))
    if not times:
        raise SpecError(PurePath(name).name, "has no rows")
    return Trace(np.array(times), np.array(rates))


def trace_of(spec: LoadSpec, name: str) -> Trace | None:
    """The trace that a load spec carries, if any."""
    if spec.csv:
        return parse_trace(spec.csv, name)
    if spec.points:
        points = np.array(spec.points, dtype=np.float64)
        return Trace(points[:, 0], points[:, 1])
    return None


class LoadTable:
    """The offered rates of all services. `epoch_s` is where traces begin (Unix seconds)."""

    def __init__(self, epoch_s: float) -> None:
        self._epoch_s = epoch_s
        self._base = np.zeros(0)
        self._swing = np.zeros(0)
        self._swings = False
        self._peak_s = np.zeros(0)
        self._traces: dict[int, Trace] = {}
        self._changes: list[LoadChange] = []
        self._recent: dict[float, Floats] = {}
        self.paced = np.zeros(0, dtype=bool)

    def add(self, spec: LoadSpec) -> int:
        """One more service; gives its index."""
        index = len(self._base)
        diurnal = spec.shape == "diurnal"
        self._base = np.append(self._base, rate_per_s(spec.base, "load.base"))
        # Peak over trough is the ratio and the mean is the base: 1 + a over 1 - a.
        self._swing = np.append(self._swing, (spec.ratio - 1) / (spec.ratio + 1) if diurnal else 0.0)
        self._swings = bool(self._swing.any())
        self._peak_s = np.append(self._peak_s, time_of_day_s(spec.peak_at, "load.peakAt"))
        self.paced = np.append(self.paced, spec.arrivals == "paced")
        trace = trace_of(spec, "load.csv")
        if trace is not None:
            self._traces[index] = trace
        return index

    def change(self, change: LoadChange) -> None:
        """An event; it counts from its own start time on."""
        self._changes.append(change)
        self._recent.clear()

    def rates(self, at_s: float) -> Floats:
        """Requests per second of every service at a moment (Unix seconds). The array is shared: do not change it."""
        known = self._recent.get(at_s)
        if known is None:
            if len(self._recent) > _RECENT:
                self._recent.clear()
            known = self._recent[at_s] = self._evaluate(at_s)
        return known

    def _evaluate(self, at_s: float) -> Floats:
        if self._swings:
            angle = (at_s % DAY_S - self._peak_s) * (2 * math.pi / DAY_S)
            # Rounded, so that a processor whose cosine differs in the last bit offers the same load.
            rates: Floats = (self._base * (1 + self._swing * np.cos(angle))).round(9)
        else:
            rates = self._base.copy()
        for index, trace in self._traces.items():
            rates[index] = trace.at(at_s - self._epoch_s)
        for change in self._changes:
            force = change.strength(at_s)
            if force:
                aim = change.rps if change.rps is not None else rates[change.service] * change.times
                rates[change.service] += (aim - rates[change.service]) * force
        return rates

    def next_edge(self, after_s: float) -> float:
        """The next moment at which an event begins or ends (infinity: none); steps must not straddle it."""
        edges = [e for c in self._changes for e in (c.start_s, c.start_s + c.for_s) if e > after_s]
        return min(edges, default=math.inf)

    def forget(self, before_s: float) -> None:
        """Drop events that are over."""
        self._changes = [c for c in self._changes if c.start_s + c.for_s > before_s]
