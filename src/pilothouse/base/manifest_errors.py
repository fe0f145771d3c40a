"""The findings of `base.manifests` (PH100-PH129): what was seen, where, and the remedy. Texts only."""

from __future__ import annotations

import re
from typing import Any

from pilothouse.base import limits
from pilothouse.base.errors import Finding, Place
from pilothouse.base.yaml_dialect import Broken

_TEMPLATE = re.compile(
    r"\{\{-?[^}]*(\.(Values|Release|Chart|Files|Capabilities|Template)\b|\b(include|tpl|toYaml|nindent|define)\b)"
)
"""What only charts say; `{{ $labels.pod }}` and `{{ with query … }}` are the business of alert rules."""
_REMEDIES: tuple[tuple[str, str], ...] = (
    ("cannot start any token", "YAML takes spaces for indentation, no tabs; quote a value that starts with @, ` or %"),
    ("mapping values are not allowed", "quote the value if it holds `: `, or check the indentation of this line"),
    ("could not find expected ':'", "put `: ` behind the key, or quote the text"),
    ("did not find expected ',' or", "close the bracket that was opened before"),
    ("did not find expected '-' indicator", "give the items of the list the same indentation"),
    ("did not find expected key", "check the indentation and the quotes of this line and the one before"),
    ("found unexpected end of stream", "close the quote that was opened before"),
    ("block sequence entries are not allowed", "start the list on its own line"),
    ("did not find expected alphabetic", "quote a value that starts with * or &"),
    ("unknown escape character", "write the backslash twice, or use single quotes"),
)
_RULE_REMEDIES = {
    "duplicate-key": "keep one of the two; the API server refuses the object as well",
    "anchor": "define the anchor before it is used, and never inside itself",
    "depth": "split the document, or give its values in files of their own",
    "size": "write the repeated parts once, or split the document",
    "key": "quote a text that starts with {{, or the key; a chart is rendered first",
    "tag": "take the tag away, or write the value in the form the tag asks for",
    "number": "quote it if it is meant as text",
    "merge": "point `<<` at an anchor of a mapping, e.g. `<<: *defaults`",
    "character": "delete the character; editors show it with `cat -A`",
}


def broken(file: str, chunk: str, first_line: int, error: Broken) -> Finding:
    """A document that libyaml or our own rules refuse."""
    place = Place(file, error.line, error.column)
    lines = chunk.splitlines()
    at = error.line - first_line
    seen = lines[at].strip() if 0 <= at < len(lines) else ""
    shown = f" (`{seen[:60]}{'…' if len(seen) > 60 else ''}`)" if seen else ""
    if _TEMPLATE.search(chunk) and error.rule in ("syntax", "key", "character"):
        return template(place)
    remedy = _RULE_REMEDIES.get(error.rule, "")
    if error.rule == "syntax":
        remedy = next(
            (r for text, r in _REMEDIES if text in error.message), "check the indentation and the quotes here"
        )
    code = {"duplicate-key": "PH102", "depth": "PH103", "size": "PH103", "anchor": "PH104"}.get(error.rule, "PH101")
    return Finding(code, f"{error.message}{shown}", place, remedy)


def template(place: Place) -> Finding:
    return Finding(
        "PH105",
        "this is a Go template, not a manifest: its {{ … }} has not been rendered",
        place,
        "render it first: `helm template CHART | pilothouse rehearse -`",
    )


def helm_chart(folder: str) -> Finding:
    return Finding(
        "PH106",
        "a Helm chart (Chart.yaml and templates/): charts are not rendered, the folder is left out",
        Place(folder),
        f"`helm template {folder} | pilothouse rehearse -` rehearses what the chart makes",
        "warning",
    )


def kustomization(place: Place) -> Finding:
    return Finding(
        "PH107",
        "a kustomization: its patches are not applied, the files beside it are read as they are",
        place,
        "`kustomize build DIR | pilothouse rehearse -` rehearses what it makes",
        "warning",
    )


def unknown_document(place: Place, keys: list[str], named: bool) -> Finding:
    shown = ", ".join(keys[:4]) + (", …" if len(keys) > 4 else "")
    return Finding(
        "PH108",
        f"neither a Kubernetes object (apiVersion, kind) nor a rule file (groups): keys {shown or 'none'}; left out",
        place,
        "name the folder or file that holds the manifests" if named else "",
        "error" if named else "note",
    )


def not_a_mapping(file: str, line: int, value: Any, named: bool) -> Finding:
    what = "a list" if isinstance(value, list) else "a single value"
    remedy = "write one object per document, or a `kind: List` with `items:`" if named else ""
    return Finding(
        "PH109",
        f"the document is {what}, not an object; left out",
        Place(file, line),
        remedy,
        "error" if named else "note",
    )


def no_type(place: Place, key: str, value: Any) -> Finding:
    seen = "is missing" if value is None else f"is {value!r}, not text"
    example = "apps/v1" if key == "apiVersion" else "Deployment"
    return Finding("PH110", f"{key} {seen}", place, f"write e.g. `{key}: {example}`")


def no_metadata(place: Place, kind: str) -> Finding:
    return Finding("PH111", f"{kind} has no metadata", place, "give it `metadata: {name: …}`")


def no_name(place: Place, kind: str, generated: bool) -> Finding:
    if generated:
        return Finding(
            "PH111",
            f"{kind} has generateName and no name: it cannot be applied twice",
            place,
            "give it a name for the rehearsal",
        )
    return Finding(
        "PH111", f"{kind} has no metadata.name", place, "give it a name of lower-case letters, digits and `-`"
    )


def rule_test(place: Place) -> Finding:
    return Finding("PH112", "a promtool unit-test file: recognised, not rehearsed", place, "", "note")


def missing(path: str) -> Finding:
    return Finding(
        "PH120", "there is no such file or folder", Place(path), "check the path; it is relative to the current folder"
    )


def unreadable(path: str, error: Exception) -> Finding:
    reason = getattr(error, "strerror", None) or str(error)
    return Finding("PH121", f"cannot be read: {reason}", Place(path.replace("\0", "\\0")), "check its permissions")


def not_text(path: str) -> Finding:
    return Finding("PH122", "is not UTF-8 or UTF-16 text", Place(path), "save it as UTF-8, or leave it out")


def too_large(path: str) -> Finding:
    size = limits.MANIFEST_FILE_BYTES // 2**20
    return Finding("PH123", f"is larger than {size} MiB (MANIFEST_FILE_BYTES)", Place(path), "split it")


def document_too_large(file: str, line: int) -> Finding:
    size = limits.YAML_DOCUMENT_BYTES // 2**20
    message = f"a document larger than {size} MiB (YAML_DOCUMENT_BYTES), which no API server takes"
    return Finding("PH123", message, Place(file, line), "split it into several objects")


def too_many_files(folder: str) -> Finding:
    message = f"more than {limits.MANIFEST_FILES} files below this folder (MANIFEST_FILES); the rest is left out"
    return Finding("PH124", message, Place(folder), "name the folder that holds the manifests", "warning")


def too_many_findings(file: str, line: int) -> Finding:
    message = f"more than {limits.FINDINGS_PER_FILE} things are wrong in this file; the rest of it is left out"
    return Finding("PH125", message, Place(file, line), "repair these first, or name another file")


def empty(file: str) -> Finding:
    return Finding("PH126", "holds no document", Place(file), "name a file with manifests, rules or a scenario")


def nothing_found(paths: list[str]) -> Finding:
    where = ", ".join(paths) or "the given paths"
    return Finding(
        "PH127",
        f"nothing to rehearse in {where}: no Kubernetes objects, rules, scenarios or Terraform files",
        Place(),
        "name the folder with your manifests, or see it work first: `pilothouse demo`",
    )
