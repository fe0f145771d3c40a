"""The text report against golden files; `REPORT_GOLDEN=write` refreshes them, to be read as a diff."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from tests.unit.report.sample import report, run

from pilothouse.report.model import Lane, Moment, Report, Spent
from pilothouse.report.text import plain, render
from pilothouse.report.timeline import Grid, columns, draw

CASES = Path(__file__).parents[2] / "cases" / "report"


def golden(name: str, text: str) -> None:
    path = CASES / name
    if os.environ.get("REPORT_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("width", [80, 100])
def test_a_spike(width: int) -> None:
    golden(f"spike-{width}.txt", plain(render(report(), width, Spent(cpu_s=1.234))))


def test_a_terminal_without_utf8() -> None:
    text = plain(render(report(), 80), ascii_only=True)
    golden("spike-ascii.txt", text)
    assert text.isascii()


def many_runs() -> Report:
    first, second, third = report().verdicts
    return msgspec.structs.replace(
        report(),
        runs=200,
        runs_asked=500,
        seeds_first=11,
        outcome="undecided",
        verdicts=[
            msgspec.structs.replace(
                first,
                outcome="undecided",
                held=190,
                runs=200,
                probability=0.95,
                low=0.910412,
                high=0.972603,
                wanted=">= 0.95",
                first_failing_seed=17,
            ),
            msgspec.structs.replace(
                second, held=200, runs=200, probability=1.0, low=0.9812, high=1.0, wanted=">= 0.95"
            ),
            third,
        ],
        shown=msgspec.structs.replace(run(), seed=17),
    )


def test_many_runs() -> None:
    golden("many-runs-100.txt", plain(render(many_runs(), 100)))


def test_unusable_input_shows_what_is_wrong_and_nothing_else() -> None:
    text = plain(render(msgspec.structs.replace(report(), outcome="unusable", shown=None, verdicts=[]), 80))
    assert "PH101 k8s/broken.yaml:7" in text
    assert text.startswith("Nothing could be rehearsed\n")
    assert "Timeline" not in text
    assert "Verdict" not in text


@pytest.mark.parametrize("width", [60, 80, 100, 133, 160])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = plain(render(many_runs(), width, Spent(cpu_s=1.0))).splitlines()
    assert max(len(line) for line in lines) <= width


def test_the_order_of_lanes_does_not_depend_on_the_order_given() -> None:
    shuffled = msgspec.structs.replace(run(), lanes=run().lanes[::-1])
    assert draw(shuffled, 100) == draw(run(), 100)


def test_columns_keep_what_hurts() -> None:
    grid = Grid(2, 100.0)
    values: list[float | None] = [1.0, 5.0, 2.0, None, None, 0.5, 3.0, 4.0, None, 4.5]
    lane = Lane(id="ready", title="pods", unit="pods", step_s=10.0, values=values)
    assert columns(lane, grid) == [1.0, 0.5]
    assert columns(msgspec.structs.replace(lane, id="errors"), grid) == [5.0, 4.5]
    assert columns(msgspec.structs.replace(lane, id="budget"), grid) == [2.0, 4.5]
    assert columns(lane, Grid(20, 100.0))[6:8] == [None, None]


def test_only_the_most_telling_moments_are_listed() -> None:
    crowd = [
        Moment(at_s=float(i), kind="pod", subject="", text=f"pod {chr(97 + i % 20)}{chr(97 + i // 20)}", weight=10)
        for i in range(40)
    ]
    important = Moment(at_s=20.5, kind="fault", subject="", text="the node is gone", weight=100)
    text = plain(
        render(msgspec.structs.replace(report(), shown=msgspec.structs.replace(run(), moments=[*crowd, important])), 80)
    )
    assert "the node is gone" in text
    assert "pod ha" not in text
    assert "40 smaller things left out" in text


def test_many_services_show_the_ones_that_suffer() -> None:
    def service(name: str, errors: float) -> list[Lane]:
        return [
            Lane(id="load", title="load", unit="req/s", step_s=60.0, subject=name, values=[1.0] * 60),
            Lane(id="errors", title="errors", unit="ratio", step_s=60.0, subject=name, values=[errors] * 60),
        ]

    lanes = [lane for i in range(30) for lane in service(f"svc-{i}", 0.5 if i in (7, 20) else 0.0)]
    text = plain(draw(msgspec.structs.replace(run(), lanes=lanes, moments=[], alerts=[]), 100))
    assert "svc-7" in text
    assert "svc-20" in text
    assert "svc-3" not in text
    assert "28 more services" in text


def test_an_empty_run_is_drawn() -> None:
    bare = msgspec.structs.replace(run(), lanes=[], moments=[], alerts=[])
    assert "00:00" in plain(draw(bare, 80))


def test_moments_that_say_the_same_of_many_pods_are_told_once() -> None:
    pods = [
        Moment(
            at_s=1205.0 + i, kind="pod", subject=f"web-{i}x", text=f"Pod web-{i}x: probe failed: 10.0.0.{i}", weight=60
        )
        for i in range(5)
    ]
    later = Moment(at_s=3000.0, kind="pod", subject="web-9x", text="Pod web-9x: probe failed: 10.0.0.9", weight=60)
    shown = msgspec.structs.replace(run(), moments=[*pods, later])
    text = plain(render(msgspec.structs.replace(report(), shown=shown), 100))
    assert "00:20:05  Pod web-0x: probe failed: 10.0.0.0 (and 4 more like it)" in text
    assert "00:50:00  Pod web-9x" in text
    assert "web-1x" not in text
    assert "left out" not in text.split("What happened")[1].splitlines()[0]
