"""Reads fields of a document one by one and remembers what was wrong, with the place and a remedy. No kind's own
rules here.

A `Fields` stands on one mapping. Each reader returns the value, or the default when the field is absent or wrong; a
wrong one leaves a Finding. `close()` reports the fields that nobody asked for, with the nearest known name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

from pilothouse.base import quantity
from pilothouse.base.duration import parse_duration_s
from pilothouse.base.errors import Finding, Place
from pilothouse.base.manifests import Document
from pilothouse.base.yaml_dialect import PathPart

_RATE = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)\s*(rps|/s|req/s|rpm|/m|req/m)?")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_BOUND = re.compile(r"(<=|>=|<|>)?\s*\$?\s*([0-9]+\.?[0-9]*|\.[0-9]+)\s*(%)?")

LONGEST_S = 400 * 86400.0
"""Beyond 400 days a duration is a slip of the unit, not a wish."""


class Fields:
    """One mapping of a document, and the findings it leads to (shared by all that come from the same document)."""

    def __init__(
        self, document: Document, path: tuple[PathPart, ...], value: dict[str, Any], findings: list[Finding]
    ) -> None:
        self.document, self.path, self.value, self.findings = document, path, value, findings
        self._asked: list[str] = []

    @property
    def place(self) -> Place:
        return self.document.place_of(self.path)

    @property
    def where(self) -> str:
        """The path as people write it: `spec.events[2].load`."""
        text = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in self.path)
        return text.lstrip(".") or "the document"

    def wrong(self, code: str, message: str, remedy: str, key: str = "", severity: str = "error") -> None:
        path = (*self.path, key) if key else self.path
        at = f"{self.where}.{key}" if key else self.where
        self.findings.append(Finding(code, f"{at}: {message}", self.document.place_of(path), remedy, severity))

    def has(self, key: str) -> bool:
        return self.value.get(key) is not None

    def take(self, key: str) -> Any:
        """The raw value, marked as known; None when absent."""
        if key not in self._asked:
            self._asked.append(key)
        return self.value.get(key)

    def close(self, *also: str) -> None:
        """Reports unknown fields; `also`: names that are known but were not read."""
        known = [*self._asked, *also]
        for key in self.value:
            if key in known:
                continue
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
            listed = ", ".join(known)
            remedy = f"did you mean `{near[0]}`?" if near else f"known fields: {listed}" if known else "take it out"
            self.wrong("PH401", "unknown field", remedy, key)

    # --- values

    def text(self, key: str, default: str = "", *, required: bool = False) -> str:
        value = self.take(key)
        if value is None:
            if required:
                self.wrong("PH402", f"`{key}` is missing", f"add `{key}: …`")
            return default
        if isinstance(value, str) and value:
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
        remedy = "write text"
        if isinstance(value, bool):
            remedy = "quote it: YAML reads y, yes, on, n, no and off as true and false"
        self.wrong("PH403", f"{_shown(value)} is not text", remedy, key)
        return default

    def choice(self, key: str, options: Sequence[str], default: str) -> str:
        value = self.text(key, default)
        if value in options or value == default:
            return value
        near = difflib.get_close_matches(value, options, n=1)
        guess = f"did you mean `{near[0]}`? " if near else ""
        self.wrong("PH404", f"{value!r} is none of the known ones", f"{guess}known: {', '.join(options)}", key)
        return default

    def flag(self, key: str, default: bool) -> bool:
        value = self.take(key)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.wrong("PH403", f"{_shown(value)} is neither true nor false", "write true or false", key)
        return default

    def duration(self, key: str, default: float | None = None, *, least: float = 0.0) -> float | None:
        """Seconds of a Go duration; `least` is the smallest that makes sense."""
        value = self.take(key)
        if value is None:
            return default
        seconds = self._duration(key, value)
        if seconds is None:
            return default
        if seconds < least or seconds > LONGEST_S:
            why = "is negative" if seconds < 0 else "is too short" if seconds < least else "is longer than 400 days"
            self.wrong("PH406", f"{_shown(value)} {why}", "write a duration such as 90s, 20m or 24h", key)
            return default
        return seconds

    def _duration(self, key: str, value: Any) -> float | None:
        if value == 0 and not isinstance(value, bool):
            return 0.0
        if isinstance(value, str):
            try:
                return parse_duration_s(value)
            except (ValueError, IndexError):
                pass
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
        unit = f"`{value}s` for seconds" if number else "for example 90s, 20m, 1h30m"
        self.wrong("PH405", f"{_shown(value)} is not a duration", f"write {unit}", key)
        return None

    def number(self, key: str, default: float | None, *, least: float = 0.0, most: float = 1e9) -> float | None:
        value = self.take(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.wrong("PH403", f"{_shown(value)} is not a number", "write a plain number", key)
            return default
        return float(value) if self._within(key, value, float(value), least, most) else default

    def whole(self, key: str, default: int | None, *, least: int = 0, most: int = 1_000_000) -> int | None:
        value = self.take(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong("PH403", f"{_shown(value)} is not a whole number", "write a whole number", key)
            return default
        return value if self._within(key, value, value, least, most) else default

    def ratio(self, key: str, default: float | None, *, most: float = 1.0) -> float | None:
        """0.05 or `5%`, as 0..1."""
        value = self.take(key)
        if value is None:
            return default
        match = _BOUND.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is not None and not match[1] and "$" not in str(value):
            number = float(match[2]) / (100 if match[3] else 1)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            number = float(value)
        else:
            self.wrong("PH403", f"{_shown(value)} is not a share", "write 5% or 0.05", key)
            return default
        return number if self._within(key, value, number, 0.0, most) else default

    def rate(self, key: str, default: float | None) -> float | None:
        """Requests per second: 50, `50rps`, `3000rpm`."""
        value = self.take(key)
        if value is None:
            return default
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            number = float(value)
        else:
            match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
            if match is None:
                self.wrong("PH403", f"{_shown(value)} is not a rate", "write 50rps or 3000rpm", key)
                return default
            number = float(match[1]) / (60 if match[2] and match[2].endswith("m") else 1)
        return number if self._within(key, value, number, 0.0, 1e7) else default

    def clock(self, key: str, default_s: float) -> float:
        """Seconds since midnight of `"14:00"`."""
        value = self.take(key)
        if value is None:
            return default_s
        match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            self.wrong("PH403", f"{_shown(value)} is not a time of day", 'write it quoted: "14:00"', key)
            return default_s
        return int(match[1]) * 3600.0 + int(match[2]) * 60.0

    def quantity(self, key: str) -> str:
        """A Kubernetes quantity, as text; "" when absent."""
        value = self.take(key)
        if value is None:
            return ""
        try:
            parsed = quantity.parse(str(value))
        except ValueError:
            self.wrong("PH403", f"{_shown(value)} is not a quantity", "write 500m, 2, 512Mi or 2Gi", key)
            return ""
        return str(value) if self._within(key, value, float(parsed), 0.0, 1e18) else ""

    def bound(self, key: str) -> tuple[str, float] | None:
        """(`<`, `<=`, `>`, `>=` or "", number) of `"< $1.00"`, `">= 95%"`, 0.95."""
        value = self.take(key)
        if value is None:
            return None
        text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
        match = _BOUND.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None:
            self.wrong("PH403", f"{_shown(value)} is not a comparison", 'write it quoted: ">= 0.95" or "< $1.00"', key)
            return None
        return match[1] or "", float(match[2]) / (100 if match[3] else 1)

    def _within(self, key: str, value: Any, number: float, least: float, most: float) -> bool:
        if least <= number <= most:
            return True
        if number < 0:
            what = f"{_shown(value)} is negative"
        elif number < least:
            what = f"{_shown(value)} is less than {least:g}"
        else:
            what = f"{_shown(value)} is more than {most:g}"
        self.wrong("PH406", what, f"write a value from {least:g} to {most:g}", key)
        return False

    # --- structure

    def child(self, key: str) -> Fields | None:
        """The mapping below `key`; None when absent or not a mapping."""
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong("PH403", f"{_shown(value)} is not a mapping", f"write `{key}: {{…}}`", key)
            return None
        return Fields(self.document, (*self.path, key), value, self.findings)

    def entries(self, key: str) -> list[Fields]:
        """The mappings of the list below `key`; items that are something else are reported and left out."""
        out = []
        for index, item in enumerate(self.items(key)):
            at = Fields(self.document, (*self.path, key, index), item if isinstance(item, dict) else {}, self.findings)
            if isinstance(item, dict):
                out.append(at)
            else:
                at.wrong("PH403", f"{_shown(item)} is not a mapping", "write `- {…}`")
        return out

    def items(self, key: str) -> list[Any]:
        value = self.take(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong("PH403", f"{_shown(value)} is not a list", f"write `{key}: [ … ]` or one `- …` per line", key)
            return []
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.take(key)
        if isinstance(value, str):
            return (value,)
        out = []
        for item in self.items(key):
            if isinstance(item, str) and item:
                out.append(item)
            else:
                self.wrong("PH403", f"{_shown(item)} is not text", "write a list of texts", key)
        return tuple(out)

    def known(self, key: str, name: str, what: str, names: Sequence[str], *, code: str = "PH407") -> bool:
        """Is `name` among `names`? Reports it with the nearest one else. PH404: names we know, PH407: the user's."""
        if name in names:
            return True
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        if near:
            remedy = f"did you mean `{near[0]}`?"
        else:
            remedy = f"there are: {', '.join(names[:6])}{', …' if len(names) > 6 else ''}" if names else ""
            remedy = remedy or f"none of the files given has a {what}; add the folder to `use:` or to the command"
        where = "" if code == "PH404" else " in the files given"
        self.wrong(code, f"there is no {what} `{name}`{where}", remedy, key)
        return False


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is True or value is False:
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
