"""Small builders for these tests: documents from text, and a database of good and bad requests."""

from __future__ import annotations

from collections.abc import Callable

from pilothouse.base.manifests import load_text
from pilothouse.engines import slo
from pilothouse.engines.tsdb import Database, make_labels

SPEC = """
version: prometheus/v1
service: shop
labels: {{team: payments}}
slos:
  - name: availability
    objective: {objective}
    description: Share of requests that succeed
    labels: {{tier: "1"}}
    sli:
      events:
        error_query: sum(rate(requests_total{{code=~"5.."}}[{{{{.window}}}}]))
        total_query: sum(rate(requests_total[{{{{.window}}}}]))
    alerting:
      name: ShopBurn
      labels: {{category: availability}}
      annotations: {{summary: mine}}
      page_alert: {{labels: {{severity: critical}}}}
      ticket_alert: {{disable: true}}
"""

OPENSLO = """
apiVersion: openslo/v1
kind: SLO
metadata: {name: availability}
spec:
  service: shop
  indicator:
    metadata: {name: ok}
    spec:
      ratioMetric:
        counter: true
        good:
          metricSource: {type: Prometheus, spec: {query: 'sum(rate(requests_total{code="200"}[{{.window}}]))'}}
        total:
          metricSource: {type: Prometheus, spec: {query: 'sum(rate(requests_total[{{.window}}]))'}}
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.999}]
"""


def read(text: str) -> slo.Reading:
    """The SLOs of a text with one or more documents."""
    manifests = load_text(text, "slo.yaml")
    return slo.read(sorted([*manifests.slo_specs, *manifests.objects], key=lambda d: d.line))


def only(text: str) -> slo.Slo:
    """The one SLO of a text that has nothing wrong."""
    reading = read(text)
    assert [f for f in reading.findings if f.severity == "error"] == []
    (found,) = reading.slos
    return found


def requests(minutes: int, failing: Callable[[int], float], *, per_minute: float = 600.0, step_s: int = 30) -> Database:
    """Counters `requests_total` by code from time 0; failing: minute -> share that fails."""
    database = Database()
    good = bad = 0.0
    for time_s in range(0, minutes * 60 + 1, step_s):
        database.append(make_labels({"code": "200"}, "requests_total"), time_s * 1000, good)
        database.append(make_labels({"code": "500"}, "requests_total"), time_s * 1000, bad)
        share = failing(time_s // 60)
        good += per_minute * step_s / 60 * (1 - share)
        bad += per_minute * step_s / 60 * share
    return database
