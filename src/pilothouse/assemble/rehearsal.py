"""A whole rehearsal: read the files, run every seed (and its controls), judge, and give the report."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from pilothouse import __version__
from pilothouse.assemble import aggregate, processes
from pilothouse.assemble.inputs import Inputs, read_inputs
from pilothouse.assemble.run import run_once
from pilothouse.assemble.world_spec import cluster_words, world_spec
from pilothouse.base import clock
from pilothouse.base.trace import Trace
from pilothouse.report import model
from pilothouse.report.model import (
    Assumption,
    Outcome,
    Progress,
    RehearseRequest,
    Report,
    RunResult,
    Step,
    Verification,
    command_of,
)
from pilothouse.report.verdicts import overall


def rehearse(request: RehearseRequest, progress: Progress | None = None) -> Report:
    """Plays the scenario (or an ordinary day, when there is none) on the files and reports.

    Wrong input never raises: it is among the report's findings, and the outcome is "unusable" when nothing is left.
    """
    say: Progress = progress or (lambda _step: None)
    say(Step(phase="reading"))
    inputs = read_inputs(request)
    if not inputs.usable:
        return _report(request, inputs, aggregate.Runs(), None, "unusable")
    runs = aggregate.Runs()
    with _no_cyclic_collector():
        seeds = _seeds(request, inputs)
        for results in processes.run_seeds(_runner(inputs, say, seeds), seeds, request.jobs):
            runs.runs.append(results[0])
            for kind, control in zip(_left_out(inputs), results[1:]):
                runs.controls.setdefault(kind, []).append(control)
    checked = None
    if request.verify:
        say(Step(phase="verifying"))
        checked = processes.verify(request, trace_first_seed)
    say(Step(phase="rendering"))
    return _report(request, inputs, runs, checked, None)


def trace_first_seed(request: RehearseRequest, window: tuple[int, int]) -> processes.Traced:
    """The first seed with every event traced; `window` keeps a stretch of events as text."""
    inputs = read_inputs(request)
    trace = Trace(window)
    with _no_cyclic_collector():
        result = run_once(inputs, _seeds(request, inputs)[0], trace=trace)
    text = msgspec.json.encode(result).decode()
    return processes.Traced(text, trace.digest(), trace.checkpoints, trace.kept)


def _seeds(request: RehearseRequest, inputs: Inputs) -> list[int]:
    first = inputs.scenario.seeds.first if request.seed is None else request.seed
    count = inputs.scenario.seeds.runs if request.runs is None else request.runs
    return list(range(first, first + count))


def _left_out(inputs: Inputs) -> list[str]:
    """Fault kinds whose absence some expectation asks for: each gives one control run a seed."""
    return list(dict.fromkeys(e.without for e in inputs.scenario.expect if e.without))


def _runner(inputs: Inputs, say: Progress, seeds: list[int]) -> processes.RunSeed:
    def run(seed: int) -> list[RunResult]:
        def at(phase: str, at_s: float) -> None:
            step = Step(
                phase="control" if phase == "control" else "rehearsing",
                run=seed - seeds[0],
                runs=len(seeds),
                at_s=at_s,
                duration_s=inputs.scenario.duration_s,
            )
            say(step)

        results = [run_once(inputs, seed, progress=lambda at_s: at("rehearsing", at_s))]
        for kind in _left_out(inputs):
            results.append(run_once(inputs, seed, without=kind, progress=lambda at_s: at("control", at_s)))
        return results

    return run


@contextmanager
def _no_cyclic_collector() -> Iterator[None]:
    """Objects are shared and rarely cyclic; the collector would walk all of them again and again (4x on creation).

    What a rehearsal leaves behind is set aside, not walked: most processes end after one. The next one clears it away.
    """
    was = gc.isenabled()
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.freeze()
            gc.enable()


def _report(
    request: RehearseRequest,
    inputs: Inputs,
    runs: aggregate.Runs,
    verification: Verification | None,
    forced: Outcome | None,
) -> Report:
    scenario = inputs.scenario
    verdicts = aggregate.verdicts(inputs, runs) if runs.runs else []
    seeds = _seeds(request, inputs)
    outcome: Outcome = forced or overall(verdicts)
    if outcome == "met" and any(f.severity == "error" for f in inputs.findings):
        outcome = "undecided"  # of what was left out nothing can be said
    if verification is not None and not verification.equal:
        outcome = "not met"
    return Report(
        version=__version__,
        scenario=scenario.name,
        made_up=inputs.made_up,
        inputs=model.Inputs(
            files=inputs.manifests.files,
            objects=inputs.counts(),
            rules=sum(len(g.rules) for g in inputs.groups),
            alerts=sum(1 for g in inputs.groups for _ in g.alerting_rules()),
            services=[s.name for s in scenario.services],
            cluster=cluster_words(inputs),
        ),
        seeds_first=seeds[0],
        runs=len(runs.runs),
        runs_asked=len(seeds),
        start_epoch_s=clock.DEFAULT_EPOCH_S,
        duration_s=scenario.duration_s,
        outcome=outcome,
        verdicts=verdicts,
        shown=aggregate.shown(runs, scenario.expect),
        alerts=aggregate.alerts(runs.runs, scenario.duration_s),
        figures=aggregate.figures(inputs, runs.runs),
        receivers=aggregate.receivers(inputs, runs.runs),
        assumptions=_assumptions(inputs),
        findings=[aggregate.found(f) for f in inputs.findings] + aggregate.unfed(runs.runs),
        run_lines=aggregate.lines(runs, scenario.expect) if len(runs.runs) > 1 else [],
        verification=verification,
        command=command_of(request),
        outputs=_outputs(inputs),
    )


def _outputs(inputs: Inputs) -> dict[str, str]:
    """Files that the scenario itself asks for."""
    asked = inputs.scenario.report
    return {k: v for k, v in (("html", asked.html), ("junit", asked.junit), ("events", asked.events)) if v}


def _assumptions(inputs: Inputs) -> list[Assumption]:
    """What was made up for the scenario, then every default of the models that nobody gave."""
    made = [
        Assumption(code=a.code, what=a.what, value=a.value, why=a.why, change=a.change, effect=a.effect)
        for a in inputs.assumed
    ]
    return made + (world_spec(inputs).assumptions if inputs.usable else [])
