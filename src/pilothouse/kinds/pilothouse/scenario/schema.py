"""The shape of a Scenario as an openAPIV3Schema: for the write path and for the table of fields in
docs/kinds/scenario.md.

Only shapes: what values mean, and whether they make sense together, is `read.parse`, which also knows the places.
The two are held to each other by a test.
"""

from __future__ import annotations

from typing import Any

from pilothouse.kinds.pilothouse.scenario.events import FAULTS
from pilothouse.kinds.pilothouse.scenario.expectations import AFTER, DEPLOYMENT_PHASES, ROLLOUT_PHASES

Schema = dict[str, Any]


def _object(description: str, required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    out: Schema = {"type": "object", "description": description, "properties": properties}
    return {**out, "required": list(required)} if required else out


def _text(description: str, *options: str) -> Schema:
    out: Schema = {"type": "string", "description": description}
    return {**out, "enum": list(options)} if options else out


def _whole(description: str, least: int = 0) -> Schema:
    return {"type": "integer", "description": description, "minimum": least}


def _number(description: str) -> Schema:
    return {"type": "number", "description": description, "minimum": 0}


def _any(description: str) -> Schema:
    """A number or a text with a unit, or an open mapping: `read.parse` checks it."""
    return {"description": description, "x-kubernetes-preserve-unknown-fields": True}


def _list(items: Schema, description: str) -> Schema:
    return {"type": "array", "items": items, "description": description}


def _map(items: Schema, description: str) -> Schema:
    return {"type": "object", "additionalProperties": items, "description": description}


_DURATION = "a duration such as 90s, 20m, 1h30m"
_WORKLOAD = {
    "deployment": _text("name of a Deployment"),
    "rollout": _text("name of a Rollout"),
    "statefulSet": _text("name of a StatefulSet"),
}
_WINDOW = {"from": _any(f"from when it counts: {_DURATION}; 0 if absent"), "to": _any("until when; the end if absent")}


def _spread(what: str) -> Schema:
    return _any(f"{what}: a duration, or {{median: 75s, sigma: 0.25}} of a log-normal one")


def _cluster() -> Schema:
    group = _object(
        "One node group. It overrides the group of the same name in Terraform.",
        instanceType=_text("e.g. m5.xlarge"),
        min=_whole("least nodes"),
        max=_whole("most nodes"),
        desired=_whole("nodes at the start"),
        hourly=_number("price of a node in dollars per hour"),
        cpu=_any("CPU of a node, a quantity; the instance type's if absent"),
        memory=_any("memory of a node, a quantity"),
        zones=_list(_text("a zone"), "availability zones, used in turn"),
        pods=_whole("most pods per node", 1),
    )
    return _object(
        "The nodes. Absent: Terraform files among the inputs, else an assumed group.",
        **{"from": _text("a Terraform file with eks_managed_node_groups")},
        nodeGroups=_map(group, "node groups by name"),
        nodeStart=_spread("how long a new node takes to join"),
        imagePull=_spread("how long an image takes that a node has not yet"),
    )


def _services() -> Schema:
    load = _object(
        "Offered requests. One of `base`, `csv`, `points`.",
        base=_any("rate, e.g. 50rps; with shape diurnal the rate at night"),
        shape=_text("how the rate goes over a day", "constant", "diurnal"),
        peakAt=_text('time of day of the peak, quoted: "14:00"'),
        ratio=_number("diurnal: rate at the peak divided by `base`; 2.5 if absent"),
        arrivals=_text("poisson: independent users; paced: evenly spaced, as load generators do", "poisson", "paced"),
        csv=_text("a file with the columns time,rps; relative to the scenario"),
        points=_list(_any("[time, rate]"), "the curve itself, e.g. [[0s, 30rps], [10m, 300rps]]"),
    )
    pod = _object(
        "How one pod serves. Absent values are assumed, and the report says so.",
        **{"from": _text("a calibration file")},
        replicas=_whole("pods, only for a service without manifests"),
        service=_object(
            "Work of one request on an idle pod.",
            mean=_any("mean service time, e.g. 50ms"),
            sigma=_number("sigma of the logarithm of the service time"),
            cpu=_any("CPU time per request; the service time if absent"),
        ),
        discipline=_text("how a pod queues: one at a time, all at once, or a pool", "fifo", "shared", "pool"),
        pool=_whole("size of the pool", 1),
        start=_spread("from container start to listening"),
        readyAfter=_any("from listening to ready, beyond the probe's own delay"),
        timeout=_any("how long a client waits"),
        memory=_any("memory of an idle pod, a quantity"),
        memoryPerRequest=_any("memory of a request in flight, a quantity"),
        memoryLeak=_text("growth, e.g. 2MiB/min"),
        workers=_whole("requests served at the same time; one per core of the CPU limit if absent", 1),
        probes=_text("whether health checks wait behind requests", "queue", "apart"),
        warmup=_object(
            "A fresh pod is slower.",
            **{"for": _any("how long")},
            factor=_number("service time at first, as a factor of the usual one"),
        ),
    )
    service = _object(
        "Load and behaviour of one service.",
        load=load,
        pod=pod,
        good=_object("A version without faults.", errorRate=_any("share of requests that fail, e.g. 0.1%")),
        retries=_object(
            "What clients do.", max=_whole("retries per request"), budget=_any("retries as share of requests")
        ),
        balancing=_text("how requests spread over pods", "random", "round-robin", "least-connections"),
    )
    return _map(service, "by name of a Service or workload of the manifests; without manifests they declare services")


def _events() -> Schema:
    event = _object(
        "Something that happens: `at` and exactly one action.",
        ("at",),
        at=_any(f"when, from the start: {_DURATION}"),
        deploy=_object(
            "A new image.",
            ("image",),
            **_WORKLOAD,
            image=_text("the image"),
            container=_text("which container; the first if absent"),
        ),
        fault={
            "type": "object",
            "description": "Something breaks; further fields are the fault's parameters.",
            "required": ["kind"],
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"kind": _text("which fault", *FAULTS), "for": _any("how long; to the end if absent")},
        },
        load=_object(
            "The load changes.",
            service=_text("which service; the only one if absent"),
            times=_number("factor on the load"),
            rps=_any("absolute rate instead of a factor"),
            **{"for": _any("how long; to the end if absent")},
            ramp=_any("how long the change takes at each end; 0 if absent"),
        ),
        scale=_object("Someone scales by hand.", ("replicas",), **_WORKLOAD, replicas=_whole("pods")),
        apply=_object("Someone applies a manifest.", ("file",), file=_text("the file, relative to the scenario")),
        delete=_object(
            "Someone deletes an object.",
            kind=_text("its kind"),
            name=_text("its name"),
            namespace=_text("its namespace"),
            file=_text("or everything that a file describes"),
        ),
    )
    return _list(event, "what happens, in any order; the times decide")


def _expect() -> Schema:
    service = _text("which service; the only one if absent")
    expectation = _object(
        "One row of the verdict: exactly one check.",
        name=_text("how the report calls it"),
        without=_text("kind of the fault to leave out: a control run on the same seeds"),
        probability=_any('share of runs in which it must hold, e.g. ">= 0.95"; every run if absent'),
        **_WINDOW,
        deployment=_phase("Deployment", DEPLOYMENT_PHASES),
        rollout=_phase("Rollout", ROLLOUT_PHASES),
        alert=_object(
            "An alert fires, or never does.",
            ("name",),
            name=_text("name of the alerting rule"),
            fires={"type": "boolean", "description": "false: it must not fire; true if absent"},
            never={"type": "boolean", "description": "the same as fires: false"},
            within=_any(f"at most so long after `after`: {_DURATION}"),
            after=_text("the first event of this sort; the start if absent", *AFTER),
            labels=_map(_text("value"), "labels that the alert must carry"),
            **_WINDOW,
        ),
        notified=_object(
            "Alertmanager tells a receiver of a firing alert.",
            receiver=_text("name of the receiver; any if absent"),
            alert=_text("only notifications that hold this alert"),
            atMost=_whole("notifications at most; 0: nobody is told"),
            atLeast=_whole("notifications at least"),
            within=_any(f"the first at most so long after `after`: {_DURATION}"),
            after=_text("the first event of this sort; the start if absent", *AFTER),
            **_WINDOW,
        ),
        promql=_text("a comparison that holds at every step from `from` to `to`"),
        budgetBurned=_object(
            "Share of an error budget that the rehearsal burns.",
            service=service,
            slo=_text("name of an SLO of the manifests"),
            objective=_any("objective when no SLO is named; 99.9% if absent"),
            window=_any("window of the budget; 30d if absent"),
            **_bounds("a share, e.g. 5%"),
        ),
        replicas=_object("Ready pods at every moment.", **_WORKLOAD, **_bounds("a count")),
        errorRatio=_object("Failed requests over the window.", service=service, **_bounds("a share, e.g. 1%")),
        p99=_object("99th percentile of latency, of each 5 minutes.", service=service, **_bounds("a duration")),
        cost=_object(
            "What the nodes cost.",
            perHour=_any('e.g. "< $1.00"'),
            total=_any('over the whole rehearsal, e.g. "<= $20"'),
        ),
    )
    return _list(expectation, "what the rehearsal should come to")


def _phase(kind: str, phases: tuple[str, ...]) -> Schema:
    return _object(
        f"A {kind} reaches a phase.",
        name=_text("its name; the only one if absent"),
        phase=_text("Healthy if absent", *phases),
        by=_any("by when; at the end if absent"),
    )


def _bounds(unit: str) -> dict[str, Schema]:
    return {"atMost": _any(f"upper bound: {unit}"), "atLeast": _any(f"lower bound: {unit}"), **_WINDOW}


def openapi() -> Schema:
    """The whole document's schema."""
    spec = _object(
        "What is rehearsed. Everything not written is read from the manifests.",
        use=_list(_text("a path"), "files and folders to read as well, relative to the scenario"),
        duration=_any(f"how long: {_DURATION}; 24h if absent"),
        cluster=_cluster(),
        services=_services(),
        events=_events(),
        expect=_expect(),
        seeds=_object("Chance.", runs=_whole("how many seeds; 1 if absent", 1), first=_whole("the first; 1 if absent")),
        report=_object(
            "Files to write.",
            html=_text("one HTML file"),
            junit=_text("JUnit XML"),
            events=_text("what happened, one JSON object per line"),
            json=_text("the report as JSON"),
        ),
    )
    return _object(
        "A rehearsal: what happens to the manifests, and what is expected of them.",
        ("spec",),
        apiVersion=_text("pilothouse.dev/v1alpha1"),
        kind=_text("Scenario"),
        metadata={"type": "object"},
        spec=spec,
    )
