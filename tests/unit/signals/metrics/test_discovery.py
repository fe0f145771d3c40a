"""Targets from pods, endpoint slices, monitors and annotations."""

from __future__ import annotations

from typing import Any

from pilothouse.signals.metrics.discovery import ClusterObjects, endpoint_groups, pod_groups
from pilothouse.signals.metrics.monitors import annotated_pool, monitored_pools
from pilothouse.signals.metrics.targets import Target, targets_of


def pod(name: str, *, ip: str = "10.0.0.1", phase: str = "Running", **metadata: Any) -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 9090}]
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": {"app": "web", "app.kubernetes.io/part-of": "s"},
            **metadata,
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [{"name": "app", "image": "web:1", "ports": ports}],
            "initContainers": [{"name": "init", "image": "init:1"}],
        },
        "status": {"podIP": ip, "phase": phase, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def service(name: str = "web") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "shop", "labels": {"app": "web", "team": "blue"}}}


def endpoint_slice(*pods: dict[str, Any]) -> dict[str, Any]:
    endpoints = [
        {
            "addresses": [one["status"]["podIP"]],
            "conditions": {"ready": True},
            "nodeName": "node-1",
            "targetRef": {"kind": "Pod", "name": one["metadata"]["name"], "namespace": "shop"},
        }
        for one in pods
    ]
    metadata = {"name": "web-abc", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}}
    ports = [{"name": "web", "port": 8080, "protocol": "TCP"}]
    return {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints, "ports": ports}


def monitor(kind: str, endpoint: dict[str, Any], **spec: Any) -> dict[str, Any]:
    where = "endpoints" if kind == "ServiceMonitor" else "podMetricsEndpoints"
    selector = {"matchLabels": {"app": "web"}}
    return {
        "kind": kind,
        "metadata": {"name": "m", "namespace": "shop"},
        "spec": {"selector": selector, where: [endpoint], **spec},
    }


def found(monitors: list[dict[str, Any]], objects: ClusterObjects) -> list[Target]:
    pools, findings = monitored_pools(monitors, objects)
    assert findings == []
    return [target for config, groups in pools for target in targets_of(config, groups).active]


CLUSTER = ClusterObjects([pod("web-0"), pod("web-1", ip="10.0.0.2")], [service()], [endpoint_slice(pod("web-0"))])


def test_role_pod_gives_a_target_per_port_and_one_for_a_container_without() -> None:
    group = pod_groups(ClusterObjects([pod("web-0"), pod("new", ip="")]))[0]
    assert [target["__address__"] for target in group.targets] == ["10.0.0.1:8080", "10.0.0.1:9090", "10.0.0.1"]
    assert group.labels["__meta_kubernetes_pod_label_app_kubernetes_io_part_of"] == "s"
    assert group.labels["__meta_kubernetes_pod_ready"] == "true"
    assert group.targets[2]["__meta_kubernetes_pod_container_init"] == "true"


def test_role_endpointslice_gives_endpoints_and_the_pods_other_ports() -> None:
    group = endpoint_groups(CLUSTER)[0]
    assert [target["__address__"] for target in group.targets] == ["10.0.0.1:8080", "10.0.0.1:9090"]
    assert group.targets[0]["__meta_kubernetes_endpointslice_port_name"] == "web"
    assert group.targets[0]["__meta_kubernetes_pod_container_port_name"] == "http"
    assert "__meta_kubernetes_endpointslice_port_name" not in group.targets[1]
    assert group.labels["__meta_kubernetes_service_label_team"] == "blue"


def test_ipv6_addresses_are_bracketed() -> None:
    group = pod_groups(ClusterObjects([pod("web-0", ip="fd00::1")]))[0]
    assert group.targets[0]["__address__"] == "[fd00::1]:8080"


def test_service_monitor_labels() -> None:
    targets = found([monitor("ServiceMonitor", {"port": "web", "path": "/m"}, targetLabels=["team"])], CLUSTER)
    assert [target.url for target in targets] == ["http://10.0.0.1:8080/m"]
    assert dict(targets[0].labels) == {
        "container": "app",
        "endpoint": "web",
        "instance": "10.0.0.1:8080",
        "job": "web",
        "namespace": "shop",
        "pod": "web-0",
        "service": "web",
        "team": "blue",
    }
    assert targets[0].interval_ms == 30_000


def test_service_monitor_by_target_port_and_job_label() -> None:
    targets = found([monitor("ServiceMonitor", {"targetPort": 9090, "interval": "15s"}, jobLabel="team")], CLUSTER)
    assert [(target.url, dict(target.labels)["job"]) for target in targets] == [
        ("http://10.0.0.1:9090/metrics", "blue")
    ]
    assert targets[0].interval_ms == 15_000


def test_pod_monitor_labels() -> None:
    targets = found([monitor("PodMonitor", {"port": "admin"}, podTargetLabels=["app"])], CLUSTER)
    assert [target.url for target in targets] == ["http://10.0.0.1:9090/metrics", "http://10.0.0.2:9090/metrics"]
    assert dict(targets[0].labels) == {
        "app": "web",
        "container": "app",
        "endpoint": "admin",
        "instance": "10.0.0.1:9090",
        "job": "shop/m",
        "namespace": "shop",
        "pod": "web-0",
    }


def test_selectors_and_namespaces_narrow() -> None:
    expressions = {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}
    assert found([monitor("PodMonitor", {"port": "http"}, selector=expressions)], CLUSTER) == []
    exists = {"matchExpressions": [{"key": "app", "operator": "Exists"}, {"key": "no", "operator": "DoesNotExist"}]}
    assert len(found([monitor("PodMonitor", {"port": "http"}, selector=exists)], CLUSTER)) == 2
    elsewhere = {"namespaceSelector": {"matchNames": ["other"]}}
    assert found([monitor("PodMonitor", {"port": "http"}, **elsewhere)], CLUSTER) == []
    assert len(found([monitor("PodMonitor", {"port": "http"}, namespaceSelector={"any": True})], CLUSTER)) == 2


def test_finished_pods_are_left_out() -> None:
    done = ClusterObjects([pod("web-0", phase="Succeeded")])
    assert found([monitor("PodMonitor", {"port": "http"})], done) == []
    assert len(found([monitor("PodMonitor", {"port": "http", "filterRunning": False})], done)) == 1


def test_relabelings_of_the_endpoint_come_last() -> None:
    rules = [{"sourceLabels": ["pod"], "targetLabel": "instance"}]
    targets = found([monitor("PodMonitor", {"port": "http", "relabelings": rules})], CLUSTER)
    assert [dict(target.labels)["instance"] for target in targets] == ["web-0", "web-1"]


def test_wrong_endpoints_and_unused_fields_are_findings() -> None:
    wrong = monitor("PodMonitor", {"port": "http", "relabelings": [{"action": "explode"}]})
    secret = monitor("PodMonitor", {"port": "http", "basicAuth": {"username": {}}})
    pools, findings = monitored_pools([wrong, secret], CLUSTER)
    assert [finding.code for finding in findings] == ["PH411", "PH412"]
    assert len(pools) == 1


def test_annotated_pods() -> None:
    notes = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9999",
        "prometheus.io/path": "/m",
        "prometheus.io/scheme": "https",
    }
    objects = ClusterObjects([pod("web-0", annotations=notes), pod("web-1")])
    config, groups = annotated_pool(objects)
    targets = targets_of(config, groups).active
    assert [target.url for target in targets] == ["https://10.0.0.1:9999/m"]
    assert dict(targets[0].labels)["app"] == "web"


def test_annotated_pods_without_a_port_are_scraped_on_all_declared_ones() -> None:
    objects = ClusterObjects([pod("web-0", annotations={"prometheus.io/scrape": "true"})])
    config, groups = annotated_pool(objects)
    urls = [target.url for target in targets_of(config, groups).active]
    assert urls == ["http://10.0.0.1:8080/metrics", "http://10.0.0.1:9090/metrics"]
