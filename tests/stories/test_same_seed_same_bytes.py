"""The same seed gives the same report, byte for byte, in another process with other hash seeds and another memory
layout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.stories.rehearsals import autoscaler, deployment, play, rules, scenario, service, shown

pytestmark = pytest.mark.slow

_RUN = """
import sys, os
noise = [bytes(n) for n in range(16, 480, 16) for _ in range(int(os.environ["NOISE"]))][::2]
from pilothouse.cli.main import main
sys.argv = ["pilothouse", "rehearse", sys.argv[1], "--seed", sys.argv[2], "-o", "json", "--jobs", "1"]
main()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files")
    events = [
        {"at": "3m", "load": {"service": "api", "times": 4, "for": "4m"}},
        {"at": "5m", "deploy": {"deployment": "api", "image": "shop/api:v2"}},
        {"at": "6m", "fault": {"kind": "PodKill", "service": "api", "count": 1}},
    ]
    play(path, [deployment(), service(), autoscaler(60), rules(), scenario("10m", events=events)])
    return path


def _report(folder: Path, seed: int, hash_seed: str, noise: int) -> bytes:
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "NOISE": str(noise), "PYTHONPATH": str(Path("src").resolve())}
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(folder), str(seed)], env=env, capture_output=True, check=False
    )
    assert done.returncode in (0, 1, 2), done.stderr.decode()
    return done.stdout


def test_two_processes_write_the_same_bytes(folder: Path) -> None:
    first = _report(folder, 7, "0", 0)
    assert json.loads(first)
    assert _report(folder, 7, "1", 31) == first
    assert _report(folder, 7, "random", 5) == first


def test_different_seeds_differ(folder: Path) -> None:
    assert _report(folder, 7, "0", 0) != _report(folder, 8, "0", 0)


def test_verify_proves_it(folder: Path) -> None:
    report = play(folder, [], verify=True)
    assert report.verification is not None
    assert report.verification.equal
    assert report.verification.digest == report.verification.other
    assert shown(report).digest


def test_parallel_seeds_give_the_same_report_as_one_after_the_other(folder: Path) -> None:
    one, two = play(folder, [], runs=3, jobs=1), play(folder, [], runs=3, jobs=3)
    assert one == two
    assert len({line.digest for line in one.run_lines}) == 3
