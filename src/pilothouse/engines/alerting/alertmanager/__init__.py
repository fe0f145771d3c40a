"""Alertmanager 0.28's routing as a pure state machine, and the reading of its configuration.

Public face below. Neighbours: `gotemplate` for notification texts, nothing of rules but label sets. Called by
whoever turns
rule transitions into notifications, in rehearsal, backtest and live.
"""

from pilothouse.engines.alerting.alertmanager.alerts import (
    Held,
    HeldAlert,
    Notification,
    NotifiedAlert,
    Silence,
    fingerprint,
    silence_id,
)  # fmt: skip
from pilothouse.engines.alerting.alertmanager.config import Config, InhibitRule, Integration, Receiver, Route
from pilothouse.engines.alerting.alertmanager.config_file import parse_config
from pilothouse.engines.alerting.alertmanager.dispatch import AlertmanagerState
from pilothouse.engines.alerting.alertmanager.matchers import Matcher, parse_matchers

__all__ = [
    "AlertmanagerState",
    "Config",
    "Held",
    "HeldAlert",
    "InhibitRule",
    "Integration",
    "Matcher",
    "Notification",
    "NotifiedAlert",
    "Receiver",
    "Route",
    "Silence",
    "fingerprint",
    "parse_config",
    "parse_matchers",
    "silence_id",
]
