"""Tokens of service accounts: JWTs that name an account, its namespace and maybe a pod, a secret or a node (kubernetes
1.36 `pkg/serviceaccount`).

Signing and checking are given as functions, so that nothing here knows a key. A token dies with the objects it names.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from pilothouse.base.clock import Clock
from pilothouse.machinery.authn import AUTHENTICATED, User
from pilothouse.store.memory import Store

ISSUER = "https://kubernetes.default.svc"
_BOUND = {"Pod": "pod", "Secret": "secret", "Node": "node"}


def _part(value: Mapping[str, Any] | bytes) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class ServiceTokens:
    """Makes and checks tokens. sign: bytes -> signature; check: (bytes, signature) -> bool."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        key_id: str,
        sign: Callable[[bytes], bytes],
        check: Callable[[bytes, bytes], bool],
        make_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._clock = clock
        self._key_id = key_id
        self._sign = sign
        self._check = check
        self._make_id = make_id

    def make(
        self, account: Mapping[str, Any], audiences: list[str], seconds: int, bound: Mapping[str, Any] | None
    ) -> tuple[str, float]:
        """(token, moment it ends in Unix seconds) for a stored ServiceAccount. bound: the object it dies with."""
        metadata = account["metadata"]
        now_s = int(self._clock.time())
        named: dict[str, Any] = {
            "namespace": metadata["namespace"],
            "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
        }
        if bound is not None:
            named[_BOUND[bound["kind"]]] = {"name": bound["name"], "uid": bound["uid"]}
        claims = {
            "aud": audiences,
            "exp": now_s + seconds,
            "iat": now_s,
            "iss": ISSUER,
            "jti": self._make_id(),
            "kubernetes.io": named,
            "nbf": now_s,
            "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
        }
        body = f"{_part({'alg': 'RS256', 'kid': self._key_id})}.{_part(claims)}"
        return f"{body}.{_part(self._sign(body.encode()))}", float(now_s + seconds)

    def user_of(self, token: str, audiences: tuple[str, ...] = (ISSUER,)) -> User | None:
        """The account of a valid token for one of these audiences, else None."""
        claims = self.claims_of(token)
        if claims is None or not set(audiences) & set(claims["aud"]):
            return None
        named = claims["kubernetes.io"]
        namespace = named["namespace"]
        extra = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
        for kind, short in _BOUND.items():
            if short in named and kind != "Secret":
                extra[f"authentication.kubernetes.io/{short}-name"] = (named[short]["name"],)
                extra[f"authentication.kubernetes.io/{short}-uid"] = (named[short]["uid"],)
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
        return User(claims["sub"], named["serviceaccount"]["uid"], groups, extra)

    def claims_of(self, token: str) -> dict[str, Any] | None:
        """The claims of a token that is ours, in time, and whose objects still exist."""
        try:
            body, _, signature = token.rpartition(".")
            if body.count(".") != 1 or not self._check(body.encode(), _read(signature)):
                return None
            claims: dict[str, Any] = json.loads(_read(body.split(".")[1]))
        except (ValueError, KeyError):
            return None
        if claims.get("iss") != ISSUER or not claims.get("nbf", 0) <= self._clock.time() < claims.get("exp", 0):
            return None
        return claims if self._alive(claims["kubernetes.io"]) else None

    def _alive(self, named: Mapping[str, Any]) -> bool:
        namespace = named["namespace"]
        wanted = [("ServiceAccount", namespace, named["serviceaccount"])]
        wanted += [(kind, namespace if kind != "Node" else "", named[s]) for kind, s in _BOUND.items() if s in named]
        for kind, where, reference in wanted:
            stored = self._store.get(kind, where, reference["name"])
            if stored is None or stored.object["metadata"]["uid"] != reference["uid"]:
                return False
        return True
