"""Scrape configs from ServiceMonitors, PodMonitors and `prometheus.io/…` annotations.

The relabelling is what prometheus-operator generates (`pkg/prometheus/promcfg.go`, 2026-08), so that series carry
the labels that people's rules expect: namespace, pod, container, service, endpoint, job. Secrets, TLS files,
sharding and scrape classes are not read; what is ignored is said in a finding. Pure; called by the live server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Finding, Place
from pilothouse.signals.metrics.discovery import META, ClusterObjects, endpoint_groups, label_name, pod_groups
from pilothouse.signals.metrics.scrape_config import ScrapeConfig, TargetGroup, parse_scrape_config

CODE_BAD_MONITOR = "PH411"
CODE_IGNORED_FIELD = "PH412"

_RawRule = dict[str, Any]
_Pool = tuple[ScrapeConfig, list[TargetGroup]]

_NOT_READ = ("basicAuth", "oauth2", "tlsConfig", "bearerTokenFile", "bearerTokenSecret", "authorization", "proxyUrl")
_LIMITS = {
    "sampleLimit": "sample_limit",
    "targetLimit": "target_limit",
    "labelLimit": "label_limit",
    "labelNameLengthLimit": "label_name_length_limit",
    "labelValueLengthLimit": "label_value_length_limit",
    "bodySizeLimit": "body_size_limit",
    "fallbackScrapeProtocol": "fallback_scrape_protocol",
}
_ENDPOINT_FIELDS = {
    "interval": "scrape_interval",
    "scrapeTimeout": "scrape_timeout",
    "path": "metrics_path",
    "params": "params",
    "scheme": "scheme",
    "honorLabels": "honor_labels",
    "honorTimestamps": "honor_timestamps",
    "followRedirects": "follow_redirects",
}
_RELABEL_FIELDS = {
    "sourceLabels": "source_labels",
    "separator": "separator",
    "targetLabel": "target_label",
    "regex": "regex",
    "modulus": "modulus",
    "replacement": "replacement",
    "action": "action",
}


def monitored_pools(
    monitors: Sequence[Object], objects: ClusterObjects, *, interval_ms: int = 30_000, timeout_ms: int = 10_000
) -> tuple[list[_Pool], list[Finding]]:
    """A pool per endpoint of every ServiceMonitor and PodMonitor; a wrong endpoint is a finding, the others stand.

    interval_ms, timeout_ms: the Prometheus object's defaults (the operator's own are 30 s and 10 s).
    """
    pools: list[_Pool] = []
    findings: list[Finding] = []
    for monitor in monitors:
        make = service_monitor_config if monitor.get("kind") == "ServiceMonitor" else pod_monitor_config
        spec = monitor.get("spec") or {}
        endpoints = spec.get("endpoints" if make is service_monitor_config else "podMetricsEndpoints") or ()
        groups = _groups_of(monitor, objects)
        for index, endpoint in enumerate(endpoints):
            raw = make(monitor, endpoint, index)
            findings += _ignored(monitor, endpoint, raw["job_name"])
            try:
                pools.append((parse_scrape_config(raw, interval_ms, timeout_ms), groups))
            except (ValueError, TypeError, AttributeError) as why:
                remedy = "correct this endpoint; the monitor's other endpoints are scraped"
                findings.append(Finding(CODE_BAD_MONITOR, f"{raw['job_name']}: {why}", Place(), remedy))
    return pools, findings


def _ignored(monitor: Object, endpoint: Mapping[str, Any], job: str) -> list[Finding]:
    fields = [name for name in _NOT_READ if endpoint.get(name)]
    if not fields:
        return []
    text = f"{job}: {', '.join(fields)} of {monitor.get('kind')} is not used; the target is scraped without it"
    return [Finding(CODE_IGNORED_FIELD, text, severity="warning")]


def _groups_of(monitor: Object, objects: ClusterObjects) -> list[TargetGroup]:
    selector = (monitor.get("spec") or {}).get("namespaceSelector") or {}
    own = (monitor.get("metadata") or {}).get("namespace", "")
    namespaces = None if selector.get("any") else selector.get("matchNames") or [own]
    if monitor.get("kind") == "ServiceMonitor":
        return endpoint_groups(objects, namespaces)
    return pod_groups(objects, namespaces)


def service_monitor_config(monitor: Object, endpoint: Mapping[str, Any], index: int) -> dict[str, Any]:
    """The scrape config (as in a prometheus.yml) of one endpoint of a ServiceMonitor."""
    spec, job_label = monitor["spec"], monitor["spec"].get("jobLabel")
    rules = [_copy("job", "__tmp_prometheus_job_name"), *_selected(spec.get("selector") or {}, "service")]
    if endpoint.get("port"):
        rules.append(_keep([f"{META}endpointslice_port_name"], endpoint["port"]))
    else:
        rules += _target_port(endpoint)
    reference = [f"{META}endpointslice_address_target_kind", f"{META}endpointslice_address_target_name"]
    for kind, label in (("Node", "node"), ("Pod", "pod")):
        rules.append(
            {"source_labels": reference, "regex": f"{kind};(.*)", "replacement": "${1}", "target_label": label}
        )
    rules += [
        _copy(f"{META}namespace", "namespace"),
        _copy(f"{META}service_name", "service"),
        _copy(f"{META}pod_name", "pod"),
        _copy(f"{META}pod_container_name", "container"),
        *_running(endpoint),
        *(
            _present(f"{META}service_label_{label_name(name)}", label_name(name))
            for name in spec.get("targetLabels") or ()
        ),
        *(
            _present(f"{META}pod_label_{label_name(name)}", label_name(name))
            for name in spec.get("podTargetLabels") or ()
        ),
        {"source_labels": [f"{META}service_name"], "target_label": "job", "replacement": "${1}"},
    ]
    if job_label:
        rules.append(_present(f"{META}service_label_{label_name(job_label)}", "job"))
    return _config(monitor, endpoint, f"serviceMonitor/{_where(monitor)}/{index}", rules)


def pod_monitor_config(monitor: Object, endpoint: Mapping[str, Any], index: int) -> dict[str, Any]:
    """The scrape config (as in a prometheus.yml) of one endpoint of a PodMonitor."""
    spec, job_label = monitor["spec"], monitor["spec"].get("jobLabel")
    rules = [_copy("job", "__tmp_prometheus_job_name"), *_running(endpoint)]
    rules += _selected(spec.get("selector") or {}, "pod")
    if endpoint.get("port"):
        rules.append(_keep([f"{META}pod_container_port_name"], endpoint["port"]))
    elif endpoint.get("portNumber"):
        rules.append(_keep([f"{META}pod_container_port_number"], str(endpoint["portNumber"])))
    else:
        rules += _target_port(endpoint)
    rules += [
        _copy(f"{META}namespace", "namespace"),
        _copy(f"{META}pod_container_name", "container"),
        _copy(f"{META}pod_name", "pod"),
        *(
            _present(f"{META}pod_label_{label_name(name)}", label_name(name))
            for name in spec.get("podTargetLabels") or ()
        ),
        {"target_label": "job", "replacement": _where(monitor)},
    ]
    if job_label:
        rules.append(_present(f"{META}pod_label_{label_name(job_label)}", "job"))
    return _config(monitor, endpoint, f"podMonitor/{_where(monitor)}/{index}", rules)


def _config(monitor: Object, endpoint: Mapping[str, Any], job: str, rules: list[_RawRule]) -> dict[str, Any]:
    name = endpoint.get("port") or endpoint.get("targetPort")
    if name:
        rules = [*rules, {"target_label": "endpoint", "replacement": str(name)}]
    rules += [_raw_rule(rule) for rule in endpoint.get("relabelings") or ()]
    raw: dict[str, Any] = {"job_name": job, "relabel_configs": rules}
    raw |= {theirs: endpoint[ours] for ours, theirs in _ENDPOINT_FIELDS.items() if endpoint.get(ours) is not None}
    raw |= {theirs: monitor["spec"][ours] for ours, theirs in _LIMITS.items() if monitor["spec"].get(ours) is not None}
    raw["scheme"] = str(raw.get("scheme") or "http").lower()
    raw["metric_relabel_configs"] = [_raw_rule(rule) for rule in endpoint.get("metricRelabelings") or ()]
    return raw


def _where(monitor: Object) -> str:
    return f"{monitor['metadata'].get('namespace', '')}/{monitor['metadata'].get('name', '')}"


def _raw_rule(rule: Mapping[str, Any]) -> _RawRule:
    return {theirs: rule[ours] for ours, theirs in _RELABEL_FIELDS.items() if rule.get(ours) is not None}


def _copy(source: str, target: str) -> _RawRule:
    return {"source_labels": [source], "target_label": target}


def _present(source: str, target: str) -> _RawRule:
    """Copies a label only when it has a value."""
    return {"source_labels": [source], "target_label": target, "regex": "(.+)", "replacement": "${1}"}


def _carried(names: Sequence[str] | None, role: str) -> list[_RawRule]:
    """Labels of the object that the target is to carry, under the same names."""
    return [_present(f"{META}{role}_label_{label_name(name)}", label_name(name)) for name in names or ()]


def _keep(sources: list[str], regex: str, action: str = "keep") -> _RawRule:
    return {"action": action, "source_labels": sources, "regex": regex}


def _running(endpoint: Mapping[str, Any]) -> list[_RawRule]:
    if endpoint.get("filterRunning") is False:
        return []
    return [_keep([f"{META}pod_phase"], "(Failed|Succeeded)", "drop")]


def _target_port(endpoint: Mapping[str, Any]) -> list[_RawRule]:
    port = endpoint.get("targetPort")
    if not port:
        return []
    part = "number" if isinstance(port, int) else "name"
    return [_keep([f"{META}pod_container_port_{part}"], str(port))]


def _selected(selector: Mapping[str, Any], role: str) -> list[_RawRule]:
    """A label selector as keep and drop rules over the object's labels."""
    rules = []
    for key, value in sorted((selector.get("matchLabels") or {}).items()):
        rules.append(_keep(_label_pair(role, key), f"({value});true"))
    for entry in selector.get("matchExpressions") or ():
        key, operator = entry.get("key", ""), entry.get("operator")
        if operator in ("In", "NotIn"):
            regex = f"({'|'.join(entry.get('values') or ())});true"
            rules.append(_keep(_label_pair(role, key), regex, "keep" if operator == "In" else "drop"))
        else:
            rules.append(_keep(_label_pair(role, key)[1:], "true", "keep" if operator == "Exists" else "drop"))
    return rules


def _label_pair(role: str, key: str) -> list[str]:
    return [f"{META}{role}_label_{label_name(key)}", f"{META}{role}_labelpresent_{label_name(key)}"]


ANNOTATED: dict[str, Any] = {
    "job_name": "kubernetes-pods",
    "relabel_configs": [
        _keep([f"{META}pod_annotation_prometheus_io_scrape"], "true"),
        _keep([f"{META}pod_container_init"], "true", "drop"),
        {**_present(f"{META}pod_annotation_prometheus_io_scheme", "__scheme__"), "regex": "(https?)"},
        _present(f"{META}pod_annotation_prometheus_io_path", "__metrics_path__"),
        {
            "source_labels": ["__address__", f"{META}pod_annotation_prometheus_io_port"],
            "regex": r"(.+?)(?::\d+)?;(\d+)",
            "replacement": "$1:$2",
            "target_label": "__address__",
        },
        {"action": "labelmap", "regex": f"{META}pod_annotation_prometheus_io_param_(.+)", "replacement": "__param_$1"},
        {"action": "labelmap", "regex": f"{META}pod_label_(.+)"},
        _copy(f"{META}namespace", "namespace"),
        _copy(f"{META}pod_name", "pod"),
        _copy(f"{META}pod_node_name", "node"),
        _keep([f"{META}pod_phase"], "(Pending|Succeeded|Failed|Completed)", "drop"),
    ],
}
"""The pod job of the widely used prometheus Helm chart: `prometheus.io/scrape|port|path|scheme|param_…`."""


def annotated_pool(
    objects: ClusterObjects, *, interval_ms: int = 60_000, timeout_ms: int = 10_000
) -> tuple[ScrapeConfig, list[TargetGroup]]:
    """The pool of pods that ask by annotation to be scraped."""
    return parse_scrape_config(ANNOTATED, interval_ms, timeout_ms), pod_groups(objects)
