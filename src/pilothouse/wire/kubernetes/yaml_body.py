"""A YAML body as the JSON it stands for, read as kubectl and the API server read YAML."""

from __future__ import annotations

from typing import Any

from pilothouse.base.errors import BadRequest


def parse(body: bytes) -> Any:
    """The value of the first document; BadRequest in upstream's words when it cannot be read."""
    from pilothouse.base.yaml_dialect import Broken, load

    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise BadRequest("error converting YAML to JSON: yaml: invalid leading UTF-8 octet") from None
    try:
        for document in load(text):
            return document.value
    except Broken as error:
        # Upstream's parser counts the lines of syntax errors from 0 and never says 0; it names no context.
        line, said = max(error.line - 1, 1), error.message.split(" (", 1)[0]
        raise BadRequest(f"error converting YAML to JSON: yaml: line {line}: {said}") from None
    return None
