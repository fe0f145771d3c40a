"""Silences as Alertmanager's API and `amtool silence query -o json` give them. Reads one file."""

from __future__ import annotations

from typing import Any

import orjson

from pilothouse.base import manifest_errors
from pilothouse.base.clock import parse_rfc3339
from pilothouse.base.errors import Finding, Place
from pilothouse.engines.alerting.alertmanager import Matcher, Silence, silence_id
from pilothouse.engines.alerting.alertmanager.matchers import make_matcher
from pilothouse.engines.alerting.codes import finding


def read_silences(path: str) -> tuple[list[Silence], list[Finding]]:
    """A JSON list of silences: matchers, startsAt, endsAt, comment. What is wrong is left out and said."""
    try:
        with open(path, "rb") as file:
            document = orjson.loads(file.read())
    except FileNotFoundError:
        return [], [manifest_errors.missing(path)]
    except OSError as error:
        return [], [manifest_errors.unreadable(path, error)]
    except orjson.JSONDecodeError as error:
        return [], [_wrong(path, f"is not JSON: {error.msg}", error.lineno)]
    if not isinstance(document, list):
        return [], [_wrong(path, "is no list of silences")]
    silences, findings = [], []
    for number, entry in enumerate(document, 1):
        try:
            silences.append(_silence(entry))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            findings.append(_wrong(path, f"silence {number}: {error or type(error).__name__}"))
    return silences, findings


def _silence(entry: dict[str, Any]) -> Silence:
    matchers = tuple(_matcher(m) for m in entry["matchers"])
    if not matchers:
        raise ValueError("it has no matcher")
    starts_ms = round(parse_rfc3339(entry["startsAt"]) * 1000)
    ends_ms = round(parse_rfc3339(entry["endsAt"]) * 1000)
    id = str(entry.get("id") or silence_id(matchers, starts_ms))
    return Silence(id, matchers, starts_ms, ends_ms, str(entry.get("comment", "")), str(entry.get("createdBy", "")))


def _matcher(entry: dict[str, Any]) -> Matcher:
    op = _OPERATORS[bool(entry.get("isEqual", True)), bool(entry.get("isRegex"))]
    return make_matcher(str(entry["name"]), op, str(entry["value"]))


_OPERATORS = {(True, False): "=", (True, True): "=~", (False, False): "!=", (False, True): "!~"}
"""By isEqual and isRegex."""


def _wrong(path: str, message: str, line: int = 0) -> Finding:
    return finding("PH267", message, Place(path, line), "give what `amtool silence query -o json` prints")
