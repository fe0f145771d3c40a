"""`pilothouse rehearse`: arguments in, one report per scenario out, in the form that was asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pilothouse.report.model import RehearseRequest, Report, Spent

EPILOG = """\b
Examples:
  pilothouse rehearse k8s/
      an ordinary day, made from the manifests; it says what it assumed
  pilothouse rehearse k8s/ monitoring/ --scenario spike.yaml
      a scenario of your own: events, faults, expectations
  pilothouse rehearse spike.yaml --runs 200 --html spike.html
      many seeds: verdicts with probabilities, one file to share
  helm template chart/ | pilothouse rehearse -
      manifests from standard input
  pilothouse rehearse alerts.yaml --load diurnal:20rps-80rps
      rules only: which alerts fire on an ordinary day, and who is woken

\b
Exit code: 0 all expectations met, 1 one is not met, 2 undecided, 3 unusable input.
"""


class Duration(click.ParamType[float]):
    """A Go duration of at least a second, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from pilothouse.base.duration import parse_duration_s

        if isinstance(value, (int, float)):
            return float(value)
        try:
            seconds = parse_duration_s(str(value))
        except (ValueError, IndexError):
            self.fail(f"{value!r} is not a duration; write e.g. 90s, 20m, 24h", param, ctx)
        if not 1 <= seconds <= 400 * 86400:
            self.fail(f"{value!r} is not between 1s and 400d", param, ctx)
        return seconds


@click.command(epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--scenario", "-s", metavar="FILE", default="", help="What happens and what is expected (kind: Scenario)."
)
@click.option("--seed", type=click.IntRange(0, 2**31), help="First seed. The same seed gives the same report.")
@click.option("--runs", "-n", type=click.IntRange(1, 100_000), help="Seeds to run. 1 if the scenario does not say.")
@click.option("--duration", "-d", type=Duration(), help="Virtual time, e.g. 90m. 24h if the scenario does not say.")
@click.option("--load", "-l", metavar="LOAD", default="", help="50rps, diurnal:20rps-80rps or a csv of time,rps.")
@click.option("--series", multiple=True, metavar="FILE", help="Series that the rules read and no model produces.")
@click.option("--verify", is_flag=True, help="Run twice, the second time in a disturbed process, and compare.")
@click.option("--jobs", "-j", type=click.IntRange(1, 1024), help="Processes for --runs. All cores unless given.")
@click.option("--html", metavar="FILE", default="", help="Write the report as one HTML file.")
@click.option("--junit", metavar="FILE", default="", help="Write the verdicts as JUnit XML.")
@click.option("--events", metavar="FILE", default="", help="Write what happened, one JSON object per line.")
@click.option("--output", "-o", type=click.Choice(["text", "json", "yaml"]), default="text", help="Form of the report.")
def rehearse(
    paths: tuple[str, ...],
    scenario: str,
    seed: int | None,
    runs: int | None,
    duration: float | None,
    load: str,
    series: tuple[str, ...],
    verify: bool,
    jobs: int | None,
    html: str,
    junit: str,
    events: str,
    output: str,
) -> int:
    """Rehearse manifests, rules and scenarios in virtual time.

    PATH is a file or a folder with Kubernetes manifests, Prometheus rules, Terraform node groups or scenarios, or - for
    standard input. Without a scenario an ordinary day is made from the files.
    """
    from pilothouse.cli import outputs
    from pilothouse.report.model import RehearseRequest

    _check_load(load)
    request = RehearseRequest(
        paths=paths,
        scenario=scenario,
        stdin=sys.stdin.read() if "-" in paths else "",
        seed=seed,
        runs=runs,
        duration_s=duration,
        jobs=jobs or cores(),
        verify=verify,
        load=load,
        series=series,
    )
    results = [perform(one, quiet=output != "text") for one in requests(request)]
    files = {"html": html, "junit": junit, "events": events}
    for number, (report, spent) in enumerate(results):
        outputs.write_files(report, files, number if len(results) > 1 else None)
        if output == "text":
            if number:
                click.echo()
            outputs.show(report, spent)
    if output != "text":
        outputs.dump([report for report, _spent in results], output)
    return worst([report for report, _spent in results])


def _check_load(load: str) -> None:
    """A slip in --load is told before anything runs."""
    if not load:
        return
    from pilothouse.assemble.load_option import parse_load
    from pilothouse.base.errors import Finding, InputError

    read = parse_load(load)
    if isinstance(read, Finding):
        raise InputError(read)


def requests(request: RehearseRequest) -> list[RehearseRequest]:
    """One request per scenario: the given one, or each that stands in the paths, or a made-up one."""
    import msgspec

    from pilothouse.base.manifests import SCENARIO, load_paths

    paths = [request.scenario] if request.scenario else request.paths
    found = load_paths(paths, stdin=request.stdin, wanted=SCENARIO).scenarios
    if len(found) < 2:
        return [request]
    return [msgspec.structs.replace(request, scenario=d.file, scenario_name=d.name) for d in found]


def perform(request: RehearseRequest, *, quiet: bool = False) -> tuple[Report, Spent]:
    """The rehearsal itself, with progress on a terminal, and what it cost."""
    from pilothouse.base.clock import cpu_seconds, wall_seconds
    from pilothouse.cli.progress import shown
    from pilothouse.report.model import Spent

    cpu_s, wall_s = cpu_seconds(), wall_seconds()
    with shown(request.scenario_name or request.scenario or " ".join(request.paths), quiet=quiet) as progress:
        from pilothouse.assemble import rehearse as assembled

        report: Report = assembled(request, progress)
    return report, Spent(cpu_s=cpu_seconds() - cpu_s, wall_s=wall_seconds() - wall_s)


def worst(reports: Sequence[Report]) -> int:
    """The exit code of several rehearsals: unusable only when all are; else not met before undecided before met."""
    codes = [report.exit_code for report in reports]
    usable = [code for code in codes if code != 3]
    if not usable:
        return 3
    return 1 if 1 in usable else max(usable)


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
