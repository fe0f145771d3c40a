"""Secret as Kubernetes 1.36 stores it: stringData goes into data, the type stands once set (`ValidateSecret`)."""

from __future__ import annotations

import base64

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import names, wording
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

BYTES = 1024 * 1024
_NEEDS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def default(obj: Object) -> Object:
    """The type, and stringData encoded into data (it wins over data's own keys and is never stored)."""
    if "type" not in obj:
        obj = {**obj, "type": "Opaque"}
    if "stringData" in obj:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in obj["stringData"].items()}
        obj = {key: value for key, value in obj.items() if key != "stringData"}
        if encoded:
            obj = {**obj, "data": {**(obj.get("data") or {}), **encoded}}
    return obj


def validate(new: Object, old: Object | None) -> list[Cause]:
    data = new.get("data") or {}
    out = [wording.invalid(f"data[{key}]", key, text) for key in data for text in names.data_key(key)]
    if sum(len(value) * 3 // 4 for value in data.values()) > BYTES:
        out.append(wording.too_long("data", BYTES))
    out += [wording.required(f"data[{key}]") for key in _NEEDS.get(new["type"], ()) if key not in data]
    if new["type"] == "kubernetes.io/basic-auth" and not {"username", "password"} & data.keys():
        out += [wording.required(f"data[{key}]") for key in ("username", "password")]
    if old is not None:
        if new["type"] != old["type"]:
            out.append(wording.invalid("type", new["type"], "field is immutable"))
        if old.get("immutable"):
            text = "field is immutable when `immutable` is set"
            kept = new.get("immutable") and new.get("data") == old.get("data")
            if not kept:
                out.append(wording.forbidden("data" if new.get("immutable") else "immutable", text))
    return out


KIND = Kind(
    "",
    "v1",
    "Secret",
    "secrets",
    Component("api_v1.json", "io.k8s.api.core.v1.Secret"),
    singular="secret",
    default=default,
    validate=validate,
    strategy=Strategy(status=False, generation=False),
    columns=(
        NAME,
        Column("Type", lambda obj, _now: obj["type"]),
        Column("Data", lambda obj, _now: len(obj.get("data") or ())),
        AGE,
    ),
)
