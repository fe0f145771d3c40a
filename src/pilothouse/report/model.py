"""What a rehearsal is asked and what it answers, as plain records: no behaviour beyond reading them, no clock, no I/O.

`RehearseRequest` goes into `assemble.rehearse`, `Report` comes out. A report holds nothing of the machine it was made
on: the same inputs, seed and version give the same bytes (`report.formats.to_json`). CPU seconds travel beside it, in
`Spent`. Imported by `assemble`, `cli`, `web`.
Times named `_s` are virtual seconds since the rehearsal's start, unless they say epoch. Ratios are 0..1.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Literal

import msgspec

Mark = Literal["exact", "calibrated", "assumed"]
"""exact: rule evaluation, HPA arithmetic, rollout and scheduling logic on the given inputs. calibrated: a model fitted
to measurements. assumed: follows from a default that nobody gave. A figure carries the weakest mark it rests on."""

Outcome = Literal["met", "not met", "undecided", "unusable"]

EXIT_CODES: dict[Outcome, int] = {"met": 0, "not met": 1, "undecided": 2, "unusable": 3}


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of everything in a report: immutable, key order as written, camelCase in JSON."""


# --- asked


class RehearseRequest(Record, frozen=True, kw_only=True):
    """One `pilothouse rehearse`. Plain and picklable: `--verify` and `--jobs` hand it to other processes."""

    paths: tuple[str, ...]
    """Files and folders as the user gave them; "-" is standard input."""
    scenario: str = ""
    """A Scenario file; "" takes the scenario found in the paths, or makes one."""
    scenario_name: str = ""
    """Which of several scenarios, by metadata.name; "" takes the only one."""
    stdin: str = ""
    """What "-" holds: read once by the caller."""
    seed: int | None = None
    """First seed; None: the scenario's, else 1."""
    runs: int | None = None
    """None: the scenario's, else 1."""
    duration_s: float | None = None
    """None: the scenario's, else a day."""
    jobs: int = 1
    verify: bool = False
    load: str = ""
    """`50rps`, `diurnal:20rps-80rps` or a csv of time,rps: the load of the made-up scenario's services."""
    series: tuple[str, ...] = ()
    """Files of series that the rules read and no model produces."""


class Step(Record, frozen=True, kw_only=True):
    """Progress: which part of the work goes on, and how far one run has come in virtual time."""

    phase: Literal["reading", "building", "rehearsing", "control", "verifying", "rendering"]
    run: int = 0
    """0-based index of the run."""
    runs: int = 1
    at_s: float = 0.0
    duration_s: float = 0.0


Progress = Callable[[Step], None]
"""Called a few times per second at most; must not raise."""


class Spent(Record, frozen=True, kw_only=True):
    """What the rehearsal cost. Never part of a Report."""

    cpu_s: float
    wall_s: float = 0.0


# --- answered


class Spot(Record, frozen=True, kw_only=True):
    """A place in the user's files; line 0: the file as a whole."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Why(Record, frozen=True, kw_only=True):
    """One reason, and the line of the user's files that it rests on."""

    text: str
    at: Spot | None = None


class Lane(Record, frozen=True, kw_only=True):
    """One curve of the timeline: a value every `step_s`, from the start; None where there is none.

    id: "load", "ready", "desired", "nodes", "errors" (ratio), "p99" (seconds), "budget" (ratio burned), or any other.
    """

    id: str
    title: str
    unit: str
    """"req/s", "pods", "nodes", "ratio", "s", "$/h" or ""."""
    step_s: float
    values: list[float | None]
    subject: str = ""
    """The service, deployment or node group it belongs to."""
    mark: Mark = "exact"
    limit: float | None = None
    """A level drawn as a line: an alert's threshold, an objective."""


MomentKind = Literal[
    "start",
    "load",
    "fault",
    "fault-end",
    "deploy",
    "rollout",
    "scale",
    "nodes",
    "pod",
    "alert",
    "budget",
    "change",
    "note",
]


class Moment(Record, frozen=True, kw_only=True):
    """Something that happened. weight: 0 (detail) to 100 (the reader must see it)."""

    at_s: float
    kind: MomentKind
    subject: str
    text: str
    weight: int = 50
    mark: Mark = "exact"
    at: Spot | None = None


class Span(Record, frozen=True, kw_only=True):
    """A state that lasted; to_s None: until the end of the rehearsal."""

    state: Literal["pending", "firing"]
    from_s: float
    to_s: float | None


class AlertStory(Record, frozen=True, kw_only=True):
    """One alert rule in one run. spans: over all its label sets, merged, in order; firing hides pending."""

    name: str
    severity: str
    at: Spot
    spans: list[Span]
    series: int = 1
    """How many label sets were pending or firing at some time."""
    mark: Mark = "assumed"
    group: str = ""
    missing: tuple[str, ...] = ()
    """Metrics without any series, for want of which it cannot fire: its silence says nothing."""


class Notification(Record, frozen=True, kw_only=True):
    """One message of Alertmanager to one integration of a receiver.

    reason: Alertmanager's words ("first notification", "new alerts added", …). group: the labels it is grouped by, as
    text. alerts: the firing ones by name and labels (the resolved ones when none fires), at most 20.
    """

    at_s: float
    receiver: str
    integration: str
    """Its kind: webhook, slack, email, pagerduty, …"""
    status: Literal["firing", "resolved"]
    reason: str
    group: str
    alerts: tuple[str, ...]
    firing: int
    resolved: int = 0
    at: Spot | None = None
    """The route that led here."""


class HeldBack(Record, frozen=True, kw_only=True):
    """A firing alert that a receiver is not told of for a while; to_s None: until the end.

    kind: inhibited, silenced, muted_time, inactive_time, no_integration, too_short.
    """

    alert: str
    receiver: str
    kind: str
    why: str
    from_s: float
    to_s: float | None
    at: Spot | None = None
    """The inhibition rule or the route."""


class Figure(Record, frozen=True, kw_only=True):
    """One number of the report. id is stable ("cost.perHour", "pods.peak", "budget.burned", "requests.total", …)."""

    id: str
    title: str
    value: float | None
    unit: str
    mark: Mark
    low: float | None = None
    """5th percentile over the runs; None with one run."""
    high: float | None = None
    """95th percentile over the runs."""
    why: list[Why] = []


class Ending(Record, frozen=True, kw_only=True):
    """How one expectation ended in one run. holds None: it could not be told, `seen` says why."""

    holds: bool | None
    seen: str
    """In words, e.g. "fired at 22m30s, 2m30s after the deploy"."""
    value: float | None = None
    at_s: float | None = None


class RunResult(Record, frozen=True, kw_only=True):
    """One seed, whole."""

    seed: int
    start_epoch_s: float
    duration_s: float
    lanes: list[Lane]
    moments: list[Moment]
    alerts: list[AlertStory]
    figures: list[Figure]
    endings: list[Ending]
    """One per expectation, in the scenario's order."""
    digest: str = ""
    """Hash of everything that happened, in order: what `--verify` compares."""
    events: int = 0
    """Callbacks the virtual loop ran."""
    notifications: tuple[Notification, ...] = ()
    """Who was told what, when an Alertmanager configuration was among the inputs."""
    held_back: tuple[HeldBack, ...] = ()


class Verdict(Record, frozen=True, kw_only=True):
    """One expectation over all runs. probability, low, high: share of runs that held and its 95 % Wilson interval."""

    name: str
    asked: str
    """The expectation in words."""
    outcome: Outcome
    at: Spot | None
    held: int
    runs: int
    """Runs in which it could be told."""
    probability: float | None
    low: float | None
    high: float | None
    wanted: str
    """"every run", or the probability as written (">= 0.95")."""
    seen: str
    """What the shown run saw."""
    first_failing_seed: int | None = None
    mark: Mark = "assumed"
    why: list[Why] = []
    hint: str = ""
    """What would decide it, or what to try."""


class AlertTally(Record, frozen=True, kw_only=True):
    """One alert rule over all runs. first_*: seconds to its first firing, over the runs in which it fired."""

    name: str
    severity: str
    at: Spot
    fired_runs: int
    runs: int
    first_s: float | None
    first_low_s: float | None
    first_high_s: float | None
    firing_s: float
    """Mean seconds firing per run."""
    pending_s: float
    times: float
    """Mean count of firings per run."""
    mark: Mark = "assumed"
    missing: tuple[str, ...] = ()
    """Metrics without any series in the first run, for want of which it cannot fire."""


class ReceiverTally(Record, frozen=True, kw_only=True):
    """One receiver of the Alertmanager configuration over all runs.

    notifications: mean count per run, repeats and resolutions included; low and high: fewest and most in a run (None
    with one run). woken: mean count of those with a firing alert. first_*: seconds to the first, over the runs that
    had one.
    """

    name: str
    notifications: float
    low: int | None
    high: int | None
    woken: float
    per_day: float
    first_s: float | None
    held_back: float
    """Mean count of stretches in which an alert was held back from it."""
    at: Spot | None = None


class Assumption(Record, frozen=True, kw_only=True):
    """A value nobody gave. effect: what changing it does, in words."""

    code: str
    what: str
    value: str
    why: str
    change: str
    """How to give it: the line to write."""
    effect: str = ""


class Found(Record, frozen=True, kw_only=True):
    """A `base.errors.Finding`, as the report keeps it."""

    code: str
    severity: str
    message: str
    at: Spot | None
    remedy: str = ""


class Inputs(Record, frozen=True, kw_only=True):
    """What was rehearsed. objects: counts by kind, in the order of first sight."""

    files: list[str]
    objects: dict[str, int]
    rules: int = 0
    alerts: int = 0
    services: list[str] = []
    cluster: str = ""
    """In words: "general 2-10 × m5.xlarge, gpu 0-5 × g4dn.xlarge (infra/main.tf:23)"."""


class RunLine(Record, frozen=True, kw_only=True):
    """One seed in short."""

    seed: int
    holds: list[bool | None]
    digest: str = ""


class Verification(Record, frozen=True, kw_only=True):
    """`--verify`: two processes compared. first_difference: in words, "" when equal."""

    equal: bool
    digest: str
    other: str
    first_difference: str = ""


class Report(Record, frozen=True, kw_only=True):
    """Everything a rehearsal says. `shown` is the run of the first seed (the first failing one when there is one)."""

    version: str
    scenario: str
    """Its name; made_up says whether we made it."""
    made_up: bool
    inputs: Inputs
    seeds_first: int
    runs: int
    runs_asked: int
    start_epoch_s: float
    duration_s: float
    outcome: Outcome
    verdicts: list[Verdict]
    shown: RunResult | None
    alerts: list[AlertTally]
    figures: list[Figure]
    assumptions: list[Assumption]
    findings: list[Found]
    run_lines: list[RunLine] = []
    verification: Verification | None = None
    model: str = "default model, not calibrated"
    """The calibration behind the figures."""
    command: str = ""
    """The command that makes this report again (`command_of`)."""
    next_command: str = ""
    receivers: tuple[ReceiverTally, ...] = ()
    """Who is woken; empty without an Alertmanager configuration."""
    outputs: dict[str, str] = {}
    """Files the scenario asks for: "html", "junit", "events", "json" to a path, relative to the current folder."""

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.outcome]


def command_of(request: RehearseRequest) -> str:
    """The command line of a request, without its outputs: what a reader types to see the same again."""
    words = ["pilothouse", "rehearse", *(shlex.quote(p) for p in request.paths)]
    if request.scenario:
        words += ["--scenario", shlex.quote(request.scenario)]
    if request.seed is not None:
        words += ["--seed", str(request.seed)]
    if request.runs is not None:
        words += ["--runs", str(request.runs)]
    if request.duration_s is not None:
        words += ["--duration", f"{request.duration_s:g}s"]
    if request.load:
        words += ["--load", shlex.quote(request.load)]
    for path in request.series:
        words += ["--series", shlex.quote(path)]
    return " ".join(words)


def weakest(*marks: Mark) -> Mark:
    """The mark of a figure that rests on several."""
    if "assumed" in marks:
        return "assumed"
    return "calibrated" if "calibrated" in marks else "exact"


def rounded(value: float | None, digits: int = 6) -> float | None:
    """`digits` significant digits, so that a report does not carry the noise of the last bits; None stays None."""
    return None if value is None or value != value else float(f"{value:.{digits}g}")
