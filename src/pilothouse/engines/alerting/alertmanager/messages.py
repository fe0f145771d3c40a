"""Notifications as their receivers get them: webhook JSON (version 4), Slack's attachment JSON, e-mail as text.

Other integrations come out in the webhook's form: what matters to a rehearsal is who was told what and when.
Sources: notify/webhook/webhook.go, notify/slack/slack.go, config/notifiers.go (0.28).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilothouse.base.clock import datetime_of
from pilothouse.engines.alerting.alertmanager.alerts import Notification, NotifiedAlert
from pilothouse.engines.alerting.alertmanager.config import Config
from pilothouse.engines.alerting.alertmanager.message_data import MessageTemplates, common, message_data
from pilothouse.engines.alerting.gotemplate.values import GoStruct
from pilothouse.engines.alerting.rule_file import text_of


@dataclass(frozen=True, slots=True)
class Message:
    """kind: webhook, slack, email, …; target: URL, channel or address; body: JSON data, or text for e-mail."""

    kind: str
    target: str
    body: Any


class Renderer:
    """Turns notifications into messages. files: the user's template files by name; external_url: Alertmanager's own."""

    def __init__(self, config: Config, external_url: str = "", files: Mapping[str, str] | None = None) -> None:
        self.config = config
        self.external_url = external_url
        self.templates = MessageTemplates(files)

    def render(self, notification: Notification) -> Message:
        """The message of one notification."""
        data = message_data(notification, self.external_url)
        match notification.integration.kind:
            case "slack":
                return self._slack(notification, data)
            case "email":
                return self._email(notification, data)
        settings = notification.integration.settings
        url = text_of(settings.get("url") or settings.get("api_url") or settings.get("webhook_url"))
        target = self.templates.expand(url, data, notification.time_ms)
        body = webhook_body(notification, self.external_url, int(text_of(settings.get("max_alerts")) or 0))
        return Message(notification.integration.kind, target, body)

    def _slack(self, notification: Notification, data: GoStruct) -> Message:
        settings = notification.integration.settings

        def text(key: str, default: str = "") -> str:
            return self.templates.expand(text_of(settings.get(key, default)), data, notification.time_ms)

        def named(key: str) -> str:
            return text(key, f'{{{{ template "slack.default.{key.replace("_", "")}" . }}}}')

        attachment: dict[str, Any] = {
            "title": named("title"),
            "title_link": named("title_link"),
            "pretext": named("pretext"),
            "text": named("text"),
            "fallback": named("fallback"),
            "callback_id": named("callback_id"),
        }
        for key in ("image_url", "thumb_url"):
            attachment[key] = text(key)
        attachment["footer"], attachment["color"] = named("footer"), named("color")
        self._slack_parts(attachment, settings, data, notification.time_ms)
        kept = {k: v for k, v in attachment.items() if v or k in ("text", "fallback")}
        kept["mrkdwn_in"] = settings.get("mrkdwn_in") or ["fallback", "pretext", "text"]
        body = {
            "channel": text("channel"),
            "username": named("username"),
            "icon_emoji": named("icon_emoji"),
            "icon_url": named("icon_url"),
            "link_names": text_of(settings.get("link_names")) == "true",
            "text": text("message_text"),
            "attachments": [kept],
        }
        shown = {k: v for k, v in body.items() if v}
        target = text_of(settings.get("channel")) or text_of(settings.get("api_url"))
        return Message("slack", self.templates.expand(target, data, notification.time_ms), shown)

    def _slack_parts(
        self, attachment: dict[str, Any], settings: Mapping[str, Any], data: GoStruct, now_ms: int
    ) -> None:
        def each(entry: Mapping[str, Any], *keys: str) -> dict[str, Any]:
            return {k: self.templates.expand(text_of(entry.get(k)), data, now_ms) for k in keys if entry.get(k)}

        fields = [f for f in settings.get("fields") or () if isinstance(f, Mapping)]
        if fields:
            short = settings.get("short_fields", False)
            attachment["fields"] = [
                {**each(f, "title", "value"), "short": text_of(f.get("short", short)) == "true"} for f in fields
            ]
        actions = [a for a in settings.get("actions") or () if isinstance(a, Mapping)]
        if actions:
            attachment["actions"] = [each(a, "type", "text", "url", "style", "name", "value") for a in actions]

    def _email(self, notification: Notification, data: GoStruct) -> Message:
        settings, shared = notification.integration.settings, self.config.global_settings

        def text(value: Any) -> str:
            return self.templates.expand(text_of(value), data, notification.time_ms)

        to = text(settings.get("to"))
        headers = {
            "From": text(settings.get("from") or shared.get("smtp_from")),
            "To": to,
            "Subject": text('{{ template "email.default.subject" . }}'),
            "Date": f"{datetime_of(notification.time_ms / 1000):%a, %d %b %Y %H:%M:%S} +0000",
        }
        for name, value in (settings.get("headers") or {}).items():
            headers[str(name).title()] = text(value)
        plain = text(settings.get("text") or '{{ template "email.default.html" . }}')
        head = "".join(f"{k}: {v}\n" for k, v in headers.items())
        return Message("email", to, f"{head}Content-Type: text/plain; charset=UTF-8\n\n{plain}\n")


def webhook_body(notification: Notification, external_url: str, max_alerts: int = 0) -> dict[str, Any]:
    """The JSON of a webhook, version 4; max_alerts 0 keeps all alerts."""
    alerts = notification.alerts[:max_alerts] if max_alerts > 0 else notification.alerts
    return {
        "receiver": notification.receiver,
        "status": notification.status,
        "alerts": [_alert(a) for a in alerts],
        "groupLabels": dict(notification.group_labels),
        "commonLabels": dict(common(a.labels for a in notification.alerts)),
        "commonAnnotations": dict(common(a.annotations for a in notification.alerts)),
        "externalURL": external_url,
        "version": "4",
        "groupKey": notification.group_key,
        "truncatedAlerts": len(notification.alerts) - len(alerts),
    }


def _alert(alert: NotifiedAlert) -> dict[str, Any]:
    return {
        "status": alert.status,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": wire_time(alert.starts_at_ms),
        "endsAt": "0001-01-01T00:00:00Z" if alert.ends_at_ms is None else wire_time(alert.ends_at_ms),
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    }


def wire_time(ms: int) -> str:
    """RFC 3339 with as many decimals as needed, as Go writes times to JSON."""
    moment = f"{datetime_of(ms // 1000):%Y-%m-%dT%H:%M:%S}"
    return f"{moment}.{ms % 1000:03d}".rstrip("0") + "Z" if ms % 1000 else moment + "Z"
