"""From discovered labels to a target: relabelling, defaults, URL, and when in the interval it is scraped.

Follows Prometheus' `scrape/target.go`. Pure; called by `discovery`'s users and `scrape`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from pilothouse.base.duration import format_prometheus_duration, parse_prometheus_duration_ms
from pilothouse.engines.tsdb.labels import Labels
from pilothouse.signals.metrics.relabel import relabel
from pilothouse.signals.metrics.scrape_config import ScrapeConfig, TargetGroup


@dataclass(frozen=True, slots=True)
class Target:
    """Something to scrape. `labels` are the public ones; `discovered` all before relabelling."""

    labels: Labels
    discovered: Labels
    url: str
    interval_ms: int
    timeout_ms: int

    @property
    def key(self) -> str:
        """What makes it the same target after a new discovery: its labels and its URL."""
        return f"{self.labels!r} {self.url}"


@dataclass(frozen=True, slots=True)
class TargetSet:
    """What a pool's groups came to: targets, those that relabelling dropped, and why others failed."""

    active: tuple[Target, ...]
    dropped: tuple[Labels, ...]
    failures: tuple[str, ...]


def targets_of(config: ScrapeConfig, groups: Iterable[TargetGroup]) -> TargetSet:
    """Targets of the groups in order, each label set and URL once."""
    active: dict[str, Target] = {}
    dropped: list[Labels] = []
    failures: list[str] = []
    for group in groups:
        for index, own in enumerate(group.targets):
            discovered = discovered_labels(config, {**group.labels, **own})
            try:
                target = _target(config, discovered)
            except ValueError as why:
                failures.append(f"instance {index} in group {group.source}: {why}")
                continue
            if target is None:
                dropped.append(_sorted(discovered))
            else:
                active.setdefault(target.key, target)
    found = tuple(active.values())
    if config.target_limit and len(found) > config.target_limit:
        failures.append(f"target_limit exceeded (number of targets: {len(found)}, limit: {config.target_limit})")
    return TargetSet(found, tuple(dropped), tuple(failures))


def discovered_labels(config: ScrapeConfig, labels: Mapping[str, str]) -> dict[str, str]:
    """The labels before relabelling: what discovery gave and the pool's own, which never override."""
    own = {
        "job": config.job_name,
        "__scrape_interval__": format_prometheus_duration(config.interval_ms),
        "__scrape_timeout__": format_prometheus_duration(config.timeout_ms),
        "__metrics_path__": config.metrics_path,
        "__scheme__": config.scheme,
    }
    own |= {f"__param_{name}": values[0] for name, values in config.params.items() if values}
    return {**own, **{name: value for name, value in labels.items() if value}}


def _target(config: ScrapeConfig, discovered: Mapping[str, str]) -> Target | None:
    labels = relabel(discovered, config.relabel)
    if labels is None:
        return None
    address = labels.get("__address__", "")
    if not address:
        raise ValueError("no address")
    address = labels["__address__"] = _with_port(address, labels.get("__scheme__", ""))
    if "/" in address:
        raise ValueError(f'"{address}" is not a valid hostname')
    interval_ms = _positive(labels, "__scrape_interval__", "scrape interval")
    timeout_ms = _positive(labels, "__scrape_timeout__", "scrape timeout")
    if timeout_ms > interval_ms:
        shown = f'"{labels["__scrape_timeout__"]}" > "{labels["__scrape_interval__"]}"'
        raise ValueError(f"scrape timeout cannot be greater than scrape interval ({shown})")
    labels.setdefault("instance", address)
    public = {name: value for name, value in labels.items() if not name.startswith("__")}
    return Target(_sorted(public), _sorted(discovered), _url(config, labels), interval_ms, timeout_ms)


def _positive(labels: Mapping[str, str], name: str, what: str) -> int:
    try:
        value = parse_prometheus_duration_ms(labels.get(name, ""))
    except ValueError as why:
        raise ValueError(f"error parsing {what}: {why}") from None
    if value == 0:
        raise ValueError(f"{what} cannot be 0")
    return value


def _with_port(address: str, scheme: str) -> str:
    """The address with the scheme's port when it has none; a bare IPv6 address stays as it is (and fails later)."""
    host, colon, port = address.rpartition(":")
    if colon and "]" not in port and (":" not in host or host.startswith("[")):
        return address
    if ":" in address and not (address.startswith("[") and address.endswith("]")):
        return address
    if scheme not in ("http", "https", ""):
        raise ValueError(f'invalid scheme: "{scheme}"')
    return address + (":443" if scheme == "https" else ":80")


def _url(config: ScrapeConfig, labels: Mapping[str, str]) -> str:
    params: dict[str, list[str]] = {name: list(values) for name, values in config.params.items()}
    for name, value in labels.items():
        if name.startswith("__param_"):
            params[name.removeprefix("__param_")] = [value, *params.get(name.removeprefix("__param_"), [])[1:]]
    query = urlencode(sorted(params.items()), doseq=True)
    path = labels.get("__metrics_path__", "")
    path = path if path.startswith("/") or not path else "/" + path
    return f"{labels.get('__scheme__', 'http')}://{labels['__address__']}{path}" + (f"?{query}" if query else "")


def _sorted(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def offset_ms(target: Target, interval_ms: int, seed: str = "") -> int:
    """Where in the interval this target is scraped, 0 ≤ offset < interval: spread evenly, the same in every run."""
    digest = hashlib.blake2b(f"{seed}\0{target.key}".encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % interval_ms


def next_scrape_ms(target: Target, now_ms: int, seed: str = "") -> int:
    """The first moment after `now_ms` that stands at the target's offset within its interval."""
    offset = offset_ms(target, target.interval_ms, seed)
    return now_ms - (now_ms - offset) % target.interval_ms + target.interval_ms
