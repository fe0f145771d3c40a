"""Requests, responses and API errors: what every handler takes and gives. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"
FORM_TYPE = "application/x-www-form-urlencoded"

STATUS_OF = {
    "bad_data": 400,
    "execution": 422,
    "canceled": 499,
    "timeout": 503,
    "internal": 500,
    "unavailable": 503,
    "not_found": 404,
    "not_acceptable": 406,
}


class ApiFailure(Exception):
    """An error answer: errorType (a key of STATUS_OF) and text."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def bad_param(name: str, why: object) -> ApiFailure:
    """Prometheus' wording for a parameter that cannot be used."""
    return ApiFailure("bad_data", f'invalid parameter "{name}": {why}')


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `path` is below the mount point; `params` are the URL's pairs in order, header names lower-case."""

    method: str
    path: str
    params: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def form(self) -> Form:
        """Parameters of the body (POST and PUT forms) before those of the URL, as Go's ParseForm orders them."""
        pairs = list(self.params)
        if self.method in ("POST", "PUT") and self.headers.get("content-type", "").partition(";")[0] == FORM_TYPE:
            text = self.body.decode("utf-8", "replace")
            pairs = parse_qsl(text, keep_blank_values=True) + pairs
        return Form(pairs)


class Form:
    """Parameters by name; the first value counts unless all are asked for."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = pairs

    def get(self, name: str) -> str:
        """The first value, "" when there is none."""
        return next((value for key, value in self._pairs if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name]


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def success(data: Any, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> Response:
    """The API's envelope around an answer."""
    answer: dict[str, Any] = {"status": "success", "data": data}
    if warnings:
        answer["warnings"] = list(warnings)
    if infos:
        answer["infos"] = list(infos)
    return Response(200, JSON_TYPE, to_json(answer))


def failure(error: ApiFailure) -> Response:
    """The API's envelope around an error."""
    body = {"status": "error", "errorType": error.kind, "error": error.message}
    return Response(STATUS_OF[error.kind], JSON_TYPE, to_json(body))


def text(status: int, body: str, content_type: str = TEXT_TYPE) -> Response:
    return Response(status, content_type, body.encode("utf-8", "replace"))


def to_json(value: Any) -> bytes:
    """JSON bytes; broken UTF-8 that came in with a label or a query becomes the replacement character, as in Go."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return orjson.dumps(_mended(value))


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_mended(key): _mended(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mended(item) for item in value]
    return value
