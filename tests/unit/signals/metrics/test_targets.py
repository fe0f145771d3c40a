"""From a prometheus.yml to targets with URLs and offsets."""

from __future__ import annotations

import pytest

from pilothouse.base.errors import InputError
from pilothouse.signals.metrics.scrape_config import (
    ScrapeConfig,
    TargetGroup,
    load_server_config,
    parse_size,
)
from pilothouse.signals.metrics.targets import Target, TargetSet, next_scrape_ms, offset_ms, targets_of

CONFIG = """
global: {scrape_interval: 15s, external_labels: {cluster: one}}
rule_files: [a.yml]
scrape_configs:
- job_name: api
  params: {module: [tcp, x]}
  scrape_timeout: 5s
  sample_limit: 10
  body_size_limit: 10MB
  honor_labels: yes
  static_configs: [{targets: ['a:1', b, '[::1]'], labels: {env: dev, __param_module: icmp}}]
- job_name: api
- {job_name: slow, scrape_interval: 5s, scrape_timeout: 6s}
- static_configs: []
- {job_name: bad, relabel_configs: [{action: nothing}]}
- {job_name: url, static_configs: [{targets: ['http://a/']}]}
- job_name: drop
  static_configs: [{targets: ['a:1', 'b:1']}]
  relabel_configs: [{source_labels: [__address__], regex: 'a.*', action: drop}]
"""


def _targets(config: ScrapeConfig) -> TargetSet:
    return targets_of(config, config.static)


def test_a_configuration_is_read_and_each_wrong_entry_named() -> None:
    server, findings = load_server_config(CONFIG, "prom.yml")
    assert [config.job_name for config in server.scrape_configs] == ["api", "drop"]
    api = server.scrape_configs[0]
    assert (api.interval_ms, api.timeout_ms, api.sample_limit, api.honor_labels) == (15_000, 5_000, 10, True)
    assert api.body_size_limit == 10 * 2**20
    assert server.external_labels == {"cluster": "one"}
    seen = [(finding.place.line, finding.message) for finding in findings]
    assert seen[0] == (12, 'found multiple scrape configs with job name "api"')
    assert [line for line, _ in seen] == [12, 13, 14, 15, 16]
    assert "timeout greater than scrape interval" in seen[1][1]
    assert "job_name is empty" in seen[2][1]
    assert "unknown relabel action" in seen[3][1]
    assert "not a valid hostname" in seen[4][1]


def test_a_file_that_is_no_configuration_is_an_input_error() -> None:
    for text in ("- a\n", "a: [", "global: {scrape_interval: soon}"):
        with pytest.raises(InputError) as caught:
            load_server_config(text, "prom.yml")
        assert caught.value.finding.place.file == "prom.yml"


def test_targets_have_ports_parameters_and_public_labels() -> None:
    server, _ = load_server_config(CONFIG)
    found = _targets(server.scrape_configs[0]).active
    assert [target.url for target in found] == [
        "http://a:1/metrics?module=icmp&module=x",
        "http://b:80/metrics?module=icmp&module=x",
        "http://[::1]:80/metrics?module=icmp&module=x",
    ]
    assert found[0].labels == (("env", "dev"), ("instance", "a:1"), ("job", "api"))
    assert ("__scrape_interval__", "15s") in found[0].discovered


def test_dropped_targets_are_remembered() -> None:
    server, _ = load_server_config(CONFIG)
    found = _targets(server.scrape_configs[1])
    assert [target.url for target in found.active] == ["http://b:1/metrics"]
    assert dict(found.dropped[0])["__address__"] == "a:1"


def test_a_target_without_address_fails_alone() -> None:
    config = ScrapeConfig("x")
    groups = [TargetGroup(({"__address__": ""}, {"__address__": "a:1"}, {"__address__": "a:1"}), source="s")]
    found = targets_of(config, groups)
    assert len(found.active) == 1
    assert found.failures == ("instance 0 in group s: no address",)


def test_relabelling_may_set_interval_timeout_and_scheme() -> None:
    own = {"__address__": "a", "__scrape_interval__": "30s", "__scrape_timeout__": "20s", "__scheme__": "https"}
    target = targets_of(ScrapeConfig("x"), [TargetGroup((own,))]).active[0]
    assert (target.url, target.interval_ms, target.timeout_ms) == ("https://a:443/metrics", 30_000, 20_000)
    late = targets_of(ScrapeConfig("x"), [TargetGroup(({**own, "__scrape_timeout__": "31s"},))])
    assert "scrape timeout cannot be greater" in late.failures[0]


def test_offsets_are_spread_and_stable() -> None:
    groups = [TargetGroup(tuple({"__address__": f"10.0.0.{n}:80"} for n in range(200)))]
    found = targets_of(ScrapeConfig("x", interval_ms=15_000), groups).active
    offsets = [offset_ms(target, 15_000) for target in found]
    halves = sum(offset < 7_500 for offset in offsets)
    assert 70 < halves < 130
    assert offsets == [offset_ms(target, 15_000) for target in found]
    assert offsets != [offset_ms(target, 15_000, "other") for target in found]


def test_the_next_scrape_stands_at_the_offset_and_later_than_now() -> None:
    target = Target((("job", "x"),), (), "http://a/", 15_000, 5_000)
    offset = offset_ms(target, 15_000)
    for now_ms in (0, offset, offset + 1, 1_767_225_600_123):
        due_ms = next_scrape_ms(target, now_ms)
        assert now_ms < due_ms <= now_ms + 15_000
        assert due_ms % 15_000 == offset


@pytest.mark.parametrize(("text", "size"), [("0", 0), ("512", 512), ("1KB", 1024), ("1.5MiB", 1572864), ("2gb", 2**31)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_an_unknown_size_unit_is_refused() -> None:
    with pytest.raises(ValueError):
        parse_size("3 apples")
