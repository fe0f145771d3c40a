"""`pilothouse demo`: the example that comes with the package, rehearsed in its three scenarios, and what to type
next."""

from __future__ import annotations

import os
from pathlib import Path

import click

EXAMPLE = "ml-inference-api"
SCENARIOS = ("ordinary-day", "spike-10x", "bad-version")


@click.command(
    epilog="""\b
Examples:
  pilothouse demo                    all three scenarios
  pilothouse demo spike-10x          one of them
  pilothouse demo --files            where the example's files are
"""
)
@click.argument("scenario", type=click.Choice(SCENARIOS), required=False)
@click.option("--files", is_flag=True, help="Only print the folder with the example's files.")
def demo(scenario: str | None, files: bool) -> int:
    """Rehearse the example that comes along.

    An ordinary day, a tenfold spike, a bad version.

    Ends with 0 once all are rehearsed: some expectations are meant to fail, so that there is something to see.
    """
    folder = example_folder()
    if files:
        click.echo(str(folder))
        return 0
    from pilothouse.cli import outputs
    from pilothouse.cli.rehearse import perform
    from pilothouse.report.model import RehearseRequest, Report
    from pilothouse.report.wording import OUTCOME_SIGNS

    # Places in the report read `k8s/hpa.yaml:12`, wherever the package is installed.
    os.chdir(folder)
    reports: list[Report] = []
    for name in [scenario] if scenario else SCENARIOS:
        request = RehearseRequest(paths=("k8s", "monitoring", "infra"), scenario=f"scenarios/{name}.yaml")
        report, spent = perform(request)
        reports.append(report)
        outputs.show(report, spent)
        click.echo()
    for report in reports:
        met = sum(v.outcome == "met" for v in report.verdicts)
        sign = OUTCOME_SIGNS[report.outcome]
        click.echo(
            f" {sign} {report.scenario:<14} {report.outcome:<10} {met} of {len(report.verdicts)} expectations met"
        )
    click.echo(f"\nThe files: {folder}")
    click.echo("Next, with your own files:  pilothouse rehearse PATH-TO-YOUR-MANIFESTS")
    return 3 if any(r.outcome == "unusable" for r in reports) else 0


def example_folder() -> Path:
    """The example inside the installed package."""
    return (Path(__file__).parent.parent / "data" / "examples" / EXAMPLE).resolve()
