"""Reads what a user points at: files and folders of manifests, rules, scenarios, Terraform.

Owns: which files are read and in which order, how a file is cut into documents, what each document is, and where every
value stands (`Document.place_of`). Everything wrong becomes a `Finding` with file, line and remedy; the rest goes on:
no function here raises for a user's input. May touch: the disk, reading only. Called by `cli` and `assemble`.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilothouse.base import limits, manifest_errors
from pilothouse.base.actions import Object
from pilothouse.base.errors import Finding, Place
from pilothouse.base.yaml_dialect import Broken, Loaded, Marks, PathPart, load, unpack

SUFFIXES = (".yaml", ".yml", ".json")
SKIPPED_FOLDERS = ("node_modules", "__pycache__", "vendor")
"""Folders that hold other people's files; hidden folders (`.git`, `.terraform`, `.github`) are left out as well."""

SCENARIO = "pilothouse.dev/"


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed document (or one item of a List) and where it came from.

    object: JSON types only. line: its first line. places: where its parts stand; use `place_of`.
    """

    object: Object
    file: str
    line: int
    places: int | Marks

    def place_of(self, path: Sequence[PathPart] = ()) -> Place:
        """The place of the value at `path`, e.g. ("spec", "containers", 0, "image"), or its deepest known ancestor."""
        if not path or isinstance(self.places, int):
            return Place(self.file, self.line)
        line, column = self.places.find(path)
        return Place(self.file, line, column)

    def place_of_field(self, text: str) -> Place:
        """The place of a field named as Kubernetes' errors do: `spec.containers[0].image`, `metadata.labels[a.b/c]`."""
        return self.place_of(field_path(text))

    @property
    def api_version(self) -> str:
        return _text(self.object.get("apiVersion"))

    @property
    def kind(self) -> str:
        return _text(self.object.get("kind"))

    @property
    def name(self) -> str:
        return _text(_metadata(self.object).get("name"))

    @property
    def namespace(self) -> str:
        return _text(_metadata(self.object).get("namespace"))


@dataclass(slots=True)
class Manifests:
    """Everything that was found, in the order of reading: paths as given, folders sorted, documents from the top."""

    objects: list[Document] = field(default_factory=list)
    """Kubernetes objects (apiVersion and kind), Lists expanded."""
    scenarios: list[Document] = field(default_factory=list)
    """`pilothouse.dev/… Scenario` documents."""
    rule_files: list[Document] = field(default_factory=list)
    """Prometheus rule files: documents with `groups:` at the top."""
    rule_tests: list[Document] = field(default_factory=list)
    """promtool unit-test files: recognised, not rehearsed."""
    alertmanagers: list[Document] = field(default_factory=list)
    """Alertmanager configurations (`route:` and `receivers:` at the top)."""
    slo_specs: list[Document] = field(default_factory=list)
    """Sloth's specs (`version: prometheus/…` and `slos:` at the top); other SLO formats are objects."""
    terraform: list[str] = field(default_factory=list)
    """Paths of *.tf files."""
    findings: list[Finding] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    """Every file that was read, once."""
    wanted: str = field(default="", repr=False)
    seen: dict[str, str] = field(default_factory=dict, repr=False)
    """Normalised path to path as read: a file given by name and through its folder is read once."""

    @property
    def usable(self) -> bool:
        """Is there anything that a rehearsal can start from?"""
        return bool(self.objects or self.rule_files or self.scenarios or self.terraform or self.slo_specs)


def load_paths(paths: Iterable[str], *, stdin: str | None = None, wanted: str = "") -> Manifests:
    """Reads files and folders; `-` is standard input (`stdin` replaces it). Never raises for what it reads.

    wanted: parse only the documents whose text holds this word, e.g. to look for scenarios in a large folder.
    """
    out = Manifests(wanted=wanted)
    for path in paths:
        if path == "-":
            _read_text(out, "<stdin>", sys.stdin.read() if stdin is None else stdin, named=True)
        elif os.path.isdir(path):
            _read_folder(out, path)
        else:
            _read_file(out, path, named=True)
    if not out.usable and not any(f.severity == "error" for f in out.findings):
        out.findings.append(manifest_errors.nothing_found(list(paths) if isinstance(paths, Sequence) else []))
    return out


def load_text(text: str, file: str = "<text>") -> Manifests:
    """The documents of one text, classified as if they stood in `file`."""
    out = Manifests()
    _read_text(out, file, text, named=True)
    return out


def field_path(text: str) -> tuple[PathPart, ...]:
    """The path of a field as Kubernetes writes it; brackets hold an index or a key."""
    out: list[PathPart] = []
    for match in re.finditer(r"\[([^\]]*)\]|([^.\[\]]+)", text):
        inside, plain = match.groups()
        out.append(int(inside) if inside is not None and inside.isdigit() else inside if inside is not None else plain)
    return tuple(out)


# --- the walk ---------------------------------------------------------------------------------------------------------


def _read_folder(out: Manifests, folder: str) -> None:
    for path in _walk(out, folder):
        if len(out.files) >= limits.MANIFEST_FILES:
            out.findings.append(manifest_errors.too_many_files(folder))
            return
        _read_file(out, path, named=False)


def _walk(out: Manifests, folder: str) -> Iterator[str]:
    """Files worth reading below `folder`, sorted; charts and other people's folders are left out with a note."""

    def refused(error: OSError) -> None:
        out.findings.append(manifest_errors.unreadable(error.filename or folder, error))

    for here, folders, files in os.walk(folder, onerror=refused):
        if "Chart.yaml" in files and "templates" in folders:
            out.findings.append(manifest_errors.helm_chart(here))
            folders.clear()
            continue
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in SKIPPED_FOLDERS)
        for name in sorted(files):
            if not name.startswith(".") and name.endswith((*SUFFIXES, ".tf")):
                yield os.path.join(here, name)


def _read_file(out: Manifests, path: str, *, named: bool) -> None:
    """named: the user gave this very file, so that being something else is an error and not a note."""
    known = os.path.normpath(path)
    if known in out.seen:
        return
    out.seen[known] = path
    if path.endswith(".tf"):
        if os.path.isfile(path):
            out.terraform.append(path)
            out.files.append(path)
        else:
            out.findings.append(manifest_errors.missing(path))
        return
    try:
        if os.path.getsize(path) > limits.MANIFEST_FILE_BYTES:
            out.findings.append(manifest_errors.too_large(path))
            return
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        out.findings.append(manifest_errors.missing(path))
        return
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL byte
        out.findings.append(manifest_errors.unreadable(path, error))
        return
    text = _decode(data)
    if text is None:
        out.findings.append(manifest_errors.not_text(path))
        return
    _read_text(out, path, text, named=named)


def _decode(data: bytes) -> str | None:
    """YAML may be UTF-8 or UTF-16, with a byte order mark or without; None when it is neither."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


# --- one file ---------------------------------------------------------------------------------------------------------

_SEPARATOR = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_SURROGATES = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")

_UNPRINTABLE = re.compile("[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _read_text(out: Manifests, file: str, text: str, *, named: bool) -> None:
    out.files.append(file)
    before = len(out.findings)
    documents = 0
    for chunk, first_line in _chunks(text):
        if len(out.findings) - before >= limits.FINDINGS_PER_FILE:
            out.findings.append(manifest_errors.too_many_findings(file, first_line))
            break
        if out.wanted not in chunk:
            continue
        if len(chunk) > limits.YAML_DOCUMENT_BYTES:
            out.findings.append(manifest_errors.document_too_large(file, first_line))
            continue
        try:
            for loaded in load(_prepared(chunk), first_line):
                documents += 1
                _classify(out, Source(file, named), loaded)
        except Broken as broken:
            documents += 1
            out.findings.append(manifest_errors.broken(file, chunk, first_line, broken))
    if named and not documents:
        out.findings.append(manifest_errors.empty(file))


def _prepared(chunk: str) -> str:
    """JSON allows in its strings what YAML does not: characters as two escapes, DEL, and Unicode's line ends.

    YAML refuses the first two and folds the last like line feeds; all become escapes that it reads as they are.
    """
    if not chunk.lstrip().startswith(("{", "[")):
        return chunk

    def join(match: re.Match[str]) -> str:
        return (chr(int(match[1], 16)) + chr(int(match[2], 16))).encode("utf-16", "surrogatepass").decode("utf-16")

    return _UNPRINTABLE.sub(lambda m: f"\\u{ord(m[0]):04x}", _SURROGATES.sub(join, chunk))


def _chunks(text: str) -> Iterator[tuple[str, int]]:
    """Documents are cut at `---` before anything is parsed, so that a broken one does not take the next ones with it.

    What stands before the first `---` and holds only directives (`%YAML`) belongs to the document behind it.
    """
    starts = [0, *(m.start() for m in _SEPARATOR.finditer(text) if m.start() > 0), len(text)]
    line, at = 1, 0
    for start, end in itertools.pairwise(starts):
        part = text[start:end]
        if start == 0 and end < len(text) and _only_directives(part):
            continue
        if part.strip():
            yield text[at:end] if at == 0 and start > 0 and _only_directives(text[:start]) else part, line
        line += text[at:end].count("\n")
        at = end


def _only_directives(part: str) -> bool:
    lines = [line for line in part.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return bool(lines) and all(line.startswith("%") for line in lines)


# --- what a document is -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """The file a document stands in; named: given by the user as such, not met in a folder."""

    file: str
    named: bool


def _classify(out: Manifests, source: Source, loaded: Loaded) -> None:
    value = loaded.value
    if not isinstance(value, dict):
        out.findings.append(manifest_errors.not_a_mapping(source.file, loaded.line, value, source.named))
        return
    document = Document(value, source.file, loaded.line, loaded.marks)
    if "apiVersion" in value or "kind" in value:
        _classify_object(out, source, document)
    elif isinstance(value.get("groups"), list) or ("groups" in value and value["groups"] is None):
        out.rule_files.append(document)
    elif "tests" in value and ("rule_files" in value or "evaluation_interval" in value):
        out.rule_tests.append(document)
        out.findings.append(manifest_errors.rule_test(document.place_of()))
    elif "route" in value and "receivers" in value:
        out.alertmanagers.append(document)
    elif _text(value.get("version")).startswith("prometheus/") and "slos" in value:
        out.slo_specs.append(document)
    else:
        out.findings.append(manifest_errors.unknown_document(document.place_of(), sorted(value), source.named))


def _classify_object(out: Manifests, source: Source, document: Document) -> None:
    value = document.object
    for key in ("apiVersion", "kind"):
        if not isinstance(value.get(key), str) or not value[key]:
            out.findings.append(manifest_errors.no_type(document.place_of((key,)), key, value.get(key)))
            return
    if (document.kind == "List" or document.kind.endswith("List")) and isinstance(value.get("items"), list):
        _expand(out, source, document)
    elif document.api_version.startswith(SCENARIO) and document.kind == "Scenario":
        out.scenarios.append(document)
    elif document.kind in ("Kustomization", "Component") and document.api_version.startswith(
        "kustomize.config.k8s.io/"
    ):
        out.findings.append(manifest_errors.kustomization(document.place_of()))
    elif not isinstance(value.get("metadata"), dict):
        out.findings.append(manifest_errors.no_metadata(document.place_of(("metadata",)), document.kind))
    elif not document.name:
        place = document.place_of(("metadata", "name"))
        generated = bool(_metadata(value).get("generateName"))
        out.findings.append(manifest_errors.no_name(place, document.kind, generated))
    elif re.search(r"\{\{-?\s*\.(Values|Release|Chart|Capabilities)\b", str(value)):
        out.findings.append(manifest_errors.template(document.place_of()))
    else:
        out.objects.append(document)


def _expand(out: Manifests, source: Source, document: Document) -> None:
    marks = document.places.child("items") if isinstance(document.places, Marks) else None
    for index, item in enumerate(document.object["items"]):
        place = marks.child(index) if isinstance(marks, Marks) else None
        where = place if place is not None else document.places
        line = unpack(where if isinstance(where, int) else where.at)[0]
        _classify(out, source, Loaded(item, where, line))


def _metadata(value: Object) -> dict[str, Any]:
    metadata = value.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
