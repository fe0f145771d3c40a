"""`pilothouse metrics` as a process: it scrapes itself, keeps what it stored over kill -9, and promtool queries it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CONFIG = """\
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: ["*.rules.yml"]
scrape_configs:
  - job_name: self
    metrics_path: /prometheus/metrics
    honor_labels: true
    static_configs: [{targets: ["127.0.0.1:PORT"]}]
"""
RULES = """\
groups:
  - name: own
    rules:
      - {record: "job:up:sum", expr: "sum by (job) (up)"}
      - {alert: SomethingWasPushed, expr: "batch_rows > 0"}
"""


class Server:
    """One process of the server on a port of its own; `url` is its API."""

    def __init__(self, folder: Path, port: int) -> None:
        command = [sys.executable, "-m", "pilothouse", "metrics", "--config", str(folder / "prometheus.yml")]
        command += ["--data", str(folder / "data"), "--port", str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("metrics: http://127.0.0.1:"), line
        self.url = line.split()[1]

    def query(self, expr: str) -> list[dict[str, Any]]:
        text = urllib.request.urlopen(f"{self.url}/api/v1/query?query={expr}", timeout=10).read()
        result: list[dict[str, Any]] = json.loads(text)["data"]["result"]
        return result

    def wait_for(self, expr: str) -> list[dict[str, Any]]:
        """The answer once there is one; the API has no way to wait, so it is asked, at most 20,000 times."""
        for _ in range(20_000):
            found = self.query(expr)
            if found:
                return found
        raise AssertionError(f"{expr} stays empty")

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        code = self.process.wait(timeout=20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    port = 20_000 + os.getpid() % 20_000
    (tmp_path / "port").write_text(str(port))
    (tmp_path / "prometheus.yml").write_text(CONFIG.replace("PORT", str(port)))
    (tmp_path / "own.rules.yml").write_text(RULES)
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    server = Server(folder, int((folder / "port").read_text()))
    yield server
    if server.process.poll() is None:
        server.end(signal.SIGTERM)


def test_it_scrapes_evaluates_and_takes_pushed_pages(server: Server) -> None:
    assert server.wait_for("up==1")[0]["metric"]["job"] == "self"
    assert server.wait_for("job:up:sum")
    pushed = urllib.request.Request(f"{server.url}/metrics/job/nightly", data=b"batch_rows 12\n", method="PUT")
    assert urllib.request.urlopen(pushed, timeout=10).status == 200
    assert server.wait_for("ALERTS{alertname='SomethingWasPushed',alertstate='firing'}".replace("'", "%22"))
    assert server.end(signal.SIGINT) == 0


def test_kill_9_loses_nothing_that_was_flushed(folder: Path, server: Server) -> None:
    server.wait_for("count_over_time(up[1m])>=8")
    server.end(signal.SIGKILL)
    again = Server(folder, int((folder / "port").read_text()))
    assert float(again.wait_for("count_over_time(up[1m])")[0]["value"][1]) >= 3
    again.end(signal.SIGTERM)


def test_promtool_can_query_it(server: Server) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (apt-packages.txt)")
    server.wait_for("up==1")
    done = subprocess.run([promtool, "query", "instant", server.url, "up"], capture_output=True, text=True, check=True)
    assert 'job="self"' in done.stdout
    done = subprocess.run([promtool, "query", "labels", server.url, "job"], capture_output=True, text=True, check=True)
    assert "self" in done.stdout
