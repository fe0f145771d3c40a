"""The one entrance: routes a request to its handler and turns refusals into Prometheus' error answers.

Paths are below the mount point (the live server mounts this under /prometheus). `handle` never raises for what a client
sent. Routes are this list, read top to bottom.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

from pilothouse.signals.metrics.push import PushRefused
from pilothouse.signals.metrics.remote_write import decode_write_request
from pilothouse.wire.prometheus import own_metrics, query, rules, series, status, targets
from pilothouse.wire.prometheus.context import Context
from pilothouse.wire.prometheus.exchange import ApiFailure, Form, Request, Response, failure, text

Handler = Callable[[Form, Context], Response]

_READ, _READ_OR_FORM = ("GET",), ("GET", "POST")

ROUTES: tuple[tuple[str, tuple[str, ...], Handler], ...] = (
    ("/api/v1/query", _READ_OR_FORM, query.instant),
    ("/api/v1/query_range", _READ_OR_FORM, query.over_range),
    ("/api/v1/query_exemplars", _READ_OR_FORM, query.exemplars),
    ("/api/v1/format_query", _READ_OR_FORM, query.format_query),
    ("/api/v1/parse_query", _READ_OR_FORM, query.parse_query),
    ("/api/v1/series", _READ_OR_FORM, series.series),
    ("/api/v1/labels", _READ_OR_FORM, series.label_names),
    ("/api/v1/metadata", _READ, targets.metadata),
    ("/api/v1/targets", _READ, targets.targets),
    ("/api/v1/targets/metadata", _READ, targets.target_metadata),
    ("/api/v1/scrape_pools", _READ, targets.scrape_pools),
    ("/api/v1/rules", _READ, rules.rules),
    ("/api/v1/alerts", _READ, rules.alerts),
    ("/api/v1/alertmanagers", _READ, status.alertmanagers),
    ("/api/v1/status/config", _READ, status.config),
    ("/api/v1/status/flags", _READ, status.flags),
    ("/api/v1/status/runtimeinfo", _READ, status.runtimeinfo),
    ("/api/v1/status/buildinfo", _READ, status.buildinfo),
    ("/api/v1/status/walreplay", _READ, status.walreplay),
    ("/api/v1/status/tsdb", _READ, status.tsdb),
    ("/federate", _READ, series.federate),
    ("/metrics", _READ, own_metrics.page),
    ("/-/healthy", ("GET", "HEAD"), status.healthy),
    ("/-/ready", ("GET", "HEAD"), status.ready),
)
_BY_PATH = {path: (methods, handler) for path, methods, handler in ROUTES}

_BEFORE_VALUES, _AFTER_VALUES = "/api/v1/label/", "/values"


def handle(request: Request, context: Context) -> Response:
    """The answer to one request."""
    path = request.path
    if path == "/api/v1/write":
        return _remote_write(request, context)
    if context.pushes is not None and path.startswith("/metrics/job"):
        return _push(request, context)
    if request.method == "OPTIONS":
        return Response(204, "text/plain", b"")
    if path.startswith(_BEFORE_VALUES) and path.endswith(_AFTER_VALUES):
        name = unquote(path[len(_BEFORE_VALUES) : -len(_AFTER_VALUES)])
        if not name:
            return text(404, "404 page not found\n")
        return _answer(request, _READ, lambda form, found: series.label_values(form, found, name), context)
    known = _BY_PATH.get(path)
    if known is None:
        return text(404, "404 page not found\n")
    return _answer(request, *known, context)


def _answer(request: Request, methods: tuple[str, ...], handler: Handler, context: Context) -> Response:
    if request.method not in methods:
        return text(405, "Method Not Allowed\n")
    try:
        return handler(request.form(), context)
    except ApiFailure as refused:
        return failure(refused)


def _push(request: Request, context: Context) -> Response:
    assert context.pushes is not None
    content_type, encoding = request.headers.get("content-type", ""), request.headers.get("content-encoding", "")
    now_s = context.clock.time()
    try:
        status_code, said = context.pushes.push(
            request.method, request.path, request.body, content_type, now_s, encoding
        )
    except PushRefused as refused:
        return text(refused.status, f"{refused}\n")
    return text(status_code, said)


def _remote_write(request: Request, context: Context) -> Response:
    """Remote write v1: 204 when everything was stored, 400 when anything cannot be (a retry cannot help)."""
    if request.method != "POST":
        return text(405, "Method Not Allowed\n")
    if context.writer is None:
        return text(404, "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n")
    if "proto=io.prometheus.write.v2" in request.headers.get("content-type", ""):
        return text(415, "only remote write version 1 is read here\n")
    try:
        written = decode_write_request(request.body)
    except ValueError as why:
        return text(400, f"{why}\n")
    refused = 0
    for one in written:
        if not any(name == "__name__" for name, _ in one.labels):
            refused += 1
            continue
        for time_ms, value in one.samples:
            outcome = context.writer.append(one.labels, time_ms, value)
            refused += outcome.value not in ("stored", "repeated")
    if refused:
        return text(400, f"out of order sample: {refused} of the request's samples were not stored\n")
    return Response(204, "text/plain", b"")
