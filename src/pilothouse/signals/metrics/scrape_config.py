"""What to scrape and how: the `global` and `scrape_configs` sections of a prometheus.yml, checked and defaulted.

Follows Prometheus' `config/config.go`. Static targets are read here; targets that come from cluster objects are made
by `discovery` with the same `ScrapeConfig`. Called by the live server and by `wire.prometheus` (status/config).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pilothouse.base.duration import parse_prometheus_duration_ms
from pilothouse.base.errors import Finding, InputError, Place
from pilothouse.base.yaml_dialect import Broken, load
from pilothouse.signals.metrics.relabel import RelabelError, RelabelRule, parse_rule

BODY_BYTES = 64 * 1024 * 1024
"""A larger page is refused even without a body_size_limit: Prometheus would read it until memory ends."""

CODE_BAD_CONFIG = "PH414"


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """Targets as discovery gives them: one label set each (with `__address__`), and labels they share."""

    targets: tuple[Mapping[str, str], ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class ScrapeConfig:
    """One scrape pool. Durations in milliseconds; a limit of 0 means none."""

    job_name: str
    interval_ms: int = 60_000
    timeout_ms: int = 10_000
    metrics_path: str = "/metrics"
    scheme: str = "http"
    params: Mapping[str, Sequence[str]] = field(default_factory=dict)
    honor_labels: bool = False
    honor_timestamps: bool = True
    body_size_limit: int = 0
    sample_limit: int = 0
    target_limit: int = 0
    label_limit: int = 0
    label_name_length_limit: int = 0
    label_value_length_limit: int = 0
    fallback_protocol: str = ""
    legacy_names: bool = False
    enable_compression: bool = True
    follow_redirects: bool = True
    authorization: str = ""
    static: tuple[TargetGroup, ...] = ()
    relabel: tuple[RelabelRule, ...] = ()
    metric_relabel: tuple[RelabelRule, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The parts of a prometheus.yml that concern metrics; `raw` is the document with defaults left out."""

    scrape_configs: tuple[ScrapeConfig, ...] = ()
    scrape_interval_ms: int = 60_000
    scrape_timeout_ms: int = 10_000
    evaluation_interval_ms: int = 60_000
    external_labels: Mapping[str, str] = field(default_factory=dict)
    rule_files: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)


_SIZES = {"": 1, "B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40, "PB": 2**50, "EB": 2**60}
_SIZES |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40, "PIB": 2**50, "EIB": 2**60}
_INTEGERS = ("sample_limit", "target_limit", "label_limit", "label_name_length_limit", "label_value_length_limit")
_BOOLEANS = ("honor_labels", "honor_timestamps", "enable_compression", "follow_redirects")
_FALLBACKS = {
    "PrometheusText0.0.4": "text/plain",
    "PrometheusText1.0.0": "text/plain",
    "OpenMetricsText0.0.1": "application/openmetrics-text",
    "OpenMetricsText1.0.0": "application/openmetrics-text",
}


def parse_size(text: str) -> int:
    """Bytes of `10MB`, `512KiB` (units.Base2Bytes: both are powers of two); ValueError else."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    factor = _SIZES.get(text[len(digits) :].upper())
    if factor is None:
        raise ValueError(f"units: unknown unit in {text}")
    return int(float(digits) * factor)


def load_server_config(text: str, file: str = "prometheus.yml") -> tuple[ServerConfig, list[Finding]]:
    """The configuration and what was wrong with it; a scrape config that is wrong is left out, the rest is used.

    InputError only when the document as a whole cannot be read.
    """
    try:
        documents = list(load(text))
    except Broken as broken:
        raise InputError(_finding(file, (broken.line, broken.column), broken.message)) from None
    raw = documents[0].value if documents else {}
    if not isinstance(raw, dict):
        raise InputError(_finding(file, (1, 1), "a mapping was expected"))
    marks = documents[0].marks if documents else None

    def at(*path: str | int) -> tuple[int, int]:
        return marks.find(path) if marks is not None and not isinstance(marks, int) else (1, 1)

    findings: list[Finding] = []
    shared = raw.get("global") or {}
    try:
        base = ServerConfig(
            scrape_interval_ms=_duration(shared, "scrape_interval", 60_000),
            evaluation_interval_ms=_duration(shared, "evaluation_interval", 60_000),
            external_labels={str(k): str(v) for k, v in (shared.get("external_labels") or {}).items()},
            rule_files=tuple(str(name) for name in raw.get("rule_files") or ()),
            raw=raw,
        )
        timeout_ms = _duration(shared, "scrape_timeout", min(10_000, base.scrape_interval_ms))
        if timeout_ms > base.scrape_interval_ms:
            raise ValueError("global scrape timeout greater than scrape interval")
    except ValueError as why:
        raise InputError(_finding(file, at("global"), str(why))) from None
    configs = _scrape_configs(
        raw, base, timeout_ms, lambda index, why: findings.append(_finding(file, at("scrape_configs", index), why))
    )
    return replace(base, scrape_configs=configs, scrape_timeout_ms=timeout_ms), findings


def _scrape_configs(
    raw: Mapping[str, Any], base: ServerConfig, timeout_ms: int, refuse: Callable[[int, str], None]
) -> tuple[ScrapeConfig, ...]:
    found: dict[str, ScrapeConfig] = {}
    for index, entry in enumerate(raw.get("scrape_configs") or ()):
        try:
            config = parse_scrape_config(entry or {}, base.scrape_interval_ms, timeout_ms)
        except (ValueError, TypeError, AttributeError) as why:
            refuse(index, str(why))
            continue
        if config.job_name in found:
            refuse(index, f'found multiple scrape configs with job name "{config.job_name}"')
            continue
        found[config.job_name] = config
    return tuple(found.values())


def _finding(file: str, at: tuple[int, int], message: str) -> Finding:
    remedy = "correct the entry; everything else in the file is used"
    return Finding(CODE_BAD_CONFIG, message, Place(file, *at), remedy)


def _duration(raw: Mapping[str, Any], key: str, default_ms: int) -> int:
    return default_ms if raw.get(key) in (None, "") else parse_prometheus_duration_ms(str(raw[key]))


def parse_scrape_config(raw: Mapping[str, Any], interval_ms: int = 60_000, timeout_ms: int = 10_000) -> ScrapeConfig:
    """One entry of scrape_configs with the global interval and timeout as defaults; ValueError when refused."""
    job = str(raw.get("job_name") or "")
    if not job:
        raise ValueError("job_name is empty")
    own_interval_ms = _duration(raw, "scrape_interval", interval_ms)
    own_timeout_ms = _duration(raw, "scrape_timeout", min(timeout_ms, own_interval_ms))
    if own_timeout_ms > own_interval_ms:
        raise ValueError(f'scrape timeout greater than scrape interval for scrape config with job name "{job}"')
    fallback = str(raw.get("fallback_scrape_protocol") or "")
    if fallback and fallback not in _FALLBACKS:
        raise ValueError(f"invalid fallback_scrape_protocol for scrape config with job name {job!r}: {fallback}")
    given: dict[str, Any] = {key: int(raw[key]) for key in _INTEGERS if raw.get(key) is not None}
    given |= {key: bool(raw[key]) for key in _BOOLEANS if raw.get(key) is not None}
    return ScrapeConfig(
        job_name=job,
        interval_ms=own_interval_ms,
        timeout_ms=own_timeout_ms,
        metrics_path=str(raw.get("metrics_path") or "/metrics"),
        scheme=str(raw.get("scheme") or "http"),
        params={str(k): tuple(str(v) for v in values) for k, values in (raw.get("params") or {}).items()},
        body_size_limit=parse_size(str(raw.get("body_size_limit") or "0")),
        fallback_protocol=_FALLBACKS.get(fallback, ""),
        legacy_names=raw.get("metric_name_validation_scheme") == "legacy",
        authorization=_authorization(raw),
        static=_static_groups(raw),
        relabel=parse_rules(raw.get("relabel_configs")),
        metric_relabel=parse_rules(raw.get("metric_relabel_configs")),
        **given,
    )


def _authorization(raw: Mapping[str, Any]) -> str:
    given = raw.get("authorization") or {}
    if given.get("credentials"):
        return f"{given.get('type') or 'Bearer'} {given['credentials']}"
    return f"Bearer {raw['bearer_token']}" if raw.get("bearer_token") else ""


def _static_groups(raw: Mapping[str, Any]) -> tuple[TargetGroup, ...]:
    groups = []
    for index, group in enumerate(raw.get("static_configs") or ()):
        addresses = [str(address) for address in group.get("targets") or ()]
        for address in addresses:
            if "/" in address and not raw.get("relabel_configs"):
                raise ValueError(f'"{address}" is not a valid hostname')
        shared = {str(k): str(v) for k, v in (group.get("labels") or {}).items()}
        groups.append(TargetGroup(tuple({"__address__": address} for address in addresses), shared, str(index)))
    return tuple(groups)


def parse_rules(raw: Sequence[Mapping[str, Any] | None] | None) -> tuple[RelabelRule, ...]:
    """The rules of a relabel section; RelabelError (a ValueError) at the first that is refused."""
    rules = []
    for entry in raw or ():
        if entry is None:
            raise RelabelError("empty or null target relabeling rule in scrape config")
        rules.append(parse_rule(entry))
    return tuple(rules)
