"""Evaluates one rule group at one time after another, as Prometheus 3 does (`rules/group.go`, `alerting.go`,
`recording.go`).

`GroupState` holds what lives between evaluations: alert instances, the last results, each rule's health. It reads and
writes a `Database`, never a clock: the time is an argument. What happened comes back as an `Evaluation`; a rule
that fails
keeps its error and the others go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pilothouse.base.errors import LimitExceeded, Place
from pilothouse.engines.alerting.expansion import AlertTemplate, TemplateContext
from pilothouse.engines.alerting.lifecycle import RESOLVED_RETENTION_MS, Alert, State
from pilothouse.engines.alerting.outputs import RuleOutput
from pilothouse.engines.alerting.queries import QueryError, Sample, compile_query
from pilothouse.engines.alerting.rules import AlertingRule, Labels, RecordingRule, Rule, RuleGroup
from pilothouse.engines.tsdb import Database

LABEL_SETS_REMEMBERED = 10_000
"""Expanded label sets kept per rule; a rule with more distinct series expands again, it does not grow for ever."""


@dataclass(frozen=True, slots=True)
class Transition:
    """An alert instance changed its state. annotations are those of the moment; reason is "" or why it was not the
    usual.
    """

    time_ms: int
    group: str
    rule: str
    labels: Labels
    before: State
    after: State
    active_at_ms: int
    value: float
    annotations: Labels
    place: Place
    reason: str = ""
    expr: str = ""
    fired_at_ms: int | None = None
    """Since when it fires, or fired until now; None when it never did."""


@dataclass(frozen=True, slots=True)
class RuleError:
    """A rule's evaluation failed; it stands as the rule's lastError until one succeeds."""

    group: str
    rule: str
    index: int
    message: str
    place: Place


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one evaluation of a group did. samples: results stored, staleness markers not counted."""

    time_ms: int
    transitions: tuple[Transition, ...] = ()
    errors: tuple[RuleError, ...] = ()
    samples: int = 0


class EvaluationFailed(Exception):
    """A rule gave no usable result this time."""


class RecordingState:
    """A recording rule between evaluations. health: unknown, ok or err, as the API shows it."""

    __slots__ = ("health", "last_error", "last_ms", "output", "rule")

    def __init__(self, rule: RecordingRule, group: str) -> None:
        self.rule = rule
        self.output = RuleOutput(f"rule {group}/{rule.name}")
        self.health = "unknown"
        self.last_error = ""
        self.last_ms: int | None = None

    def results(self, samples: Sequence[Sample], limit: int) -> list[Sample]:
        """The samples under the rule's name and labels; EvaluationFailed on duplicates or too many."""
        out = [(recorded_labels(self.rule, labels), value) for labels, value in samples]
        if len(out) > 1 and len(dict(out)) < len(out):
            raise EvaluationFailed("vector contains metrics with the same labelset after applying rule labels")
        if 0 < limit < len(out):
            raise EvaluationFailed(f"exceeded limit of {limit} with {len(out)} series")
        return out


class AlertingState:
    """An alerting rule between evaluations. `active` holds pending and firing instances by labels, `resolved` the rest.

    restored: whether `ALERTS` may be written; False until `restoration` has looked at the past after a restart.
    """

    __slots__ = (
        "_eager", "_known_labels", "_labels_read_value", "_labels_timely",
        "active", "health", "last_error", "last_ms", "output", "resolved",
        "restored", "rule",
    )  # fmt: skip

    def __init__(self, rule: AlertingRule, group: str, *, restored: bool) -> None:
        self.rule = rule
        self.output = RuleOutput(f"rule {group}/{rule.name}")
        self.health = "unknown"
        self.last_error = ""
        self.last_ms: int | None = None
        self.active: dict[Labels, Alert] = {}
        self.resolved: dict[Labels, Alert] = {}
        self.restored = restored
        self._eager = any(t.timely for _n, t in rule.annotation_templates)
        self._labels_timely = any(t.timely for _n, t in rule.label_templates)
        self._labels_read_value = any(t.reads_value for _n, t in rule.label_templates)
        self._known_labels: dict[tuple[Labels, float | None], Labels] = {}

    @property
    def state(self) -> State:
        """The highest state of its instances."""
        if any(a.state == "firing" for a in self.active.values()):
            return "firing"
        return "pending" if self.active else "inactive"

    def step(
        self, samples: Sequence[Sample], time_ms: int, limit: int, context: TemplateContext
    ) -> list[tuple[Alert, State]]:
        """Moves every instance by one evaluation; returns those that changed with the state they had before."""
        seen = self._take_in(samples, time_ms, context)
        changed = []
        rule = self.rule
        for labels, alert in list(self.active.items()):
            word = alert.see(
                present=labels in seen, now_ms=time_ms, for_ms=rule.for_ms, keep_firing_for_ms=rule.keep_firing_for_ms
            )
            before = alert.move(word, time_ms)
            if alert.state == before:
                continue
            changed.append((alert, before))
            if alert.state == "inactive":
                del self.active[labels]
                if before == "firing":
                    self.resolved[labels] = alert
        if self.resolved:
            self._forget_resolved(time_ms)
        if 0 < limit < len(self.active):
            count = len(self.active)
            self.active.clear()
            self.resolved.clear()
            raise EvaluationFailed(f"exceeded limit of {limit} with {count} alerts")
        return changed

    def _take_in(self, samples: Sequence[Sample], time_ms: int, context: TemplateContext) -> Mapping[Labels, Alert]:
        fresh: dict[Labels, Alert] = {}
        for sample_labels, value in samples:
            labels = self._alert_labels(sample_labels, value, context)
            if labels in fresh:
                raise EvaluationFailed("vector contains metrics with the same labelset after applying alert labels")
            fresh[labels] = Alert(labels, sample_labels, "inactive", value, time_ms, time_ms)
        for labels, alert in fresh.items():
            known = self.active.get(labels)
            if known is None:
                self.resolved.pop(labels, None)
                known = self.active[labels] = alert
            else:
                known.value, known.seen_at_ms, known.sample_labels = alert.value, time_ms, alert.sample_labels
                known.annotations = None
            if self._eager:
                known.annotations = self._expanded_annotations(known, context)
        return fresh

    def _forget_resolved(self, time_ms: int) -> None:
        for labels, alert in list(self.resolved.items()):
            if alert.resolved_at_ms is not None and time_ms - alert.resolved_at_ms > RESOLVED_RETENTION_MS:
                del self.resolved[labels]

    def _alert_labels(self, sample_labels: Labels, value: float, context: TemplateContext) -> Labels:
        if self._labels_timely:
            return self._expanded_labels(sample_labels, value, context)
        key = (sample_labels, value if self._labels_read_value else None)
        known = self._known_labels.get(key)
        if known is None:
            if len(self._known_labels) >= LABEL_SETS_REMEMBERED:
                self._known_labels.clear()
            known = self._known_labels[key] = self._expanded_labels(sample_labels, value, context)
        return known

    def _expanded_labels(self, sample_labels: Labels, value: float, context: TemplateContext) -> Labels:
        out = dict(sample_labels)
        out.pop("__name__", None)
        for name, template in self.rule.label_templates:
            out[name] = template.expand(sample_labels, value, context)
        out["alertname"] = self.rule.name
        return tuple(sorted((n, v) for n, v in out.items() if v))

    def annotations_of(self, alert: Alert, context: TemplateContext) -> Labels:
        """The alert's annotations as of the evaluation that last returned it; expanded when first asked for."""
        if alert.annotations is None:
            alert.annotations = self._expanded_annotations(alert, context)
        return alert.annotations

    def _expanded_annotations(self, alert: Alert, context: TemplateContext) -> Labels:
        return expand_all(self.rule.annotation_templates, alert.sample_labels, alert.value, context)

    def series(self) -> list[Sample]:
        """`ALERTS` and `ALERTS_FOR_STATE` as they stand, in label order."""
        out: list[Sample] = []
        for alert in self.active.values():
            # A label whose template gave nothing shows here as its template, as Prometheus has it.
            base = {**dict(self.rule.labels), **dict(alert.labels)}
            held = {**base, "__name__": "ALERTS", "alertstate": alert.state}
            since = {**base, "__name__": "ALERTS_FOR_STATE"}
            out.append((tuple(sorted(p for p in held.items() if p[1])), 1.0))
            out.append((tuple(sorted(p for p in since.items() if p[1])), float(alert.active_at_ms // 1000)))
        return out


RuleState = RecordingState | AlertingState


class GroupState:
    """A rule group being evaluated.

    external_labels and external_url are what templates see; default_interval_ms and default_query_offset_ms hold
    where the
    group names none. restored=False after a restart: see `restoration.restore`.
    """

    def __init__(
        self,
        group: RuleGroup,
        *,
        external_labels: Mapping[str, str] | None = None,
        external_url: str = "",
        template_base_url: str | None = "",
        default_interval_ms: int = 60_000,
        default_query_offset_ms: int = 0,
        restored: bool = True,
    ) -> None:
        self.group = group
        self.external_labels = dict(external_labels or {})
        self.external_url = external_url
        self.template_base_url = external_url if template_base_url == "" else template_base_url
        self.interval_ms = group.interval_ms or default_interval_ms
        self.query_offset_ms = default_query_offset_ms if group.query_offset_ms is None else group.query_offset_ms
        self.rules: list[RuleState] = [
            RecordingState(rule, group.name)
            if isinstance(rule, RecordingRule)
            else AlertingState(rule, group.name, restored=restored)
            for rule in group.rules
        ]
        self.last_ms: int | None = None

    def evaluate(self, db: Database, time_ms: int) -> Evaluation:
        """One evaluation of all rules in order at `time_ms` (Unix ms). Times must not go back.

        Results are stored at time_ms minus the query offset, which is also the time queries look at.
        """
        transitions: list[Transition] = []
        errors: list[RuleError] = []
        stored = 0
        at_ms = time_ms - self.query_offset_ms
        for index, state in enumerate(self.rules):
            state.last_ms = time_ms
            try:
                samples = state.rule.query.samples(db, at_ms)
                if not samples and not state.output.live and isinstance(state, RecordingState):
                    state.health, state.last_error = "ok", ""
                    continue
                stored += self.apply(state, samples, db, time_ms, transitions)
            except (QueryError, EvaluationFailed, LimitExceeded) as error:
                errors.append(self.failed(state, index, str(error)))
        self.last_ms = time_ms
        return Evaluation(time_ms, tuple(transitions), tuple(errors), stored)

    def failed(self, state: RuleState, index: int, message: str) -> RuleError:
        """Keeps the error as the rule's last and gives it as a value."""
        state.health, state.last_error = "err", message
        return RuleError(self.group.name, state.rule.name, index, message, state.rule.place)

    def apply(
        self, state: RuleState, samples: Sequence[Sample], db: Database, time_ms: int, transitions: list[Transition]
    ) -> int:
        """Takes one rule's samples in and stores the results; returns how many."""
        if isinstance(state, RecordingState):
            results = state.results(samples, self.group.limit)
        elif not samples and not state.active and not state.resolved:
            results = []
        else:
            results = self._alert_results(state, samples, db, time_ms, transitions)
        refused = state.output.write(db, time_ms - self.query_offset_ms, results)
        if refused:
            raise EvaluationFailed(refused)
        state.health, state.last_error = "ok", ""
        return len(results)

    def _alert_results(
        self,
        state: AlertingState,
        samples: Sequence[Sample],
        db: Database,
        time_ms: int,
        transitions: list[Transition],
    ) -> list[Sample]:
        context = self.context(db, time_ms)
        before = {k: (a, a.state) for k, a in state.active.items()} if self.group.limit else {}
        try:
            changed = state.step(samples, time_ms, self.group.limit, context)
        except EvaluationFailed as error:
            if before and not state.active:
                transitions.extend(self._dropped(state, before, time_ms, context, str(error)))
            raise
        transitions.extend(
            self._transition(state, alert, was, alert.state, time_ms, context)
            for alert, was in sorted(changed, key=lambda item: item[0].labels)
        )
        return state.series() if state.restored else []

    def _dropped(
        self,
        state: AlertingState,
        before: Mapping[Labels, tuple[Alert, State]],
        time_ms: int,
        context: TemplateContext,
        reason: str,
    ) -> list[Transition]:
        """Over the limit Prometheus forgets all instances of the rule without resolving them."""
        return [
            self._transition(state, *before[labels], "inactive", time_ms, context, reason) for labels in sorted(before)
        ]

    def _transition(
        self,
        state: AlertingState,
        alert: Alert,
        before: State,
        after: State,
        time_ms: int,
        context: TemplateContext,
        reason: str = "",
    ) -> Transition:
        return Transition(
            time_ms=time_ms,
            group=self.group.name,
            rule=state.rule.name,
            labels=alert.labels,
            before=before,
            after=after,
            active_at_ms=alert.active_at_ms,
            value=alert.value,
            annotations=state.annotations_of(alert, context),
            place=state.rule.place,
            reason=reason,
            expr=state.rule.expr,
            fired_at_ms=alert.fired_at_ms,
        )

    def context(self, db: Database, time_ms: int) -> TemplateContext:
        """What templates see at this time. Queries in templates look at the evaluation's time, not at the offset
        one.
        """
        step_ms = self.group.subquery_step_ms
        return TemplateContext(
            now_s=time_ms / 1000,
            external_labels=self.external_labels,
            external_url=self.external_url,
            base_url=self.template_base_url,
            query=lambda text: compile_query(text, step_ms).samples(db, time_ms),
        )

    def alerting_states(self) -> list[AlertingState]:
        return [state for state in self.rules if isinstance(state, AlertingState)]

    def end(self, db: Database, time_ms: int) -> None:
        """The group is gone: its series end with staleness markers."""
        for state in self.rules:
            state.output.end(db, time_ms - self.query_offset_ms)


def recorded_labels(rule: RecordingRule, labels: Labels) -> Labels:
    """A result's labels: the sample's, under the rule's name, with the rule's labels set (an empty one removes)."""
    out = dict(labels)
    out["__name__"] = rule.name
    out.update(rule.labels)
    return tuple(sorted((n, v) for n, v in out.items() if v))


def expand_all(
    templates: Sequence[tuple[str, AlertTemplate]], labels: Labels, value: float, context: TemplateContext
) -> Labels:
    """Each template's text by its name."""
    return tuple((name, template.expand(labels, value, context)) for name, template in templates)


def rule_of(state: RuleState) -> Rule:
    return state.rule
