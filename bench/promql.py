"""Eight queries on 100,000 series over an hour, beside Debian's Prometheus on the same data, in one run.

    .venv/bin/python -m bench.promql [--targets 200] [--repeat 5] [--keep DIR]

Both get the same samples: ours as one frame per target, Prometheus' as a block made by `promtool tsdb
create-blocks-from openmetrics` and asked over loopback HTTP. Prints per query both medians and the ratio (ours /
Prometheus'), the median ratio, and the resident memory per series of both processes after the queries. Needs
`prometheus` and `promtool` in PATH (apt-get install prometheus); without them only our own times are printed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt

from pilothouse.engines import promql
from pilothouse.engines.tsdb import Database, Labels, make_labels

ROWS, STEP_MS, START_MS = 240, 15_000, 1_700_006_403_000
END_MS = START_MS + (ROWS - 1) * STEP_MS - 7_000
"""Between two samples, as are whole minutes: Prometheus 2.42 still counts a sample on the left border of a range,
3.x not.
"""
PORT = 19_791
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
STATUSES = ("200", "204", "404", "500", "503")


@dataclass(frozen=True)
class Query:
    """range_s 0: an instant query at the end; else a range query over the last range_s seconds by the minute."""

    name: str
    text: str
    range_s: int = 0


QUERIES = (
    Query("rate sum by", "sum by (service, status) (rate(http_requests_total[5m]))"),
    Query(
        "p99 by service",
        "histogram_quantile(0.99, sum by (service, le) (rate(request_duration_seconds_bucket[5m])))",
        3000,
    ),
    Query("topk", "topk(10, rate(http_requests_total[5m]))"),
    Query(
        "ratio",
        'sum by (service) (rate(http_requests_total{status=~"5.."}[5m]))'
        " / sum by (service) (rate(http_requests_total[5m]))",
        3000,
    ),
    Query("subquery", "max_over_time(sum by (service) (rate(http_requests_total[5m]))[30m:1m])"),
    Query("group_left join", "sum by (zone) (queue_depth * on (instance) group_left (zone) node_info)"),
    Query("count_values", 'count_values("depth", queue_depth)'),
    Query(
        "regex selectors",
        'sum by (path) (http_requests_total{path=~"/api/p1.*",status!~"2..|3..",instance=~".*[02468]"})',
    ),
)

Block = npt.NDArray[np.float64]


def target_series(target: int) -> list[Labels]:
    """The 500 series of one target: 150 request counters, 240 histogram buckets, 109 gauges, 1 info."""
    base = {"instance": f"host-{target}", "job": "app", "service": f"service-{target % 20}"}
    found = []
    for path in range(30):
        for status in STATUSES:
            found.append(make_labels({**base, "path": f"/api/p{path}", "status": status}, "http_requests_total"))
    for path in range(20):
        for le in BOUNDS:
            found.append(make_labels({**base, "path": f"/api/p{path}", "le": le}, "request_duration_seconds_bucket"))
    found.extend(make_labels({**base, "queue": f"queue-{queue}"}, "queue_depth") for queue in range(109))
    found.append(make_labels({**base, "zone": f"zone-{target % 3}"}, "node_info"))
    return found


def target_values(target: int) -> Block:
    """values[row, series]: rising counters of different pace, cumulative buckets, small gauges; one restart in 40
    targets.
    """
    rows = np.arange(ROWS, dtype=np.float64)[:, None]
    pace = (1 + (np.arange(150) * 7 + target * 13) % 23)[None, :]
    counters = np.floor(rows * pace * 1.5 + (rows * 31 + pace) % 5)
    weights = np.tile(np.array([1, 2, 4, 7, 11, 16, 20, 23, 25, 26, 27, 28], dtype=np.float64), 20)
    pace_of = np.repeat(1 + (np.arange(20) * 5 + target) % 9, len(BOUNDS))
    buckets = rows * (weights * pace_of)[None, :]
    gauges = (rows * 3 + np.arange(109)[None, :] * 7 + target) % 17
    values = np.concatenate([counters, buckets, gauges, np.ones((ROWS, 1))], axis=1)
    if target % 40 == 0:
        values[150:, :390] -= values[150:151, :390]
    return values


def fill(database: Database, targets: int) -> None:
    times = START_MS + STEP_MS * np.arange(ROWS, dtype=np.int64)
    for target in range(targets):
        frame = database.frame(f"host-{target}")
        for labels in target_series(target):
            frame.add(labels)
        frame.extend(times, target_values(target))


def openmetrics(targets: int) -> Iterator[str]:
    """The same samples as an OpenMetrics page, family by family."""
    times = [f"{(START_MS + STEP_MS * row) / 1000:.3f}" for row in range(ROWS)]
    families = (("http_requests", "counter", 0, 150), ("request_duration_seconds", "unknown", 150, 390))
    for family, kind, first, last in (*families, ("queue_depth", "gauge", 390, 499), ("node_info", "gauge", 499, 500)):
        name = f"{family}_bucket" if kind == "unknown" else family
        yield f"# TYPE {name if kind == 'unknown' else family} {kind}\n"
        for target in range(targets):
            values = target_values(target)
            for column, labels in enumerate(target_series(target)[first:last], start=first):
                pairs = dict(labels)
                head = pairs.pop("__name__") + "{" + ",".join(f'{k}="{v}"' for k, v in pairs.items()) + "} "
                column_values = values[:, column].astype(np.int64).tolist()
                yield "".join([f"{head}{value} {moment}\n" for value, moment in zip(column_values, times)])
    yield "# EOF\n"


def timed(run: Callable[[], object], repeat: int) -> float:
    """Median seconds; the first, cold run is left out."""
    run()
    spent = []
    for _ in range(repeat):
        began = time.perf_counter()
        run()
        spent.append(time.perf_counter() - began)
    return median(spent)


def resident_bytes(process: int | str) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


class Prometheus:
    """A Prometheus server over one imported block."""

    def __init__(self, folder: Path, targets: int) -> None:
        self.folder = folder
        data = folder / "data"
        if not data.exists():
            page = folder / "page.txt"
            with page.open("w") as out:
                out.writelines(openmetrics(targets))
            subprocess.run(
                ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(page), str(data)],
                check=True,
                capture_output=True,
            )
            page.unlink()
        (folder / "prometheus.yml").write_text("scrape_configs: []\n")
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={data}",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address=127.0.0.1:{PORT}",
                "--query.max-samples=500000000",
                "--log.level=error",
            ],
            stderr=subprocess.DEVNULL,
        )
        self._wait_ready()

    def _wait_ready(self) -> None:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/-/ready", timeout=1) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError("Prometheus did not get ready within a minute")

    def ask(self, query: Query) -> list[dict[str, object]]:
        fields = {"query": query.text}
        if query.range_s:
            fields |= {"start": str(END_MS / 1000 - query.range_s), "end": str(END_MS / 1000), "step": "60"}
        else:
            fields |= {"time": str(END_MS / 1000)}
        path = "query_range" if query.range_s else "query"
        url = f"http://127.0.0.1:{PORT}/api/v1/{path}?{urllib.parse.urlencode(fields)}"
        with urllib.request.urlopen(url, timeout=120) as answer:
            body = json.loads(answer.read())
        result: list[dict[str, object]] = body["data"]["result"]
        return result

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def ours(plan: promql.Plan, database: Database, query: Query) -> promql.Answer:
    if query.range_s:
        return plan.range(database, END_MS - query.range_s * 1000, END_MS, 60_000)
    return plan.instant(database, END_MS)


def compare(answer: promql.Answer, theirs: list[dict[str, object]]) -> float:
    """The largest relative difference between the two answers; infinite when their size differs.

    Series are paired by labels, and by value where that leaves some over: topk may pick any of several equals.
    """
    assert isinstance(answer, (promql.Vector, promql.Matrix))
    found: dict[Labels, list[float]] = {}
    for index, labels in enumerate(answer.labels):
        values = answer.values[index : index + 1] if isinstance(answer, promql.Vector) else answer.values[index]
        found[labels] = [value for value in values.tolist() if value == value]
    pairs: list[tuple[list[float], list[float]]] = []
    left: list[list[float]] = []
    for series in theirs:
        metric, samples = series["metric"], series.get("values", [series.get("value")])
        assert isinstance(metric, dict)
        assert isinstance(samples, list)
        wanted = [float(value) for _, value in samples if value != "NaN"]
        mine = found.pop(make_labels(metric), None)
        if mine is None:
            left.append(wanted)
        else:
            pairs.append((mine, wanted))
    if len(left) != len(found):
        return float("inf")
    pairs.extend(zip(sorted(found.values()), sorted(left)))
    if any(len(mine) != len(wanted) for mine, wanted in pairs):
        return float("inf")
    return max(
        (abs(a - b) / max(abs(a), abs(b), 1e-12) for mine, wanted in pairs for a, b in zip(mine, wanted)), default=0.0
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=200, help="500 series each")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="keep Prometheus' block here and use it again")
    options = parser.parse_args()
    before = resident_bytes("self")
    database = Database()
    began = time.perf_counter()
    fill(database, options.targets)
    series = options.targets * 500
    print(f"{series} series x {ROWS} samples, filled in {time.perf_counter() - began:.1f} s")
    plans = {query.name: promql.compile(query.text) for query in QUERIES}
    mine = {q.name: timed(lambda q=q: ours(plans[q.name], database, q), options.repeat) for q in QUERIES}  # type: ignore[misc]
    held = resident_bytes("self") - before
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        for query in QUERIES:
            print(f"{query.name:18} {mine[query.name] * 1000:9.2f} ms")
        print(f"memory per series: {held / series:.0f} B (prometheus is not installed: nothing to compare with)")
        return
    folder = options.keep or Path(tempfile.mkdtemp(prefix="bench-promql-"))
    folder.mkdir(parents=True, exist_ok=True)
    server = Prometheus(folder, options.targets)
    try:
        ratios = []
        for query in QUERIES:
            theirs = timed(lambda q=query: server.ask(q), options.repeat)  # type: ignore[misc]
            ratios.append(mine[query.name] / theirs)
            apart = compare(ours(plans[query.name], database, query), server.ask(query))
            print(
                f"{query.name:18} ours {mine[query.name] * 1000:9.2f} ms   prometheus {theirs * 1000:9.2f} ms"
                f"   ratio {ratios[-1]:6.3f}   largest difference {apart:.1e}"
            )
        print(f"median ratio {median(ratios):.3f}, largest {max(ratios):.3f}")
        used = resident_bytes(server.process.pid)
        print(f"memory per series: ours {held / series:.0f} B, prometheus {used / series:.0f} B")
    finally:
        server.stop()
        if options.keep is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
