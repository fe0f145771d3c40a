"""`pilothouse metrics`: scrape, evaluate rules and answer Prometheus' HTTP API on this machine."""

from __future__ import annotations

import click

EPILOG = """\b
Examples:
  pilothouse metrics --config prometheus.yml     scrape and evaluate what the file names
  pilothouse metrics                             no scraping: remote write, push gateway and queries
  promtool query instant http://127.0.0.1:9090/prometheus 'up'

\b
Grafana: add a Prometheus data source with the URL http://127.0.0.1:9090/prometheus
"""


@click.command(epilog=EPILOG)
@click.option("--config", "-c", metavar="FILE", default="", help="A prometheus.yml: scrape configs and rule files.")
@click.option("--data", metavar="DIR", default="./.pilothouse", show_default=True, help="Where series are kept.")
@click.option("--bind-address", metavar="A", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=9090, show_default=True, help="0 picks a free port.")
@click.option(
    "--keep",
    "keep_h",
    type=click.FloatRange(1, 24 * 400),
    default=360.0,
    show_default=True,
    metavar="HOURS",
    help="How long all series are kept; recorded ones and alerts 31 days.",
)
def metrics(config: str, data: str, bind_address: str, port: int, keep_h: float) -> int:
    """Scrape, evaluate rules and answer Prometheus' HTTP API.

    The API is under /prometheus; remote write goes to /prometheus/api/v1/write, pushed pages to
    /prometheus/metrics/job/NAME.
    """
    from pilothouse.assemble.metrics_server import MetricsOptions, serve_metrics

    return serve_metrics(
        MetricsOptions(
            config=config,
            data=data,
            bind_address=bind_address,
            port=port,
            keep_h=keep_h,
            say=lambda text: click.echo(text),
        )
    )
