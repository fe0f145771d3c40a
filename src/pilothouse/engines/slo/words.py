"""Budgets and burn rates in sentences: for people who have not met the terms, for messages that must stand alone."""

from __future__ import annotations

import math

from pilothouse.base.duration import format_span
from pilothouse.engines.promql import format_number
from pilothouse.engines.slo.burn import exhausted_in_s
from pilothouse.engines.slo.model import Composite, Slices, Slo, window_text
from pilothouse.engines.slo.status import BudgetStatus, Spent
from pilothouse.engines.slo.windows import Windows, windows_for

NO_DATA = "no data yet"


def percent(ratio: float | None, digits: int = 4) -> str:
    """`99.95 %`; `no data yet` for None."""
    if ratio is None:
        return NO_DATA
    if math.isinf(ratio):
        return "more than all"
    text = f"{ratio * 100:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def minutes(seconds: float) -> str:
    """`43.2 minutes`, `18 seconds`, `7.2 hours`: one unit, as budgets are spoken of."""
    if abs(seconds) < 60:
        return f"{seconds:.3g} seconds"
    if abs(seconds) < 2 * 3600:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds / 3600:.1f} hours"


def times(rate: float) -> str:
    return "infinitely many" if math.isinf(rate) else f"{rate:.3g}"


def burn_sentence(rate: float | None, period_s: float, window_s: int, left: float | None = 1.0) -> str:
    """A burn rate over a window, said so that nobody needs to know what a burn rate is."""
    window = window_text(window_s)
    if rate is None:
        return f"Nothing was measured in the last {window}: {NO_DATA}."
    if rate == 0:
        return f"Nothing failed in the last {window}: the budget is not touched."
    if math.isinf(rate):
        return f"Something failed in the last {window}, and an objective of 100 % allows no failure at all."
    pace = f"In the last {window} the budget burned {times(rate)} times as fast as it may"
    gone = exhausted_in_s(1.0 if left is None else left, rate, period_s)
    if gone == 0:
        return f"{pace}; nothing of it is left."
    what = f"all of it, meant for {format_span(period_s)}," if left == 1.0 else "what is left"
    if rate <= 1 and left == 1.0:
        return f"{pace}: at that pace it lasts for the whole {format_span(period_s)}."
    return f"{pace}: at that pace {what} is gone in {format_span(gone or 0.0)}."


def rate_sentence(rate: float, period_s: float) -> str:
    """What a burn rate means for a period."""
    period = format_span(period_s)
    if rate == 0:
        return "A burn rate of 0: nothing fails, the budget is not touched."
    gone = exhausted_in_s(1.0, rate, period_s) or 0.0
    text = f"A burn rate of {times(rate)}: the budget burns {times(rate)} times as fast as it may"
    if rate <= 1:
        return f"{text}, so it lasts for the whole {period}."
    return f"{text}; all of it, meant for {period}, is gone in {format_span(gone)}."


def status_lines(status: BudgetStatus, windows: Windows | None = None) -> list[str]:
    """The state of a budget, a sentence a line."""
    windows = windows or windows_for(round(status.period_s))
    period = format_span(status.period_s)
    budget = f"{minutes(status.budget_s)} of complete outage in {period}"
    if status.left is None:
        return [
            f"{status.slo}: {NO_DATA}. The objective of {percent(status.objective_ratio)} allows {budget}; "
            "nothing of it is known to be used."
        ]
    lines = [
        f"{status.slo}: {percent(1 - (status.error_ratio or 0.0))} good, {percent(status.objective_ratio)} asked; "
        f"{percent(status.left, 1)} of the budget is left{_left(status)} ({budget})."
    ]
    if status.covered_s < 0.99 * status.period_s and status.ends_in_s is None:
        lines.append(f"Measured for {format_span(status.covered_s)} of {period}.")
    long_s = windows.page_quick.long_s
    lines.append(burn_sentence(status.rate_over(long_s), status.period_s, long_s, status.left))
    if status.firing:
        lines.append(f"Alerts that hold now: {', '.join(status.firing)}.")
    return lines


def _left(status: BudgetStatus) -> str:
    if status.left_s is None or not math.isfinite(status.left_s):
        return ""
    if status.left_s < 0:
        return f": it is overdrawn by {minutes(-status.left_s)}"
    return f": {minutes(status.left_s)}"


def spent_sentence(subject: str, spent: Spent | None, budget_s: float) -> str:
    """`this deploy burned 12.3 minutes of 43.2 minutes of budget (28.5 %)`."""
    if spent is None:
        return f"{subject}: {NO_DATA}."
    if spent.seconds == 0:
        return f"{subject} burned nothing of the budget."
    return f"{subject} burned {minutes(spent.seconds)} of {minutes(budget_s)} of budget ({percent(spent.share, 1)})."


def explain(slo: Slo, windows: Windows | None = None) -> list[str]:
    """What an SLO asks for, what that allows, and when its alerts fire: paragraphs."""
    windows = windows or windows_for(slo.period_s)
    period = format_span(slo.period_s)
    asked = f"{format_number(round(slo.objective_percent, 9))} %"
    out = [f"{slo.id}: {asked} of {_counted(slo)} must be good over {_over(slo)}."]
    if slo.description:
        out.append(slo.description)
    if slo.budget_ratio <= 0:
        out.append("That leaves no budget: the first error breaks the objective, and a burn rate has no meaning.")
        return out
    share = f"{format_number(round(slo.budget_ratio * 100, 9))} %"
    out.append(
        f"So {share} may be bad: at even traffic {minutes(slo.budget_s)} of complete outage in {period}. "
        f"That is the error budget. A burn rate of 1 uses exactly all of it in {period}, a burn rate of 2 in half "
        "the time."
    )
    if slo.page is None and slo.ticket is None and not slo.conditions and slo.pyrra is None:
        out.append("It has no alerts.")
    if slo.pyrra is not None:
        out.append("Its alerts are Pyrra's: burn rates of 14, 7, 2 and 1 over windows in proportion to the period.")
    for severity, meta in (("page", slo.page), ("ticket", slo.ticket)):
        if meta is not None:
            out += [_tier_words(slo, windows, index, meta.name) for index in _tiers_of(windows, severity)]
    for condition in slo.conditions:
        after = f" for {window_text(condition.after_s)}" if condition.after_s else ""
        out.append(
            f"{slo.name}-{condition.name} ({condition.severity}) fires when the burn rate over "
            f"{window_text(condition.lookback_s)} is {condition.op} {format_number(condition.threshold)}{after}."
        )
    return out


def _counted(slo: Slo) -> str:
    if isinstance(slo.indicator, Slices):
        return f"all slices of {slo.indicator.length}"
    return "the weighted parts" if isinstance(slo.indicator, Composite) else "all events"


def _over(slo: Slo) -> str:
    if slo.calendar is None:
        return f"any {format_span(slo.period_s)}"
    calendar = slo.calendar
    return f"each {calendar.count}{calendar.unit} of the calendar from {calendar.start} {calendar.zone}"


def _tiers_of(windows: Windows, severity: str) -> list[int]:
    return [index for index, tier in enumerate(windows.tiers) if tier.severity == severity]


def _tier_words(slo: Slo, windows: Windows, index: int, name: str) -> str:
    tier = windows.tiers[index]
    rate = tier.burn_rate(slo.period_s)
    threshold = rate * slo.budget_ratio
    gone = exhausted_in_s(1.0, rate, slo.period_s) or 0.0
    text = (
        f"{name} ({tier.severity}) fires when the budget burns more than {rate:.3g} times too fast over "
        f"{window_text(tier.long_s)} and still over {window_text(tier.short_s)}: by then {tier.budget_percent:.3g} % "
        f"of it is gone, and all would be in {format_span(gone)}."
    )
    if threshold >= 1:
        return f"{text} It can never fire: more than everything would have to fail."
    return f"{text} With everything failing it takes {format_span(tier.long_s * threshold)}."
