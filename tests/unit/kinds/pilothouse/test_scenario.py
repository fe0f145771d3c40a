"""Scenario documents: what is read from a good one, what is said about a bad one, and the day made up when there is
none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.base.errors import Finding
from pilothouse.base.manifests import load_text
from pilothouse.kinds.pilothouse.scenario import default, inventory, read
from pilothouse.kinds.pilothouse.scenario.inventory import Inventory
from pilothouse.kinds.pilothouse.scenario.kind import KIND, validate
from pilothouse.kinds.pilothouse.scenario.schema import openapi
from pilothouse.kinds.pilothouse.scenario.spec import (
    AlertFires,
    Bound,
    Deploy,
    Fault,
    LoadChange,
    Phase,
    Promql,
    Scale,
    ScenarioSpec,
)

CASES = Path(__file__).parents[3] / "cases" / "input" / "scenario"
HEAD = "apiVersion: pilothouse.dev/v1alpha1\nkind: Scenario\nmetadata: {name: t}\nspec:\n"

SHOP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: prod}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
        - {name: web, image: "shop:v1", ports: [{containerPort: 80}], resources: {requests: {cpu: 500m}}}
---
apiVersion: v1
kind: Service
metadata: {name: shop-svc, namespace: prod}
spec: {selector: {app: shop}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: shop, namespace: prod}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  minReplicas: 2
  maxReplicas: 10
  metrics:
    - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: worker, namespace: prod}
spec:
  selector: {matchLabels: {app: worker}}
  template: {metadata: {labels: {app: worker}}, spec: {containers: [{name: w, image: "w:v1"}]}}
---
groups:
  - name: g
    rules:
      - {record: "job:x:sum", expr: sum(x)}
      - {alert: TooSlow, expr: x > 1}
"""


def shop() -> Inventory:
    return inventory.of(load_text(SHOP, "shop.yaml"))


def parsed(spec: str, found: Inventory | None = None) -> tuple[ScenarioSpec, list[Finding]]:
    (document,) = load_text(HEAD + spec, "s.yaml").scenarios
    return read.parse(document, found)


def good(spec: str) -> ScenarioSpec:
    out, findings = parsed(spec, shop())
    assert [str(f) for f in findings] == []
    return out


@pytest.mark.parametrize("case", sorted(CASES.glob("*.in")), ids=lambda p: p.stem)
def test_case(case: Path) -> None:
    """NAME.in is the spec of a scenario for the shop, NAME.out every finding with its place and remedy."""
    _spec, findings = parsed(case.read_text(), shop())
    assert "".join(f"{finding}\n" for finding in findings) == case.with_suffix(".out").read_text()


def test_events_are_read_in_the_order_of_their_times() -> None:
    out = good(
        """
  duration: 2h
  events:
    - {at: 1h, scale: {deployment: shop, replicas: 4}}
    - {at: 20m, deploy: {deployment: shop, image: "shop:v2"}}
    - {at: 20m, fault: {kind: BadVersion, image: "*:v2", errorRate: 3%, for: 10m}}
    - {at: 1m30s, load: {service: shop-svc, times: 10, for: 10m, ramp: 30s}}
"""
    )
    load, deploy, fault, scale = out.events
    assert isinstance(load, LoadChange)
    assert isinstance(deploy, Deploy)
    assert isinstance(fault, Fault)
    assert isinstance(scale, Scale)
    assert (load.at_s, load.times, load.for_s, load.ramp_s) == (90, 10, 600, 30)
    assert (deploy.at_s, deploy.kind, deploy.name, deploy.image) == (1200, "Deployment", "shop", "shop:v2")
    assert (fault.kind, fault.for_s, fault.params) == ("BadVersion", 600, {"image": "*:v2", "errorRate": "3%"})
    assert (scale.at_s, scale.replicas) == (3600, 4)
    assert str(deploy.at) == "s.yaml:9:17"


def test_expectations_carry_their_check_and_its_words() -> None:
    out = good(
        """
  duration: 1h
  events:
    - {at: 24m, fault: {kind: NodeLoss}}
  expect:
    - {alert: {name: TooSlow, within: 5m, after: fault}}
    - {alert: {name: TooSlow, never: true}, without: NodeLoss, probability: ">= 0.99"}
    - {budgetBurned: {service: shop, atMost: 5%, objective: 99.5%}}
    - {promql: "sum(up) > 0", from: 10m, to: 20m}
    - {replicas: {deployment: shop, atMost: 9, atLeast: 2}}
    - {p99: {service: shop, atMost: 500ms}}
    - {errorRatio: {service: shop, atMost: 0.01}}
    - {cost: {perHour: "< $1.00"}}
    - {name: done, deployment: {name: shop, phase: Healthy, by: 40m}}
"""
    )
    assert [e.asked for e in out.expect] == [
        "TooSlow fires within 5m of the fault",
        "TooSlow never fires, without NodeLoss",
        "error budget burned of shop at most 5%",
        "sum(up) > 0 from 10m to 20m",
        "replicas of shop at least 2 and at most 9",
        "p99 latency of shop at most 500ms",
        "error ratio of shop at most 1%",
        "node cost per hour < $1.00",
        "Deployment shop is Healthy by 40m",
    ]
    fires, never, budget, promql, replicas, p99, ratio, cost, phase = (e.check for e in out.expect)
    assert isinstance(fires, AlertFires)
    assert (fires.fires, fires.within_s, fires.after) == (True, 300, "fault")
    assert isinstance(never, AlertFires)
    assert not never.fires
    assert out.expect[1].probability is not None
    assert out.expect[1].probability.at_least == 0.99
    assert isinstance(budget, Bound)
    assert (budget.at_most, budget.objective, budget.window_s) == (0.05, 0.995, 30 * 86400)
    assert isinstance(promql, Promql)
    assert (promql.from_s, promql.to_s) == (600, 1200)
    assert isinstance(replicas, Bound)
    assert (replicas.at_most, replicas.at_least) == (9, 2)
    assert isinstance(p99, Bound)
    assert p99.at_most == 0.5
    assert isinstance(ratio, Bound)
    assert ratio.at_most == 0.01
    assert isinstance(cost, Bound)
    assert cost.at_most is not None
    assert 0.999 < cost.at_most < 1.0
    assert isinstance(phase, Phase)
    assert phase.by_s == 2400
    assert out.expect[8].name == "done"


def test_services_and_cluster_are_read() -> None:
    out = good(
        """
  cluster:
    from: main.tf
    nodeGroups: {general: {instanceType: m5.xlarge, min: 2, max: 10, hourly: 0.192}}
    nodeStart: {median: 75s, sigma: 0.25}
  services:
    shop:
      load: {base: 3000rpm, shape: diurnal, peakAt: "09:30", ratio: 4}
      pod: {service: {mean: 50ms, sigma: 0.5}, start: 9s, timeout: 2s, discipline: pool, pool: 4}
      retries: {max: 1, budget: 10%}
      good: {errorRate: 0.1%}
  seeds: {runs: 50, first: 7}
"""
    )
    (service,) = out.services
    assert service.load is not None
    assert service.pod is not None
    assert service.pod.start is not None
    assert (service.load.base_rps, service.load.peak_s, service.load.ratio) == (50, 9.5 * 3600, 4)
    assert (service.pod.mean_s, service.pod.timeout_s, service.pod.pool, service.pod.start.median_s) == (0.05, 2, 4, 9)
    assert (service.error_ratio, service.retries, service.retry_budget_ratio) == (0.001, 1, 0.1)
    assert out.cluster.node_start is not None
    assert (out.cluster.terraform, out.cluster.node_start.sigma) == ("main.tf", 0.25)
    assert (out.cluster.groups[0].max_size, out.cluster.groups[0].hourly_usd) == (10, 0.192)
    assert (out.seeds.runs, out.seeds.first) == (50, 7)


def test_a_load_curve_comes_from_a_csv_or_from_points() -> None:
    (document,) = load_text(HEAD + "  services: {x: {load: {csv: c.csv}}}\n").scenarios
    spec, findings = read.parse(document, None, {"c.csv": "time,rps\n10,1\n20,2.5\n"}.get)
    assert findings == []
    assert spec.services[0].load is not None
    assert spec.services[0].load.points == ((0, 1), (10, 2.5))
    curve = good("  services: {shop: {load: {points: [[0s, 30rps], [10m, 300rps]]}}}\n").services[0].load
    assert curve is not None
    assert curve.points == ((0, 30), (600, 300))


def test_what_is_wrong_in_a_csv_has_its_line() -> None:
    (document,) = load_text(HEAD + "  services: {x: {load: {csv: c.csv}}}\n").scenarios
    _spec, findings = read.parse(document, None, {"c.csv": "time,rps\n0,1\nx,2\n5,-1\n9\n3,1\n1,1\n"}.get)
    assert [(f.code, f.place.line) for f in findings] == [("PH409", n) for n in (3, 4, 5, 7)]
    _spec, findings = read.parse(document, None, lambda _path: None)
    assert [f.code for f in findings] == ["PH409"]


def test_an_expectation_of_an_event_that_is_not_there_is_left_out() -> None:
    out, findings = parsed((CASES / "what-does-not-fit.in").read_text(), shop())
    assert [e.asked for e in out.expect] == [
        "TooSlow fires within 5m of the fault",
        "TooSlow never fires, without PodKill",
    ]
    assert [f.code for f in findings] == ["PH408", "PH410", "PH410"]


def test_an_event_whose_file_is_missing_is_left_out() -> None:
    (document,) = load_text(
        HEAD + "  events: [{at: 1m, apply: {file: a.yaml}}, {at: 2m, apply: {file: b.yaml}}]\n"
    ).scenarios
    out, findings = read.parse(document, None, {"b.yaml": "x"}.get)
    assert [e.at_s for e in out.events] == [120]
    assert [f.code for f in findings] == ["PH409"]


def test_without_manifests_a_scenario_declares_its_services() -> None:
    rules = inventory.of(load_text("groups: [{name: g, rules: [{alert: A, expr: up == 0}]}]"))
    out, findings = parsed("  services: {front: {load: {base: 5rps}}}\n  expect: [{alert: {name: A}}]\n", rules)
    assert findings == []
    assert [s.name for s in out.services] == ["front"]


def test_the_made_up_day_works_the_autoscaler_over_its_range() -> None:
    spec, assumed = default.scenario(shop())
    (service,) = spec.services
    assert service.name == "shop-svc"
    assert service.load is not None
    # 70 % of 500m at 50 ms a request is 7 req/s a pod: 2 pods half used at night, 6 of 10 at the peak.
    assert service.load.base_rps == 7.0
    assert service.load.base_rps * service.load.ratio == pytest.approx(42.0)
    assert [a.code for a in assumed] == ["AS01", "AS02", "AS03", "AS04"]
    assert [(e.asked, str(e.at)) for e in spec.expect] == [
        ("TooSlow never fires on an ordinary day", "shop.yaml:40:17"),
        ("replicas of shop at most 9", "shop.yaml:25:16"),
    ]


def test_a_rate_target_says_what_a_request_costs() -> None:
    pods = "    - {type: Pods, pods: {metric: {name: http_requests_per_second}, target: {averageValue: '100'}}}\n"
    text = SHOP.replace("  metrics:\n", "  metrics:\n" + pods)
    (service,) = default.scenario(inventory.of(load_text(text)))[0].services
    assert service.pod is not None
    assert service.pod.mean_s == pytest.approx(0.7 * 0.5 / 100)


def test_the_made_up_day_for_rules_alone_names_its_service_as_assumed() -> None:
    rules = inventory.of(load_text("groups: [{name: g, rules: [{alert: A, expr: up == 0}]}]"))
    spec, assumed = default.scenario(rules, 7200.0)
    assert spec.duration_s == 7200
    assert len(spec.services) == 1
    assert "AS05" in [a.code for a in assumed]
    assert "AS01" not in [a.code for a in assumed]


def test_the_made_up_day_survives_manifests_that_make_no_sense() -> None:
    text = (
        SHOP.replace("replicas: 2", "replicas: many").replace("minReplicas: 2", "minReplicas: -3").replace("500m", "x")
    )
    spec, _assumed = default.scenario(inventory.of(load_text(text)))
    assert spec.services[0].load is not None
    assert spec.services[0].load.base_rps > 0


def test_the_schema_knows_every_field_that_is_read() -> None:
    """A scenario with every field passes both the schema's names and the reader's."""
    text = (Path(__file__).parent / "every_field.yaml").read_text()
    (document,) = load_text(text, "every_field.yaml").scenarios
    spec, findings = read.parse(document)
    assert [str(f) for f in findings] == []
    assert len(spec.events) == 11
    used = names(document.object["spec"], openapi()["properties"]["spec"], "spec")
    known = described(openapi()["properties"]["spec"], "spec")
    assert sorted(set(known) - set(used)) == []


def names(value: Any, schema: dict[str, Any], path: str) -> list[str]:
    """Paths of the fields of `value`; fails on one that the schema does not know."""
    if isinstance(value, list):
        return [n for item in value for n in names(item, schema.get("items", {}), path + "[]")]
    if not isinstance(value, dict):
        return []
    out = []
    for key, item in value.items():
        inner = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
        if inner is None:
            assert schema.get("x-kubernetes-preserve-unknown-fields"), f"{path}.{key} is not in the schema"
            continue
        at = f"{path}.*" if "additionalProperties" in schema else f"{path}.{key}"
        out += [at, *names(item, inner, at)]
    return out


def described(schema: dict[str, Any], path: str) -> list[str]:
    out = []
    if "items" in schema:
        out += described(schema["items"], path + "[]")
    if "additionalProperties" in schema:
        out += [f"{path}.*", *described(schema["additionalProperties"], path + ".*")]
    for key, inner in schema.get("properties", {}).items():
        out += [f"{path}.{key}", *described(inner, f"{path}.{key}")]
    return out


def test_the_kind_refuses_what_the_reader_refuses() -> None:
    base = {"apiVersion": "pilothouse.dev/v1alpha1", "kind": "Scenario", "metadata": {"name": "x"}}
    assert validate({**base, "spec": {"duration": "1h"}}, None) == []
    (cause,) = validate({**base, "spec": {"seeds": {"runs": 0}}}, None)
    assert (cause.field, cause.message) == ("spec.seeds.runs", "0 is less than 1")
    assert KIND.kind == "Scenario"


def test_the_examples_are_right(pytestconfig: pytest.Config) -> None:
    from pilothouse.base.manifests import load_paths

    found = load_paths([str(pytestconfig.rootpath / "examples")])
    assert found.findings == []
    assert sorted(d.name for d in found.scenarios) == ["bad-canary", "bad-version", "ordinary-day", "spike-10x"]
    for document in found.scenarios:
        assert read.parse(document, inventory.of(found))[1] == []


VERBS = (
    "at",
    "deploy",
    "image",
    "fault",
    "kind",
    "load",
    "times",
    "rps",
    "for",
    "scale",
    "replicas",
    "events",
    "points",
)
NOUNS = ("services", "shop", "base", "cluster", "nodeGroups", "pod", "service", "start", "median", "deployment", "name")
CHECKS = ("expect", "alert", "p99", "atMost", "from", "to", "seeds", "runs", "probability", "cost", "perHour", "promql")
WORDS = st.sampled_from((*VERBS, *NOUNS, *CHECKS))
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-10, 10), st.floats(allow_nan=False, allow_infinity=False), WORDS,
    st.sampled_from(["5m", "-3s", "5%", ">= 0.9", "< $1", "1e9h", "99d", "50rps", "14:00", "BadVersion", "TooSlow"]),
    st.text(max_size=4),
)  # fmt: skip
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=25
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(openapi()["properties"]["spec"]["properties"])), TREES, max_size=6))
def test_nothing_written_into_a_scenario_raises(spec: dict[str, Any]) -> None:
    document = {"apiVersion": "pilothouse.dev/v1alpha1", "kind": "Scenario", "metadata": {"name": "x"}, "spec": spec}
    (loaded,) = load_text(msgspec.json.encode(document).decode()).scenarios
    out, findings = read.parse(loaded, shop(), {"x": "1,2"}.get)
    assert isinstance(out, ScenarioSpec)
    assert all(f.code.startswith("PH4") and f.remedy for f in findings)
