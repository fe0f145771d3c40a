"""What `pilothouse metrics` reads of a prometheus.yml and its rule files, and how it tells what is wrong there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.assemble.metrics_server import read_config
from pilothouse.base.errors import InputError

RULES = """\
groups:
  - name: g
    rules:
      - {record: twice, expr: up * 2}
      - {alert: Broken, expr: 'sum('}
"""


def test_a_broken_rule_is_drawn_with_its_caret_and_the_others_are_served(tmp_path: Path) -> None:
    (tmp_path / "a.rules.yml").write_text(RULES)
    config = tmp_path / "prometheus.yml"
    config.write_text("rule_files: ['*.rules.yml']\n")
    _, groups, findings = read_config(str(config))
    assert [rule.name for group in groups for rule in group.rules] == ["twice"]
    assert [finding.code for finding in findings] == ["PH207"]
    head, query, caret = str(findings[0]).splitlines()
    assert head.endswith("could not parse expression: 1:5: parse error: unclosed left parenthesis")
    assert query.index("sum(") + len("sum(") == caret.index("^")


def test_without_a_file_nothing_is_scraped() -> None:
    config, groups, findings = read_config("")
    assert (list(config.scrape_configs), groups, findings) == ([], [], [])


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_config(str(tmp_path / "nope.yml"))
