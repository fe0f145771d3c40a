"""What the files leave to the cluster: namespaces, configuration kept elsewhere, nodes, a workload behind bare rules.

A rehearsal makes these up so that the rest can run, and says so: each becomes an `Assumed` or a finding (PH304-PH309)
with the place that asked for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Finding, Place
from pilothouse.base.manifests import Document
from pilothouse.kinds.pilothouse.scenario.inventory import WORKLOADS, mapping
from pilothouse.kinds.pilothouse.scenario.spec import Assumed

if TYPE_CHECKING:
    from pilothouse.assemble.inputs import Inputs

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
RULES_ONLY_REPLICAS = 3


def complete(inputs: Inputs) -> None:
    """Notes what is missing; `objects` makes what can be made when a run starts."""
    _check_references(inputs)
    _check_targets(inputs)
    _assume_nodes(inputs)


# -- objects that a run adds before the user's own


def objects(inputs: Inputs) -> list[Object]:
    """Namespaces, service accounts, referenced configuration and the workload behind bare rules, in creation order."""
    made: list[Object] = []
    for name in _namespaces(inputs):
        made.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        made.append({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}})
    for (kind, namespace, name), keys in _missing(inputs).items():
        made.append(_configuration(kind, namespace, name, keys))
    for service in inputs.scenario.services:
        if not inputs.inventory.servable:
            replicas = service.pod.replicas if service.pod and service.pod.replicas else RULES_ONLY_REPLICAS
            made += _bare_service(service.name, replicas)
    return made


def _namespaces(inputs: Inputs) -> list[str]:
    """Namespaces in use that no file makes, the system's first."""
    given = {p.document.name for p in inputs.objects if p.kind.kind == "Namespace"}
    used = {p.document.namespace or "default": None for p in inputs.objects if p.kind.namespaced}
    return [n for n in dict.fromkeys([*SYSTEM_NAMESPACES, *used]) if n not in given]


def _configuration(kind: str, namespace: str, name: str, keys: dict[str, None]) -> Object:
    """An object with the keys that are asked for; the values say what they are."""
    field = "stringData" if kind == "Secret" else "data"
    values = dict.fromkeys(keys, "made-up-for-rehearsal")
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, field: values}


def _bare_service(name: str, replicas: int) -> list[Object]:
    labels = {"app": name}
    metadata = {"name": name, "namespace": "default", "labels": labels}
    container = {
        "name": "app",
        "image": f"rehearsal/{name}:v1",
        "ports": [{"containerPort": 8080}],
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"cpu": "4", "memory": "1Gi"}},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    ]


# -- references to configuration

Reference = tuple[str, str, str, str, Place]
"""(kind, namespace, name, key or "", where it is asked for)."""


def _missing(inputs: Inputs) -> dict[tuple[str, str, str], dict[str, None]]:
    """(kind, namespace, name) → keys of configuration that workloads need and no file holds."""
    given = {(p.kind.kind, p.document.namespace or "default", p.document.name) for p in inputs.objects}
    missing: dict[tuple[str, str, str], dict[str, None]] = {}
    for kind, namespace, name, key, _place in _references(inputs):
        if (kind, namespace, name) not in given:
            keys = missing.setdefault((kind, namespace, name), {})
            if key:
                keys[key] = None
    return missing


def _check_references(inputs: Inputs) -> None:
    missing = _missing(inputs)
    told = set()
    for kind, namespace, name, _key, place in _references(inputs):
        if (kind, namespace, name) in missing and (kind, namespace, name) not in told:
            told.add((kind, namespace, name))
            inputs.findings.append(
                Finding(
                    "PH304",
                    f"{kind} {namespace}/{name} is needed here and not among the files; taken to be in the cluster",
                    place,
                    "add it, or check the name: without it the pods end in CreateContainerConfigError",
                    "warning",
                )
            )


def _references(inputs: Inputs) -> Iterator[Reference]:
    for placed in inputs.objects:
        if placed.document.kind not in WORKLOADS:
            continue
        template = mapping(mapping(placed.document.object.get("spec")).get("template"))
        pod = mapping(template.get("spec"))
        for list_name in ("initContainers", "containers"):
            containers = pod.get(list_name)
            for index, container in enumerate(containers if isinstance(containers, list) else []):
                path = ("spec", "template", "spec", list_name, index)
                yield from _container_references(placed.document, mapping(container), path)
        yield from _volume_references(placed.document, pod)


_BY_KEY = (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret"))
_WHOLE = (("configMapRef", "ConfigMap"), ("secretRef", "Secret"))


def _container_references(document: Document, container: Any, path: tuple[str | int, ...]) -> Iterator[Reference]:
    namespace = document.namespace or "default"
    for list_name, forms in (("env", _BY_KEY), ("envFrom", _WHOLE)):
        entries = container.get(list_name)
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            source = mapping(mapping(entry).get("valueFrom")) if list_name == "env" else mapping(entry)
            for field, kind in forms:
                reference = mapping(source.get(field))
                if reference.get("name") and not reference.get("optional"):
                    place = document.place_of((*path, list_name, index))
                    yield kind, namespace, str(reference["name"]), str(reference.get("key", "")), place


def _volume_references(document: Document, pod: Any) -> Iterator[Reference]:
    volumes = pod.get("volumes")
    for index, volume in enumerate(volumes if isinstance(volumes, list) else []):
        for field, kind, name in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
            source = mapping(mapping(volume).get(field))
            if source.get(name) and not source.get("optional"):
                place = document.place_of(("spec", "template", "spec", "volumes", index))
                yield kind, document.namespace or "default", str(source[name]), "", place


# -- targets and nodes


def _check_targets(inputs: Inputs) -> None:
    """Autoscalers without a target, Services that select nothing, workloads that no load reaches."""
    have = {(d.kind, d.namespace, d.name) for d in inputs.inventory.workloads}
    for hpa in inputs.inventory.autoscalers:
        target = mapping(mapping(hpa.object.get("spec")).get("scaleTargetRef"))
        key = (str(target.get("kind", "")), hpa.namespace, str(target.get("name", "")))
        if key not in have:
            inputs.findings.append(
                Finding(
                    "PH305",
                    f"HorizontalPodAutoscaler {hpa.name} scales {key[0]} {key[2]}, which is not among the files",
                    hpa.place_of(("spec", "scaleTargetRef")),
                    "correct the name or the namespace, or give the file that holds it",
                    "warning",
                )
            )
    for service in inputs.inventory.services:
        selects = mapping(mapping(service.object.get("spec")).get("selector"))
        if selects and inputs.inventory.workload_of(service.name) is None:
            inputs.findings.append(
                Finding(
                    "PH306",
                    f"Service {service.name} selects no pods of the workloads given",
                    service.place_of(("spec", "selector")),
                    "compare the selector with the pod template's labels (and the namespace)",
                    "warning",
                )
            )


def _assume_nodes(inputs: Inputs) -> None:
    if inputs.pools or inputs.scenario.cluster.groups:
        return
    inputs.assumed.append(
        Assumed(
            code="AS06",
            what="the cluster",
            value="3 to 100 nodes with 4 CPUs and 16 GiB, in three zones",
            why="no Terraform file and no spec.cluster was given",
            change="add your *.tf with eks_managed_node_groups, or spec.cluster.nodeGroups",
            effect="smaller or fewer nodes: pods wait as Pending, and a spike is met later",
        )
    )
