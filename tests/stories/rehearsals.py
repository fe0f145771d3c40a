"""Builds small sets of manifests and rehearses them: what the stories share. Everything goes through the real reading,
write path, controllers and rules; only the numbers differ from test to test.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pilothouse.assemble import rehearse
from pilothouse.report.model import RehearseRequest, Report, RunResult

Objects = list[dict[str, Any]]


def deployment(**changes: Any) -> dict[str, Any]:
    """A Deployment of 4 pods of 1 CPU; changes: replicas, surge, unavailable, cpu, memory, memory_limit, image."""
    get = changes.get
    resources = {
        "requests": {"cpu": get("cpu", "500m"), "memory": get("memory", "256Mi")},
        "limits": {"cpu": get("cpu_limit", "1"), "memory": get("memory_limit", "512Mi")},
    }
    container = {
        "name": "app",
        "image": get("image", "shop/api:v1"),
        "ports": [{"containerPort": 8080}],
        "resources": resources,
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "initialDelaySeconds": 5, "periodSeconds": 5},
    }
    rolling = {"maxSurge": get("surge", 1), "maxUnavailable": get("unavailable", 0)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": "shop"},
        "spec": {
            "replicas": get("replicas", 4),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "selector": {"matchLabels": {"app": "api"}},
            "template": {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [container]}},
        },
    }


def service() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "api", "namespace": "shop"},
        "spec": {"selector": {"app": "api"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }


def autoscaler(target: int, most: int = 20) -> dict[str, Any]:
    """An HPA on CPU utilisation (percent of the request)."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "api", "namespace": "shop"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"},
            "minReplicas": 2,
            "maxReplicas": most,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}},
                }
            ],
        },
    }


def rules(hold: str = "2m", expr: str = "", name: str = "HighErrorRate") -> dict[str, Any]:
    """A rule file with one alert on the share of 5xx answers, or on `expr`."""
    ratio = 'sum(rate(http_requests_total{status=~"5.."}[2m])) / sum(rate(http_requests_total[2m])) > 0.05'
    rule = {"alert": name, "expr": expr or ratio, "for": hold, "labels": {"severity": "page"}}
    return {"groups": [{"name": "api", "interval": "15s", "rules": [rule]}]}


def scenario(duration: str = "20m", rps: int = 20, **more: Any) -> dict[str, Any]:
    """A scenario of steady load on `api`; more: events, expect, seeds, pod."""
    pod = {"service": {"mean": "40ms", "sigma": 0.5}, "start": {"median": "4s", "sigma": 0.2}, **more.pop("pod", {})}
    return {
        "apiVersion": "pilothouse.dev/v1alpha1",
        "kind": "Scenario",
        "metadata": {"name": "story"},
        "spec": {"duration": duration, "services": {"api": {"load": {"base": f"{rps}rps"}, "pod": pod}}, **more},
    }


def play(folder: Path, objects: Objects, **request: Any) -> Report:
    """Writes the objects into one file each and rehearses the folder."""
    for number, obj in enumerate(objects):
        (folder / f"{number:02d}.yaml").write_text(yaml.safe_dump(obj, sort_keys=False))
    return rehearse(RehearseRequest(paths=(str(folder),), **request))


def shown(report: Report) -> RunResult:
    """The run of a report that must have one and nothing left out."""
    assert not [f for f in report.findings if f.severity == "error"], report.findings
    assert report.shown is not None
    return report.shown


def figure(report: Report, id: str) -> float:
    """A figure's value by its id."""
    value = next(f.value for f in shown(report).figures if f.id == id)
    assert value is not None
    return value


def firing(report: Report, name: str) -> list[tuple[float, float | None]]:
    """(from, to) of every firing of an alert, seconds since the start."""
    story = next(a for a in shown(report).alerts if a.name == name)
    return [(s.from_s, s.to_s) for s in story.spans if s.state == "firing"]
