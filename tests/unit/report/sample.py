"""A hand-made report of a spike: the shape that a real rehearsal has, small enough to check by eye."""

from __future__ import annotations

from pilothouse.report.model import (
    AlertStory,
    AlertTally,
    Assumption,
    Ending,
    Figure,
    Found,
    Inputs,
    Lane,
    Moment,
    Report,
    RunLine,
    RunResult,
    Span,
    Spot,
    Verdict,
    Why,
)

EPOCH_S = 1_767_571_200.0
STEP_S = 30.0
STEPS = 120
RULES = "monitoring/prometheus-rules.yaml"
HPA = "k8s/hpa.yaml"


def _load(step: int) -> float:
    return 300.0 if 40 <= step < 60 else 30.0


def _desired(step: int) -> float:
    if step < 41:
        return 5.0
    return min(20.0, 5.0 + 4.0 * ((step - 41) // 2 + 1)) if step < 72 else max(5.0, 20.0 - (step - 72))


def _ready(step: int) -> float:
    return min(_desired(step), _desired(max(0, step - 2)))


def _errors(step: int) -> float:
    return 0.31 if 41 <= step < 46 else 0.08 if 46 <= step < 50 else 0.001


def _p99(step: int) -> float | None:
    if step == 0:
        return None
    return 2.0 if 41 <= step < 50 else 0.18


def lanes() -> list[Lane]:
    app = "ml-inference-api"
    budget: list[float | None] = [0.0 if s < 41 else min(0.52, 0.52 * (s - 40) / 10) for s in range(STEPS)]
    return [
        Lane(
            id="load", title="load", unit="req/s", step_s=STEP_S, subject=app, values=[_load(s) for s in range(STEPS)]
        ),
        Lane(
            id="ready",
            title="pods",
            unit="pods",
            step_s=STEP_S,
            subject=app,
            values=[_ready(s) for s in range(STEPS)],
            mark="assumed",
        ),
        Lane(
            id="desired",
            title="wanted",
            unit="pods",
            step_s=STEP_S,
            subject=app,
            values=[_desired(s) for s in range(STEPS)],
        ),
        Lane(
            id="nodes",
            title="nodes",
            unit="nodes",
            step_s=STEP_S,
            subject="",
            values=[3.0 if s < 44 else 4.0 for s in range(STEPS)],
            mark="assumed",
        ),
        Lane(
            id="errors",
            title="errors",
            unit="ratio",
            step_s=STEP_S,
            subject=app,
            values=[_errors(s) for s in range(STEPS)],
            mark="assumed",
            limit=0.05,
        ),
        Lane(
            id="p99",
            title="p99",
            unit="s",
            step_s=STEP_S,
            subject=app,
            values=[_p99(s) for s in range(STEPS)],
            mark="assumed",
            limit=1.0,
        ),
        Lane(
            id="budget", title="budget burned", unit="ratio", step_s=STEP_S, subject=app, values=budget, mark="assumed"
        ),
    ]


def moments() -> list[Moment]:
    rule = Spot(file=RULES, line=11)
    return [
        Moment(at_s=0, kind="start", subject="", text="5 pods serve 30 req/s", weight=40),
        Moment(
            at_s=1200,
            kind="load",
            subject="ml-inference-api",
            text="load of ml-inference-api × 10 for 10m",
            weight=100,
            at=Spot(file="scenarios/spike-10x.yaml", line=22),
        ),
        Moment(
            at_s=1215,
            kind="scale",
            subject="ml-inference-api",
            text="HPA wants 9 pods instead of 5: CPU 241 % of its request, target 70 %",
            weight=70,
            at=Spot(file=HPA, line=14),
        ),
        Moment(
            at_s=1230.5,
            kind="alert",
            subject="HighErrorRate",
            text="HighErrorRate is pending: error ratio 31 %",
            weight=60,
            at=rule,
        ),
        Moment(
            at_s=1290,
            kind="scale",
            subject="ml-inference-api",
            text="HPA wants 20 pods: its maxReplicas",
            weight=75,
            at=Spot(file=HPA, line=12),
        ),
        Moment(at_s=1320, kind="nodes", subject="general", text="a fourth node joins group general", weight=50),
        Moment(at_s=1350, kind="alert", subject="HighErrorRate", text="HighErrorRate fires", weight=95, at=rule),
        Moment(
            at_s=1440,
            kind="fault",
            subject="general",
            text="NodeLoss: node general-2 is gone with 6 pods",
            weight=100,
            at=Spot(file="scenarios/spike-10x.yaml", line=23),
        ),
        Moment(at_s=1500, kind="alert", subject="HighErrorRate", text="HighErrorRate resolves", weight=80, at=rule),
        *[
            Moment(at_s=1200.0 + i, kind="pod", subject=f"pod-{i}", text=f"pod-{i} is ready", weight=10)
            for i in range(12)
        ],
    ]


def run() -> RunResult:
    return RunResult(
        seed=1,
        start_epoch_s=EPOCH_S,
        duration_s=STEP_S * STEPS,
        lanes=lanes(),
        moments=moments(),
        alerts=[
            AlertStory(
                name="HighErrorRate",
                severity="critical",
                at=Spot(file=RULES, line=11),
                spans=[
                    Span(state="pending", from_s=1230, to_s=1350),
                    Span(state="firing", from_s=1350, to_s=1500),
                ],
            ),
            AlertStory(name="SlowResponseTime", severity="warning", at=Spot(file=RULES, line=23), spans=[]),
        ],
        figures=[],
        endings=[
            Ending(holds=False, seen="burned 52 % of the 30 d budget", value=0.52),
            Ending(holds=True, seen="fired at 00:22:30, 2m30s after the load", at_s=1350),
        ],
        digest="4fe1c0ffee",
        events=18_211,
    )


def verdicts() -> list[Verdict]:
    scenario = "scenarios/spike-10x.yaml"
    return [
        Verdict(
            name="little of the budget burns",
            asked="error budget burned of ml-inference-api at most 10%",
            outcome="not met",
            at=Spot(file=scenario, line=25),
            held=0,
            runs=1,
            probability=0.0,
            low=0.0,
            high=0.793,
            wanted="every run",
            seen="burned 52 % of the 30 d budget",
            first_failing_seed=1,
            why=[
                Why(
                    text="80 % of it burned in the first two minutes, before a new pod was ready",
                    at=Spot(file="k8s/deployment.yaml", line=56),
                ),
                Why(text="5 pods were ready when the load came (minReplicas 3)", at=Spot(file=HPA, line=11)),
            ],
            hint="try a higher minReplicas: k8s/hpa.yaml:11",
        ),
        Verdict(
            name="someone is told",
            asked="HighErrorRate fires within 8m of the load",
            outcome="met",
            at=Spot(file=scenario, line=27),
            held=1,
            runs=1,
            probability=1.0,
            low=0.207,
            high=1.0,
            wanted="every run",
            seen="fired at 00:22:30, 2m30s after the load",
        ),
        Verdict(
            name="the spike is affordable",
            asked="node cost per hour < $2.50",
            outcome="undecided",
            at=Spot(file=scenario, line=29),
            held=0,
            runs=0,
            probability=None,
            low=None,
            high=None,
            wanted="every run",
            seen="no hourly price is known for m5.xlarge",
            hint="give it: spec.cluster.nodeGroups.general.hourly",
            mark="exact",
        ),
    ]


def report() -> Report:
    return Report(
        version="0.1.0",
        scenario="spike-10x",
        made_up=False,
        inputs=Inputs(
            files=["k8s/deployment.yaml", "k8s/hpa.yaml", RULES, "infra/main.tf"],
            objects={"Deployment": 1, "HorizontalPodAutoscaler": 1, "PrometheusRule": 1},
            rules=4,
            alerts=4,
            services=["ml-inference-api"],
            cluster="general 2-10 × m5.xlarge, gpu 0-5 × g4dn.xlarge (infra/main.tf:23)",
        ),
        seeds_first=1,
        runs=1,
        runs_asked=1,
        start_epoch_s=EPOCH_S,
        duration_s=STEP_S * STEPS,
        outcome="not met",
        verdicts=verdicts(),
        shown=run(),
        alerts=[
            AlertTally(
                name="HighErrorRate",
                severity="critical",
                at=Spot(file=RULES, line=11),
                fired_runs=1,
                runs=1,
                first_s=1350,
                first_low_s=None,
                first_high_s=None,
                firing_s=150,
                pending_s=120,
                times=1,
            ),
            AlertTally(
                name="SlowResponseTime",
                severity="warning",
                at=Spot(file=RULES, line=23),
                fired_runs=0,
                runs=1,
                first_s=None,
                first_low_s=None,
                first_high_s=None,
                firing_s=0,
                pending_s=0,
                times=0,
            ),
        ],
        figures=[
            Figure(id="requests.total", title="requests", value=270_132, unit="", mark="exact"),
            Figure(id="pods.peak", title="pods at the peak", value=20, unit="pods", mark="exact"),
            Figure(
                id="p99.worst",
                title="worst p99 of 5 minutes",
                value=2.0,
                unit="s",
                mark="assumed",
                why=[Why(text="requests give up after 2 s", at=Spot(file="scenarios/spike-10x.yaml", line=18))],
            ),
            Figure(
                id="cost.perHour",
                title="node cost",
                value=0.71,
                unit="$/h",
                mark="calibrated",
                low=0.58,
                high=0.96,
                why=[Why(text="m5.xlarge at $0.192/h", at=Spot(file="infra/main.tf", line=25))],
            ),
        ],
        assumptions=[
            Assumption(
                code="AS04",
                what="work per request of ml-inference-api",
                value="50 ms of one CPU",
                why="no calibration was given",
                change="spec.services.ml-inference-api.pod: {service: {mean: 50ms}}",
                effect="twice the work: twice the pods at the same CPU target, and a longer p99",
            )
        ],
        findings=[
            Found(
                code="PH101",
                severity="error",
                message="mapping values are not allowed in this context (`image: a: b`)",
                at=Spot(file="k8s/broken.yaml", line=7),
                remedy="quote the value if it holds `: `, or check the indentation of this line",
            ),
            Found(
                code="PH112", severity="note", message="a promtool unit-test file: recognised, not rehearsed", at=None
            ),
        ],
        run_lines=[RunLine(seed=1, holds=[False, True, None], digest="4fe1c0ffee")],
        command="pilothouse rehearse k8s monitoring infra --scenario scenarios/spike-10x.yaml",
        next_command="pilothouse rehearse k8s --scenario scenarios/spike-10x.yaml --runs 50",
    )
