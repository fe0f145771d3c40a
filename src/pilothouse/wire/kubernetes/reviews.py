"""Questions that are posted: who am I, may I, what may I, whose token is this, give me a token (kubernetes 1.36
`pkg/registry/{authentication,authorization}`). Nothing of them is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.clock import rfc3339
from pilothouse.base.errors import BadRequest, Invalid
from pilothouse.engines.schema import wording
from pilothouse.engines.schema.structure import Findings
from pilothouse.machinery.authn import MASTERS, User
from pilothouse.machinery.authz import Attributes
from pilothouse.machinery.kind import Component
from pilothouse.machinery.service_tokens import ISSUER
from pilothouse.wire.kubernetes import decode, negotiation, ownership, reads, render, writes
from pilothouse.wire.kubernetes.answer import Answer
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.request import Request
from pilothouse.wire.kubernetes.resources import Resource
from pilothouse.wire.kubernetes.statuses import MethodNotAllowed

AUTHENTICATION, AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"
_GROUP_OF = {
    "TokenReview": AUTHENTICATION,
    "SelfSubjectAccessReview": AUTHORIZATION,
    "SubjectAccessReview": AUTHORIZATION,
    "LocalSubjectAccessReview": AUTHORIZATION,
}


async def create(context: Context, request: Request, resource: Resource) -> Answer:
    """POST of a review."""
    form = negotiation.choose(request.headers.get("accept", ""))
    writes.checked_options(request, "CreateOptions")
    sent = _sent(request, resource.kind_name, resource.group, resource.version)
    match resource.kind_name:
        case "SelfSubjectReview":
            made = _who(context, request.user)
        case "TokenReview":
            made = _whose(context, request, sent)
        case "SelfSubjectRulesReview":
            made = _what(context, request.user, sent)
        case _:
            made = _may(context, request, resource, sent)
    return Answer(201, render.encode(made, negotiation.Form(form.media)), form.media)


def _source(kind: str, group: str, version: str) -> Component:
    # A TokenRequest is served below a core resource, and described there.
    document = "api_v1.json" if kind == "TokenRequest" else f"apis_{group}_{version}.json"
    return Component(document, f"io.k8s.api.{group.split('.')[0]}.{version}.{kind}")


def _sent(request: Request, kind: str, group: str, version: str) -> Object:
    value, repeated = decode.read(request.body, request.headers.get("content-type", ""), kind)
    api_version = f"{group}/{version}"
    schema = _source(kind, group, version).load()
    found = Findings()
    fitted = schema.fit({**value, "kind": kind, "apiVersion": api_version}, found)
    error = schema.decoding_error(found)
    if error:
        raise BadRequest(f'{kind} in version "{version}" cannot be handled as a {kind}: {error}')
    complaints = decode.complaints(found, repeated)
    validation = request.query.get("fieldValidation") or "Warn"
    if complaints and validation == "Strict":
        raise BadRequest(
            f'{kind} in version "{version}" cannot be handled as a {kind}: strict decoding error: '
            + ", ".join(complaints)
        )
    if validation != "Ignore":
        request.warnings += complaints
    return fitted


def _who(context: Context, user: User) -> Object:
    return {
        "kind": "SelfSubjectReview",
        "apiVersion": f"{AUTHENTICATION}/v1",
        "metadata": {"creationTimestamp": context.write_path.now()},
        "status": {"userInfo": user.to_object()},
    }


# May somebody do something?


def _may(context: Context, request: Request, resource: Resource, sent: Object) -> Object:
    spec: Mapping[str, Any] = sent.get("spec") or {}
    target = request.target
    assert target is not None
    local = resource.kind_name == "LocalSubjectAccessReview"
    own = resource.kind_name == "SelfSubjectAccessReview"
    causes = []
    asked_resource, asked_path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (asked_resource is None) == (asked_path is None):
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        if asked_resource is not None:
            text = "cannot be specified in combination with resourceAttributes"
            causes.append(wording.invalid("spec.nonResourceAttributes", asked_path, text))
        else:
            causes.append(wording.invalid("spec.resourceAttributes", None, text))
    if not own and not spec.get("user") and not spec.get("groups"):
        text = "at least one of user or group must be specified"
        causes.append(wording.invalid("spec.user", spec.get("user", ""), text))
    if local and asked_resource is not None and asked_resource.get("namespace", "") != target.namespace:
        text = "must match metadata.namespace"
        causes.append(wording.invalid("spec.resourceAttributes.namespace", asked_resource.get("namespace", ""), text))
    if causes:
        raise Invalid("", "", causes, group=AUTHORIZATION)
    if own:
        user = request.user
    else:
        extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
        user = User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()), extra)
    asked = _attributes(asked_resource, asked_path)
    status: dict[str, Any] = {"allowed": MASTERS in user.groups}
    if not status["allowed"]:
        reason = context.rbac.why(user, asked)
        if reason is not None:
            status = {"allowed": True, "reason": reason}
    metadata = dict(sent.get("metadata") or {})
    if local:
        metadata["namespace"] = target.namespace
    out = {**sent, "metadata": metadata, "status": status}
    source = _source(str(out["kind"]), _GROUP_OF[str(out["kind"])], "v1")
    return ownership.of_review(out, source, request.manager(), context.write_path.now())


def _attributes(resource: Mapping[str, Any] | None, path: Mapping[str, Any] | None) -> Attributes:
    if resource is not None:
        return Attributes(
            resource.get("verb", ""),
            resource.get("group", ""),
            resource.get("resource", ""),
            resource.get("subresource", ""),
            resource.get("namespace", ""),
            resource.get("name", ""),
        )
    path = path or {}
    return Attributes(path.get("verb", ""), path=path.get("path", ""))


def _what(context: Context, user: User, sent: Object) -> Object:
    namespace = (sent.get("spec") or {}).get("namespace", "")
    if not namespace:
        raise BadRequest("no namespace on request")
    resources: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    if MASTERS in user.groups:
        resources.append({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})
        others.append({"verbs": ["*"], "nonResourceURLs": ["*"]})
    for rule in context.rbac.rules(user, namespace):
        if rule.get("resources"):
            one: dict[str, Any] = {
                "verbs": rule["verbs"],
                "apiGroups": rule.get("apiGroups", []),
                "resources": rule["resources"],
            }
            if rule.get("resourceNames"):
                one["resourceNames"] = rule["resourceNames"]
            resources.append(one)
        if rule.get("nonResourceURLs"):
            others.append({"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]})
    return {
        "kind": "SelfSubjectRulesReview",
        "apiVersion": f"{AUTHORIZATION}/v1",
        "metadata": {},
        "spec": {},
        "status": {"resourceRules": resources, "nonResourceRules": others, "incomplete": False},
    }


# Tokens


def _whose(context: Context, request: Request, sent: Object) -> Object:
    spec: Mapping[str, Any] = sent.get("spec") or {}
    token = spec.get("token", "")
    if not token:
        raise BadRequest("token is required for TokenReview in authentication")
    audiences = tuple(spec.get("audiences") or ())
    status: dict[str, Any] = {"user": {}}
    user = context.authenticator.of_token(token) if not audiences else None
    valid: list[str] = [ISSUER]
    if context.tokens is not None and user is None:
        claims = context.tokens.claims_of(token)
        if claims is not None:
            valid = [audience for audience in (audiences or (ISSUER,)) if audience in claims["aud"]]
            user = context.tokens.user_of(token, audiences or (ISSUER,)) if valid else None
    elif user is None and audiences:
        user = context.authenticator.of_token(token)
        valid = [*audiences]
    if user is not None:
        status = {"authenticated": True, "user": user.to_object(), "audiences": valid}
    else:
        status["error"] = "[invalid bearer token, token lookup failed]"
    out = {**sent, "metadata": sent.get("metadata") or {}, "status": status}
    source = _source(str(out["kind"]), _GROUP_OF[str(out["kind"])], "v1")
    return ownership.of_review(out, source, request.manager(), context.write_path.now())


_SHORTEST_S, _DEFAULT_S, _LONGEST_S = 600, 3_600, 1 << 32


async def token_request(context: Context, request: Request, resource: Resource) -> Answer:
    """POST serviceaccounts/NAME/token."""
    if request.method != "POST":
        raise MethodNotAllowed()
    form = negotiation.choose(request.headers.get("accept", ""))
    writes.checked_options(request, "CreateOptions")
    target = request.target
    assert target is not None
    sent = _sent(request, "TokenRequest", AUTHENTICATION, "v1")
    account = reads.existing(context, resource, target.namespace, target.name).object
    spec: dict[str, Any] = dict(sent.get("spec") or {})
    seconds = spec.get("expirationSeconds", _DEFAULT_S)
    if seconds < _SHORTEST_S or seconds > _LONGEST_S:
        text = "may not specify a duration less than 10 minutes"
        if seconds > _LONGEST_S:
            text = "may not specify a duration larger than 2^32 seconds"
        cause = wording.invalid("spec.expirationSeconds", seconds, text)
        raise Invalid("TokenRequest", "", [cause], group=AUTHENTICATION)
    bound = _bound(context, target.namespace, target.name, spec.get("boundObjectRef"))
    if context.tokens is None:
        raise BadRequest("this server signs no tokens")
    spec = {**spec, "audiences": spec.get("audiences") or [ISSUER], "expirationSeconds": seconds}
    if bound is not None:
        spec["boundObjectRef"] = bound
    token, ends_s = context.tokens.make(account, spec["audiences"], seconds, bound)
    metadata = {
        "name": target.name,
        "namespace": target.namespace,
        "uid": account["metadata"]["uid"],
        "creationTimestamp": context.write_path.now(),
    }
    asked = {
        "kind": "TokenRequest",
        "apiVersion": f"{AUTHENTICATION}/v1",
        "metadata": metadata,
        "spec": {**(sent.get("spec") or {}), "expirationSeconds": seconds},
    }
    source = _source("TokenRequest", AUTHENTICATION, "v1")
    owned = ownership.of_review(asked, source, request.manager(), context.write_path.now(), "token")
    out = {
        **owned,
        "spec": {**spec, "boundObjectRef": bound},
        "status": {"token": token, "expirationTimestamp": rfc3339(ends_s)},
    }
    return Answer(201, render.encode(out, negotiation.Form(form.media)), form.media)


def _bound(
    context: Context, namespace: str, account: str, reference: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    if not reference:
        return None
    kinds = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}
    kind = reference.get("kind", "")
    if kind not in kinds or reference.get("apiVersion") != "v1":
        raise BadRequest(f"cannot bind token for serviceaccount {account!r} to object of type {kind}")
    resource = context.registry.find("", "v1", kinds[kind])
    assert resource is not None
    found = reads.existing(context, resource, namespace if kind != "Node" else "", reference.get("name", ""))
    uid = found.object["metadata"]["uid"]
    if reference.get("uid") and reference["uid"] != uid:
        from pilothouse.machinery import refusals

        why = (
            f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. The object "
            "might have been deleted and then recreated"
        )
        assert resource.kind is not None
        raise refusals.conflict(resource.kind, reference["name"], why)
    return {"kind": kind, "apiVersion": "v1", "name": reference["name"], "uid": uid}
