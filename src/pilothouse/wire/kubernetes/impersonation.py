"""Acting as somebody else: the Impersonate-* headers (apiserver 1.36 `endpoints/filters/impersonation`)."""

from __future__ import annotations

from pilothouse.base.errors import BadRequest, ForbiddenWrite
from pilothouse.machinery.authn import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User
from pilothouse.machinery.authz import Attributes
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.request import Request

_ACCOUNT = "system:serviceaccount:"


def acting(context: Context, request: Request) -> User:
    """The user a request acts as: the one who sent it, or the one it names, if the sender may."""
    headers = request.headers
    name = headers.get("impersonate-user", "")
    groups = tuple(group for group in headers.get("impersonate-group", "").split(",") if group)
    uid = headers.get("impersonate-uid", "")
    extra = {
        key.removeprefix("impersonate-extra-"): tuple(value.split(","))
        for key, value in headers.items()
        if key.startswith("impersonate-extra-")
    }
    if not (name or groups or uid or extra):
        return request.user
    if not name:
        listed = ", ".join(f'"{group}"' for group in groups)
        shown = f"[]string{{{listed}}}" if groups else "[]string(nil)"
        raise BadRequest(
            f'requested &user.DefaultInfo{{Name:"", UID:"{uid}", Groups:{shown}, Extra:map[string][]string(nil)}} '
            "without impersonating a user name"
        )
    _allowed(context, request, name, groups)
    if name == ANONYMOUS:
        return User(name, uid, (*groups, UNAUTHENTICATED) if UNAUTHENTICATED not in groups else groups, extra)
    if name.startswith(_ACCOUNT) and not groups:
        namespace = name.removeprefix(_ACCOUNT).split(":", 1)[0]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    if AUTHENTICATED not in groups:
        groups = (*groups, AUTHENTICATED)
    return User(name, uid, groups, extra)


def _allowed(context: Context, request: Request, name: str, groups: tuple[str, ...]) -> None:
    wanted = [_of_name(name)] + [Attributes("impersonate", "", "groups", name=group) for group in groups]
    if all(context.rbac.allows(request.user, asked) for asked in wanted):
        return
    target = request.target
    if target is None:
        raise ForbiddenWrite(
            f'forbidden: User "{request.user.name}" cannot impersonate-on:user-info:{request.method.lower()} path '
            f'"{request.path}"'
        )
    from pilothouse.wire.kubernetes.app import forbidden

    raise forbidden(
        request.user,
        Attributes(
            f"impersonate-on:user-info:{target.verb}",
            target.group,
            target.resource,
            target.subresource,
            target.namespace,
            target.name,
        ),
    )


def _of_name(name: str) -> Attributes:
    if name.startswith(_ACCOUNT):
        namespace, _, account = name.removeprefix(_ACCOUNT).partition(":")
        return Attributes("impersonate", "", "serviceaccounts", namespace=namespace, name=account)
    return Attributes("impersonate", "", "users", name=name)
