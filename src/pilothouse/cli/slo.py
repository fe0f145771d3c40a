"""`pilothouse slo`: lists, shows and explains the SLOs of files, and prints the rules that they become."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pilothouse.base.errors import Finding
    from pilothouse.engines.slo import Reading, Slo

UNUSABLE = 3

FORMATS = """\b
FILE is a file, a folder or - for standard input, with OpenSLO v1 documents, Sloth specs (`version: prometheus/v1`),
PrometheusServiceLevel or Pyrra's ServiceLevelObjective objects.
Exit code: 0 everything was usable, 3 something was not (it is said on standard error, the rest is printed).
"""

RULES_EPILOG = f"""\b
Examples:
  pilothouse slo rules slos/ > rules.yaml
      what Prometheus loads; objects of Kubernetes become PrometheusRule objects
  pilothouse slo rules openslo.yaml --form prometheusrule | kubectl apply -f -
  pilothouse slo rules slo.yaml --no-alerts --label team=checkout
  pilothouse slo rules slo.yaml --period 7d --windows windows-7d.yaml

{FORMATS}"""

LIST_EPILOG = f"""\b
Examples:
  pilothouse slo list slos/
  pilothouse slo list slos/ -o json

{FORMATS}"""

SHOW_EPILOG = f"""\b
Examples:
  pilothouse slo show slos/ --name checkout-availability
  pilothouse slo show slo.yaml -o json

{FORMATS}"""

EXPLAIN_EPILOG = f"""\b
Examples:
  pilothouse slo explain slos/
      what each SLO asks for, what that allows, and when its alerts fire, in sentences
  pilothouse slo explain slos/ --name checkout-availability --burn-rate 14.4
      what a burn rate of 14.4 means for this one

{FORMATS}"""

_Command = Callable[..., Any]


def _files(command: _Command) -> _Command:
    return click.argument("paths", nargs=-1, required=True, metavar="FILE...")(command)


def _name(command: _Command) -> _Command:
    return click.option("--name", metavar="NAME", default="", help="Only this SLO, by its name or service-name.")(
        command
    )


def _output(*forms: str) -> Callable[[_Command], _Command]:
    return click.option(
        "--output", "-o", type=click.Choice(forms), default=forms[0], show_default=True, help="Form of the output."
    )


@click.group()
def slo() -> None:
    """Service level objectives: list, explain, and turn into rules."""


@slo.command(name="list", epilog=LIST_EPILOG)
@_files
@_output("text", "json", "yaml")
def list_(paths: tuple[str, ...], output: str) -> int:
    """List the SLOs of files."""
    reading, findings = _read(paths)
    if output != "text":
        _dump([_summary(s) for s in reading.slos], output)
    elif reading.slos:
        head = ["SLO", "OBJECTIVE", "WINDOW", "BUDGET", "METHOD", "ALERTS", "PLACE"]
        click.echo("\n".join(aligned([head, *(_cells(s) for s in reading.slos)])))
    return _told(reading, findings)


@slo.command(epilog=SHOW_EPILOG)
@_files
@_name
@_output("yaml", "json")
def show(paths: tuple[str, ...], name: str, output: str) -> int:
    """Show SLOs in full: indicator, budget, alert windows."""
    reading, findings = _read(paths)
    _dump([_details(s) for s in _chosen(reading, name)], output)
    return _told(reading, findings)


@slo.command(epilog=EXPLAIN_EPILOG)
@_files
@_name
@click.option("--burn-rate", type=click.FloatRange(0), metavar="X", help="Also say what this burn rate means.")
@_output("text", "json", "yaml")
def explain(paths: tuple[str, ...], name: str, burn_rate: float | None, output: str) -> int:
    """Explain SLOs in sentences."""
    from pilothouse.engines.slo import words

    reading, findings = _read(paths)
    told = {}
    for each in _chosen(reading, name):
        told[each.id] = words.explain(each)
        if burn_rate is not None:
            told[each.id].append(words.rate_sentence(burn_rate, each.period_s))
    if output == "text":
        click.echo("\n\n".join("\n".join(lines) for lines in told.values()))
    else:
        _dump([{"slo": name_, "text": lines} for name_, lines in told.items()], output)
    return _told(reading, findings)


@slo.command(epilog=RULES_EPILOG)
@_files
@_name
@_output("yaml", "json")
@click.option(
    "--form",
    type=click.Choice(["auto", "file", "prometheusrule"]),
    default="auto",
    show_default=True,
    help="Rule files, PrometheusRule objects, or what fits each input.",
)
@click.option("--no-alerts", is_flag=True, help="Recording rules only.")
@click.option("--no-recordings", is_flag=True, help="Alerting rules only.")
@click.option("--label", "-l", "labels", multiple=True, metavar="K=V", help="A label for all rules; may be repeated.")
@click.option("--period", metavar="SPAN", default="30d", show_default=True, help="The period of specs that name none.")
@click.option("--windows", "windows_file", metavar="FILE", default="", help="Sloth AlertWindows documents to use.")
def rules(
    paths: tuple[str, ...],
    name: str,
    output: str,
    form: str,
    no_alerts: bool,
    no_recordings: bool,
    labels: tuple[str, ...],
    period: str,
    windows_file: str,
) -> int:
    """Print the recording and alerting rules that SLOs become."""
    from pilothouse import __version__
    from pilothouse.engines.slo import Options, rule_objects

    extra = dict(_label(text) for text in labels)
    catalogue = _windows(windows_file) if windows_file else ()
    options = Options(catalogue, not no_alerts, not no_recordings, extra, f"pilothouse-{__version__}")
    reading, findings = _read(paths, _seconds(period))
    made = [_formed(made, form) for made in rule_objects(_chosen(reading, name), options)]
    if output == "json":
        click.echo(json.dumps(made[0] if len(made) == 1 else made, indent=2, ensure_ascii=False))
    elif made:
        click.echo("---\n".join(to_yaml(each) for each in made), nl=False)
    return _told(reading, findings)


# Reading


def _read(paths: Sequence[str], period_s: int = 30 * 86400) -> tuple[Reading, list[Finding]]:
    """The SLOs of all paths, and what is wrong with the files themselves."""
    from pilothouse.base.manifests import load_paths
    from pilothouse.engines import slo as engine

    manifests = load_paths(list(paths))
    # In the order in which they stand: files as given, documents from the top.
    order = {file: index for index, file in enumerate(manifests.files)}
    documents = sorted([*manifests.slo_specs, *manifests.objects], key=lambda d: (order.get(d.file, 0), d.line))
    return engine.read(documents, default_period_s=period_s), manifests.findings


def _chosen(reading: Reading, name: str) -> list[Slo]:
    if not name:
        return reading.slos
    found = reading.find(name)
    if not found:
        known = ", ".join(s.name for s in reading.slos) or "none"
        raise click.BadParameter(f"there is no SLO {name!r}; known: {known}", param_hint="--name")
    return found


def _told(reading: Reading, findings: list[Finding]) -> int:
    """Says on standard error what was found, and the exit code for it."""
    said = [*findings, *reading.findings]
    for finding in said:
        click.echo(str(finding), err=True)
    if not reading.slos and not any(f.severity == "error" for f in said):
        click.echo("no SLO was found\n    → name a file with OpenSLO, Sloth or Pyrra documents", err=True)
    return UNUSABLE if not reading.slos or any(f.severity == "error" for f in said) else 0


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--label")
    return key, value


def _seconds(text: str) -> int:
    from pilothouse.base.duration import parse_prometheus_duration_ms

    try:
        seconds = parse_prometheus_duration_ms(text) // 1000
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--period") from None
    if seconds < 3600:
        raise click.BadParameter("a period has an hour at least", param_hint="--period")
    return seconds


def _windows(path: str) -> tuple[Any, ...]:
    from pilothouse.base.yaml_dialect import Broken, load
    from pilothouse.engines.slo.windows import read_alert_windows

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{path} cannot be read: {error}", param_hint="--windows") from None
    try:
        return tuple(read_alert_windows(each.value) for each in load(text, 1))
    except (ValueError, Broken) as error:
        raise click.BadParameter(f"{path}: {error}", param_hint="--windows") from None


# Forms


def _formed(rule_object: dict[str, Any], form: str) -> dict[str, Any]:
    if form == "file":
        return {"groups": rule_object.get("spec", rule_object)["groups"]}
    if form == "prometheusrule" and "spec" not in rule_object:
        groups = rule_object["groups"]
        name = groups[0]["name"].removeprefix("sloth-slo-sli-recordings-").removeprefix("sloth-slo-alerts-")
        return {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": name.lower().replace("_", "-")},
            "spec": {"groups": groups},
        }
    return rule_object


def _cells(each: Slo) -> list[str]:
    from pilothouse.engines.slo.words import minutes

    row = _summary(each)
    window = row["window"] if each.calendar is None else f"{row['window']} calendar"
    alerts = ", ".join(row["alerts"]) or "–"
    return [each.id, row["objective"], window, minutes(each.budget_s), each.method, alerts, str(each.source.place)]


def _summary(each: Slo) -> dict[str, Any]:
    from pilothouse.engines.slo.model import window_text

    alerts = [severity for severity, meta in (("page", each.page), ("ticket", each.ticket)) if meta is not None]
    alerts += [condition.name for condition in each.conditions]
    if each.pyrra is not None and each.pyrra.burn_alerts:
        alerts.append(each.pyrra.alert_name)
    return {
        "name": each.id,
        "service": each.service,
        "slo": each.name,
        "format": each.source.spec,
        "objective": f"{each.objective_percent:.12g}%",
        "window": window_text(each.period_s),
        "budgetSeconds": round(each.budget_s, 6),
        "method": each.method,
        "alerts": alerts,
        "file": each.source.place.file,
        "line": each.source.place.line,
    }


def _details(each: Slo) -> dict[str, Any]:
    from pilothouse.engines.slo.model import window_text
    from pilothouse.engines.slo.windows import windows_for

    windows = windows_for(each.period_s)
    tiers = [
        {
            "severity": tier.severity,
            "burnRate": round(tier.burn_rate(each.period_s), 9),
            "long": window_text(tier.long_s),
            "short": window_text(tier.short_s),
            "errorRatioAbove": round(tier.burn_rate(each.period_s) * each.budget_ratio, 12),
        }
        for tier in windows.tiers
        if (each.page if tier.severity == "page" else each.ticket) is not None
    ]
    short = window_text(windows.shortest_s)
    return {
        **_summary(each),
        "description": each.description,
        "labels": dict(each.labels),
        "errorRatio": {"window": short, "query": each.indicator.error_ratio(short).strip()},
        "alertWindows": tiers,
    }


def _dump(value: Any, form: str) -> None:
    if form == "json":
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        click.echo(to_yaml(value), nl=False)


def aligned(rows: list[list[str]]) -> list[str]:
    """Lines with columns three blanks apart, as kubectl prints tables."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["   ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def to_yaml(value: Any) -> str:
    """YAML with texts of several lines as blocks, so that queries stay readable."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature of the library
            return True

    def text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
        lines = "\n".join(line.rstrip() for line in data.split("\n"))
        block = "\n" in data
        return dumper.represent_scalar("tag:yaml.org,2002:str", lines if block else data, style="|" if block else None)

    Dumper.add_representer(str, text)
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100_000)
