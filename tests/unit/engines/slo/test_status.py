"""Budget status against sums by hand: what is left, burn rates, alerts, forecast, deploys, and no data at all."""

from __future__ import annotations

import json
import math

import pytest
from tests.unit.engines.slo.documents_of import OPENSLO, SPEC, only, read, requests

from pilothouse.engines.slo import Ledger, Meter, measure
from pilothouse.engines.tsdb import Database

HOUR_MS = 3600 * 1000
SLO = only(SPEC.format(objective="99.9"))
BUDGET_S = 0.001 * 30 * 86400


def test_no_data_is_none_and_not_nan() -> None:
    status = measure(Database(), SLO, HOUR_MS)
    assert not status.measured
    assert (status.left, status.left_s, status.exhausted_in_s, status.firing) == (None, None, None, ())
    assert status.budget_s == pytest.approx(BUDGET_S)
    assert json.loads(json.dumps(status.to_json(), allow_nan=False))["sli"] is None


def test_a_service_without_traffic_has_no_data() -> None:
    database = requests(60, lambda _minute: 0.0, per_minute=0.0)
    assert not measure(database, SLO, HOUR_MS).measured


def test_what_failed_is_what_is_gone() -> None:
    # 20 of 360 minutes fail completely: 20 minutes of 43.2 are gone.
    database = requests(360, lambda minute: 1.0 if 100 <= minute < 120 else 0.0)
    status = measure(database, SLO, 6 * HOUR_MS)
    assert status.burned is not None
    assert status.burned * BUDGET_S == pytest.approx(20 * 60, rel=0.01)
    assert status.left_s == pytest.approx(BUDGET_S - 20 * 60, rel=0.01)
    assert status.covered_s == pytest.approx(6 * 3600, abs=120)


def test_when_measuring_began_may_be_given() -> None:
    database = requests(60, lambda _minute: 0.01)
    status = measure(database, SLO, HOUR_MS, since_ms=0)
    assert status.covered_s == 3600
    assert status.burned == pytest.approx(0.01 * 3600 / BUDGET_S)


def test_burn_rates_and_the_alerts_that_hold() -> None:
    database = requests(180, lambda minute: 0.05 if minute >= 120 else 0.0)
    status = measure(database, SLO, 3 * HOUR_MS)
    assert status.rate_over(300) == pytest.approx(50, rel=0.01)
    assert status.rate_over(3600) == pytest.approx(50, rel=0.02)
    assert status.firing == ("page", "ticket")
    assert measure(database, SLO, HOUR_MS).firing == ()


def test_the_forecast_is_what_is_left_at_the_hours_pace() -> None:
    database = requests(120, lambda _minute: 0.01)
    status = measure(database, SLO, 2 * HOUR_MS)
    rate, left = status.rate_over(3600), status.left
    assert rate is not None
    assert left is not None
    assert status.exhausted_in_s == pytest.approx(left * 30 * 86400 / rate)


def test_an_overdrawn_budget_is_exhausted_now() -> None:
    database = requests(120, lambda _minute: 1.0)
    status = measure(database, SLO, 2 * HOUR_MS)
    assert status.left is not None
    assert status.left < 0
    assert status.exhausted_in_s == 0.0


def test_an_objective_of_100_is_overdrawn_by_one_error() -> None:
    slo = only(SPEC.format(objective="100"))
    status = measure(requests(60, lambda _minute: 0.001), slo, HOUR_MS)
    assert status.burned == math.inf
    assert status.to_json()["budgetLeft"] is None
    assert measure(requests(60, lambda _minute: 0.0), slo, HOUR_MS).burned == 0.0


def test_what_a_deploy_burned() -> None:
    database = requests(120, lambda minute: 0.5 if 60 <= minute < 70 else 0.0)
    spent = Meter(SLO).burned(database, 60 * 60_000, 70 * 60_000)
    assert spent is not None
    assert spent.seconds == pytest.approx(300, rel=0.06)
    assert spent.share == pytest.approx(spent.seconds / BUDGET_S)
    assert Meter(SLO).burned(Database(), 0, HOUR_MS) is None
    assert Meter(SLO).burned(database, HOUR_MS, HOUR_MS) is None


def test_a_calendar_window_counts_from_its_begin() -> None:
    window = "duration: 1h, isRolling: false, calendar: {startTime: '1970-01-01 00:30:00', timeZone: UTC}"
    slo = only(OPENSLO.replace("duration: 30d, isRolling: true", window))
    # Failures before 00:30 belong to the window before.
    database = requests(60, lambda minute: 1.0 if minute < 30 else 0.0)
    status = measure(database, slo, 50 * 60_000, since_ms=0)
    assert status.covered_s == 20 * 60
    assert status.burned == pytest.approx(0.0, abs=1e-9)
    assert status.ends_in_s == 40 * 60


def test_a_query_that_is_no_promql_makes_no_slo() -> None:
    query = "label_replace(requests_total[{{.window}}], 'a', 'b', 'c', '(')"
    text = SPEC.format(objective="99.9").replace("sum(rate(requests_total[{{.window}}]))", query)
    assert [f.code for f in read(text).findings] == ["PH723"]


def test_a_ledger_finds_budgets_by_any_name() -> None:
    ledger = Ledger([SLO], requests(60, lambda _minute: 0.0))
    assert ledger.status("availability", 3600) == ledger.status("shop-availability", 3600)
    assert ledger.status("unknown", 3600) is None
    assert [s.slo for s in ledger.all(3600)] == ["shop-availability"]
