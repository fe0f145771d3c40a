"""`pilothouse test rules`: promtool's rule unit tests, as they are."""

from __future__ import annotations

import sys

import click

EPILOG = """\b
Examples:
  pilothouse test rules alerts.test.yml
      one file; the rule files it names are read relative to it
  pilothouse test rules monitoring/
      every test file below a folder
  pilothouse test rules 'tests/*.yml' --run 'HighErrorRate' --junit rules.xml
      a pattern, only some tests, and JUnit XML for CI

\b
Exit code: 0 all passed, 1 a test failed, 3 a file cannot be used.
"""


@click.group()
def test() -> None:
    """Run tests of files: rule unit tests."""


test.__test__ = False  # type: ignore[attr-defined]  # Not a test for pytest.


@test.command(epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option("--run", metavar="REGEX", help="Only tests whose name matches.")
@click.option("--ignore-unknown-fields", is_flag=True, help="Unknown fields of rule files are no error.")
@click.option("--junit", metavar="FILE", default="", help="Write the results as JUnit XML.")
@click.option("--output", "-o", type=click.Choice(["text", "json"]), default="text", help="Form of the results.")
def rules(paths: tuple[str, ...], run: str | None, ignore_unknown_fields: bool, junit: str, output: str) -> int:
    """Run rule unit tests in promtool's format.

    FILE is a unit-test file, a pattern, or a folder with such files.
    """
    import re

    if run is not None:
        try:
            re.compile(run)
        except re.error as error:
            raise click.BadParameter(f"{run!r} is no regular expression: {error}", param_hint="--run") from None
    from pilothouse.assemble.rule_tests import run_test_files
    from pilothouse.cli import outputs
    from pilothouse.report import rule_tests as told

    report = run_test_files(paths, run=run, ignore_unknown_fields=ignore_unknown_fields)
    if junit:
        outputs.write(junit, told.to_junit(report).encode())
    if output == "json":
        sys.stdout.write(told.to_json(report).decode())
    else:
        outputs.print_lines(told.render(report))
    return report.exit_code
