"""The generated pages of docs/: kinds, commands and metrics, made from the code they describe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import yaml

from pilothouse.assemble.inputs import read_inputs
from pilothouse.assemble.kinds import KINDS
from pilothouse.assemble.run import gather
from pilothouse.cli.main import cli
from pilothouse.report.model import RehearseRequest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLE = ROOT / "examples" / "ml-inference-api"


def pages() -> dict[Path, str]:
    """Every generated page and its text as it should be."""
    return {
        DOCS / "kinds" / "README.md": kinds(),
        DOCS / "commands.md": commands(),
        DOCS / "metrics.md": metrics(),
    }


def kinds() -> str:
    """All kinds: names, scope, columns of `kubectl get`, where the code is."""
    lines = [
        "# Kinds",
        "",
        "Written by `make docs` from `assemble/kinds.py`. Each kind is one folder below `src/pilothouse/kinds/`,",
        "with an example.",
        "",
        "| kind | apiVersion | short names | scope | columns |",
        "| --- | --- | --- | --- | --- |",
    ]
    for kind in sorted(KINDS, key=lambda k: (k.group, k.kind)):
        scope = "namespace" if kind.namespaced else "cluster"
        columns = ", ".join(c.name + (" (wide)" if c.wide else "") for c in kind.columns) or "–"
        short = ", ".join(kind.short_names) or "–"
        lines.append(f"| {kind.kind} | `{kind.api_version}` | {short} | {scope} | {columns} |")
    return "\n".join(lines) + "\n"


def commands() -> str:
    """Every command with its flags, as `--help` prints them."""
    lines = ["# Commands", "", "Written by `make docs` from the commands' own `--help`.", ""]
    for path, command in command_paths():
        context = click.Context(command, info_name=path, terminal_width=100, max_content_width=100)
        lines += [f"## `{path}`", "", "```", command.get_help(context).rstrip(), "```", ""]
    return "\n".join(lines)


def command_paths() -> list[tuple[str, click.Command]]:
    """(words, command) of every command, the whole program first."""
    return list(_commands(cli, "pilothouse"))


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in sorted(command.list_commands(context)):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _commands(inner, f"{path} {name}")


def metrics() -> str:
    """The series that a rehearsal of the example makes when everything is read."""
    scenario = {
        "apiVersion": "pilothouse.dev/v1alpha1",
        "kind": "Scenario",
        "metadata": {"name": "all-series"},
        "spec": {
            "duration": "2m",
            "services": {"ml-inference-api": {"load": {"base": "20rps"}}},
            "expect": [{"name": "everything is read", "promql": 'count({__name__=~".+"}) > 0'}],
        },
    }
    paths = tuple(str(EXAMPLE / part) for part in ("k8s", "infra"))
    inputs = read_inputs(RehearseRequest(paths=(*paths, "-"), stdin=yaml.safe_dump(scenario)))
    database = gather(inputs, 1, warmup_s=120.0).database
    lines = [
        "# Metrics of a rehearsal",
        "",
        "Written by `make docs` from a run of the example. Names and labels are those of the Python client library,",
        "cAdvisor and kube-state-metrics, so that rules written for a real cluster run unchanged. Only what rules and",
        "expectations read is recorded.",
        "",
        "| series | labels |",
        "| --- | --- |",
    ]
    labels: dict[str, dict[str, None]] = {}
    for number in range(database.series_count):
        pairs = dict(database.labels_of(number))
        labels.setdefault(pairs.pop("__name__"), {}).update(dict.fromkeys(pairs))
    lines += [f"| `{name}` | {', '.join(sorted(labels[name]))} |" for name in sorted(labels)]
    return "\n".join(lines) + "\n"
