"""A Scenario once read: typed, in seconds and ratios, every part with its place. Data only; `read.parse` makes it.

Times are virtual seconds since the start. Ratios are 0..1. Empty text and None mean "not given": the world's
default, or what the manifests say.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pilothouse.base.errors import Place


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything here; `at` is where it is written (an empty Place: made, not written)."""

    at: Place = Place()


class Spread(Part, frozen=True, kw_only=True):
    """A log-normal duration: its median, and sigma of the logarithm."""

    median_s: float
    sigma: float = 0.0


class NodeGroup(Part, frozen=True, kw_only=True):
    """A pool of equal nodes. cpu and memory: quantities, "" when the instance type says it."""

    name: str
    instance_type: str = ""
    min_size: int | None = None
    max_size: int | None = None
    desired_size: int | None = None
    hourly_usd: float | None = None
    cpu: str = ""
    memory: str = ""
    zones: tuple[str, ...] = ()
    pods: int | None = None
    """Most pods per node."""


class Cluster(Part, frozen=True, kw_only=True):
    """terraform: a *.tf file to read groups from. groups override it by name."""

    terraform: str = ""
    groups: tuple[NodeGroup, ...] = ()
    node_start: Spread | None = None
    image_pull: Spread | None = None


Shape = Literal["constant", "diurnal"]
Arrivals = Literal["poisson", "paced"]
Discipline = Literal["fifo", "shared", "pool"]


class Load(Part, frozen=True, kw_only=True):
    """Offered requests per second. diurnal: base_rps at night, base_rps * ratio at peak_s of each day (cosine between).

    points: (second, rps) read from a csv or written out, straight lines between, which replace shape, base and ratio.
    """

    base_rps: float = 0.0
    shape: Shape = "constant"
    peak_s: float = 14 * 3600.0
    ratio: float = 1.0
    arrivals: Arrivals = "poisson"
    csv: str = ""
    points: tuple[tuple[float, float], ...] = ()


class Pod(Part, frozen=True, kw_only=True):
    """How one pod serves. None: the world's default."""

    calibration: str = ""
    """A calibration file (`from:`)."""
    replicas: int | None = None
    """Only for a service that no manifest describes."""
    mean_s: float | None = None
    """Mean service time of a request on an idle pod."""
    sigma: float | None = None
    cpu_s: float | None = None
    """CPU seconds per request; None: the service time."""
    discipline: Discipline | None = None
    pool: int | None = None
    start: Spread | None = None
    ready_after_s: float | None = None
    timeout_s: float | None = None
    memory: str = ""
    """Memory of an idle pod, a quantity."""
    memory_per_request: str = ""
    memory_leak: str = ""
    """Growth such as `2MiB/min`."""
    workers: int | None = None
    """Requests served at the same time; None: one per core of the CPU limit."""
    probes: Literal["", "queue", "apart"] = ""
    """queue: health checks wait behind requests; apart: a thread of their own answers them."""
    warmup_s: float | None = None
    warmup_factor: float | None = None
    """Service time is so many times longer at first, falling to 1 over warmup_s."""


class Service(Part, frozen=True, kw_only=True):
    """Load and behaviour of one service. name: a Service, Deployment, StatefulSet or Rollout of the manifests."""

    name: str
    load: Load | None = None
    pod: Pod | None = None
    error_ratio: float | None = None
    """Share of requests that fail on a good version."""
    retries: int | None = None
    retry_budget_ratio: float | None = None
    balancing: Literal["", "random", "round-robin", "least-connections"] = ""


class Deploy(Part, frozen=True, kw_only=True):
    """A new image. kind: "Deployment" or "Rollout". container "": the first."""

    at_s: float
    kind: str
    name: str
    image: str
    container: str = ""


class Fault(Part, frozen=True, kw_only=True):
    """Something breaks. kind and params are checked by the world that plays it. for_s None: until the end."""

    at_s: float
    kind: str
    params: dict[str, Any]
    for_s: float | None = None


class LoadChange(Part, frozen=True, kw_only=True):
    """times: factor on the load so far; rps: an absolute rate; exactly one of them is given."""

    at_s: float
    service: str
    times: float | None = None
    rps: float | None = None
    for_s: float | None = None
    ramp_s: float = 0.0


class Scale(Part, frozen=True, kw_only=True):
    at_s: float
    kind: str
    name: str
    replicas: int


class Apply(Part, frozen=True, kw_only=True):
    """Applies the objects of a manifest file."""

    at_s: float
    file: str


class Delete(Part, frozen=True, kw_only=True):
    """Deletes one object, or all that a file describes."""

    at_s: float
    kind: str = ""
    name: str = ""
    namespace: str = ""
    file: str = ""


Event = Deploy | Fault | LoadChange | Scale | Apply | Delete


class Phase(Part, frozen=True, kw_only=True):
    """A workload reaches a phase by a time (None: the end).

    kind: "Deployment" (phases Progressing, Healthy, Degraded) or "Rollout" (Argo's: Healthy, Degraded, Paused, …).
    """

    kind: str
    name: str
    phase: str
    by_s: float | None = None


class AlertFires(Part, frozen=True, kw_only=True):
    """An alert fires, or does not.

    fires False: never between from_s and to_s. within_s: at most so long after `after` ("start", "deploy", "fault",
    "load", "scale": the first event of that sort).
    """

    name: str
    fires: bool = True
    within_s: float | None = None
    after: str = "start"
    from_s: float = 0.0
    to_s: float | None = None
    labels: dict[str, str] = {}


Measure = Literal["budgetBurned", "replicas", "errorRatio", "p99", "costPerHour", "cost"]


class Bound(Part, frozen=True, kw_only=True):
    """A number stays within bounds between from_s and to_s (None: the end).

    errorRatio and budgetBurned: over the whole window. p99: of each 5 minutes, in seconds. replicas: at every moment.
    budgetBurned: share of `window_s`' budget of `objective` that the rehearsal burned.
    """

    measure: Measure
    subject: str = ""
    at_most: float | None = None
    at_least: float | None = None
    from_s: float = 0.0
    to_s: float | None = None
    objective: float = 0.999
    window_s: float = 30 * 86400.0
    slo: str = ""


class Promql(Part, frozen=True, kw_only=True):
    """A comparison that yields at least one series at every step between from_s and to_s."""

    query: str
    from_s: float = 0.0
    to_s: float | None = None


class Notified(Part, frozen=True, kw_only=True):
    """What Alertmanager tells a receiver ("" any) between from_s and to_s (None: the end).

    at_most, at_least: notifications with a firing alert. within_s: the first one at most so long after `after` (the
    first event of that sort). alert: only notifications that hold this alert; "" any.
    """

    receiver: str = ""
    alert: str = ""
    at_most: int | None = None
    at_least: int | None = None
    within_s: float | None = None
    after: str = "start"
    from_s: float = 0.0
    to_s: float | None = None


Check = Phase | AlertFires | Bound | Promql | Notified


class Probability(Part, frozen=True, kw_only=True):
    """at_least, or at_most: the share of runs in which the check holds."""

    text: str
    at_least: float | None = None
    at_most: float | None = None


class Expectation(Part, frozen=True, kw_only=True):
    """One row of the verdict table. without: the kind of the faults that are left out in its control run."""

    name: str
    asked: str
    check: Check
    probability: Probability | None = None
    without: str = ""


class Seeds(Part, frozen=True, kw_only=True):
    runs: int = 1
    first: int = 1


class Outputs(Part, frozen=True, kw_only=True):
    """Files to write (`report:`)."""

    html: str = ""
    junit: str = ""
    events: str = ""
    json: str = ""


class ScenarioSpec(Part, frozen=True, kw_only=True):
    """A whole scenario, usable as it is: what was wrong has been left out and is among the findings."""

    name: str
    use: tuple[str, ...] = ()
    duration_s: float = 86400.0
    cluster: Cluster = Cluster()
    services: tuple[Service, ...] = ()
    events: tuple[Event, ...] = ()
    expect: tuple[Expectation, ...] = ()
    seeds: Seeds = Seeds()
    report: Outputs = Outputs()


class Assumed(msgspec.Struct, frozen=True, kw_only=True):
    """A value nobody gave: shown in the report. change: the line to write; effect: what changing it does."""

    code: str
    what: str
    value: str
    why: str
    change: str
    effect: str = ""
