"""`pilothouse backtest`: recorded series replayed through rules and routing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

EPILOG = """\b
Examples:
  pilothouse backtest alerts.yml --from history.om
      which alerts would have fired on recorded series (OpenMetrics with timestamps)
  pilothouse backtest alerts.yml --from http://localhost:9090 --alertmanager alertmanager.yml
      the last day of a running Prometheus, and who would have been woken
  pilothouse backtest alerts.yml --from export/ --diff alerts-new.yml
      what a new version of the rules changes on the same history

\b
--from takes OpenMetrics text, the JSON of /api/v1/query_range, lines of `promtool tsdb dump`, a unit-test file's
input_series, a folder with such files, or the URL of a Prometheus.
Exit code: 0 done, 3 unusable input.
"""


@click.command(epilog=EPILOG)
@click.argument("rules", nargs=-1, required=True, metavar="RULES...")
@click.option("--from", "source", metavar="FILE|URL", required=True, help="The recorded series.")
@click.option("--alertmanager", "-a", metavar="FILE", default="", help="alertmanager.yml: who would be told.")
@click.option("--silences", metavar="FILE", default="", help="Silences, as `amtool silence query -o json` prints them.")
@click.option("--start", metavar="TIME", help="RFC 3339 or Unix seconds. The history's beginning; of a URL, a day ago.")
@click.option("--end", metavar="TIME", help="RFC 3339 or Unix seconds. The history's end; of a URL, now.")
@click.option("--step", metavar="DURATION", default="1m", help="Interval of groups that name none. 1m unless given.")
@click.option("--diff", multiple=True, metavar="FILE", help="Another version of the rules: only what changes.")
@click.option("--header", multiple=True, metavar="NAME:VALUE", help="Sent to a URL, e.g. an Authorization.")
@click.option("--html", metavar="FILE", default="", help="Write the report as one HTML file.")
@click.option("--output", "-o", type=click.Choice(["text", "json", "yaml"]), default="text", help="Form of the report.")
def backtest(
    rules: tuple[str, ...],
    source: str,
    alertmanager: str,
    silences: str,
    start: str | None,
    end: str | None,
    step: str,
    diff: tuple[str, ...],
    header: tuple[str, ...],
    html: str,
    output: str,
) -> int:
    """Replay recorded series through rules and routing.

    RULES are Prometheus rule files, PrometheusRule manifests, or folders of them. Says which alerts would have fired,
    who would have been told, what was held back and why.
    """
    from pilothouse.assemble.backtest import BacktestRequest
    from pilothouse.assemble.backtest import backtest as assembled
    from pilothouse.cli import outputs
    from pilothouse.report import backtest_text as told

    request = BacktestRequest(
        rules=rules,
        source=source,
        alertmanager=alertmanager,
        silences=silences,
        start_s=_moment("--start", start),
        end_s=_moment("--end", end),
        interval_ms=_interval_ms(step),
        diff=diff,
        headers=dict(_header(h) for h in header),
    )
    with _progress(quiet=output != "text") as say:
        report = assembled(request, say)
    if html:
        outputs.write(html, told.to_html(report).encode())
    if output == "text":
        outputs.print_lines(told.render(report, outputs.width()))
    else:
        sys.stdout.write(told.to_json(report).decode() if output == "json" else told.to_yaml(report))
    return report.exit_code


def _moment(option: str, text: str | None) -> float | None:
    from pilothouse.base.clock import parse_rfc3339

    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return parse_rfc3339(text)
    except ValueError:
        wrong = f"{text!r} is no time; write e.g. 2026-01-05T14:00:00Z or Unix seconds"
        raise click.BadParameter(wrong, param_hint=option) from None


def _interval_ms(text: str) -> int:
    from pilothouse.base.duration import parse_prometheus_duration_ms

    try:
        interval_ms = parse_prometheus_duration_ms(text)
    except ValueError:
        interval_ms = 0
    if interval_ms < 1000:
        raise click.BadParameter(f"{text!r} is not a duration of a second or more; write e.g. 15s", param_hint="--step")
    return interval_ms


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or "\n" in text or "\r" in text:
        raise click.BadParameter(f"{text!r} is not NAME:VALUE", param_hint="--header")
    return name.strip(), value.strip()


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """One line on stderr of a terminal that is rewritten and taken away; nothing in a pipe."""
    shown = not quiet and sys.stderr.isatty()

    def say(what: str, share: float) -> None:
        if shown:
            sys.stderr.write(f"\r{what} {share:4.0%} ")
            sys.stderr.flush()

    try:
        yield say
    finally:
        if shown:
            sys.stderr.write("\r" + " " * 40 + "\r")
