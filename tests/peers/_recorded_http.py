"""Compares an answer with a recorded one as the recording's README defines it: what is volatile is bound or matched by
shape, everything else is equal."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_AGE = re.compile(r"<unknown>|<invalid>|(?:\d+(?:y|d|h|ms|m|s))+")
_PORT_KEYS = ("nodePort", "healthCheckNodePort")
_TEXT_KEYS = ("message", "description")
_GENERATED = 5


class Bindings:
    """What a case has learnt: recorded ↔ actual values, and resourceVersions in their order."""

    def __init__(self, day: str) -> None:
        self.day = day[:10]
        self._there: dict[tuple[str, str], str] = {}
        self._back: dict[tuple[str, str], str] = {}
        self._revisions: list[tuple[int, int]] = []

    def bind(self, kind: str, recorded: str, actual: str) -> bool:
        """The same recorded value is always the same actual value, and the other way round."""
        known, back = self._there.get((kind, recorded)), self._back.get((kind, actual))
        if known is None and back is None:
            self._there[(kind, recorded)], self._back[(kind, actual)] = actual, recorded
            return True
        return known == actual and back == recorded

    def translated(self, text: str) -> str:
        """A recorded text with everything that is bound replaced."""
        for (kind, recorded), actual in self._there.items():
            if kind in ("uid", "name", "ip") and recorded in text:
                text = text.replace(recorded, actual)
        return text

    def revision(self, recorded: int, actual: int) -> bool:
        """An object's version: equal where equal, in the same order."""
        fits = all((r < recorded) == (a < actual) and (r == recorded) == (a == actual) for r, a in self._revisions)
        self._revisions.append((recorded, actual))
        return fits

    def list_revision(self, recorded: int, actual: int) -> bool:
        """A list's version: not older than what was recorded as older."""
        return not any(r <= recorded and a > actual for r, a in self._revisions)


class Comparison:
    """One step. `first`: the first difference, "" when there is none."""

    def __init__(self, bindings: Bindings, ignored: Iterable[str], subset: bool, owners: bool) -> None:
        self._bindings = bindings
        self._ignored = [pattern.strip("/").split("/") for pattern in ignored]
        self._subset = subset
        self._owners = owners
        self.first = ""

    def differs(self, path: str, recorded: Any, actual: Any) -> None:
        if not self.first:
            self.first = f"{path or '/'}: recorded {_short(recorded)}, got {_short(actual)}"

    def compare(self, recorded: Any, actual: Any, path: str = "", parent: Any = None) -> None:
        """Walk both; null and absent are the same."""
        key = path.rsplit("/", 1)[-1]
        if self._is_ignored(path) or (recorded is None and actual is None):
            return
        if key == "managedFields" and not self._owners:
            return
        if recorded is None and self._subset:
            return
        if key in _TEXT_KEYS and isinstance(recorded, str) and parent is not None:
            return
        if isinstance(recorded, dict):
            self._maps(recorded, actual, path)
        elif isinstance(recorded, list):
            self._lists(recorded, actual, path, key)
        elif isinstance(recorded, str):
            if not isinstance(actual, str) or not self._same_text(recorded, actual, key, parent):
                self.differs(path, recorded, actual)
        elif key in _PORT_KEYS and isinstance(recorded, int) and recorded:
            good = isinstance(actual, int) and 30_000 <= actual <= 32_767
            if not good or not self._bindings.bind("port", str(recorded), str(actual)):
                self.differs(path, recorded, actual)
        elif recorded != actual or isinstance(recorded, bool) != isinstance(actual, bool):
            self.differs(path, recorded, actual)

    def _is_ignored(self, path: str) -> bool:
        parts = path.strip("/").split("/")
        for pattern in self._ignored:
            if pattern[0] == "**":
                rest = pattern[1:]
                if parts[-len(rest) :] == rest:
                    return True
            elif len(parts) >= len(pattern) and all(want in ("*", part) for want, part in zip(pattern, parts)):
                return True
        return False

    def _maps(self, recorded: Mapping[str, Any], actual: Any, path: str) -> None:
        if not isinstance(actual, dict):
            self.differs(path, recorded, actual)
            return
        prefix = recorded.get("generateName")
        for key in sorted({*recorded, *actual}):
            one, other = recorded.get(key), actual.get(key)
            if key == "name" and prefix and isinstance(one, str) and one.startswith(prefix) and isinstance(other, str):
                good = other.startswith(prefix) and len(other) == len(prefix) + _GENERATED
                if not good or not self._bindings.bind("name", one, other):
                    self.differs(f"{path}/name", one, other)
                continue
            self.compare(one, other, f"{path}/{key}", recorded)

    def _lists(self, recorded: list[Any], actual: Any, path: str, key: str) -> None:
        if not isinstance(actual, list):
            self.differs(path, recorded, actual)
            return
        if self._subset:
            self._some(recorded, actual, path)
            return
        if key in ("causes", "managedFields"):
            recorded, actual = sorted(recorded, key=self._order), sorted(actual, key=self._order)
        if len(recorded) != len(actual):
            self.differs(f"{path}/#", len(recorded), len(actual))
        for index, (one, other) in enumerate(zip(recorded, actual)):
            # Cells and other plain items are judged by the name of their list.
            self.compare(one, other, f"{path}/{index}", {"list": key})

    def _order(self, entry: Any) -> tuple[str, ...]:
        names = ("field", "reason", "manager", "operation", "apiVersion", "subresource")
        found = tuple(str(entry.get(name)) for name in names)
        return (*found, self._bindings.translated(str(entry.get("message"))))

    def _some(self, recorded: list[Any], actual: list[Any], path: str) -> None:
        """Everything recorded must be there; more may be."""
        for index, one in enumerate(recorded):
            name = _identity(one)
            found = next((other for other in actual if other == one or (name and _identity(other) == name)), None)
            if found is None:
                self.differs(f"{path}/{index}", one, None)
            elif name:
                self.compare(one, found, f"{path}/{index}", {"list": ""})

    def _same_text(self, recorded: str, actual: str, key: str, parent: Any) -> bool:
        bindings = self._bindings
        if key == "resourceVersion" and recorded.isdigit():
            if not actual.isdigit():
                return False
            of_object = isinstance(parent, Mapping) and ("uid" in parent or "name" in parent)
            judge = bindings.revision if of_object else bindings.list_revision
            return judge(int(recorded), int(actual))
        if _UID.fullmatch(recorded):
            return _UID.fullmatch(actual) is not None and bindings.bind("uid", recorded, actual)
        if _TIME.fullmatch(recorded) and recorded[:10] >= bindings.day:
            return _TIME.fullmatch(actual) is not None and ("." in recorded) == ("." in actual)
        listed = parent.get("list", "") if isinstance(parent, Mapping) else ""
        if (key == "clusterIP" or listed == "clusterIPs") and _is_address(recorded):
            return _is_address(actual) and bindings.bind("ip", recorded, actual)
        if key == "continue" and recorded:
            return bool(actual)
        if key == "token" and recorded.count(".") == 2 and len(recorded) > 100:
            return actual.count(".") == 2 and len(actual) > 60
        if listed == "cells" and _AGE.fullmatch(recorded) and _AGE.fullmatch(actual):
            return True
        if recorded == actual or bindings.translated(recorded) == actual:
            return True
        pairs = list(zip(_UID.findall(recorded), _UID.findall(actual)))
        return (
            bool(pairs)
            and all(bindings.bind("uid", *pair) for pair in pairs)
            and bindings.translated(recorded) == actual
        )


def _identity(entry: Any) -> str:
    """What items of discovery lists are recognised by."""
    if not isinstance(entry, Mapping):
        return ""
    metadata = entry.get("metadata") or {}
    for value in (
        metadata.get("name"), entry.get("name"), entry.get("resource"), entry.get("subresource"),
        entry.get("groupVersion"), entry.get("version"), entry.get("clientCIDR"), entry.get("verbs"),
        entry.get("group"),
    ):  # fmt: skip
        if value:
            return str(value) + str(entry.get("nonResourceURLs", "")) + str(entry.get("resources", ""))[:60]
    return ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 90 else text[:87] + "..."
