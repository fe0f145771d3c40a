"""The real kubectl against a served API: what people type works, and applying twice changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.peers._api_server import Server, api_server

KUBECTL = shutil.which("kubectl") or ""
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not KUBECTL, reason="kubectl is not installed")]

MANIFESTS = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {level: info}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop, labels: {app: cart}}
spec:
  replicas: 2
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      containers:
      - {name: cart, image: "cart:1", ports: [{containerPort: 8080}], resources: {requests: {cpu: 100m}}}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: cart, namespace: shop}
spec: {defaultBackend: {service: {name: cart, port: {number: 80}}}}
"""


class Kubectl:
    """Runs kubectl as the administrator."""

    def __init__(self, server: Server, home: Path) -> None:
        self._environment = {**os.environ, "KUBECONFIG": str(server.kubeconfig), "HOME": str(home)}

    def __call__(self, *words: str, stdin: str = "") -> str:
        done = subprocess.run(
            [KUBECTL, *words], input=stdin, capture_output=True, text=True, timeout=60, env=self._environment
        )
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "-o", "json"))


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    folder = tmp_path_factory.mktemp("kubectl")
    with api_server(folder) as server:
        yield Kubectl(server, folder)


def test_applying_twice_changes_nothing(kubectl: Kubectl) -> None:
    first = kubectl("apply", "-f", "-", stdin=MANIFESTS)
    assert first.count("created") == 5
    kubectl("wait", "-n", "shop", "deployment/cart", "--for=jsonpath={.status.replicas}=2", "--timeout=20s")
    again = kubectl("apply", "-f", "-", stdin=MANIFESTS)
    assert again.count("unchanged") == 5


def test_server_side_apply_twice_changes_nothing(kubectl: Kubectl) -> None:
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ssa}\ndata: {a: b}\n"
    kubectl("apply", "--server-side", "-f", "-", stdin=manifest)
    before = kubectl.json("get", "configmap", "ssa")
    kubectl("apply", "--server-side", "-f", "-", stdin=manifest)
    assert kubectl.json("get", "configmap", "ssa") == before


def test_imperative_commands_speak_protobuf(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "plain", "--from-literal=a=b")
    kubectl("create", "secret", "generic", "hidden", "--from-literal=p=q")
    assert kubectl.json("get", "configmap", "plain")["data"] == {"a": "b"}
    assert kubectl.json("get", "secret", "hidden")["data"] == {"p": "cQ=="}
    assert kubectl("auth", "can-i", "create", "pods").strip() == "yes"


def test_tables_labels_patches_and_deletion(kubectl: Kubectl) -> None:
    kubectl("run", "one", "--image=i:1")
    kubectl("label", "pod", "one", "tier=front")
    kubectl("annotate", "pod", "one", "note=x")
    kubectl("set", "image", "pod/one", "one=i:2")
    lines = kubectl("get", "pods", "-l", "tier=front").splitlines()
    assert lines[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert lines[1].split()[:3] == ["one", "0/1", "Pending"]
    assert "one" in kubectl("describe", "pod", "one")
    kubectl("delete", "pod", "one", "--wait=true")
    assert kubectl("get", "pods", "-l", "tier=front") == ""


def test_discovery_and_explain(kubectl: Kubectl) -> None:
    assert "deployments" in kubectl("api-resources", "--api-group=apps", "-o", "name")
    assert "FIELD: replicas" in kubectl("explain", "deployment.spec.replicas")
    assert kubectl.json("version")["serverVersion"]["gitVersion"].startswith("v1.36.")


def test_a_namespace_is_emptied_and_goes(kubectl: Kubectl) -> None:
    kubectl("create", "namespace", "gone")
    kubectl("create", "configmap", "c", "-n", "gone")
    kubectl("delete", "namespace", "gone", "--wait=true", "--timeout=20s")
    assert "gone" not in kubectl("get", "namespaces", "-o", "name")
