"""Pod templates: whether two are the same, and the short hash that names a template's ReplicaSet.

The hash is written in Kubernetes' safe alphabet. Its value differs from upstream's (which hashes a Go struct dump);
it is stable across runs, machines and key order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

HASH_LABEL = "pod-template-hash"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def safe_encode(text: str) -> str:
    """`rand.SafeEncodeString`: each character mapped into an alphabet that spells no words."""
    return "".join(_ALPHABET[ord(char) % len(_ALPHABET)] for char in text)


def template_hash(template: Mapping[str, Any], collision_count: int | None = None) -> str:
    """8 to 10 characters that name a pod template; `collision_count` gives another name for the same template."""
    digest = hashlib.blake2b(orjson.dumps(template, option=orjson.OPT_SORT_KEYS), digest_size=4)
    number = int.from_bytes(digest.digest(), "big")
    if collision_count is not None:
        salted = f"{number}/{collision_count}".encode()
        number = int.from_bytes(hashlib.blake2b(salted, digest_size=4).digest(), "big")
    return safe_encode(str(number))


def same_template(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Whether two templates are equal, the hash label left aside (`EqualIgnoreHash`)."""
    if left is right:
        return True
    if left.get("spec") != right.get("spec"):
        return False
    return _bare_metadata(left) == _bare_metadata(right)


def _bare_metadata(template: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata without the hash label and without empty values, which say nothing."""
    metadata = {key: value for key, value in (template.get("metadata") or {}).items() if value}
    labels = metadata.get("labels")
    if labels and HASH_LABEL in labels:
        metadata["labels"] = {key: value for key, value in labels.items() if key != HASH_LABEL}
        if not metadata["labels"]:
            del metadata["labels"]
    return metadata


def with_hash_label(template: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The template with the hash among its labels; the original is left as it is."""
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), HASH_LABEL: name}
    return {**template, "metadata": metadata}


def with_hash_selector(selector: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The selector that also asks for the hash."""
    return {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: name}}
