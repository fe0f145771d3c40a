"""What a world is built from, and what the report says was assumed about it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pilothouse.assemble.inputs import read_inputs
from pilothouse.assemble.world_spec import world_spec
from pilothouse.report.model import RehearseRequest


@pytest.mark.parametrize(("replicas", "told"), [(20_000, False), (20_001, True)])
def test_a_very_large_world_says_what_it_leaves_out(tmp_path: Path, replicas: int, told: bool) -> None:
    labels = {"app": "web"}
    containers = [{"name": "web", "image": "web:1"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    (tmp_path / "web.yaml").write_text(yaml.safe_dump(web))
    found = world_spec(read_inputs(RehearseRequest(paths=(str(tmp_path),)))).assumptions
    assert ("a very large world" in [a.what for a in found]) is told
