"""Scraping 200 targets × 500 series: CPU seconds per 15 s cycle, through the real reader, relabelling and append.

    python -m bench.scrape [targets] [series]

Pages are made in memory and change their values each cycle; 3.75 s would be 25 % of one core. Fetching is left out:
a page per target and cycle is one local read.
"""

from __future__ import annotations

import sys

from pilothouse.base.clock import cpu_seconds
from pilothouse.engines.tsdb import Database
from pilothouse.signals.metrics.ingest import Exchange, Ingest
from pilothouse.signals.metrics.relabel import parse_rule
from pilothouse.signals.metrics.scrape_config import ScrapeConfig

CYCLES = 10


def page(series: int, cycle: int) -> bytes:
    """A page as services expose it: families of 50, with HELP and TYPE."""
    lines = []
    for at in range(series):
        family, member = divmod(at, 50)
        if member == 0:
            lines.append(f"# HELP app_requests_{family}_total Requests by code.")
            lines.append(f"# TYPE app_requests_{family}_total counter")
        labels = f'code="{200 + member % 5}",method="GET",path="/api/v1/items/{member}"'
        lines.append(f"app_requests_{family}_total{{{labels}}} {at * 3 + cycle * 17.25:g}")
    return ("\n".join(lines) + "\n").encode()


def main(targets: int = 200, series: int = 500) -> None:
    """Prints the CPU seconds of the first and of a later cycle."""
    database = Database()
    rules = (parse_rule({"source_labels": ["__name__"], "regex": "debug_.*", "action": "drop"}),)
    config = ScrapeConfig("bench", metric_relabel=rules)
    labels = [(("instance", f"10.0.{n // 250}.{n % 250}:8080"), ("job", "bench")) for n in range(targets)]
    ingests = [Ingest(database, config, pairs) for pairs in labels]
    spent = []
    for cycle in range(CYCLES):
        body = page(series, cycle)
        began = cpu_seconds()
        for ingest in ingests:
            result = ingest.take(Exchange(body, "text/plain; version=0.0.4"), 1_767_225_600_000 + cycle * 15_000, 0.01)
            assert not result.error, result.error
        spent.append(cpu_seconds() - began)
    warm = sorted(spent[1:])[len(spent[1:]) // 2]
    print(f"first cycle {spent[0]:.3f} s CPU, later {warm:.3f} s CPU per 15 s ({warm / 15:.1%} of a core, limit 25 %)")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
