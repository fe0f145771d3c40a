"""Which rule reads which rule's result, by metric name: circles, and whether a group may be evaluated a span at a time.

Only recorded names count. Alerts that read `ALERTS` are looked at by `reads_own_or_later`, not by `find_cycles`:
every such alert would be a circle, and nobody means one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pilothouse.engines.alerting.rules import AlertingRule, RecordingRule, Rule, RuleGroup

ALERT_SERIES = ("ALERTS", "ALERTS_FOR_STATE")


def written_names(rule: Rule) -> tuple[str, ...]:
    """The metric names that a rule writes."""
    return (rule.name,) if isinstance(rule, RecordingRule) else ALERT_SERIES


def may_read(rule: Rule, names: Iterable[str]) -> bool:
    """Whether the rule's expression or its templates may read one of these names; True when that cannot be excluded."""
    wanted = tuple(names)
    return any(read is None or any(name in read for name in wanted) for read in _reads(rule))


def _reads(rule: Rule) -> Iterable[frozenset[str] | None]:
    yield rule.query.metric_names
    if isinstance(rule, AlertingRule):
        for _name, template in (*rule.label_templates, *rule.annotation_templates):
            if template.queries:
                yield template.query_metric_names()


def reads_own_or_later(group: RuleGroup) -> Rule | None:
    """The first rule that may read its own result or that of a later rule of the group, i.e. a result of the past."""
    for index, rule in enumerate(group.rules):
        later = [name for other in group.rules[index:] for name in written_names(other)]
        if may_read(rule, later):
            return rule
    return None


def find_cycles(groups: Sequence[RuleGroup]) -> list[list[RecordingRule]]:
    """Circles among recording rules through names that they surely read, each once, starting at its first rule."""
    rules = [rule for group in groups for rule in group.rules if isinstance(rule, RecordingRule)]
    writers: dict[str, list[int]] = {}
    for index, rule in enumerate(rules):
        writers.setdefault(rule.name, []).append(index)
    reads = [[i for name in sorted(rule.query.metric_names or ()) for i in writers.get(name, ())] for rule in rules]
    cycles, done = [], [False] * len(rules)
    for start in range(len(rules)):
        path = _way_back(start, reads, done)
        if path:
            cycles.append([rules[i] for i in path])
            for i in path:
                done[i] = True
    return cycles


def _way_back(start: int, reads: list[list[int]], done: list[bool]) -> list[int]:
    """The shortest way from a rule through what it reads back to itself; empty when there is none."""
    came_from: dict[int, int] = {}
    queue = [start]
    for at in queue:
        for to in reads[at]:
            if to == start:
                path = [at]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if to not in came_from and not done[to]:
                came_from[to] = at
                queue.append(to)
    return []
