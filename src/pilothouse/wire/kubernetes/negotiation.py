"""Which form an answer takes: JSON or YAML, the object itself, a Table, or its metadata only (apiserver 1.36
`endpoints/handlers/negotiation`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from pilothouse.wire.kubernetes.statuses import NotAcceptable

JSON, YAML = "application/json", "application/yaml"
_META_VERSIONS = ("v1", "v1beta1")
LISTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"


@dataclass(frozen=True, slots=True)
class Form:
    """media: what the body is written in; shape: "", "Table" or "PartialObjectMetadata"; version: of its group."""

    media: str = JSON
    shape: str = ""
    version: str = "v1"
    pretty: bool = False


@lru_cache(maxsize=256)
def choose(accept: str, transforms: bool = True) -> Form:
    """The first acceptable form by quality and order; NotAcceptable when there is none."""
    if accept in ("", JSON, "*/*"):
        return Form()
    refused_transform = False
    for media, parameters in _clauses(accept):
        if media in ("*/*", "application/*", JSON):
            written = JSON
        elif media == YAML:
            written = YAML
        else:
            continue
        shape = parameters.get("as", "")
        if not shape:
            return Form(written, pretty=parameters.get("pretty") == "1")
        if (
            transforms
            and parameters.get("g") == "meta.k8s.io"
            and parameters.get("v") in _META_VERSIONS
            and shape in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
        ):
            return Form(written, "Table" if shape == "Table" else "PartialObjectMetadata", parameters["v"])
        refused_transform = True
    if refused_transform:
        raise NotAcceptable(f"only the following media types are accepted: {LISTED}")
    error = NotAcceptable(f"406: Not Acceptable\n\nAvailable representations: {LISTED}")
    error.empty_details = True  # type: ignore[attr-defined]
    raise error


def _clauses(accept: str) -> list[tuple[str, dict[str, str]]]:
    out: list[tuple[float, int, str, dict[str, str]]] = []
    for number, part in enumerate(accept.split(",")):
        media, *rest = (piece.strip() for piece in part.split(";"))
        parameters = dict(piece.partition("=")[::2] for piece in rest)
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 0.0
        out.append((-quality, number, media.lower(), parameters))
    return [(media, parameters) for _quality, _number, media, parameters in sorted(out, key=lambda one: one[:2])]
