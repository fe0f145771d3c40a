"""The push gateway: pages of short-lived jobs, kept by grouping key and exposed until they are replaced or deleted.

Follows prometheus/pushgateway 1.6: PUT replaces a group, POST replaces metrics of the same name in it, DELETE removes
it; paths carry labels, `name@base64` their odd values. Pure over bytes and time; `wire.prometheus` routes requests
here, and `page` is scraped like any target (with honor_labels).
"""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import zlib
from dataclasses import dataclass, field
from urllib.parse import unquote

from pilothouse.engines.tsdb import Labels, label_value
from pilothouse.signals.metrics.exposition import read_page, write_text
from pilothouse.signals.metrics.page import Dialect

BODY_BYTES = 16 * 1024 * 1024
"""One push; a job that has more to say should be scraped."""
GROUPS = 10_000
"""Groups kept; a job that puts a unique value into its key would otherwise fill memory."""

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_Sample = tuple[Labels, float]


class PushRefused(Exception):
    """A push that is not taken: HTTP status and the reason."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class _Family:
    kind: str
    help: str
    samples: list[_Sample]


@dataclass(slots=True)
class _Group:
    families: dict[str, _Family] = field(default_factory=dict)
    pushed_s: float = 0.0
    failed_s: float = 0.0


class PushGateway:
    """All groups. Nothing expires by itself, as upstream."""

    def __init__(self) -> None:
        self._groups: dict[Labels, _Group] = {}

    def push(
        self, method: str, path: str, body: bytes, content_type: str, time_s: float, encoding: str = ""
    ) -> tuple[int, str]:
        """Takes PUT, POST or DELETE below /metrics; (status, text) of the answer. PushRefused says why not."""
        key = grouping_key(path)
        if method == "DELETE":
            self._groups.pop(key, None)
            return 202, ""
        if method not in ("PUT", "POST"):
            raise PushRefused(405, "Method Not Allowed")
        if key not in self._groups and len(self._groups) >= GROUPS:
            raise PushRefused(507, f"limit of {GROUPS} groups reached; delete groups that are not used any more")
        group = self._groups.get(key, _Group())
        try:
            families = _families(_unpacked(body, encoding), content_type, key)
        except PushRefused:
            if key in self._groups:
                group.failed_s = time_s
            raise
        group.families = families if method == "PUT" else {**group.families, **families}
        group.pushed_s = time_s
        self._groups[key] = group
        return 200, ""

    def delete_all(self) -> None:
        self._groups.clear()

    def page(self) -> str:
        """Everything pushed as one text page, with push_time_seconds and push_failure_time_seconds per group."""
        merged: dict[str, _Family] = {}
        for group in self._groups.values():
            for name, family in group.families.items():
                known = merged.setdefault(name, _Family(family.kind, family.help, []))
                known.samples.extend(family.samples)
        for name, help_text, times in (
            (
                "push_failure_time_seconds",
                "Last Unix time when changing this group in the Pushgateway failed.",
                "failed_s",
            ),
            ("push_time_seconds", "Last Unix time when changing this group in the Pushgateway succeeded.", "pushed_s"),
        ):
            samples = [(_named(name, key), getattr(group, times)) for key, group in self._groups.items()]
            if samples:
                merged[name] = _Family("gauge", help_text, samples)
        return write_text((name, family.kind, family.help, family.samples) for name, family in sorted(merged.items()))


def _named(name: str, key: Labels) -> Labels:
    """A gateway's own metric: grouping labels plus an empty instance, which keeps honor_labels from adding ours."""
    labels = {"instance": "", **dict(key), "__name__": name}
    return tuple(sorted(labels.items()))


def grouping_key(path: str) -> Labels:
    """Labels of `/metrics/job/x{/label/value}`; PushRefused(400) when the path is none."""
    parts = path.strip("/").split("/")
    if parts[:1] != ["metrics"] or len(parts) < 3 or len(parts) % 2 == 0:
        raise PushRefused(400, "the path must be /metrics/job/<job>{/<label>/<value>}")
    labels: dict[str, str] = {}
    for name, value in zip(parts[1::2], parts[2::2]):
        name, encoded = (name.removesuffix("@base64"), True) if name.endswith("@base64") else (name, False)
        if not _LABEL_NAME.fullmatch(name) or name.startswith("__"):
            raise PushRefused(400, f'improper label name "{name}"')
        labels[name] = _decoded(unquote(value)) if encoded else unquote(value)
    if next(iter(labels)) != "job" or not labels["job"]:
        raise PushRefused(400, "job name is required")
    return tuple(sorted(labels.items()))


def _decoded(value: str) -> str:
    """URL-safe base64, padded or not; a lone `=` is the empty string."""
    text = value.rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as why:
        raise PushRefused(400, f'invalid base64 encoding in label value "{value}": {why}') from None


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding.lower() == "gzip":
        try:
            body = zlib.decompressobj(wbits=31).decompress(body, BODY_BYTES + 1)
        except (zlib.error, gzip.BadGzipFile) as why:
            raise PushRefused(400, f"gzip: {why}") from None
    if len(body) > BODY_BYTES:
        raise PushRefused(413, f"a push may have at most {BODY_BYTES} bytes")
    return body


def _families(body: bytes, content_type: str, key: Labels) -> dict[str, _Family]:
    """The page's families under the grouping labels, which win over the samples' own."""
    page = read_page(body, content_type, Dialect.PROMETHEUS_2)
    if page.error:
        raise PushRefused(400, f"text format parsing error in line {page.error.line}: {page.error.message}")
    if page.times_ms:
        raise PushRefused(400, "pushed metrics must not have timestamps")
    kinds = {line.metric: line.text for line in page.shape.metadata if line.field == "type"}
    helps = {line.metric: line.text for line in page.shape.metadata if line.field == "help"}
    found: dict[str, _Family] = {}
    seen: dict[Labels, None] = {}
    for exposed, value in zip(page.shape.labels, page.values):
        name = label_value(exposed, "__name__")
        family = _family_of(name, kinds)
        labels = tuple(sorted({"instance": "", **dict(exposed), **dict(key)}.items()))
        if labels in seen:
            raise PushRefused(400, f'pushed metrics are invalid or inconsistent: "{name}" was collected before')
        seen[labels] = None
        entry = found.setdefault(family, _Family(kinds.get(family, "untyped"), helps.get(family, ""), []))
        entry.samples.append((labels, value))
    return found


def _family_of(name: str, kinds: dict[str, str]) -> str:
    """The family of a sample: of histograms and summaries the name without its suffix."""
    for suffix, wanted in (("_bucket", ("histogram",)), ("_sum", _PARTED), ("_count", _PARTED)):
        family = name.removesuffix(suffix)
        if family != name and kinds.get(family) in wanted:
            return family
    return name


_PARTED = ("histogram", "summary")
