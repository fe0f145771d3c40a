"""The sentences: a person who has not met burn rates reads what happens and when the budget is gone."""

from __future__ import annotations

import math

import pytest
from tests.unit.engines.slo.documents_of import OPENSLO, SPEC, only, requests

from pilothouse.engines.slo import Meter, measure, words
from pilothouse.engines.tsdb import Database

MONTH_S = 30 * 86400
PACE = "In the last 1h the budget burned {} times as fast as it may"
SLO = only(SPEC.format(objective="99.9"))


@pytest.mark.parametrize(
    ("rate", "left", "text"),
    [
        (None, 1.0, "Nothing was measured in the last 1h: no data yet."),
        (0.0, 1.0, "Nothing failed in the last 1h: the budget is not touched."),
        (
            0.5,
            1.0,
            f"{PACE.format(0.5)}: at that pace it lasts for the whole 30d.",
        ),
        (
            14.4,
            1.0,
            f"{PACE.format(14.4)}: at that pace all of it, meant for 30d, is gone in 2d2h.",
        ),
        (
            14.4,
            0.5,
            f"{PACE.format(14.4)}: at that pace what is left is gone in 1d1h.",
        ),
        (2.0, -0.1, f"{PACE.format(2)}; nothing of it is left."),
        (math.inf, 0.0, "Something failed in the last 1h, and an objective of 100 % allows no failure at all."),
    ],
)
def test_a_burn_rate_in_words(rate: float | None, left: float, text: str) -> None:
    assert words.burn_sentence(rate, MONTH_S, 3600, left) == text


def test_a_new_service_says_no_data_yet() -> None:
    (line,) = words.status_lines(measure(Database(), SLO, 0))
    assert line == (
        "shop-availability: no data yet. The objective of 99.9 % allows 43.2 minutes of complete outage in 30d; "
        "nothing of it is known to be used."
    )


def test_a_burning_service() -> None:
    database = requests(60, lambda minute: 0.2 if minute >= 30 else 0.0)
    lines = words.status_lines(measure(database, SLO, 3600_000))
    assert lines[0].startswith("shop-availability: 9")
    assert "of the budget is left" in lines[0]
    assert lines[1].startswith("Measured for ")
    assert lines[-1] == "Alerts that hold now: page, ticket."


def test_what_a_deploy_burned() -> None:
    database = requests(120, lambda _minute: 0.1)
    spent = Meter(SLO).burned(database, 0, 7200_000)
    assert words.spent_sentence("this deploy", spent, SLO.budget_s) == (
        "this deploy burned 12.0 minutes of 43.2 minutes of budget (27.8 %)."
    )
    assert words.spent_sentence("this deploy", None, SLO.budget_s) == "this deploy: no data yet."


def test_an_explanation_has_the_numbers_of_every_alert() -> None:
    text = "\n".join(words.explain(only(OPENSLO)))
    assert "shop-availability: 99.9 % of all events must be good over any 30d." in text
    assert "43.2 minutes of complete outage" in text
    for number in ("14.4", "6", "3", "1"):
        assert f"more than {number} times too fast" in text


def test_an_alert_that_can_never_fire_says_so() -> None:
    text = "\n".join(words.explain(only(SPEC.format(objective="90"))))
    assert "It can never fire" in text


def test_no_budget_is_explained_and_no_alerts_are_counted() -> None:
    text = "\n".join(words.explain(only(SPEC.format(objective="100"))))
    assert "no budget" in text
    assert "fires" not in text
