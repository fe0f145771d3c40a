"""`pilothouse test rules` beside `promtool test rules`: 24 h of 100 rules, the same files, CPU seconds in one run.

    python -m bench.rule_tests [evaluation interval, 60s]

Both run as processes of their own, so start-up counts. Without promtool (Debian: `apt-get install prometheus`) only
our figure is printed, and it says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from bench._rule_set import input_series, rule_file

RUNS = 3
SAMPLE_S = 60


def test_file(interval: str) -> dict[str, Any]:
    """Asks at six moments of the day; the expectations hold in Prometheus 2 and 3."""
    noon = [{"exp_labels": {"severity": "page"}, "exp_annotations": {"summary": "ApiBurnsBudget on : 95.24m"}}]
    quiet = [{"eval_time": f"{h}h", "alertname": "ApiBurnsBudget", "exp_alerts": []} for h in (1, 6, 18, 24)]
    return {
        "rule_files": ["rules.yml"],
        "evaluation_interval": interval,
        "tests": [
            {
                "name": "a day",
                "interval": f"{SAMPLE_S}s",
                "input_series": input_series(SAMPLE_S),
                "alert_rule_test": [
                    *quiet,
                    {"eval_time": "12h20m", "alertname": "CartBurnsBudget", "exp_alerts": []},
                    {"eval_time": "12h20m", "alertname": "ApiBurnsBudget", "exp_alerts": noon},
                ],
                "promql_expr_test": [
                    {"expr": "count(ALERTS)", "eval_time": "6h", "exp_samples": []},
                ],
            }
        ],
    }


def main(interval: str = "60s") -> None:
    """Prints both CPU times (median of the runs) and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "rules.yml").write_text(yaml.safe_dump(rule_file(), sort_keys=False))
        path = Path(folder, "day.test.yml")
        path.write_text(yaml.safe_dump(test_file(interval), sort_keys=False))
        print(f"24 h, 100 rules, {len(input_series(SAMPLE_S))} series, every {interval}")
        ours = _median([sys.executable, "-m", "pilothouse.cli.main", "test", "rules", str(path)], "pilothouse")
        promtool = shutil.which("promtool")
        if promtool is None:
            print("promtool is not installed: no comparison (Debian has it in the package prometheus)")
            return
        theirs = _median([promtool, "test", "rules", str(path)], "promtool")
        print(f"ratio {ours / theirs:.2f} (ours / promtool's; must stay below 1)")


def _median(command: list[str], name: str) -> float:
    spent = sorted(_cpu_s(command) for _ in range(RUNS))[RUNS // 2]
    print(f"{name:<11}{spent:6.2f} CPU s")
    return spent


def _cpu_s(command: list[str]) -> float:
    """User and system seconds of the process; its output is shown when it fails."""
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = os.times()
    if done.returncode:
        print(done.stdout + done.stderr)
        sys.exit(f"{command[0]} ended with {done.returncode}")
    return after.children_user - before.children_user + after.children_system - before.children_system


if __name__ == "__main__":
    main(*sys.argv[1:2])
