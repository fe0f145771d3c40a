"""From rule transitions to what Alertmanager receives: firing and resolved alerts, nothing while pending.

Prometheus repeats its messages every minute because they can be lost; here an alert holds until its resolution is told.
"""

from __future__ import annotations

from pilothouse.engines.alerting.alertmanager.alerts import HeldAlert
from pilothouse.engines.alerting.evaluation import Evaluation
from pilothouse.engines.alerting.expansion import table_link


def alerts_of(evaluation: Evaluation, external_url: str = "") -> list[HeldAlert]:
    """The alerts to hand to `AlertmanagerState.receive` after an evaluation, in its order.

    external_url: Prometheus' own, for the link to the expression.
    """
    out = []
    for t in evaluation.transitions:
        link = external_url.rstrip("/") + table_link(t.expr)
        if t.after == "firing":
            out.append(HeldAlert(t.labels, t.annotations, t.time_ms, None, link, t.time_ms))
        elif t.before == "firing":
            started = t.time_ms if t.fired_at_ms is None else t.fired_at_ms
            out.append(HeldAlert(t.labels, t.annotations, started, t.time_ms, link, t.time_ms))
    return out
