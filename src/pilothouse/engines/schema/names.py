"""Syntax of names, labels and annotations (apimachinery 1.36 `util/validation`, `api/validation`). Results are
remembered by text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_DNS1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_QUALIFIED})?"
_RULES = {text: re.compile(text) for text in (_LABEL, _SUBDOMAIN, _DNS1035, _QUALIFIED, _VALUE)}
_WORD = re.compile(r"[-._a-zA-Z0-9]+")
_ENVIRONMENT = re.compile(r"[ -<>-~]+")
_PORT_NAME = re.compile(r"[-a-z0-9]+")
ANNOTATIONS_BYTES = 256 * 1024

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end "
    f"with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an "
    f"alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_DNS1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end "
    f"with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '{_DNS1035}')"
)
_QUALIFIED_TEXT = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with "
    f"an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{_VALUE}')"
)


@lru_cache(maxsize=16_384)
def dns_subdomain(text: str) -> tuple[str, ...]:
    """What is wrong with a DNS-1123 subdomain: most object names. () when it is right; likewise below."""
    return _checked(text, _SUBDOMAIN, _SUBDOMAIN_TEXT, 253)


@lru_cache(maxsize=16_384)
def dns_label(text: str) -> tuple[str, ...]:
    """DNS-1123 label: namespaces, containers, volumes."""
    return _checked(text, _LABEL, _LABEL_TEXT, 63)


@lru_cache(maxsize=4_096)
def dns1035_label(text: str) -> tuple[str, ...]:
    return _checked(text, _DNS1035, _DNS1035_TEXT, 63)


def _checked(text: str, rule: str, wording_text: str, limit: int) -> tuple[str, ...]:
    out = (f"must be no more than {limit} bytes",) if len(text.encode()) > limit else ()
    return out if _RULES[rule].fullmatch(text) else (*out, wording_text)


@lru_cache(maxsize=16_384)
def qualified_name(text: str) -> tuple[str, ...]:
    """`name` or `prefix/name`: label and annotation keys, finalizers, resource names."""
    parts = text.split("/")
    if len(parts) > 2:
        return (
            f"a valid label key {_QUALIFIED_TEXT} with an optional DNS subdomain prefix and '/' (e.g. "
            f"'example.com/MyName')",
        )
    out: tuple[str, ...] = ()
    if len(parts) == 2:
        prefix = parts[0]
        out = (
            ("prefix part must be non-empty",)
            if not prefix
            else tuple(f"prefix part {m}" for m in dns_subdomain(prefix))
        )
    name = parts[-1]
    if not name:
        return (*out, "name part must be non-empty", f"name part {_QUALIFIED_TEXT}")
    if len(name) > 63:
        out += ("name part must be no more than 63 bytes",)
    return out if _RULES[_QUALIFIED].fullmatch(name) else (*out, f"name part {_QUALIFIED_TEXT}")


@lru_cache(maxsize=16_384)
def label_value(text: str) -> tuple[str, ...]:
    out = ("must be no more than 63 bytes",) if len(text) > 63 else ()
    return out if _RULES[_VALUE].fullmatch(text) else (*out, _VALUE_TEXT)


def data_key(text: str) -> tuple[str, ...]:
    """A key of a ConfigMap or Secret."""
    out: list[str] = []
    if len(text) > 253:
        out.append("must be no more than 253 bytes")
    if not _WORD.fullmatch(text):
        out.append(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
            "'KEY_NAME',  or "
            "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
        )
    elif text in (".", "..") or text.startswith(".."):
        out.append(f"must not be '{text}'" if text in (".", "..") else "must not start with '..'")
    return tuple(out)


def environment_name(text: str) -> tuple[str, ...]:
    """The name of an environment variable: since 1.34 every printable ASCII character but '='."""
    if _ENVIRONMENT.fullmatch(text):
        return ()
    return (
        "a valid environment variable name must consist only of printable ASCII characters other than '=' "
        "(e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is '[ -<>-~]+')",
    )


def port_name(text: str) -> tuple[str, ...]:
    """An IANA service name: at most 15 of a-z, 0-9 and '-', at least one letter."""
    out: list[str] = []
    if len(text) > 15:
        out.append("must be no more than 15 characters")
    if not _PORT_NAME.fullmatch(text):
        out.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any("a" <= c <= "z" for c in text):
        out.append("must contain at least one letter (a-z)")
    if "--" in text:
        out.append("must not contain consecutive hyphens")
    if text[:1] == "-" or text[-1:] == "-":
        out.append("must not begin or end with a hyphen")
    return tuple(out)


def label_causes(labels: Mapping[str, Any] | None, field: str) -> list[Cause]:
    """Causes for a map of labels."""
    out: list[Cause] = []
    for key, value in (labels or {}).items():
        out += [wording.invalid(field, key, message) for message in qualified_name(key)]
        out += [wording.invalid(field, value, message) for message in label_value(value)]
    return out


def annotation_causes(annotations: Mapping[str, Any] | None, field: str) -> list[Cause]:
    """Causes for a map of annotations: keys as labels but case-blind, 256 KiB in all."""
    out: list[Cause] = []
    size = 0
    for key, value in (annotations or {}).items():
        out += [wording.invalid(field, key, message) for message in qualified_name(key.lower())]
        size += len(key) + len(value)
    if size > ANNOTATIONS_BYTES:
        out.append(wording.too_long(field, ANNOTATIONS_BYTES))
    return out
