"""Many runs to one report: verdicts with intervals, alert and figure tallies over the seeds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec
import numpy as np

from pilothouse.assemble.found import found as found
from pilothouse.assemble.found import spot as spot
from pilothouse.assemble.inputs import Inputs
from pilothouse.assemble.reasons import Reasons
from pilothouse.assemble.unfed import unfed_finding
from pilothouse.base.errors import Place
from pilothouse.engines.alerting.alertmanager import Receiver
from pilothouse.engines.statistics.verdict import Comparison
from pilothouse.kinds.pilothouse.scenario.spec import Expectation
from pilothouse.report.model import (
    AlertStory,
    AlertTally,
    Ending,
    Figure,
    Found,
    Mark,
    ReceiverTally,
    RunLine,
    RunResult,
    Verdict,
    rounded,
    weakest,
)
from pilothouse.report.verdicts import Asked, decide

MISSING = "give the series (--series FILE), or check the metric's name"


@dataclass(slots=True)
class Runs:
    """All runs of a rehearsal by seed order; controls: {left-out fault kind: its runs on the same seeds}."""

    runs: list[RunResult] = field(default_factory=list)
    controls: dict[str, list[RunResult]] = field(default_factory=dict)

    def endings(self, index: int, expectation: Expectation) -> list[tuple[int, Ending]]:
        """(seed, ending) of one expectation, from its control runs when it has some."""
        runs = self.controls.get(expectation.without, []) if expectation.without else self.runs
        return [(run.seed, run.endings[index]) for run in runs]


# -- verdicts


def verdicts(inputs: Inputs, runs: Runs) -> list[Verdict]:
    """One per expectation, in the scenario's order."""
    reasons = Reasons(inputs)
    return [
        decide(_asked(e), runs.endings(i, e), why=reasons.of_check(e.check))
        for i, e in enumerate(inputs.scenario.expect)
    ]


def _asked(expectation: Expectation) -> Asked:
    wanted = expectation.probability
    if wanted is None:
        return Asked(name=expectation.name, asked=expectation.asked, at=spot(expectation.at))
    comparison = cast("Comparison", wanted.text.split()[0])
    share = wanted.at_least if wanted.at_least is not None else wanted.at_most
    return Asked(
        name=expectation.name,
        asked=expectation.asked,
        at=spot(expectation.at),
        comparison=comparison,
        probability=share,
    )


# -- tallies


def alerts(runs: Sequence[RunResult], duration_s: float) -> list[AlertTally]:
    """One per alert rule, in the order of the first run."""
    if not runs:
        return []
    return [_alert([run.alerts[i] for run in runs], duration_s) for i in range(len(runs[0].alerts))]


def _alert(stories: Sequence[AlertStory], duration_s: float) -> AlertTally:
    first = [next((s.from_s for s in story.spans if s.state == "firing"), None) for story in stories]
    times = [t for t in first if t is not None]
    story = stories[0]

    def seconds(state: str) -> float:
        total = sum(
            (s.to_s if s.to_s is not None else duration_s) - s.from_s
            for st in stories
            for s in st.spans
            if s.state == state
        )
        return rounded(total / len(stories)) or 0.0

    firings = sum(1 for st in stories for s in st.spans if s.state == "firing")
    return AlertTally(
        name=story.name,
        severity=story.severity,
        at=story.at,
        fired_runs=len(times),
        runs=len(stories),
        first_s=rounded(float(np.median(times))) if times else None,
        first_low_s=rounded(min(times)) if len(times) > 1 else None,
        first_high_s=rounded(max(times)) if len(times) > 1 else None,
        firing_s=seconds("firing"),
        pending_s=seconds("pending"),
        times=rounded(firings / len(stories)) or 0.0,
        mark=weakest(*(s.mark for s in stories)),
        missing=story.missing,
    )


def unfed(runs: Sequence[RunResult]) -> list[Found]:
    """A finding for every alert that cannot fire because nothing produces what it reads."""
    return [
        found(unfed_finding(a.name, a.missing, Place(a.at.file, a.at.line), "the rehearsal", MISSING))
        for a in (runs[0].alerts if runs else ())
        if a.missing
    ]


def receivers(inputs: Inputs, runs: Sequence[RunResult]) -> tuple[ReceiverTally, ...]:
    """One per receiver of the Alertmanager configuration, in the order of the file; empty without one."""
    if inputs.alertmanager is None or not runs:
        return ()
    days = max(inputs.scenario.duration_s, 1.0) / 86_400
    return tuple(_receiver(r, runs, days) for r in inputs.alertmanager.receivers.values())


def _receiver(receiver: Receiver, runs: Sequence[RunResult], days: float) -> ReceiverTally:
    told = [[n for n in run.notifications if n.receiver == receiver.name] for run in runs]
    firsts = [each[0].at_s for each in told if each]
    counts = [len(each) for each in told]
    mean = sum(counts) / len(runs)
    woken = sum(n.status == "firing" for each in told for n in each) / len(runs)
    held = sum(h.receiver == receiver.name for run in runs for h in run.held_back) / len(runs)
    return ReceiverTally(
        name=receiver.name,
        notifications=rounded(mean) or 0.0,
        low=min(counts) if len(runs) > 1 else None,
        high=max(counts) if len(runs) > 1 else None,
        woken=rounded(woken) or 0.0,
        per_day=rounded(mean / days) or 0.0,
        first_s=rounded(float(np.median(firsts))) if firsts else None,
        held_back=rounded(held) or 0.0,
        at=spot(receiver.place),
    )


def figures(inputs: Inputs, runs: Sequence[RunResult]) -> list[Figure]:
    """Medians over the runs with their 5th and 95th percentile; with one run the figures as they are. Each with the
    lines it rests on."""
    if not runs:
        return []
    reasons = Reasons(inputs)
    same = [[run.figures[i] for run in runs] for i in range(len(runs[0].figures))]
    merged = [_figure(one) if len(one) > 1 else one[0] for one in same]
    return [msgspec.structs.replace(one, why=reasons.of_figure(one.id)) for one in merged]


def _figure(same: Sequence[Figure]) -> Figure:
    values = [f.value for f in same if f.value is not None]
    first = same[0]
    low, middle, high = (float(v) for v in np.percentile(values, [5, 50, 95])) if values else (None, None, None)
    mark: Mark = weakest(*(f.mark for f in same))
    return Figure(
        id=first.id,
        title=first.title,
        value=rounded(middle),
        unit=first.unit,
        mark=mark,
        low=rounded(low),
        high=rounded(high),
        why=first.why,
    )


def lines(runs: Runs, expectations: Sequence[Expectation]) -> list[RunLine]:
    """One line a seed: what held, and the run's digest."""
    by_seed = {run.seed: RunLine(seed=run.seed, holds=[], digest=run.digest) for run in runs.runs}
    for index, expectation in enumerate(expectations):
        for seed, ending in runs.endings(index, expectation):
            if seed in by_seed:
                by_seed[seed].holds.append(ending.holds)
    return [by_seed[run.seed] for run in runs.runs]


def shown(runs: Runs, expectations: Sequence[Expectation]) -> RunResult | None:
    """The run that the report draws: the first in which something did not hold, else the first."""
    for line, run in zip(lines(runs, expectations), runs.runs):
        if False in line.holds:
            return run
    return runs.runs[0] if runs.runs else None
