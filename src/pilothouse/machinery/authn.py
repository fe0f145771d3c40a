"""Who asks: bearer tokens of a file, tokens of service accounts, client certificates, and nobody (apiserver 1.36
`authentication`).

Owns the static tokens; verifiers of other tokens are given as functions. The wire asks once per request.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pilothouse.base.errors import ApiError, Finding, InputError, Place

ANONYMOUS = "system:anonymous"
UNAUTHENTICATED, AUTHENTICATED, MASTERS = "system:unauthenticated", "system:authenticated", "system:masters"


class Unauthorized(ApiError):
    """The credentials that were sent are not known."""

    code, reason = 401, "Unauthorized"


@dataclass(frozen=True, slots=True)
class User:
    """Who asks, after impersonation. extra: what the authenticator adds, e.g. the pod a token is bound to."""

    name: str = ANONYMOUS
    uid: str = ""
    groups: tuple[str, ...] = (UNAUTHENTICATED,)
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_object(self) -> dict[str, object]:
        """The `UserInfo` of reviews."""
        out: dict[str, object] = {"username": self.name}
        if self.uid:
            out["uid"] = self.uid
        if self.groups:
            out["groups"] = [*self.groups]
        if self.extra:
            out["extra"] = {key: [*values] for key, values in self.extra.items()}
        return out


TokenCheck = Callable[[str], User | None]
"""Gives the user of a token, or None when it is not one of its own."""


class Authenticator:
    """Static tokens first, then the given checks in order; no token at all is the anonymous user."""

    def __init__(self, tokens: Mapping[str, User], checks: tuple[TokenCheck, ...] = ()) -> None:
        self._tokens = dict(tokens)
        self._checks = checks

    def of_token(self, token: str) -> User | None:
        """The user of a bearer token."""
        user = self._tokens.get(token)
        if user is not None:
            return user
        for check in self._checks:
            user = check(token)
            if user is not None:
                return user
        return None

    def of_headers(self, headers: Mapping[str, str]) -> User:
        """The user of a request's headers; Unauthorized when a token is sent that nobody knows."""
        header = headers.get("authorization")
        if header is None:
            return User()
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return User()
        user = self.of_token(token.strip())
        if user is None:
            raise Unauthorized("Unauthorized")
        return user


def authenticated(name: str, uid: str, groups: tuple[str, ...]) -> User:
    """A user as the server sees somebody whose credentials it knows."""
    return User(name, uid, groups if AUTHENTICATED in groups else (*groups, AUTHENTICATED))


def read_tokens(text: str, file: str) -> dict[str, User]:
    """The token file's users by token: lines of `token,user,uid[,"group,group"]`; InputError names a bad line."""
    out: dict[str, User] = {}
    for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
        if not row or row[0].startswith("#"):
            continue
        if len(row) < 3 or not row[0] or not row[1]:
            raise InputError(
                Finding(
                    "PH510",
                    f"a token line has at least 3 fields, this one has {len(row)}",
                    Place(file, number),
                    'write token,user,uid or token,user,uid,"group,group"',
                )
            )
        groups = tuple(group.strip() for group in row[3].split(",") if group.strip()) if len(row) > 3 else ()
        out[row[0]] = authenticated(row[1], row[2], groups)
    return out
