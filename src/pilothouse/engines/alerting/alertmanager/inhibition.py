"""Which firing alert mutes which other (inhibit/inhibit.go, 0.28). Holds the source alerts by their `equal` labels."""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.engines.alerting.alertmanager.alerts import HeldAlert
from pilothouse.engines.alerting.alertmanager.config import InhibitRule
from pilothouse.engines.alerting.alertmanager.matchers import all_match
from pilothouse.engines.alerting.rules import Labels


class Inhibitor:
    """Answers for every alert whether a firing one mutes it."""

    def __init__(self, rules: Sequence[InhibitRule]) -> None:
        self._rules = rules
        self._sources: list[dict[tuple[str, ...], dict[Labels, HeldAlert]]] = [{} for _ in rules]

    def take(self, alert: HeldAlert) -> None:
        """Remembers the alert where it is a source."""
        labels = dict(alert.labels)
        for rule, sources in zip(self._rules, self._sources):
            if all_match(rule.source, labels):
                sources.setdefault(_equal(rule, labels), {})[alert.labels] = alert

    def forget(self, alert: HeldAlert) -> None:
        labels = dict(alert.labels)
        for rule, sources in zip(self._rules, self._sources):
            held = sources.get(_equal(rule, labels))
            if held is not None:
                held.pop(alert.labels, None)

    def cause(self, labels: Labels, now_ms: int) -> tuple[InhibitRule, Labels] | None:
        """The first rule that mutes the alert now, with the source alert; None when nothing does.

        An alert that matches both sides of a rule is not muted by another that does so too.
        """
        found = dict(labels)
        for rule, sources in zip(self._rules, self._sources):
            if not all_match(rule.target, found):
                continue
            both_sides = all_match(rule.source, found)
            for source in sources.get(_equal(rule, found), {}).values():
                if source.resolved_at(now_ms):
                    continue
                if both_sides and all_match(rule.target, dict(source.labels)):
                    continue
                return rule, source.labels
        return None


def _equal(rule: InhibitRule, labels: dict[str, str]) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in rule.equal)
