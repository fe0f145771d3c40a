"""The API server as an ASGI application: who asks, may they, what for; then a handler; and every refusal as a Status.

    authenticate → read the path → impersonate → authorize → read the body → handler → answer

Everything that is particular to a verb is in the modules beside this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from pilothouse.base.errors import ApiError, ForbiddenWrite
from pilothouse.base.limits import REQUEST_BODY_BYTES
from pilothouse.machinery.authn import AUTHENTICATED, Unauthorized, User
from pilothouse.machinery.authz import Attributes
from pilothouse.wire.kubernetes import (
    impersonation,
    patches,
    reads,
    reviews,
    statuses,
    subresources,
    warnings,
    watching,
    writes,
)
from pilothouse.wire.kubernetes.answer import Answer, Receive, Send, json_answer, text_answer
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.discovery import VERSION, Discovery, OpenApi
from pilothouse.wire.kubernetes.request import Request, Target, parse
from pilothouse.wire.kubernetes.resources import Resource
from pilothouse.wire.kubernetes.statuses import MethodNotAllowed, NoRoute

_PATH_VERBS = {"GET": "get", "POST": "post", "PUT": "put", "PATCH": "patch", "DELETE": "delete", "HEAD": "head"}
_HEALTH = ("/healthz", "/livez", "/readyz")
Handler = Callable[[Context, Request, Resource], Awaitable[Answer]]


class Api:
    """One server. `on_error` is told about every exception that is a mistake of ours."""

    def __init__(self, context: Context, on_error: Callable[[Exception], None] | None = None) -> None:
        self._context = context
        self._discovery = Discovery(context)
        self._openapi = OpenApi(context)
        self._on_error = on_error
        self.ready = True

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _refuse_other(scope, receive, send)
            return
        headers = _headers(scope["headers"])
        raw = scope.get("raw_path") or scope["path"].encode()
        query = scope["query_string"].decode("latin-1")
        request = parse(scope["method"], raw.decode("latin-1").split("?", 1)[0], query, headers)
        try:
            answer = await self._answer(request, scope, receive, send)
        except ApiError as error:
            answer = _refusal(error)
        except NoRoute:
            answer = text_answer("404 page not found\n", 404)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if self._on_error is not None:
                self._on_error(error)
            answer = _refusal(ApiError(f"Internal error occurred: {type(error).__name__}"))
        if answer is not None:
            if request.method == "HEAD":
                answer = Answer(answer.status, b"", answer.content, answer.headers)
            await answer.send(send, dict.fromkeys(request.warnings))

    async def _answer(self, request: Request, scope: Mapping[str, Any], receive: Receive, send: Send) -> Answer | None:
        context = self._context
        user = _certified(scope) if "authorization" not in request.headers else None
        request.user = user or context.authenticator.of_headers(request.headers)
        target = request.target
        request.user = impersonation.acting(context, request)
        self._authorize(request)
        if target is None:
            return self._plain(request)
        resource = context.registry.find(target.group, target.version, target.resource)
        if resource is None or (target.namespace and not resource.namespaced and target.resource != "namespaces"):
            raise NoRoute()
        warnings.of_resource(request, resource)
        if target.verb == "watch":
            if "watch" not in resource.verbs:
                raise MethodNotAllowed()
            await watching.WatchStream(context, request, resource).run(receive, send)
            return None
        handler = _handler(request, target, resource)
        if request.method in ("POST", "PUT", "PATCH", "DELETE"):
            request.body = await _body(receive)
        return await handler(context, request, resource)

    def _authorize(self, request: Request) -> None:
        target = request.target
        if target is None:
            asked = Attributes(_PATH_VERBS.get(request.method, request.method.lower()), path=request.path)
        else:
            name = target.name or _selected_name(request, target)
            asked = Attributes(target.verb, target.group, target.resource, target.subresource, target.namespace, name)
        if not self._context.rbac.allows(request.user, asked):
            raise forbidden(request.user, asked)

    def _plain(self, request: Request) -> Answer:
        path = request.path
        if path == "/version" or path == "/version/":
            return json_answer(VERSION)
        if path.startswith(_HEALTH):
            return text_answer("ok" if self.ready else "not ready", 200 if self.ready else 500)
        accept = request.headers.get("accept", "")
        if path == "/api" or path == "/apis" or path.startswith(("/api/", "/apis/")):
            found = self._discovery.answer(path, accept)
        elif path.startswith("/openapi/v3"):
            found = self._openapi.answer(path, request.query)
        elif path == "/openapi/v2":
            from pilothouse.wire.kubernetes.openapi_v2 import answer

            found = answer(self._context)
        elif path == "/metrics":
            store = self._context.store
            counts = "".join(
                f'apiserver_resource_objects{{kind="{kind}"}} {store.count(kind)}\n' for kind in store.kinds()
            )
            found = text_answer(f"# TYPE apiserver_resource_objects gauge\n{counts}")
        elif path in ("/", ""):
            found = json_answer(
                {"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]}
            )
        else:
            found = None
        if found is None:
            raise NoRoute()
        return found


def _handler(request: Request, target: Target, resource: Resource) -> Handler:
    if target.subresource:
        sub = resource.subresources.get(target.subresource)
        if sub is None:
            raise NoRoute()
        if target.verb not in sub["verbs"]:
            raise MethodNotAllowed()
        return subresources.serve
    if target.verb not in resource.verbs or (target.verb == "create" and target.name) or request.method == "HEAD":
        raise MethodNotAllowed()
    if target.verb == "update" and not target.name:
        raise MethodNotAllowed()
    if target.verb == "patch" and not target.name:
        raise MethodNotAllowed()
    if resource.kind is None:
        return _without_storage(resource)
    return {
        "get": reads.get,
        "list": reads.get_list,
        "create": writes.create,
        "update": writes.replace,
        "patch": patches.patch,
        "delete": writes.delete,
        "deletecollection": writes.delete_collection,
    }[target.verb]


def _without_storage(resource: Resource) -> Handler:
    if resource.plural == "bindings":
        return _bind
    if resource.plural == "componentstatuses":
        return _no_components
    return reviews.create


async def _bind(context: Context, request: Request, resource: Resource) -> Answer:  # noqa: ARG001 - a Handler
    return await subresources.bind(context, request, "")


async def _no_components(context: Context, request: Request, resource: Resource) -> Answer:
    assert request.target is not None
    if request.target.name:
        from pilothouse.machinery import refusals

        raise refusals.resource_not_found("", resource.plural, request.target.name)
    metadata = {"resourceVersion": str(context.store.revision)}
    return json_answer({"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": metadata, "items": []})


def _selected_name(request: Request, target: Target) -> str:
    """A list or watch of one name counts as a request for that name."""
    selector = request.query.get("fieldSelector", "")
    if target.verb not in ("list", "watch", "deletecollection") or not selector.startswith("metadata.name="):
        return ""
    name = selector.removeprefix("metadata.name=").removeprefix("=")
    return "" if "," in name else name


def forbidden(user: User, asked: Attributes) -> ForbiddenWrite:
    """403 in upstream's words."""
    if asked.path:
        return ForbiddenWrite(
            f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"', details={"": ""}
        )
    resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    qualified = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    named = f'{qualified} "{asked.name}"' if asked.name else qualified
    details = {"name": asked.name, "group": asked.group, "kind": asked.resource}
    return ForbiddenWrite(
        f'{named} is forbidden: User "{user.name}" cannot {asked.verb} resource "{resource}" in API group '
        f'"{asked.group}" {where}',
        details=details,
    )


def _refusal(error: ApiError) -> Answer:
    body = statuses.body(error)
    headers = []
    retry = (body.get("details") or {}).get("retryAfterSeconds")
    if error.code in (429, 504) or retry:
        headers.append((b"retry-after", str(retry or 10).encode()))
    if isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b'Bearer realm="kubernetes"'))
    return Answer(error.code, orjson.dumps(body), headers=headers)


def _headers(pairs: Any) -> dict[str, str]:
    out: dict[str, str] = {}
    for key, value in pairs:
        name = key.decode("latin-1")
        text = value.decode("latin-1")
        out[name] = f"{out[name]},{text}" if name in out and name.startswith("impersonate-") else text
    return out


def _certified(scope: Mapping[str, Any]) -> User | None:
    """The user of a client certificate, when the connection brought one: its common name and organizations."""
    found = (scope.get("extensions") or {}).get("tls", {}).get("client_cert_user")
    if found is None:
        return None
    name, groups = found
    return User(name, "", (*groups, AUTHENTICATED))


async def _body(receive: Receive) -> bytes:
    message = await receive()
    if message["type"] != "http.request":
        return b""
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > REQUEST_BODY_BYTES:
            raise statuses.TooLarge(f"limit is {REQUEST_BODY_BYTES}")
        return body
    parts, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > REQUEST_BODY_BYTES:
            raise statuses.TooLarge(f"limit is {REQUEST_BODY_BYTES}")
    return b"".join(parts)


async def _refuse_other(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """Lifespan and upgrades: the first is answered, the others closed."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "websocket.close", "code": 1008})
