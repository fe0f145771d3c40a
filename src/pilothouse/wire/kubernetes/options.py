"""The options of lists, watches and writes, read and checked as upstream validates them (apimachinery 1.36
`apis/meta/internalversion/validation`, `apis/meta/v1/validation`)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from pilothouse.base import selectors
from pilothouse.base.errors import BadRequest, Cause
from pilothouse.engines.schema import wording
from pilothouse.wire.kubernetes import fields
from pilothouse.wire.kubernetes.request import Request, is_true
from pilothouse.wire.kubernetes.resources import Resource
from pilothouse.wire.kubernetes.statuses import PlainInternal, invalid_options


@dataclass(slots=True)
class ListOptions:
    """What a list or watch asks for. match: a test of objects, or None for all; revision: "" when not given."""

    labels: selectors.Selector | None
    terms: list[fields.Term]
    match: fields.Matcher | None
    limit: int
    token: str
    revision: str
    revision_match: str
    timeout_s: float
    bookmarks: bool
    initial: bool | None

    @property
    def filtered(self) -> bool:
        return self.match is not None


def read_list(request: Request, resource: Resource, watching: bool) -> ListOptions:
    """Options of a list or watch; BadRequest or Invalid when they make no sense."""
    query = request.query
    labels = _labels(query.get("labelSelector", ""))
    terms = fields.known_terms(resource, query["fieldSelector"]) if query.get("fieldSelector") else []
    target = request.target
    if target is not None and target.name and target.verb in ("watch", "list"):
        terms = [*terms, ("metadata.name", "=", target.name)]
    initial = None if "sendInitialEvents" not in query else is_true(query["sendInitialEvents"])
    options = ListOptions(
        labels,
        terms,
        _matcher(labels, terms),
        _integer(query, "limit"),
        query.get("continue", ""),
        query.get("resourceVersion", ""),
        query.get("resourceVersionMatch", ""),
        _integer(query, "timeoutSeconds"),
        is_true(query.get("allowWatchBookmarks")),
        initial,
    )
    causes = _watch_causes(options) if watching else _list_causes(options)
    if causes:
        raise invalid_options("ListOptions", causes)
    if options.revision and not options.revision.isdigit():
        if watching:
            raise PlainInternal(f'strconv.ParseUint: parsing "{options.revision}": invalid syntax')
        cause = wording.invalid(
            "resourceVersion", options.revision, f'strconv.ParseUint: parsing "{options.revision}": invalid syntax'
        )
        raise BadRequest(f"resourceVersion: {cause.message}")
    return options


def _matcher(labels: selectors.Selector | None, terms: list[fields.Term]) -> fields.Matcher | None:
    if labels is None and not terms:
        return None
    by_field = fields.matcher(terms) if terms else None
    if labels is None:
        return by_field
    chosen = labels

    def matches(obj: Mapping[str, Any]) -> bool:
        return chosen.matches(obj["metadata"].get("labels") or {}) and (by_field is None or by_field(obj))

    return matches


def _labels(text: str) -> selectors.Selector | None:
    if not text:
        return None
    try:
        selector = selectors.parse(text)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    return selector if selector.requirements else None


def _integer(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    if not text:
        return 0
    try:
        return int(text)
    except ValueError:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


_MATCHES = ("Exact", "NotOlderThan", "")


def _list_causes(options: ListOptions) -> list[Cause]:
    if options.initial is not None:
        return [wording.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")]
    match = options.revision_match
    if not match:
        return []
    field = "resourceVersionMatch"
    if not options.revision:
        return [wording.forbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided")]
    if options.token:
        return [wording.forbidden(field, "resourceVersionMatch is forbidden when continue is provided")]
    if match not in _MATCHES:
        return [wording.unsupported(field, match, _MATCHES)]
    if match == "Exact" and options.revision == "0":
        return [wording.forbidden(field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')]
    return []


def _watch_causes(options: ListOptions) -> list[Cause]:
    field = "resourceVersionMatch"
    if options.initial is None:
        if options.revision_match:
            text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            return [wording.forbidden(field, text)]
        return []
    out = []
    if options.revision_match == "":
        text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        out.append(wording.forbidden(field, text))
    elif options.revision_match != "NotOlderThan":
        out.append(wording.unsupported(field, options.revision_match, ("NotOlderThan",)))
    return out


# Continue tokens


def make_token(revision: int, start: str) -> str:
    """An opaque place to go on from: upstream's own form, so that its length and letters look the same."""
    text = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": f"{start}\x00"})
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def read_token(token: str) -> tuple[int, str]:
    """(revision, last key given); BadRequest when it is not one of ours."""
    try:
        made = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        revision, start = made["rv"], made["start"]
        if made["v"] != "meta.k8s.io/v1" or not isinstance(revision, int) or not isinstance(start, str):
            raise ValueError("another version")
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise BadRequest("continue key is not valid: illegal base64 data at input byte 0") from None
    return revision, start.removesuffix("\x00")


# Writes


def write_causes(request: Request, *, patch: str = "") -> list[Cause]:
    """What is wrong with the options of a create, update or patch. patch: the media type of a patch."""
    out: list[Cause] = []
    query, lists = request.query, request.query_lists
    if patch:
        applying = "apply-patch" in patch
        if applying and not query.get("fieldManager"):
            out.append(wording.required("fieldManager", "is required for apply patch"))
        if not applying and "force" in query:
            out.append(wording.forbidden("force", "may not be specified for non-apply patch"))
    manager = query.get("fieldManager", "")
    if len(manager.encode()) > 128:
        out.append(wording.too_long("fieldManager", 128))
    elif any(not char.isprintable() for char in manager):
        out.append(wording.invalid("fieldManager", manager, "should only contain printable characters"))
    dry = lists.get("dryRun", [])
    if [value for value in dry if value != "All"]:
        out.append(wording.unsupported("dryRun", dry, ("All",)))
    validation = query.get("fieldValidation", "")
    if validation not in ("", "Ignore", "Strict", "Warn"):
        out.append(wording.unsupported("fieldValidation", validation, ("", "Ignore", "Strict", "Warn")))
    return out


@dataclass(slots=True)
class DeleteOptions:
    """What a deletion asks for. propagation: "" is the kind's own default."""

    grace_s: int | None = None
    propagation: str = ""
    uid: str = ""
    revision: str = ""
    dry_run: bool = False


_PROPAGATIONS = ("Foreground", "Background", "Orphan")


def read_delete(request: Request, body: Mapping[str, Any] | None) -> DeleteOptions:
    """Options of a deletion: the body's when there is one, else the query's."""
    if body:
        given: dict[str, Any] = dict(body)
    else:
        given = {}
        query = request.query
        if query.get("gracePeriodSeconds"):
            given["gracePeriodSeconds"] = _integer(query, "gracePeriodSeconds")
        if query.get("propagationPolicy"):
            given["propagationPolicy"] = query["propagationPolicy"]
        if query.get("orphanDependents"):
            given["orphanDependents"] = is_true(query["orphanDependents"])
        if "dryRun" in query:
            given["dryRun"] = request.query_lists["dryRun"]
    if "dryRun" in request.query and not given.get("dryRun"):
        given["dryRun"] = request.query_lists["dryRun"]
    causes = _delete_causes(given)
    if causes:
        raise invalid_options("DeleteOptions", causes)
    preconditions = given.get("preconditions") or {}
    propagation = given.get("propagationPolicy") or ""
    if given.get("orphanDependents") is not None and not propagation:
        propagation = "Orphan" if given["orphanDependents"] else "Background"
    grace = given.get("gracePeriodSeconds")
    return DeleteOptions(
        grace if isinstance(grace, int) else None,
        propagation,
        preconditions.get("uid") or "",
        preconditions.get("resourceVersion") or "",
        bool(given.get("dryRun")),
    )


def _delete_causes(given: Mapping[str, Any]) -> list[Cause]:
    out: list[Cause] = []
    policy = given.get("propagationPolicy")
    if policy is not None and given.get("orphanDependents") is not None:
        text = "orphanDependents and deletionPropagation cannot be both set"
        out.append(wording.invalid("propagationPolicy", policy, text))
    elif policy is not None and policy not in _PROPAGATIONS:
        out.append(wording.unsupported("propagationPolicy", policy, (*_PROPAGATIONS, "nil")))
    dry = given.get("dryRun") or []
    if [value for value in dry if value != "All"]:
        out.append(wording.unsupported("dryRun", dry, ("All",)))
    return out
