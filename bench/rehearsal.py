"""How fast a rehearsal is, in CPU seconds of one core and peak memory, whole process, imports and reading included.

    day       24 h of the example: 3-20 pods, 15 s scrapes, the guide's four alerts         limit 5 CPU s
    services  1 h of 100 services and 2,000 pods, an autoscaler each                        limit 10 CPU s
    large     1 h of 5,000 nodes and 100,000 pods, 1 % of the pods replaced per minute      limit 60 CPU s, 1.5 GB

Each case is a process of its own: `python -m bench.rehearsal CASE`. Inputs are written to a temporary folder; --keep
keeps them.
The limits are what the project wants to reach; nothing fails when one is missed, the figure is printed.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from pilothouse.base.clock import cpu_seconds

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "ml-inference-api"
LIMITS = {"day": (5.0, 0.0), "services": (10.0, 0.0), "large": (60.0, 1.5)}

SERVICE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: svc-{n:04d}, namespace: default}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: svc-{n:04d}}}}}
  template:
    metadata: {{labels: {{app: svc-{n:04d}}}}}
    spec:
      containers:
        - name: app
          image: registry.example/svc-{n:04d}:v1
          ports: [{{containerPort: 8080}}]
          resources: {{requests: {{cpu: {cpu}, memory: 64Mi}}, limits: {{cpu: "1", memory: 256Mi}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: svc-{n:04d}, namespace: default}}
spec: {{selector: {{app: svc-{n:04d}}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
"""
AUTOSCALER = """\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{name: svc-{n:04d}, namespace: default}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: svc-{n:04d}}}
  minReplicas: 10
  maxReplicas: 40
  metrics: [{{type: Resource, resource: {{name: cpu, target: {{type: Utilization, averageUtilization: 60}}}}}}]
---
"""


def write_inputs(folder: Path, case: str) -> list[str]:
    """Writes the case's manifests and scenario; gives the arguments of `rehearse`."""
    if case == "day":
        paths = [str(EXAMPLE / part) for part in ("k8s", "monitoring", "infra")]
        return [*paths, "--scenario", str(EXAMPLE / "scenarios" / "ordinary-day.yaml")]
    services, replicas, nodes, cpu = (100, 20, 500, "500m") if case == "services" else (1000, 100, 5000, "100m")
    text = "".join(
        SERVICE.format(n=n, replicas=replicas, cpu=cpu) + (AUTOSCALER.format(n=n) if case == "services" else "")
        for n in range(services)
    )
    (folder / "services.yaml").write_text(text)
    rps = 200 if case == "services" else 400
    lines = [
        "apiVersion: pilothouse.dev/v1alpha1",
        "kind: Scenario",
        f"metadata: {{name: {case}}}",
        "spec:",
        "  duration: 1h",
        "  cluster:",
        "    nodeGroups:",
        f"      pool: {{min: {nodes}, max: {nodes}, desired: {nodes}, cpu: '4', memory: 16Gi, pods: 110, hourly: 0.1}}",
        "  services:",
    ]
    for n in range(services):
        lines.append(f"    svc-{n:04d}: {{load: {{base: {rps}rps}}, pod: {{service: {{mean: 20ms, sigma: 0.5}}}}}}")
    if case == "large":
        lines.append("  events:")
        for n in range(services):
            at = f"{n * 60 // services}s"
            lines.append(f"    - {{at: {at}, fault: {{kind: PodKill, service: svc-{n:04d}, count: 1, every: 1m}}}}")
    (folder / "scenario.yaml").write_text("\n".join(lines) + "\n")
    return [str(folder / "services.yaml"), str(EXAMPLE / "monitoring"), "--scenario", str(folder / "scenario.yaml")]


def run_case(case: str, folder: Path) -> None:
    """Rehearses in this process and prints the figures."""
    from pilothouse.assemble import rehearse
    from pilothouse.report.model import RehearseRequest

    *paths, _flag, scenario = write_inputs(folder, case)
    report = rehearse(RehearseRequest(paths=tuple(paths), scenario=scenario))
    errors = [f.message for f in report.findings if f.severity == "error"]
    figures = {f.id: f.value for f in report.figures}
    cpu_s, rss_gb = cpu_seconds(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    # Of many services a report tells the worst few and all together.
    each = [v or 0 for k, v in figures.items() if k.startswith("pods.ready.max.")]
    pods = figures.get("pods.ready.max") or sum(each)
    want_s, want_gb = LIMITS[case]
    events = report.shown.events if report.shown else 0
    print(
        f"{case:9s} {cpu_s:6.2f} CPU s (limit {want_s:g})   {rss_gb:5.2f} GB"
        + (f" (limit {want_gb:g})" if want_gb else "")
        + f"   most ready pods {pods:,.0f}, nodes {figures.get('nodes.max') or 0:,.0f}, loop events {events:,}"
        + (f"   ERRORS {errors[:2]}" if errors else ""),
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="?", choices=sorted(LIMITS))
    parser.add_argument("--keep", type=Path, help="folder to keep the inputs in")
    args = parser.parse_args()
    if args.case is None:
        for case in LIMITS:
            subprocess.run([sys.executable, "-m", "bench.rehearsal", case], check=True)
        return
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
        run_case(args.case, args.keep)
        return
    with tempfile.TemporaryDirectory() as folder:
        run_case(args.case, Path(folder))


if __name__ == "__main__":
    main()
