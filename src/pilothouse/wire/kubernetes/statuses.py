"""The `v1.Status` answers the wire gives by itself, worded as the API server does (apimachinery 1.36 `api/errors`)."""

from __future__ import annotations

from typing import Any

from pilothouse.base.errors import ApiError, BadRequest, Cause, Invalid


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"

    def __init__(self) -> None:
        super().__init__("the server does not allow this method on the requested resource")


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class PlainInternal(ApiError):
    """500 without a reason: an upstream error that carries no Status."""

    code, reason = 500, ""


class Timeout(ApiError):
    code, reason = 504, "Timeout"


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class NoRoute(Exception):
    """Answered with the plain text of a path that nobody serves."""


def body(error: ApiError) -> dict[str, Any]:
    """The Status object; upstream leaves empty parts out."""
    status = error.to_status()
    if not error.reason:
        status.pop("reason", None)
    details = status.get("details")
    if details is not None:
        status["details"] = {key: value for key, value in details.items() if value not in ("", None, [])}
    elif isinstance(error, MethodNotAllowed) or getattr(error, "empty_details", False):
        status["details"] = {}
        status["code"] = status.pop("code")
    return status


def success(details: dict[str, Any]) -> dict[str, Any]:
    """What a finished deletion answers."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def invalid_options(kind: str, causes: list[Cause]) -> Invalid:
    """A refused option of a request: `ListOptions`, `CreateOptions`, …"""
    return Invalid(kind, "", causes, group="meta.k8s.io")


def bad(text: str) -> BadRequest:
    return BadRequest(text)
