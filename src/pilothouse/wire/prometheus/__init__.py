"""Prometheus' HTTP API as pure functions from request to response, and a small server to put them on a port.

Public face: `handle` (api), `Context`, `Request`, `Response`, `serve` (server). Reads the database, the scraper and the
rule runner; writes only through pushes and remote write. Answers follow Prometheus 3 `web/api/v1`.
"""

from pilothouse.wire.prometheus.api import handle
from pilothouse.wire.prometheus.context import Context
from pilothouse.wire.prometheus.exchange import Request, Response
from pilothouse.wire.prometheus.server import serve

__all__ = ["Context", "Request", "Response", "handle", "serve"]
