"""Seeds as processes, and the second process of `--verify`. The only room of the rehearsal that starts any.

Runs are independent, so N processes give N times the runs. Results come back in seed order whatever finishes first.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.base.trace import CHECKPOINT_EVERY, first_difference
from pilothouse.report.model import RehearseRequest, RunResult, Verification

RunSeed = Callable[[int], list[RunResult]]
"""All results of one seed: the run, then its control runs."""


def run_seeds(run: RunSeed, seeds: Sequence[int], jobs: int) -> Iterator[list[RunResult]]:
    """The results of each seed, in order; with jobs > 1 in forked processes that share what was read."""
    if jobs <= 1 or len(seeds) <= 1:
        yield from map(run, seeds)
        return
    _Shared.run = run
    context = multiprocessing.get_context("fork")
    with context.Pool(min(jobs, len(seeds))) as pool:
        yield from pool.imap(_run_shared, seeds)


class _Shared:
    """What forked children inherit: closures cannot be pickled, memory needs no pickling."""

    run: RunSeed


def _run_shared(seed: int) -> list[RunResult]:
    return _Shared.run(seed)


# -- verification


@dataclass(frozen=True, slots=True)
class Traced:
    """One traced run: the report's bytes, the trace's digest and checkpoints, and the kept window of events."""

    result: str
    digest: str
    checkpoints: list[str]
    kept: list[str]


TraceSeed = Callable[[RehearseRequest, tuple[int, int]], Traced]


def verify(request: RehearseRequest, trace: TraceSeed) -> Verification:
    """Runs the first seed twice, here and in a second process with another hash seed, another wall clock, another time
    zone and a disturbed allocator; on a difference says which event differs first."""
    here = trace(request, (0, 0))
    there = _second_process(request, (0, 0))
    if here.digest == there.digest and here.result == there.result:
        return Verification(equal=True, digest=here.digest, other=there.digest)
    at = first_difference(here.checkpoints, there.checkpoints)
    window = (at * CHECKPOINT_EVERY, (at + 1) * CHECKPOINT_EVERY)
    again = trace(request, window).kept
    other = _second_process(request, window).kept
    words = _difference(again, other, window[0])
    return Verification(equal=False, digest=here.digest, other=there.digest, first_difference=words)


def _difference(left: list[str], right: list[str], offset: int) -> str:
    for index, (a, b) in enumerate(zip(left, right)):
        if a != b:
            return f"event {offset + index}: {a!r} here, {b!r} in the second process"
    if len(left) != len(right):
        return f"event {offset + min(len(left), len(right))}: one process has no more events"
    return "the same events ran, but they computed different values"


def _second_process(request: RehearseRequest, window: tuple[int, int]) -> Traced:
    environment = {**os.environ, "PYTHONHASHSEED": "4242", "TZ": "Pacific/Kiritimati", "PYTHONMALLOC": "malloc"}
    question = msgspec.json.encode({"request": request, "window": window})
    done = subprocess.run(
        [sys.executable, "-m", "pilothouse.assemble.second_process"],
        input=question,
        env=environment,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the second process failed: {done.stderr.decode(errors='replace').strip()[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return Traced(**answer)
