"""The loaded configuration as YAML with its defaults filled in, as `/status/config` shows it (config.go's String).

Only the sections that are used here: global, rule_files and scrape_configs with static targets. Called by the
live server when it loads a configuration.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from pilothouse.base.duration import format_prometheus_duration
from pilothouse.signals.metrics.page import Dialect
from pilothouse.signals.metrics.relabel import RelabelRule
from pilothouse.signals.metrics.scrape_config import ScrapeConfig, ServerConfig


class _Flow(list[Any]):
    """A list that is written on one line."""


class _Writer(yaml.SafeDumper):
    """Writes every list out, however often it occurs."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _flow_list(writer: yaml.SafeDumper, data: _Flow) -> yaml.Node:
    return writer.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


_Writer.add_representer(_Flow, _flow_list)


def config_yaml(config: ServerConfig, directory: str = "", dialect: Dialect = Dialect.PROMETHEUS_3) -> str:
    """The document's text. directory: what relative rule files are shown below."""
    shared: dict[str, Any] = {
        "scrape_interval": format_prometheus_duration(config.scrape_interval_ms),
        "scrape_timeout": format_prometheus_duration(config.scrape_timeout_ms),
        "evaluation_interval": format_prometheus_duration(config.evaluation_interval_ms),
    }
    if config.external_labels:
        shared["external_labels"] = dict(sorted(config.external_labels.items()))
    document: dict[str, Any] = {"global": shared}
    if config.rule_files:
        document["rule_files"] = [posixpath.join(directory, name) for name in config.rule_files]
    if config.scrape_configs:
        document["scrape_configs"] = [_scrape_config(one, dialect) for one in config.scrape_configs]
    return yaml.dump(document, Dumper=_Writer, sort_keys=False, width=2**20, allow_unicode=True)


def _scrape_config(config: ScrapeConfig, dialect: Dialect) -> dict[str, Any]:
    shown: dict[str, Any] = {"job_name": config.job_name}
    if config.honor_labels:
        shown["honor_labels"] = True
    shown |= {"honor_timestamps": config.honor_timestamps}
    if dialect is Dialect.PROMETHEUS_3:
        shown["track_timestamps_staleness"] = False
    if config.params:
        shown["params"] = {name: list(values) for name, values in sorted(config.params.items())}
    shown |= {
        "scrape_interval": format_prometheus_duration(config.interval_ms),
        "scrape_timeout": format_prometheus_duration(config.timeout_ms),
        "metrics_path": config.metrics_path,
        "scheme": config.scheme,
    }
    if dialect is Dialect.PROMETHEUS_3:
        shown["enable_compression"] = config.enable_compression
    shown |= _limits(config)
    if config.authorization:
        shown["authorization"] = {"type": config.authorization.partition(" ")[0], "credentials": "<secret>"}
    shown |= {"follow_redirects": config.follow_redirects, "enable_http2": True}
    for name, rules in (("relabel_configs", config.relabel), ("metric_relabel_configs", config.metric_relabel)):
        if rules:
            shown[name] = [_rule(rule) for rule in rules]
    if config.static:
        shown["static_configs"] = [_group([t["__address__"] for t in g.targets], g.labels) for g in config.static]
    return shown


def _limits(config: ScrapeConfig) -> dict[str, Any]:
    names = ("body_size_limit", "sample_limit", "target_limit", "label_limit", "label_name_length_limit")
    found = {name: getattr(config, name) for name in (*names, "label_value_length_limit")}
    if found["body_size_limit"]:
        found["body_size_limit"] = _size(found["body_size_limit"])
    return {name: value for name, value in found.items() if value}


def _size(count: int) -> str:
    """units.Base2Bytes: `10MiB`, `1GiB512MiB`."""
    text = ""
    for unit, size in (("EiB", 2**60), ("PiB", 2**50), ("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            text += f"{count // size}{unit}"
            count %= size
    return text + (f"{count}B" if count or not text else "")


def _rule(rule: RelabelRule) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if rule.source_labels:
        shown["source_labels"] = _Flow(rule.source_labels)
    shown |= {"separator": rule.separator}
    if rule.pattern != "(.*)":
        shown["regex"] = rule.pattern
    if rule.modulus:
        shown["modulus"] = rule.modulus
    if rule.target_label:
        shown["target_label"] = rule.target_label
    return {**shown, "replacement": rule.replacement, "action": rule.action}


def _group(addresses: Sequence[str], labels: Mapping[str, str]) -> dict[str, Any]:
    shown: dict[str, Any] = {"targets": list(addresses)}
    if labels:
        shown["labels"] = dict(sorted(labels.items()))
    return shown
