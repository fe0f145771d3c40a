"""`pilothouse backtest`: recorded series replayed through rules and routing, and two versions of rules compared.

Reads rules and history, evaluates (`replay`), routes (`notifications`), compares (`backtest_diff`) and reports. Wrong
input never raises: it is among the findings. Called by `cli`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pilothouse import __version__
from pilothouse.assemble.alert_log import rule_lives
from pilothouse.assemble.alertmanagers import is_config_object, read_config
from pilothouse.assemble.backtest_diff import difference
from pilothouse.assemble.facts import RuleLives
from pilothouse.assemble.found import found, spot
from pilothouse.assemble.notifications import Routed, alert_text, route, told_since
from pilothouse.assemble.recorded import Recorded
from pilothouse.assemble.recorded_files import read_recorded
from pilothouse.assemble.recorded_url import Remote, selector_texts
from pilothouse.assemble.replay import replay
from pilothouse.assemble.silences import read_silences
from pilothouse.assemble.unfed import unfed_alerts, unfed_finding
from pilothouse.base import manifests
from pilothouse.base.errors import Finding, Place
from pilothouse.engines.alerting import RuleGroup, parse_rule_groups
from pilothouse.engines.alerting.alertmanager import Config, Silence
from pilothouse.engines.alerting.dependencies import written_names
from pilothouse.engines.alerting.stretches import looks_ahead
from pilothouse.engines.promql import DEFAULT_LOOKBACK_MS
from pilothouse.engines.tsdb import Database
from pilothouse.report.backtest import FLAP_WITHIN_S, AlertHistory, BacktestReport, Firing, Noise, Version
from pilothouse.report.model import Found, HeldBack, Notification, ReceiverTally, Span, rounded
from pilothouse.signals.metrics.http_fetch import Fetch, FetchError
from pilothouse.signals.metrics.http_fetch import fetch as fetch_page

DEFAULT_INTERVAL_MS = 60_000
MISSING = "record the series as well, or check the metric's name"
DEFAULT_SPAN_MS = 24 * 3_600_000
"""What is asked of a URL when no --start is given."""

Say = Callable[[str, float], None]
"""Called with what goes on and how much of it is done (0..1)."""


@dataclass(frozen=True, slots=True)
class BacktestRequest:
    """One `pilothouse backtest`. start_s, end_s: Unix seconds, None as far as the history goes (a URL: the last day).

    interval_ms: of groups that name none. diff: a second set of rule files.
    """

    rules: tuple[str, ...]
    source: str
    alertmanager: str = ""
    silences: str = ""
    start_s: float | None = None
    end_s: float | None = None
    interval_ms: int = DEFAULT_INTERVAL_MS
    diff: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Rules:
    """One version: groups, the files they stand in, and the routing that stood beside them."""

    groups: list[RuleGroup]
    files: tuple[str, ...]
    config: Config | None


def backtest(request: BacktestRequest, say: Say | None = None, fetch: Fetch = fetch_page) -> BacktestReport:
    """Which alerts would have fired on this history, who would have been told, and what --diff changes."""
    return _Backtest(request, say or (lambda _what, _share: None), fetch).run()


class _Backtest:
    def __init__(self, request: BacktestRequest, say: Say, fetch: Fetch) -> None:
        self.request = request
        self.say = say
        self.fetch = fetch
        self.findings: list[Finding] = []

    def run(self) -> BacktestReport:
        request = self.request
        self.say("reading", 0.0)
        rules = self._rules(request.rules)
        other = self._rules(request.diff) if request.diff else None
        config = self._config(rules)
        silences = self._silences()
        recorded = Recorded()
        usable = bool(rules.groups) and (other is None or bool(other.groups))
        span = self._read(recorded, [*rules.groups, *(other.groups if other else [])]) if usable else None
        if span is None:
            return self._unusable()
        self._check_history(recorded)
        start_ms, end_ms = span
        versions = []
        for number, each in enumerate([rules] if other is None else [rules, other]):
            self._check_rules(each, recorded)
            versions.append(self._version(each, recorded, span, config, silences, (number, 2 if other else 1)))
        duration_s = (end_ms - start_ms) / 1000
        return BacktestReport(
            version=__version__,
            outcome="done",
            source=request.source,
            start_epoch_s=start_ms / 1000,
            duration_s=duration_s,
            series=recorded.series,
            samples=recorded.samples,
            routed=config is not None,
            rules=versions[0],
            other=versions[1] if other else None,
            diff=difference(versions[0], versions[1], duration_s) if other else None,
            findings=self._found(),
        )

    def _unusable(self) -> BacktestReport:
        return BacktestReport(
            version=__version__, outcome="unusable", source=self.request.source, findings=self._found()
        )

    def _found(self) -> tuple[Found, ...]:
        return tuple(found(f) for f in dict.fromkeys(self.findings))

    # Reading

    def _rules(self, paths: Sequence[str]) -> _Rules:
        read = manifests.load_paths(paths)
        self.findings += read.findings
        groups: list[RuleGroup] = []
        files: dict[str, None] = {}
        for document in [d for d in read.objects if d.kind == "PrometheusRule"] + read.rule_files:
            more, wrong = parse_rule_groups(
                document.object, document.place_of, subquery_step_ms=self.request.interval_ms
            )
            groups += more
            self.findings += wrong
            files[document.file] = None
        config, wrong = read_config(read.alertmanagers, [d for d in read.objects if is_config_object(d)])
        self.findings += wrong
        if not any(g.rules for g in groups):
            message = "no usable rule is in the files given"
            remedy = "name Prometheus rule files, or PrometheusRule manifests"
            self.findings.append(Finding("PH323", message, Place(paths[0]), remedy))
            groups = []
        return _Rules(groups, tuple(files), config)

    def _config(self, rules: _Rules) -> Config | None:
        """--alertmanager, else what stood beside the rules."""
        if not self.request.alertmanager:
            return rules.config
        read = manifests.load_paths([self.request.alertmanager])
        config, wrong = read_config(read.alertmanagers, [d for d in read.objects if is_config_object(d)])
        self.findings += [f for f in read.findings if f.code != "PH127"] + wrong
        if config is None and not wrong:
            remedy = "an alertmanager.yml has `route:` and `receivers:` at its top"
            place = Place(self.request.alertmanager)
            self.findings.append(Finding("PH260", "holds no Alertmanager configuration", place, remedy))
        return config

    def _silences(self) -> list[Silence]:
        if not self.request.silences:
            return []
        silences, wrong = read_silences(self.request.silences)
        self.findings += wrong
        return silences

    def _read(self, recorded: Recorded, groups: Sequence[RuleGroup]) -> tuple[int, int] | None:
        """Fills `recorded`; the span to evaluate (Unix ms), None when there is nothing."""
        source = self.request.source
        if source.startswith(("http://", "https://")):
            asked = asyncio.run(self._read_url(recorded, groups))
        else:
            self.findings += read_recorded(source, recorded)
            asked = None
        held = recorded.span_ms()
        if held is None:
            if not any(f.severity == "error" and f.code in ("PH320", "PH321", "PH322") for f in self.findings):
                remedy = "check --start and --end, and that the rules read metrics that are recorded there"
                self.findings.append(Finding("PH322", "the history holds no sample", Place(source), remedy))
            return None
        start_ms, end_ms = asked or held
        if self.request.start_s is not None:
            start_ms = round(self.request.start_s * 1000)
        if self.request.end_s is not None:
            end_ms = round(self.request.end_s * 1000)
        if start_ms >= end_ms or start_ms > held[1] or end_ms < held[0]:
            remedy = "the history's own span is used when neither is given"
            self.findings.append(Finding("PH322", "no sample lies between start and end", Place(source), remedy))
            return None
        return start_ms, end_ms

    async def _read_url(self, recorded: Recorded, groups: Sequence[RuleGroup]) -> tuple[int, int] | None:
        remote = Remote(self.request.source, self.fetch, self.request.headers)
        try:
            end_ms = await remote.now_ms() if self.request.end_s is None else round(self.request.end_s * 1000)
            start_ms = end_ms - DEFAULT_SPAN_MS if self.request.start_s is None else round(self.request.start_s * 1000)
            reach_ms = _reach_ms(groups)
            self.findings += await remote.read(
                selector_texts(groups),
                start_ms - reach_ms,
                end_ms,
                recorded,
                lambda done, count: self.say("fetching", done / count),
            )
        except FetchError as error:
            remedy = "check the URL: it is the address of Prometheus, with its path prefix if it has one"
            self.findings.append(Finding("PH322", str(error), Place(self.request.source), remedy))
            return None
        return start_ms, end_ms

    # Checks

    def _check_history(self, recorded: Recorded) -> None:
        step_ms = recorded.widest_step_ms()
        if step_ms > DEFAULT_LOOKBACK_MS:
            message = f"samples are {step_ms / 1000:g} s apart, more than the 5 minutes a query looks back"
            remedy = "series are gone between their samples: export with a smaller step"
            self.findings.append(Finding("PH321", message, Place(self.request.source), remedy, "warning"))

    def _check_rules(self, rules: _Rules, recorded: Recorded) -> None:
        own = [name for group in rules.groups for rule in group.rules for name in written_names(rule)]
        outside = [name for name in recorded.names if name not in own]
        for unfed in unfed_alerts(rules.groups, outside):
            self.findings.append(
                unfed_finding(unfed.rule.name, unfed.missing, unfed.rule.place, "the history", MISSING)
            )
        for group in rules.groups:
            for rule in group.rules:
                if looks_ahead(rule):
                    message = f"{rule.name} looks ahead of its evaluation: here it sees samples that came later"
                    remedy = "a live Prometheus would not have had them yet"
                    self.findings.append(Finding("PH324", message, rule.place, remedy, "warning"))

    # One version

    def _version(
        self,
        rules: _Rules,
        recorded: Recorded,
        span: tuple[int, int],
        config: Config | None,
        silences: Sequence[Silence],
        turn: tuple[int, int],
    ) -> Version:
        start_ms, end_ms = span
        database = Database()
        # What these rules record themselves is recorded anew: the history's own would be the old version's.
        recorded.fill(database, [name for g in rules.groups for rule in g.rules for name in written_names(rule)])
        held = recorded.span_ms() or span
        # Before the start rules are warmed up as far as the history and their reach go.
        warm_ms = max(min(held[0], start_ms), start_ms - _reach_ms(rules.groups))

        def at(time_ms: int) -> None:
            done = (time_ms - warm_ms) / max(end_ms - warm_ms, 1)
            self.say("evaluating", (turn[0] + done) / turn[1])

        result = replay(rules.groups, database, warm_ms, end_ms, self.request.interval_ms, at)
        start_s, duration_s = start_ms / 1000, (end_ms - start_ms) / 1000
        lives = rule_lives(rules.groups, result.transitions, result.errors, start_s, duration_s)
        alerts = tuple(_history(each, duration_s) for each in lives)
        routed = Routed() if config is None else route(config, result.transitions, end_ms, silences)
        sent, held_back = told_since(routed, start_ms)
        return Version(
            files=rules.files,
            rules=sum(len(g.rules) for g in rules.groups),
            alerts=alerts,
            noise=_noise(alerts, duration_s),
            receivers=_receivers(config, sent, held_back, duration_s),
            notifications=sent,
            held_back=held_back,
        )


def _reach_ms(groups: Sequence[RuleGroup]) -> int:
    """How far before a moment these rules may look, recorded results and `for` included (a bound, not exact)."""
    looks = [rule.query.plan.lookback_ms for group in groups for rule in group.rules]
    lasts = [alert.for_ms for group in groups for alert in group.alerting_rules()]
    return 2 * max(looks, default=0) + max(lasts, default=0)


# Figures


def _history(rule: RuleLives, duration_s: float) -> AlertHistory:
    firings: list[Firing] = []
    flaps, pending_s = 0, 0.0
    for life in rule.lives:
        text = alert_text(tuple(sorted(life.labels.items())))
        ended: float | None = None
        before: Span | None = None
        for span in life.spans:
            if span.state == "pending":
                pending_s += (duration_s if span.to_s is None else span.to_s) - span.from_s
            else:
                waited = before.to_s - before.from_s if before and before.to_s == span.from_s else 0.0
                firings.append(Firing(alert=text, from_s=span.from_s, to_s=span.to_s, pending_s=waited))
                flaps += ended is not None and span.from_s - ended < FLAP_WITHIN_S
                ended = span.to_s
            before = span
    firings.sort(key=lambda f: (f.from_s, f.alert))
    return AlertHistory(
        name=rule.name,
        severity=rule.severity,
        group=rule.group,
        at=spot(rule.place),
        firings=tuple(firings),
        firing_s=rounded(sum(_length(f, duration_s) for f in firings)) or 0.0,
        pending_s=rounded(pending_s) or 0.0,
        flaps=flaps,
        error=rule.error,
    )


def _length(firing: Firing, duration_s: float) -> float:
    return (duration_s if firing.to_s is None else firing.to_s) - firing.from_s


def _noise(alerts: Sequence[AlertHistory], duration_s: float) -> Noise:
    firings = [f for alert in alerts for f in alert.firings]
    ended = [(f.to_s - f.from_s, f.alert) for f in firings if f.to_s is not None]
    shortest = min(ended, default=None)
    return Noise(
        firings=len(firings),
        flaps=sum(alert.flaps for alert in alerts),
        shortest_s=rounded(shortest[0]) if shortest else None,
        shortest=shortest[1] if shortest else "",
        per_day=rounded(len(firings) / (duration_s / 86_400)) or 0.0,
    )


def _receivers(
    config: Config | None, sent: Sequence[Notification], held: Sequence[HeldBack], duration_s: float
) -> tuple[ReceiverTally, ...]:
    if config is None:
        return ()
    out = []
    for receiver in config.receivers.values():
        told = [n for n in sent if n.receiver == receiver.name]
        out.append(
            ReceiverTally(
                name=receiver.name,
                notifications=float(len(told)),
                low=None,
                high=None,
                woken=float(sum(n.status == "firing" for n in told)),
                per_day=rounded(len(told) / (duration_s / 86_400)) or 0.0,
                first_s=told[0].at_s if told else None,
                held_back=float(sum(h.receiver == receiver.name for h in held)),
                at=spot(receiver.place),
            )
        )
    return tuple(out)
