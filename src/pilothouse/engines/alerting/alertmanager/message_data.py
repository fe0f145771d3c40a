"""What notification templates see, and their functions (alertmanager template/template.go, 0.28).

`message_data()` builds the data of one notification; `MessageTemplates` holds the default templates and the user's own.
The functions `now`, `since` and `tz` use the notification's time: there is no clock here.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote_plus

from pilothouse.engines.alerting.alertmanager.alerts import Notification, NotifiedAlert
from pilothouse.engines.alerting.expansion import TemplateContext, template_functions, title_words
from pilothouse.engines.alerting.gotemplate.builtins import BUILTINS
from pilothouse.engines.alerting.gotemplate.errors import CallError, ExecutionError, TemplateError
from pilothouse.engines.alerting.gotemplate.execution import execute
from pilothouse.engines.alerting.gotemplate.gotime import GoDuration, GoTime
from pilothouse.engines.alerting.gotemplate.nodes import Tree
from pilothouse.engines.alerting.gotemplate.parser import parse
from pilothouse.engines.alerting.gotemplate.values import Function, GoMap, GoSlice, GoStruct
from pilothouse.engines.alerting.rules import Labels


class KV(GoMap):
    """A label set with Alertmanager's methods: SortedPairs, Names, Values, Remove."""

    __slots__ = ()

    @property
    def type_name(self) -> str:
        return "template.KV"

    def pairs(self) -> list[tuple[str, str]]:
        """alertname first, then by name."""
        return sorted(self.items(), key=lambda item: (item[0] != "alertname", item[0]))

    def __str__(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in self.pairs())

    @property
    def methods(self) -> Mapping[str, Any]:
        return {
            "SortedPairs": lambda: Pairs(self.pairs()),
            "Names": lambda: Strings([k for k, _v in self.pairs()]),
            "Values": lambda: Strings([v for _k, v in self.pairs()]),
            "Remove": lambda keys: KV({k: v for k, v in self.items() if k not in keys}),
            "String": lambda: str(self),
        }


class Strings(GoSlice):
    """A list of strings that can join itself."""

    def __init__(self, values: Iterable[str]) -> None:
        super().__init__(list(values), "template.Strings")

    @property
    def methods(self) -> Mapping[str, Any]:
        return {"Join": lambda separator: separator.join(self)}


class Pairs(GoSlice):
    """Name and value pairs in order."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        super().__init__([GoStruct("template.Pair", {"Name": k, "Value": v}) for k, v in pairs], "template.Pairs")

    def __str__(self) -> str:
        return ", ".join(f"{p.fields['Name']}={p.fields['Value']}" for p in self)

    @property
    def methods(self) -> Mapping[str, Any]:
        return {
            "Names": lambda: Strings(p.fields["Name"] for p in self),
            "Values": lambda: Strings(p.fields["Value"] for p in self),
            "String": lambda: str(self),
        }


class Alerts(GoSlice):
    """The alerts of a notification; Firing and Resolved give a part."""

    def __init__(self, alerts: Iterable[GoStruct]) -> None:
        super().__init__(list(alerts), "template.Alerts")

    @property
    def methods(self) -> Mapping[str, Any]:
        return {
            "Firing": lambda: Alerts(a for a in self if a.fields["Status"] == "firing"),
            "Resolved": lambda: Alerts(a for a in self if a.fields["Status"] == "resolved"),
        }


ZERO_TIME_NS = -62_135_596_800 * 10**9
"""Go's zero time, 0001-01-01: the end of an alert that still fires."""


def common(sets: Iterable[Labels]) -> Labels:
    """The pairs that all sets have."""
    found = [dict(s) for s in sets]
    if not found:
        return ()
    return tuple((k, v) for k, v in sorted(found[0].items()) if all(o.get(k) == v for o in found[1:]))


def message_data(notification: Notification, external_url: str) -> GoStruct:
    """The dot of notification templates."""
    alerts = notification.alerts
    fields: dict[str, Any] = {
        "Receiver": notification.receiver,
        "Status": notification.status,
        "Alerts": Alerts(_alert(a) for a in alerts),
        "NotificationReason": notification.reason,
        "GroupLabels": KV(dict(notification.group_labels)),
        "CommonLabels": KV(dict(common(a.labels for a in alerts))),
        "CommonAnnotations": KV(dict(common(a.annotations for a in alerts))),
        "RouteLabels": KV(dict(notification.route_labels)),
        "ExternalURL": external_url,
    }
    return GoStruct("template.Data", fields, pointer=True)


def _alert(alert: NotifiedAlert) -> GoStruct:
    ends = ZERO_TIME_NS if alert.ends_at_ms is None else alert.ends_at_ms * 10**6
    return GoStruct(
        "template.Alert",
        {
            "Status": alert.status,
            "Labels": KV(dict(alert.labels)),
            "Annotations": KV(dict(alert.annotations)),
            "StartsAt": GoTime(alert.starts_at_ms * 10**6),
            "EndsAt": GoTime(ends),
            "GeneratorURL": alert.generator_url,
            "Fingerprint": alert.fingerprint,
        },
    )


def _join(separator: str, values: GoSlice | None) -> str:
    return separator.join(values or ())


def _to_json(value: Any) -> str:
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False, sort_keys=isinstance(value, dict))


def _plain(value: Any) -> Any:
    if isinstance(value, GoStruct):
        return {k[:1].lower() + k[1:]: _plain(v) for k, v in value.fields.items()}
    if isinstance(value, GoSlice):
        return [_plain(v) for v in value]
    if isinstance(value, GoTime):
        return str(value)
    return dict(value) if isinstance(value, GoMap) else value


def _dict(*values: Any) -> GoMap:
    if len(values) % 2:
        raise CallError("dict requires an even number of arguments")
    if not all(isinstance(k, str) for k in values[::2]):
        raise CallError("dict keys must be strings")
    return GoMap(dict(zip(values[::2], values[1::2])), "interface {}")


def _decode(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text.encode()).decode(errors="replace")
    except (binascii.Error, ValueError):
        raise CallError("illegal base64 data at input byte 0") from None


def _capitalized(text: str) -> str:
    return title_words(text.lower())


def message_functions(now_ms: int) -> dict[str, Function]:
    """Alertmanager's functions on top of Go's, as of a notification's time."""
    now = GoTime(now_ms * 10**6)
    shared = template_functions(TemplateContext())
    return {
        **BUILTINS,
        **{
            name: shared[name]
            for name in ("toUpper", "toLower", "match", "reReplaceAll", "humanizeDuration", "safeHtml")
        },
        "title": Function(_capitalized, ("string",)),
        "trimSpace": Function(lambda text: text.strip(), ("string",)),
        "join": Function(_join, ("string", "any")),
        "safeUrl": Function(lambda text: text, ("string",)),
        "urlUnescape": Function(lambda text: unquote_plus(text), ("string",)),
        "stringSlice": Function(lambda *values: GoSlice(values, "[]string"), (), "string"),
        "date": Function(lambda layout, time: time.format(layout), ("string", "time.Time")),
        "tz": Function(lambda _name, time: time, ("string", "time.Time")),
        "now": Function(lambda: now, ()),
        "since": Function(lambda time: GoDuration(now.ns - time.ns), ("time.Time",)),
        "toJson": Function(_to_json, ("any",)),
        "base64encode": Function(lambda text: base64.urlsafe_b64encode(text.encode()).decode(), ("string",)),
        "base64decode": Function(_decode, ("string",)),
        "list": Function(lambda *values: GoSlice(values), (), "any"),
        "append": Function(lambda values, *more: GoSlice([*values, *more]), ("any",), "any"),
        "dict": Function(_dict, (), "any"),
        "defaultSubject": Function(default_subject, ("any",)),
        "defaultAlertList": Function(default_alert_list, ("any",)),
    }


def default_subject(data: GoStruct) -> str:
    """`[FIRING:2] checkout (page eu-1)`: status, group labels, then what the alerts have in common beyond them."""
    fields = data.fields
    status = fields["Status"].upper()
    if fields["Status"] == "firing":
        status += f":{sum(a.fields['Status'] == 'firing' for a in fields['Alerts'])}"
    group, shared = fields["GroupLabels"], fields["CommonLabels"]
    text = f"[{status}] {' '.join(v for _k, v in group.pairs())} "
    if len(shared) > len(group):
        rest = " ".join(v for k, v in shared.pairs() if k not in group)
        text += f"({rest})"
    return text


def default_alert_list(alerts: GoSlice) -> str:
    """Each alert's labels, annotations and source as lines."""
    out = []
    for alert in alerts:
        for title, key in (("Labels", "Labels"), ("Annotations", "Annotations")):
            out.append(f"{title}:\n" + "".join(f" - {k} = {v}\n" for k, v in alert.fields[key].pairs()))
        out.append(f"Source: {alert.fields['GeneratorURL']}\n")
    return "".join(out)


_LISTS = (
    "{{ if gt (len .Alerts.Firing) 0 }}\nAlerts Firing:\n{{ defaultAlertList .Alerts.Firing }}{{ end }}"
    "{{ if gt (len .Alerts.Resolved) 0 }}\nAlerts Resolved:\n{{ defaultAlertList .Alerts.Resolved }}{{ end }}"
)
_ANNOTATED = '{{ .CommonAnnotations.SortedPairs.Values | join " " }}\n' + _LISTS
_LINK = "{{ .ExternalURL }}/#/alerts?receiver={{ .Receiver | urlquery }}"
_COLOUR = '{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}'
_DEFAULTS: dict[str, str] = {
    "__alertmanager": "Alertmanager",
    "__alertmanagerURL": _LINK,
    "__subject": "{{ defaultSubject . }}",
    "__description": "",
    "__text_alert_list": "{{ defaultAlertList . }}",
    "slack.default.title": "{{ defaultSubject . }}",
    "slack.default.username": "Alertmanager",
    "slack.default.fallback": "{{ defaultSubject . }} | " + _LINK,
    "slack.default.titlelink": _LINK,
    "slack.default.color": _COLOUR,
}
_EMPTY_SLACK = ("callbackid", "pretext", "iconemoji", "iconurl", "text", "footer")


def _default_texts() -> dict[str, str]:
    texts = _DEFAULTS | {f"slack.default.{name}": "" for name in _EMPTY_SLACK}
    subjects = (
        "pagerduty.default.description", "opsgenie.default.message", "victorops.default.entity_display_name",
        "pushover.default.title", "sns.default.subject", "discord.default.title", "msteams.default.summary",
        "msteams.default.title", "msteamsv2.default.title", "jira.default.summary", "rocketchat.default.title",
        "mattermost.default.title", "email.default.subject",
    )  # fmt: skip
    bodies = (
        "opsgenie.default.description", "wechat.default.message", "victorops.default.state_message",
        "pushover.default.message", "sns.default.message", "telegram.default.message", "discord.default.message",
        "webex.default.message", "msteams.default.text", "msteamsv2.default.text", "jira.default.description",
        "mattermost.default.text", "email.default.html",
    )  # fmt: skip
    links = (
        "pagerduty.default.clientURL", "opsgenie.default.source", "pushover.default.url",
        "rocketchat.default.titlelink", "mattermost.default.titlelink",
    )  # fmt: skip
    names = (
        "pagerduty.default.client", "victorops.default.monitoring_tool", "rocketchat.default.alias",
        "mattermost.default.username",
    )  # fmt: skip
    for group, text in (
        (subjects, "{{ defaultSubject . }}"),
        (bodies, _ANNOTATED),
        (links, _LINK),
        (names, "Alertmanager"),
    ):
        texts |= dict.fromkeys(group, text)
    texts["pagerduty.default.instances"] = "{{ defaultAlertList . }}"
    texts["mattermost.default.color"] = _COLOUR
    return texts


FUNCTION_NAMES = frozenset(message_functions(0))


class MessageTemplates:
    """The named templates that notification settings may use: Alertmanager's defaults, then the user's files over
    them.
    """

    def __init__(self, files: Mapping[str, str] | None = None) -> None:
        self.trees: dict[str, Tree] = {}
        self.errors: dict[str, str] = {}
        for name, text in _default_texts().items():
            self.trees |= parse(name, text, FUNCTION_NAMES)
        for name, text in (files or {}).items():
            try:
                self.trees |= parse(name, text, FUNCTION_NAMES)
            except TemplateError as error:
                self.errors[name] = str(error)

    def expand(self, text: str, data: GoStruct, now_ms: int) -> str:
        """A setting's text for one notification; `<error expanding template: …>` when it fails."""
        if "{{" not in text:
            return text
        try:
            trees = {**self.trees, **parse("", text, FUNCTION_NAMES)}
            return execute(trees, "", data, message_functions(now_ms))
        except (TemplateError, ExecutionError) as error:
            return f"<error expanding template: {error}>"


def receiver_link(external_url: str, receiver: str) -> str:
    """The page of Alertmanager's own interface that shows a receiver's alerts."""
    return f"{external_url}/#/alerts?receiver={quote(receiver, safe='')}"
